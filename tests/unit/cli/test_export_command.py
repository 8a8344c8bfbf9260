"""`refit export`: the card says what made the version, and which labels and corrections."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.evaluations import evaluated_rows
from tests.support.learned import LEARNED
from tests.support.model_files import champion, manifest, object_version
from tests.support.reported_run import JOB, PACKAGE, RUN, evaluation, profile, write_run

SLICE = "digits/labelled/dt=2026-11-20/s.jsonl"
HOSTILE = "<b>x</b> | `y` [z](javascript:1)\n# title"


class SageMaker:
    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        assert TrainingJobName == JOB
        return {"HyperParameters": {"num_round": "100", "eta": "0.2"}}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        uri = f"s3://refit-data/digits/runs/{RUN}/model.tar.gz"
        return {"InferenceSpecification": {"Containers": [{"ModelDataUrl": uri}]}}


def ledger_line(inference: str, seq: int, label: str, **values: Any) -> str:
    return json.dumps(
        {
            "inferenceId": inference,
            "seq": seq,
            "label": label,
            "prediction": "3",
            "version": 3,
            "predictedAt": "2026-11-20T12:00:00.000+00:00",
            "observedAt": f"2026-11-20T13:0{seq}:00.000+00:00",
            "source": {"key": "digits/capture/x.jsonl", "version": "1", "line": 0, "row": 0},
            **values,
        }
    )


@pytest.fixture
def digits(stack, clients):
    """A live version that two labels have trained, of which one was corrected."""
    clients["sagemaker"] = SageMaker()
    lines = [
        ledger_line("a-0", 1, "3"),
        ledger_line("b-0", 1, "5"),
        ledger_line("b-0", 1, "5"),
        ledger_line("b-0", 2, "6"),
        ledger_line("c-0", 1, "7", withdrawn=True),
    ]
    version = stack.put(SLICE, "".join(f"{line}\n" for line in lines))
    stack.put(SLICE, "a later object, which the run did not use")
    used = {**object_version(SLICE), "version": version, "fresh": True, "rows": 4, "lost": {"x": 1}}
    content = manifest(
        RUN,
        learned=LEARNED.model_dump(mode="json"),
        slices=[used],
        labelled={"train": 1, "test": 1},
    )
    write_run(stack, manifest=content)
    stack.set_state("digits", champion(4, RUN))
    return stack


@pytest.fixture
def card(refit, digits):
    result = refit("export", "digits", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_card_names_version_run_package_and_whether_it_is_live(card):
    assert card["format"] == "refit-model-card/1"
    assert (card["model"], card["version"], card["run"]) == ("digits", 4, RUN)
    assert card["model_package"] == PACKAGE
    assert card["is_live"] is True


def test_the_card_has_metrics_with_intervals_gate_hyperparameters_and_settings(card):
    accuracy = card["evaluation"]["new"]["challenger"]["metrics"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert card["gate"]["checks"][0]["name"] == "floor"
    assert card["training"]["hyperparameters"] == {"eta": "0.2", "num_round": "100"}
    assert card["training"]["settings"]["gate"]["confidence"] == 0.95


def test_the_card_names_each_file_with_its_version(card):
    (file,) = card["data"]["files"]
    assert file["key"] == "digits/raw/a.csv"
    assert file["version"]


def test_each_label_is_named_once_and_a_correction_with_what_it_was_before(card):
    lineage = card["lineage"]
    assert (lineage["labels"], lineage["corrections"], lineage["withdrawn"]) == (2, 1, 1)
    assert [(each["inference_id"], each["label"]) for each in lineage["each"]] == [
        ("a-0", "3"),
        ("b-0", "6"),
    ]
    assert lineage["each"][1]["corrected_from"] == ["5"]
    assert lineage["by_label"] == {"3": 1, "6": 1}
    assert lineage["predicted_by_version"] == {"3": 2}
    assert lineage["lost"] == {"x": 1}


def test_a_slice_that_is_gone_is_said_to_be_missing(refit, digits):
    used = {**object_version("digits/labelled/dt=2026-11-01/s.jsonl"), "fresh": True}
    content = manifest(RUN, slices=[{**used, "rows": 4, "lost": {}}])
    write_run(digits, manifest=content)
    lineage = json.loads(refit("export", "digits", "--json").stdout)["lineage"]
    assert lineage["missing_slices"] == ["digits/labelled/dt=2026-11-01/s.jsonl"]
    assert lineage["labels"] == 0


def test_the_limits_name_what_was_not_tested_and_what_is_doubtful(card):
    limits = " ".join(card["limits"])
    assert "200 held-out rows of the same data" in limits
    assert "column 'code' alone gives the label" in limits
    assert "Numbers beyond their ranges in training" in limits
    assert card["data"]["ranges"] == {"long": [1.5, 9.0]}


def test_the_markdown_has_every_part(refit, digits, tmp_path):
    path = tmp_path / "card.md"
    result = refit("export", "digits", "--output", path)
    assert result.exit_code == 0, result.output
    assert f"model card of version 4  {path}" in result.stdout
    content = path.read_text()
    for line in (
        "# Model card: digits, version 4",
        "## Quality",
        "## Gate",
        "## Data",
        "## Labels that trained it",
        "## Training",
        "## Limits",
        "Labels of predictions: 2; corrected before: 1; withdrawn: 1.",
        "| b-0 | 6 | 5 |",
        "| num\\_round | 100 |",
        "| long | number | 0 | 1.5 to 9 |",
    ):
        assert line in content, line
    assert "| accuracy | 0.9 | 0.8" in content


def test_texts_of_the_data_are_no_markdown_and_no_html(refit, digits, tmp_path):
    content = evaluation(notes=[HOSTILE])
    columns = profile(HOSTILE, "code")
    learned = LEARNED.model_copy(update={"doubts": (HOSTILE,)})
    write_run(
        digits,
        evaluation=content,
        profile=columns,
        manifest=manifest(RUN, learned=learned.model_dump(mode="json")),
    )
    path = tmp_path / "card.md"
    assert refit("export", "digits", "-o", path).exit_code == 0
    written = path.read_text()
    assert "<b>" not in written.replace("\\<b", "")
    assert "](javascript" not in written.replace("\\](", "")
    assert "\n# title" not in written


def test_the_ending_of_the_file_chooses_json(refit, digits, tmp_path):
    path = tmp_path / "card.json"
    assert refit("export", "digits", "--version", 4, "-o", path).exit_code == 0
    assert json.loads(path.read_text())["version"] == 4


def test_a_version_without_evaluation_and_labels_says_so(refit, digits, tmp_path):
    write_run(digits, evaluation=None, gate=None, curves=None, profile=None, manifest=None)
    for key in ("evaluation", "gate", "curves", "profile", "manifest"):
        digits.s3.delete_object(Bucket="refit-data", Key=f"digits/runs/{RUN}/{key}.json")
    path = tmp_path / "card.md"
    assert refit("export", "digits", "-o", path).exit_code == 0
    written = path.read_text()
    for sentence in (
        "The version was not evaluated.",
        "The gate has not decided.",
        "trained on uploaded files only",
        "SageMaker does not know the training job any more.",
    ):
        assert sentence in written


def test_fresh_rows_are_shown_beside_the_others(refit, digits, tmp_path):
    fresh = evaluated_rows(50, 0.9, 0.7).model_dump(mode="json")
    write_run(digits, evaluation=evaluation(fresh=fresh))
    path = tmp_path / "card.md"
    assert refit("export", "digits", "-o", path).exit_code == 0
    assert "On 50 fresh rows" in path.read_text()


def test_an_unknown_model_or_version_is_named_with_those_that_exist(refit, digits):
    result = refit("export", "roses")
    assert result.exit_code == 2
    assert "there is no model 'roses'" in result.stderr
    result = refit("export", "digits", "--version", 9)
    assert result.exit_code == 2
    assert "has no version 9; versions: 4" in result.stderr
    digits.add_run("tulips", "r1", "FAILED")
    assert "'tulips' has no version yet; versions: none" in refit("export", "tulips").stderr


def test_a_file_that_cannot_be_written_is_named(refit, digits, tmp_path):
    result = refit("export", "digits", "-o", tmp_path / "no" / "card.md")
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
