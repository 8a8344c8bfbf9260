"""`refit report`: the page has what is known of the run, runs nothing, and loads nothing."""

from __future__ import annotations

import json
import pickle
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from refit.domain.evaluation.report import FoldScores
from refit.domain.evaluation.training_curves import Curves, JobCurves
from refit.domain.pipeline.tuning_record import TuningRecord
from refit_cli.report.charts import curve_charts
from refit_cli.report.importance import ModelUnreadable, importance_of
from refit_cli.report.tables import fold_table, trial_table

from tests.support.cli import BUCKET
from tests.support.model_files import manifest
from tests.support.reported_run import (
    FEATURES,
    JOB,
    RUN,
    Page,
    curves,
    drop,
    evaluation,
    gate,
    packed_model,
    profile,
    schema,
    trained_model,
    write_run,
)

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' {{ 7*7 }}"


class SageMaker:
    """Describes the training job and the model package of the run."""

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        if TrainingJobName != JOB:
            raise ClientError({"Error": {"Code": "ValidationException"}}, "DescribeTrainingJob")
        return {"HyperParameters": {"num_round": "100", "eta": "0.2"}}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        uri = f"s3://{BUCKET}/digits/runs/{RUN}/model.tar.gz"
        return {"InferenceSpecification": {"Containers": [{"ModelDataUrl": uri}]}}


@pytest.fixture
def report(refit, stack, clients, tmp_path):
    """Write a report of the run, and return its page."""
    clients["sagemaker"] = SageMaker()

    def page(**files: Any) -> Page:
        write_run(stack, **files)
        path = tmp_path / "report.html"
        result = refit("report", "digits", "--output", path)
        assert result.exit_code == 0, result.output
        assert str(path) in result.stdout.replace("\n", "")
        return Page(path.read_text())

    return page


def test_the_report_says_what_was_trained_on_what_why_and_what_the_gate_decided(report):
    text = report().text
    for sentence in (
        "Version 4 of digits was deployed.",
        "The model predicts 'kind' (2 classes) from 1 number, 1 category",
        "It was trained on 80 rows and validated on 10; 10 rows were held out to test it",
        "It began because files were uploaded: a.csv.",
        "The gate passed it: the challenger is better a note of the gate",
    ):
        assert sentence in text


def test_the_report_names_the_version_whose_predictions_are_features(report):
    source = {"model": "segments", "version": 3, "run": "r9", "columns": 4}
    text = report(manifest=manifest(RUN, features_from=source)).text
    assert "4 of its columns are predictions of version 3 of 'segments'" in text


def test_the_report_has_its_sections_and_their_values(report):
    page = report()
    for title in ("Training curves", "Gate", "Quality on rows", "Confusion matrix", "Data"):
        assert title in page.text
    assert "validation rows: 1 in round 1, 0.8 in round 3, best 0.7 in round 2." in page.text
    assert "live version 3" in page.text
    assert re.search(r"long\s+100\.0%", page.text)
    assert "row numbers, which count up" in page.text
    assert "num_round" in page.text


def test_a_retraining_says_why_it_began(report):
    page = report(drop=drop(cause="drift", reason="The accuracy fell."))
    assert "It began because drift was detected: The accuracy fell." in page.text


def test_without_a_name_the_file_is_named_after_model_and_run(
    refit, stack, clients, monkeypatch, tmp_path
):
    clients["sagemaker"] = SageMaker()
    monkeypatch.chdir(tmp_path)
    write_run(stack)
    written = json.loads(refit("report", "digits", RUN, "--json").stdout)
    assert written == {"model": "digits", "run": RUN, "file": f"digits-{RUN}.html"}
    assert (tmp_path / f"digits-{RUN}.html").is_file()


def test_html_in_names_of_columns_classes_and_values_does_nothing(report):
    classes = tuple(f"{HOSTILE}{number}" for number in range(4))
    quality = evaluation(classes)
    new = quality["new"]["challenger"]
    new["per_class"] = dict(zip(classes, new["per_class"].values(), strict=True))
    each = [{"rows": 5, "metrics": {HOSTILE: 0.5}}]
    quality["folds"] = {"rows": 5, "mean": {HOSTILE: 0.5}, "spread": {}, "each": each}
    trial = {"name": HOSTILE, "status": HOSTILE, "hyperparameters": {HOSTILE: HOSTILE}}
    tuning = {"job": "j", "status": "Completed", "metric": "m", "maximize": True, "trials": [trial]}
    page = report(
        evaluation=quality,
        gate=gate(HOSTILE),
        curves=curves(HOSTILE),
        profile=profile(HOSTILE, f"{HOSTILE}2", classes=classes),
        schema=schema(HOSTILE, f"{HOSTILE}2"),
        tuning=tuning,
    )
    assert page.text.count("<script>alert(1)</script>") > 10
    assert "{{ 7*7 }}" in page.text
    assert not page.all("script")
    assert not page.all("img")
    assert not [name for _, a in page.elements for name in a if name.startswith("on")]


def test_html_in_the_title_of_a_job_does_nothing_in_a_chart():
    job = JobCurves(job="j", title=HOSTILE, rounds=1, metrics={"validation-auc": (0.5,)})
    other = job.model_copy(update={"title": "other"})
    (chart,) = curve_charts(Curves(model="m", run="r", jobs=(job, other)))
    page = Page(str(chart.svg))
    assert not page.all("script")
    assert not page.all("img")
    assert "alert(1)" in page.text


def test_the_page_loads_nothing_and_its_policy_allows_no_script(report, tmp_path):
    page = report()
    for _, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert (attributes.get(name) or "#").startswith("#")
    html = (tmp_path / "report.html").read_text()
    assert not re.search(r"@import|url\((?!#)|<link|<iframe|<object", html)
    without_names = re.sub(r'http-equiv=|xmlns(:xlink)?="[^"]*"', "", html)
    assert "http" not in without_names
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv")]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_charts_have_text_alternatives_and_tables_have_headers(report):
    page = report()
    charts = page.all("svg")
    assert charts
    assert all(c["role"] == "img" and "in round 1" in (c["aria-label"] or "") for c in charts)
    assert all(header.get("scope") in {"row", "col"} for header in page.all("th"))
    assert len(page.all("table")) == len(page.all("thead"))
    assert page.all("html") == [{"lang": "en"}]


@pytest.mark.parametrize("left_out", ["curves", "evaluation", "gate", "profile", "schema", "drop"])
def test_a_run_that_has_not_written_everything_still_has_a_report(report, left_out):
    assert "digits" in report(**{left_out: None}).text


def test_a_run_that_failed_at_once_says_why(refit, stack, clients, tmp_path):
    stack.add_run("digits", "r9", "FAILED", error="DatasetEmpty", message="no usable row")
    path = tmp_path / "failed.html"
    assert refit("report", "digits", "r9", "-o", path).exit_code == 0
    text = Page(path.read_text()).text
    assert "The run failed." in text
    assert "DatasetEmpty: no usable row" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["roses"], "there is no model 'roses'"),
        (["digits", "abc"], "the model 'digits' has no run 'abc'"),
        (["Digits"], "is not allowed"),
    ],
)
def test_a_model_or_run_that_does_not_exist_is_an_error(refit, stack, clients, arguments, message):
    write_run(stack)
    result = refit("report", *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_file_that_cannot_be_written_is_an_error(refit, stack, clients, tmp_path):
    clients["sagemaker"] = SageMaker()
    write_run(stack)
    result = refit("report", "digits", "-o", tmp_path / "none" / "a.html")
    assert result.exit_code == 2
    assert "cannot be written" in result.output


def test_the_importance_is_the_share_in_the_gain():
    (feature,) = importance_of(packed_model(), FEATURES)
    assert (feature.name, feature.share) == ("long", 1.0)
    assert feature.splits >= 1


def test_several_models_of_one_archive_add_up():
    members = {"xgboost-model-0": trained_model(0), "xgboost-model-1": trained_model(1)}
    features = importance_of(packed_model(members), FEATURES)
    assert [round(feature.share, 3) for feature in features] == [0.5, 0.5]


class Runs:
    """Unpickling this runs code."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (packed_model({"xgboost-model": pickle.dumps(Runs())}), "XGBoost does not load it"),
        (packed_model({"xgboost-model": b""}), "XGBoost does not load it"),
        (packed_model({"model.bin": b"x"}), "it has no file xgboost-model"),
        (b"no archive", "it is no tar archive"),
        (packed_model()[:200], "it is no tar archive"),
        (packed_model()[:300] + b"\0" * 900, "it is no tar archive"),
    ],
)
def test_a_model_that_cannot_be_read_says_why(archive, reason):
    with pytest.raises(ModelUnreadable, match=reason):
        importance_of(archive, FEATURES)


def test_folds_have_their_metrics_with_mean_and_spread():
    each = ({"rows": 40, "metrics": {"accuracy": 0.9}}, {"rows": 41, "metrics": {"recall": 0.8}})
    spread = {"accuracy": 0.05}
    scores = {"rows": 81, "mean": {"accuracy": 0.85}, "spread": spread, "each": each}
    table = fold_table(FoldScores.model_validate(scores))
    assert table.columns == ["fold", "rows", "accuracy", "recall"]
    assert table.rows == [
        ["fold 1", 40, 0.9, None],
        ["fold 2", 41, None, 0.8],
        ["mean", 81, 0.85, None],
        ["standard deviation", None, 0.05, None],
    ]


@pytest.mark.parametrize(("maximize", "order"), [(True, "bac"), (False, "abc")])
def test_trials_are_ordered_from_the_best_and_those_without_a_value_come_last(maximize, order):
    trials = [
        {"name": "c", "status": "Failed", "objective": None, "hyperparameters": {"eta": "0.3"}},
        {"name": "a", "status": "Completed", "objective": 0.2, "hyperparameters": {"eta": "0.1"}},
        {
            "name": "b",
            "status": "Completed",
            "objective": 0.4,
            "hyperparameters": {"max_depth": "3"},
        },
    ]
    record = {"job": "j", "status": "Completed", "metric": "validation:auc", "trials": trials}
    table = trial_table(TuningRecord.model_validate(record | {"maximize": maximize}))
    assert "".join(row[0] for row in table.rows) == order
    assert table.columns == ["trial", "status", "validation:auc", "seconds", "eta", "max_depth"]


def test_of_several_jobs_a_chart_has_the_validation_rows_of_each():
    jobs = tuple(
        JobCurves(
            job=f"j{at}",
            title=f"fold {at}",
            rounds=2,
            metrics={"train-auc": (0.9, 1.0), "validation-auc": (0.5, 0.6)},
        )
        for at in range(3)
    )
    (chart,) = curve_charts(Curves(model="m", run="r", jobs=jobs))
    assert chart.names == ["fold 0", "fold 1", "fold 2"]
    assert chart.rows == [(1, [0.5, 0.5, 0.5]), (2, [0.6, 0.6, 0.6])]
