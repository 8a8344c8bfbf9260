"""Evaluate reads what the transform jobs wrote, and Gate decides on its metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from refit.domain.errors import EvaluationIncomplete
from refit.domain.model_settings import ModelSettings
from refit.domain.monitoring.baseline import Baseline
from refit.handlers import evaluate, gate

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.model_files import manifest, object_version

ROOT = "digits/runs/0f1e2d3c4b5a"
CHAMPION_ROOT = "digits/runs/a1b2c3d4e5f6"
ROWS = 400


def run_manifest(
    settings: ModelSettings | None = None, cause: str = "drop", fresh_test: int = 0
) -> dict[str, Any]:
    """Return what Prepare wrote; a retraining used the labelled rows of one fresh slice."""
    usage = {"fresh": True, "rows": 303, "lost": {"superseded": 2, "capture file gone": 1}}
    ledger_slice = object_version("digits/labelled/dt=2025-01-02/0a.jsonl", size=1000) | usage
    labelled = {"train": 240, "validation": 0, "test": fresh_test, "fresh_test": fresh_test}
    return manifest(
        ROOT.rpartition("/")[2],
        settings or ModelSettings(),
        cause=cause,
        slices=[ledger_slice] if fresh_test else [],
        rows={"train": 1440, "validation": 0, "test": ROWS, "quarantined": 0},
        labelled=labelled if fresh_test else {},
    )


def schema(classes: list[str] | None) -> dict[str, Any]:
    return {
        "task": "classification" if classes else "regression",
        "label": "label",
        "features": [{"name": "f0", "type": "number"}],
        "classes": classes,
    }


def batch_output(truth: np.ndarray, accuracy: float, n_classes: int) -> str:
    """Return what the container writes for a model with exactly this accuracy."""
    predicted = truth.copy()
    wrong = round((1 - accuracy) * len(truth))
    predicted[:wrong] = (truth[:wrong] + 1) % n_classes
    probabilities = np.full((len(truth), n_classes), 0.1, dtype=np.float32)
    probabilities[np.arange(len(truth)), np.minimum(predicted, n_classes - 1)] = 0.9
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return "\n".join(map(str, probabilities.tolist())) + "\n"


def labels(truth: np.ndarray) -> str:
    return "".join(f"{label}\n" for label in truth)


@pytest.fixture
def classified(stack: Stack) -> Stack:
    """A run whose champion knows the classes a and b; the drop adds c."""
    truth, base = np.arange(ROWS) % 3, np.arange(ROWS) % 2
    stack.put(f"{ROOT}/manifest.json", run_manifest())
    stack.put(f"{ROOT}/schema.json", schema(["a", "b", "c"]))
    stack.put(f"{ROOT}/profile.json", {"label": {"classes": {"a": 480, "b": 480, "c": 480}}})
    stack.put(f"{CHAMPION_ROOT}/manifest.json", run_manifest())
    stack.put(f"{CHAMPION_ROOT}/schema.json", schema(["a", "b"]))
    stack.put(f"{ROOT}/evaluation/in/new.csv", labels(np.arange(ROWS)))
    stack.put(f"{ROOT}/evaluation/new.labels", labels(truth))
    stack.put(f"{ROOT}/evaluation/base.labels", labels(base))
    stack.put(f"{ROOT}/evaluation/challenger/new.csv.out", batch_output(truth, 0.95, 3))
    stack.put(f"{ROOT}/evaluation/challenger/base.csv.out", batch_output(base, 0.97, 3))
    known_to_champion = np.minimum(truth, 1)
    stack.put(f"{ROOT}/evaluation/champion/new.csv.out", batch_output(known_to_champion, 0.9, 2))
    champion_scores = "".join(f"{0.9 if label else 0.1}\n" for label in base)
    stack.put(f"{ROOT}/evaluation/champion/base.csv.out", champion_scores)
    return stack


def test_both_models_are_evaluated_on_the_new_and_the_base_rows(classified: Stack) -> None:
    metrics = evaluate.handler(sample("evaluate"), CONTEXT)["metrics"]
    assert metrics["test_rows"] == ROWS
    assert metrics["accuracy"] == 0.95
    assert metrics["base_accuracy"] == 0.97
    assert metrics["base_champion_accuracy"] == 1
    assert metrics["champion_accuracy"] < 0.67  # it does not know the class of a third of the rows
    stored = classified.get(f"{ROOT}/evaluation.json")
    assert stored["champion"] == {"run": "a1b2c3d4e5f6", "version": 3}
    assert stored["classes"] == ["a", "b", "c"]
    for rows in (stored["new"], stored["base"]):
        assert rows["rows"] == ROWS
        for side in ("challenger", "champion"):
            accuracy = rows[side]["metrics"]["accuracy"]
            assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]
            assert sum(map(sum, rows[side]["confusion_matrix"])) == ROWS
        assert set(rows["comparisons"]) == {
            *("accuracy", "balanced_accuracy", "log_loss", "brier", "f1", "precision", "recall")
        }
    assert stored["new"]["comparisons"]["accuracy"]["p_value"] < 0.001


def test_held_out_rows_are_kept_for_people_the_wrong_ones_first(classified: Stack) -> None:
    evaluate.handler(sample("evaluate"), CONTEXT)
    rows = classified.get(f"{ROOT}/evaluation_examples.json")["rows"]
    assert [row["wrong"] for row in rows] == [True] * 6 + [False] * 6
    assert all(row["values"] == [str(row["number"])] for row in rows)
    first = rows[0]
    assert (first["truth"], first["predicted"], first["live"]) == ("a", "b", "b")
    assert {row["truth"] for row in rows[6:]} == {"a", "b", "c"}


def test_held_out_rows_of_a_regression_are_kept_the_largest_errors_first(stack: Stack) -> None:
    regression(stack, ("new",))
    evaluate.handler(sample("evaluate_first"), CONTEXT)
    rows = stack.get(f"{ROOT}/evaluation_examples.json")["rows"]
    errors = [abs(row["predicted"] - row["truth"]) for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert [row["wrong"] for row in rows] == [None] * 12


def test_of_a_large_file_only_the_first_rows_are_looked_at(
    classified: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refit.usecases.write_examples._MOST_BYTES", 100)
    evaluate.handler(sample("evaluate"), CONTEXT)
    rows = classified.get(f"{ROOT}/evaluation_examples.json")["rows"]
    assert max(row["number"] for row in rows) < 30


def test_the_statistics_have_the_format_that_sagemaker_studio_shows(classified: Stack) -> None:
    evaluate.handler(sample("evaluate"), CONTEXT)
    statistics = classified.get(f"{ROOT}/evaluation_statistics.json")
    metrics = statistics["multiclass_classification_metrics"]
    assert metrics["accuracy"]["value"] == 0.95
    assert set(metrics["confusion_matrix"]) == {"a", "b", "c"}


def test_a_challenger_that_is_worse_on_the_base_rows_than_the_margin_is_refused(
    classified: Stack,
) -> None:
    evaluate.handler(sample("evaluate"), CONTEXT)
    decision = gate.handler(sample("gate"), CONTEXT)
    assert set(decision) == {"passed", "reasons", "metric", "challenger", "champion"}
    assert not decision["passed"]
    assert "3.00 points worse" in decision["reasons"][0]
    stored = classified.get(f"{ROOT}/gate.json")
    assert [check["name"] for check in stored["checks"]] == ["floor", "base", "new"]
    assert [check["passed"] for check in stored["checks"]] == [True, False, True]


def test_a_challenger_within_the_margin_of_the_settings_passes(classified: Stack) -> None:
    settings = ModelSettings.model_validate({"gate": {"margin": 0.05}})
    classified.put(f"{ROOT}/manifest.json", run_manifest(settings))
    evaluate.handler(sample("evaluate"), CONTEXT)
    decision = gate.handler(sample("gate"), CONTEXT)
    assert decision["passed"]
    assert (decision["metric"], decision["challenger"]) == ("accuracy", 0.95)


def test_a_first_model_is_compared_with_the_floor_only(classified: Stack) -> None:
    metrics = evaluate.handler(sample("evaluate_first"), CONTEXT)["metrics"]
    assert set(metrics) == {"test_rows", "accuracy", "log_loss", "f1"}
    decision = gate.handler(sample("gate"), CONTEXT)
    assert decision["passed"]
    assert decision["champion"] is None
    assert classified.get(f"{ROOT}/evaluation.json")["base"] is None


def test_a_champion_with_other_columns_is_not_compared(classified: Stack) -> None:
    evaluate.handler(sample("evaluate") | {"comparable": False}, CONTEXT)
    decision = gate.handler(sample("gate"), CONTEXT)
    assert decision["passed"]
    assert "columns differ" in decision["reasons"][-1]


def regression(stack: Stack, sets: tuple[str, ...]) -> None:
    """Put the files of a run whose challenger has half the error of the champion."""
    generator = np.random.default_rng(1)
    for root in (ROOT, CHAMPION_ROOT):
        stack.put(f"{root}/schema.json", schema(None))
        stack.put(f"{root}/manifest.json", run_manifest())
        stack.put(f"{root}/profile.json", {"label": {"mean": 0.0}})
    stack.put(f"{ROOT}/evaluation/in/new.csv", labels(np.arange(ROWS)))
    for rows in sets:
        truth = generator.normal(size=ROWS)
        stack.put(f"{ROOT}/evaluation/{rows}.labels", labels(truth))
        for side, noise in (("challenger", 0.1), ("champion", 0.2)):
            predictions = truth + generator.normal(scale=noise, size=ROWS)
            stack.put(f"{ROOT}/evaluation/{side}/{rows}.csv.out", labels(predictions))


def test_a_regression_is_evaluated_and_decided_by_rmse(stack: Stack) -> None:
    regression(stack, ("new", "base"))
    stack.put(f"{ROOT}/manifest.json", run_manifest())
    metrics = evaluate.handler(sample("evaluate"), CONTEXT)["metrics"]
    assert metrics["rmse"] == pytest.approx(0.1, rel=0.1)
    assert metrics["champion_rmse"] == pytest.approx(0.2, rel=0.1)
    assert "regression_metrics" in stack.get(f"{ROOT}/evaluation_statistics.json")
    decision = gate.handler(sample("gate"), CONTEXT)
    assert decision["passed"]
    assert decision["metric"] == "rmse"


@pytest.fixture
def retrained(classified: Stack) -> Stack:
    """The same run, caused by drift: 60 of its new rows are fresh."""
    put_fresh_rows(classified, challenger=0.9, champion=0.6, count=60)
    return classified


def put_fresh_rows(stack: Stack, challenger: float, champion: float, count: int) -> None:
    """Make the run a retraining with fresh rows, on which the models have these accuracies."""
    truth = np.arange(count) % 2
    stack.put(f"{ROOT}/manifest.json", run_manifest(cause="drift", fresh_test=count))
    stack.put(f"{ROOT}/evaluation/fresh.labels", labels(truth))
    stack.put(f"{ROOT}/evaluation/challenger/fresh.csv.out", batch_output(truth, challenger, 3))
    stack.put(f"{ROOT}/evaluation/champion/fresh.csv.out", batch_output(truth, champion, 2))


def test_a_retrained_model_is_compared_on_the_fresh_rows_and_passes(retrained: Stack) -> None:
    metrics = evaluate.handler(sample("evaluate"), CONTEXT)["metrics"]
    assert (metrics["fresh_rows"], metrics["fresh_accuracy"]) == (60, 0.9)
    assert metrics["fresh_champion_accuracy"] == 0.6
    assert (metrics["labelled_rows"], metrics["labelled_rows_lost"]) == (300, 3)
    fresh = retrained.get(f"{ROOT}/evaluation.json")["fresh"]
    assert fresh["comparisons"]["accuracy"]["p_value"] < 0.001
    decision = gate.handler(sample("gate"), CONTEXT)
    assert decision["passed"]  # 3 points worse on the old rows, which [gate] margin refuses
    stored = retrained.get(f"{ROOT}/gate.json")
    assert [check["name"] for check in stored["checks"]] == ["floor", "base", "new", "fresh"]
    assert "[retraining] base_margin allows 5.00 points worse" in decision["reasons"][1]
    assert decision["reasons"][-1] == (
        "It was trained on 1,200 dropped and 240 labelled rows; 60 more labelled rows were held "
        "out, and 3 could not be used (2 superseded, 1 capture file gone)."
    )


def test_the_baseline_of_a_retrained_version_is_measured_on_the_fresh_rows(
    retrained: Stack,
) -> None:
    evaluate.handler(sample("evaluate"), CONTEXT)
    baseline = Baseline.model_validate(retrained.get(f"{ROOT}/baseline.json"))
    assert (baseline.rows_of, baseline.rows, baseline.errors) == ("fresh", 60, 6)
    assert baseline.classes is not None
    assert {text: entry.support for text, entry in baseline.classes.items()} == {"a": 30, "b": 30}
    assert baseline.quality["accuracy"] == 0.9
    assert baseline.scores is not None
    assert sum(score_bin.rows for score_bin in baseline.scores) == 60


def test_the_baseline_is_not_measured_on_fewer_than_twenty_fresh_rows(classified: Stack) -> None:
    put_fresh_rows(classified, challenger=1, champion=0.5, count=19)
    evaluate.handler(sample("evaluate"), CONTEXT)
    assert classified.get(f"{ROOT}/baseline.json")["rows_of"] == "new"


def test_the_baseline_of_a_run_from_a_drop_is_measured_on_the_new_rows(classified: Stack) -> None:
    evaluate.handler(sample("evaluate"), CONTEXT)
    baseline = Baseline.model_validate(classified.get(f"{ROOT}/baseline.json"))
    assert (baseline.rows_of, baseline.rows, baseline.errors) == ("new", ROWS, 20)
    assert baseline.predicted is not None
    assert sum(baseline.predicted.values()) == ROWS


def test_the_error_bound_of_a_regression_is_the_90th_percentile_of_its_errors(
    stack: Stack,
) -> None:
    regression(stack, ("new", "base", "fresh"))
    stack.put(f"{ROOT}/manifest.json", run_manifest(cause="request", fresh_test=ROWS))
    metrics = evaluate.handler(sample("evaluate"), CONTEXT)["metrics"]
    assert metrics["fresh_rmse"] < metrics["fresh_champion_rmse"]
    baseline = Baseline.model_validate(stack.get(f"{ROOT}/baseline.json"))
    assert baseline.rows_of == "fresh"
    assert baseline.error_bound == pytest.approx(
        0.1645, rel=0.15
    )  # of a normal distribution with deviation 0.1
    assert baseline.errors == pytest.approx(ROWS / 10, abs=1)
    assert set(baseline.quality) == {"rmse", "mae", "bias"}
    assert gate.handler(sample("gate"), CONTEXT)["passed"]


def test_a_retrained_model_no_better_on_the_fresh_rows_is_refused(classified: Stack) -> None:
    put_fresh_rows(classified, challenger=0.6, champion=0.6, count=60)
    evaluate.handler(sample("evaluate"), CONTEXT)
    decision = gate.handler(sample("gate"), CONTEXT)
    assert not decision["passed"]
    assert decision["reasons"][0].startswith("On 60 fresh held-out rows")


@pytest.mark.parametrize(
    ("key", "body", "message"),
    [
        ("challenger/new.csv.out", "[0.1, 0.2, 0.7]\n" * (ROWS - 1), "399 predictions for 400"),
        ("challenger/base.csv.out", "[0.1, 0.2, 0.7]\n" * (ROWS + 1), "401 predictions for 400"),
        ("champion/new.csv.out", "", "0 predictions for 400"),
        ("champion/base.csv.out", "nan\n" * ROWS, "line 1: 'nan' is not a prediction"),
        ("new.labels", "0\n9\n", "not the index of one of 3 classes"),
        ("base.labels", "", "is empty"),
    ],
)
def test_predictions_that_do_not_match_the_rows_fail_the_run(
    classified: Stack, key: str, body: str, message: str
) -> None:
    classified.put(f"{ROOT}/evaluation/{key}", body)
    with pytest.raises(EvaluationIncomplete, match=message):
        evaluate.handler(sample("evaluate"), CONTEXT)
    assert f"{ROOT}/evaluation.json" not in classified.keys(ROOT)


def test_an_evaluation_file_that_was_not_written_is_named(stack: Stack, classified: Stack) -> None:
    event = sample("evaluate") | {"run": "ffffffffffff"}
    stack.put("digits/runs/ffffffffffff/manifest.json", run_manifest())
    stack.put("digits/runs/ffffffffffff/schema.json", schema(["a", "b"]))
    stack.put("digits/runs/ffffffffffff/profile.json", {"label": {"classes": {"a": 9, "b": 9}}})
    with pytest.raises(
        EvaluationIncomplete, match=r"did not write digits/runs/f+/evaluation/new\.labels"
    ):
        evaluate.handler(event, CONTEXT)
