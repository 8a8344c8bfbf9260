"""A threshold of `[prediction]`: chosen, kept with the version, and applied wherever it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from refit.domain.errors import EvaluationIncomplete, SettingsInvalid
from refit.domain.monitoring.baseline import Baseline
from refit.domain.naming import RunKeys
from refit.handlers import evaluate, gate
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT
from tests.support.events import sample
from tests.support.model_files import manifest
from tests.support.prepare_runs import RUN, drop_files, prepare_run
from tests.support.preparing import scattered

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

ROOT = "digits/runs/0f1e2d3c4b5a"
CHAMPION_ROOT = "digits/runs/a1b2c3d4e5f6"
SCHEMA = {
    "task": "classification",
    "label": "fraud",
    "features": [{"name": "f0", "type": "number"}],
    "classes": ["no", "yes"],
}
COSTS = "[prediction]\ncosts = {false_positive = 1, false_negative = 9}\n"


def column(values: Any) -> str:
    return "".join(f"{value}\n" for value in values)


def fraud_rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, and probabilities of "yes" that are calibrated and at most 0.5."""
    generator = np.random.default_rng(seed)
    scores = generator.random(count) * 0.5
    return (generator.random(count) < scores).astype(int), scores


def put_run(stack: Stack, settings: str, champion_settings: str = "") -> np.ndarray:
    """Put the files of a run whose model is that of the champion; return the held-out labels."""
    for root, text in ((ROOT, settings), (CHAMPION_ROOT, champion_settings)):
        stack.put(f"{root}/manifest.json", manifest(root[-12:], text))
        stack.put(f"{root}/schema.json", SCHEMA)
        stack.put(f"{root}/profile.json", {"label": {"classes": {"no": 750, "yes": 250}}})
    stack.put(f"{ROOT}/evaluation/in/new.csv", column(range(400)))
    for name, count, seed in (("new", 400, 1), ("base", 400, 2), ("validation", 600, 3)):
        labels, scores = fraud_rows(count, seed)
        stack.put(f"{ROOT}/evaluation/{name}.labels", column(labels))
        for side in ("challenger", "champion"):
            stack.put(f"{ROOT}/evaluation/{side}/{name}.csv.out", column(scores))
    return fraud_rows(400, 1)[0]


def test_costs_choose_the_threshold_on_the_validation_rows(stack: Stack) -> None:
    labels = put_run(stack, COSTS)
    metrics = evaluate.handler(sample("evaluate_first"), CONTEXT)["metrics"]
    rule = stack.get(f"{ROOT}/decision.json")
    assert (rule["positive"], rule["is_default"], rule["chosen"]) == ("yes", True, "costs")
    assert rule["threshold"] == pytest.approx(0.1, abs=0.06)  # calibrated, so 1 / (1 + 9)
    assert metrics["threshold"] == rule["threshold"]
    scores = fraud_rows(400, 1)[1]
    right = (scores >= rule["threshold"]) == labels
    assert metrics["accuracy"] == right.mean()
    baseline = Baseline.model_validate(stack.get(f"{ROOT}/baseline.json"))
    assert baseline.errors == np.count_nonzero(~right), "the drift test counts the same errors"
    assert baseline.predicted == {
        "no": int((scores < rule["threshold"]).sum()),
        "yes": int((scores >= rule["threshold"]).sum()),
    }
    reasons = " ".join(gate.handler(sample("gate"), CONTEXT)["reasons"])
    assert "The positive class is 'yes' (the second class, because" in reasons
    assert "chosen on the validation rows by [prediction] costs" in reasons


def test_row_weights_count_when_costs_choose_the_threshold(stack: Stack) -> None:
    # A row of the positive class that counts nine times is like an error that costs nine times.
    put_run(stack, COSTS)
    evaluate.handler(sample("evaluate_first"), CONTEXT)
    by_cost = stack.get(f"{ROOT}/decision.json")["threshold"]
    equal = "[prediction]\ncosts = {false_positive = 1, false_negative = 1}\n[data]\nweight = 'w'\n"
    put_run(stack, equal)
    for name, count, seed in (("new", 400, 1), ("validation", 600, 3)):
        weights = np.where(fraud_rows(count, seed)[0] == 1, 9, 1)
        stack.put(f"{ROOT}/evaluation/{name}.weights", column(weights))
    evaluate.handler(sample("evaluate_first"), CONTEXT)
    by_weight = stack.get(f"{ROOT}/decision.json")["threshold"]
    assert by_weight == pytest.approx(by_cost, abs=0.02)
    assert by_weight < 0.2


def test_the_held_out_rows_do_not_influence_the_threshold(stack: Stack) -> None:
    put_run(stack, COSTS)
    evaluate.handler(sample("evaluate_first"), CONTEXT)
    before = stack.get(f"{ROOT}/decision.json")
    labels, _ = fraud_rows(400, 1)
    stack.put(f"{ROOT}/evaluation/new.labels", column(1 - labels))
    evaluate.handler(sample("evaluate_first"), CONTEXT)
    assert stack.get(f"{ROOT}/decision.json") == before


def test_each_version_is_evaluated_by_its_own_rule(stack: Stack) -> None:
    labels = put_run(stack, "[prediction]\nthreshold = 0.2\n", "[prediction]\nthreshold = 0.4\n")
    stack.put(f"{CHAMPION_ROOT}/decision.json", {"positive": "yes", "threshold": 0.4})
    metrics = evaluate.handler(sample("evaluate"), CONTEXT)["metrics"]
    scores = fraud_rows(400, 1)[1]
    assert metrics["accuracy"] == ((scores >= 0.2) == labels).mean()
    assert metrics["champion_accuracy"] == ((scores >= 0.4) == labels).mean()
    assert metrics["roc_auc"] == metrics["champion_roc_auc"], "the probabilities are the same"


def test_without_the_section_nothing_is_written_and_the_probable_class_counts(stack: Stack) -> None:
    labels = put_run(stack, "")
    metrics = evaluate.handler(sample("evaluate_first"), CONTEXT)["metrics"]
    assert metrics["accuracy"] == (labels == 0).mean(), "no probability exceeds 0.5"
    assert f"{ROOT}/decision.json" not in stack.keys(ROOT)


@pytest.mark.parametrize("metric", ["precision", "recall", "f1", "average_precision", "brier"])
def test_every_metric_of_a_positive_class_can_decide(stack: Stack, metric: str) -> None:
    put_run(stack, f"[gate]\nmetric = '{metric}'\n[prediction]\nthreshold = 0.3\n")
    metrics = evaluate.handler(sample("evaluate"), CONTEXT)["metrics"]
    decision = gate.handler(sample("gate"), CONTEXT)
    assert decision["metric"] == metric
    assert decision["challenger"] == metrics[metric]
    assert decision["passed"], decision["reasons"]


def test_row_weights_count_in_every_metric(stack: Stack) -> None:
    settings = "[data]\nweight = 'w'\n"
    labels = put_run(stack, settings)
    weights = np.where(labels == 1, 3.0, 1.0)
    stack.put(f"{ROOT}/evaluation/new.weights", column(weights))
    metrics = evaluate.handler(sample("evaluate"), CONTEXT)["metrics"]
    assert metrics["accuracy"] == pytest.approx(np.average(labels == 0, weights=weights))
    assert metrics["base_accuracy"] == pytest.approx((fraud_rows(400, 2)[0] == 0).mean()), (
        "the run of the champion had no weights"
    )


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (None, "did not write .*new.weights"),
        ("1\n2\n", "2 weights for 400"),
        ("-1\n" * 400, "must not be negative"),
        ("0\n" * 400, "nor all be 0"),
    ],
)
def test_weights_that_do_not_match_the_rows_fail_the_run(
    stack: Stack, weights: str | None, message: str
) -> None:
    put_run(stack, "[data]\nweight = 'w'\n")
    if weights:
        stack.put(f"{ROOT}/evaluation/new.weights", weights)
    with pytest.raises(EvaluationIncomplete, match=message):
        evaluate.handler(sample("evaluate_first"), CONTEXT)


def prepare(stack: Stack, settings: str) -> dict[str, Any]:
    rows = "".join(
        f"{'yes' if row % 3 else 'no'},{scattered(row)},{row * 7 % 11}\n" for row in range(300)
    )
    stack.put("digits/model.toml", settings)
    drop_files(stack, {"drop.csv": rows.encode()})
    return prepare_run()


def test_with_costs_both_models_predict_the_validation_rows_too(stack: Stack) -> None:
    prepared = prepare(stack, COSTS)
    features = stack.read(f"{RUN.evaluation_input}validation.csv").splitlines()
    labels = stack.read(RUN.evaluation_labels("validation")).splitlines()
    whole = stack.read(f"{RUN.validation}validation.csv").splitlines()
    assert len(labels) == prepared["rows"]["validation"] > 0
    assert [b",".join(pair) for pair in zip(labels, features, strict=True)] == whole


def test_without_costs_no_validation_row_is_predicted(stack: Stack) -> None:
    prepare(stack, "[prediction]\nthreshold = 0.3\n")
    assert f"{RUN.evaluation_input}validation.csv" not in stack.keys(RUN.root)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[prediction]\npositive = 'fraud'\n", "'fraud' is not a class .*'no', 'yes'"),
        (f"{COSTS}[data]\nvalidation_fraction = 0.0\n", "costs choose the threshold on validation"),
    ],
)
def test_a_section_that_does_not_fit_the_data_fails_before_the_training(
    stack: Stack, settings: str, message: str
) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        prepare(stack, settings)


def test_a_rule_is_read_only_if_the_version_has_one(stack: Stack) -> None:
    put_run(stack, "", "[prediction]\nthreshold = 0.4\n")
    stack.put(f"{CHAMPION_ROOT}/decision.json", {"positive": "yes", "threshold": 0.4})
    artifacts = services().artifacts
    assert artifacts.decision_rule("digits", RunKeys("digits", ROOT[-12:]).run) is None
    rule = artifacts.decision_rule("digits", CHAMPION_ROOT[-12:])
    assert rule is not None
    assert (rule.positive, rule.threshold) == ("yes", 0.4)
