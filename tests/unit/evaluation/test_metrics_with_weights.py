"""Every metric of the table agrees with scikit-learn, with and without row weights."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from refit.domain.evaluation.comparison import compare_classifiers, compare_regressions
from refit.domain.evaluation.metrics import classification_quality, regression_quality
from refit.domain.evaluation.outcomes import ClassOutcome, outcome_of
from refit.domain.quality_metrics import JUDGING, METRICS, judging_metrics
from sklearn import metrics as oracle

if TYPE_CHECKING:
    from refit.domain.evaluation.report import ModelQuality

SEEDS = range(4)


def classified(seed: int, n_classes: int, rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities, rounded so that some are equal."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, n_classes, rows)
    scores = generator.normal(size=(rows, n_classes))
    scores[np.arange(rows), labels] += 1
    scores = np.round(scores, 0)
    odds = np.exp(scores)
    probabilities = np.round(odds / odds.sum(axis=1, keepdims=True), 6)
    probabilities[:, 0] = 1 - probabilities[:, 1:].sum(axis=1)
    return labels, probabilities


def row_weights(seed: int, rows: int, weighted: bool) -> np.ndarray | None:
    return np.random.default_rng(seed).integers(1, 5, rows).astype(float) if weighted else None


def values_of(quality: ModelQuality) -> dict[str, float]:
    return {name: estimate.value for name, estimate in quality.metrics.items()}


def oracle_of_classes(
    labels: np.ndarray, outcome: ClassOutcome, probabilities: np.ndarray, **weights: Any
) -> dict[str, float]:
    predicted = outcome.predicted
    n_classes = probabilities.shape[1]
    occurring = np.unique(labels)
    expected = {
        "accuracy": oracle.accuracy_score(labels, predicted, **weights),
        "balanced_accuracy": oracle.recall_score(
            labels, predicted, labels=occurring, average="macro", **weights
        ),
        "log_loss": oracle.log_loss(labels, probabilities, labels=range(n_classes), **weights),
        "brier": oracle.brier_score_loss(labels, probabilities[:, 1], **weights)
        if n_classes == 2
        else np.average(
            ((probabilities - np.eye(n_classes)[labels]) ** 2).sum(axis=1),
            weights=weights["sample_weight"],
        ),
    }
    for average in ("macro", "weighted"):
        options = {"labels": occurring, "average": average, "zero_division": 0, **weights}
        expected[f"{average}_precision"] = oracle.precision_score(labels, predicted, **options)
        expected[f"{average}_recall"] = oracle.recall_score(labels, predicted, **options)
        expected[f"{average}_f1"] = oracle.f1_score(labels, predicted, **options)
    return expected


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_metrics_of_classes_agree_with_scikit_learn(
    seed: int, weighted: bool, n_classes: int
) -> None:
    labels, probabilities = classified(seed, n_classes)
    weights = row_weights(seed, len(labels), weighted)
    outcome = outcome_of(labels, probabilities, n_classes)
    texts = [str(index) for index in range(n_classes)]
    values = values_of(classification_quality(labels, outcome, texts, 0.95, weights))
    expected = oracle_of_classes(labels, outcome, probabilities, sample_weight=weights)
    for name in ("precision", "recall", "f1"):
        expected[name] = expected[f"macro_{name}"]
    if n_classes == 2:
        scores = probabilities[:, 1]
        expected["roc_auc"] = oracle.roc_auc_score(labels, scores, sample_weight=weights)
        expected["average_precision"] = oracle.average_precision_score(
            labels, scores, sample_weight=weights
        )
    assert values == pytest.approx(expected)
    assert set(judging_metrics("classification", n_classes)) <= set(values)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("positive", [0, 1])
def test_the_metrics_of_a_positive_class_agree_with_scikit_learn(
    seed: int, weighted: bool, positive: int
) -> None:
    labels, probabilities = classified(seed, 2)
    weights = row_weights(seed, len(labels), weighted)
    outcome = outcome_of(labels, probabilities, 2)
    values = values_of(
        classification_quality(labels, outcome, ["no", "yes"], 0.95, weights, positive)
    )
    options = {"pos_label": positive, "sample_weight": weights}
    scores = probabilities[:, positive]
    expected = {
        "precision": oracle.precision_score(labels, outcome.predicted, **options),
        "recall": oracle.recall_score(labels, outcome.predicted, **options),
        "f1": oracle.f1_score(labels, outcome.predicted, **options),
        "average_precision": oracle.average_precision_score(labels, scores, **options),
        "roc_auc": oracle.roc_auc_score(labels == positive, scores, sample_weight=weights),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_metrics_of_numbers_agree_with_scikit_learn(seed: int, weighted: bool) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.normal(size=41)
    predictions = labels + generator.normal(size=41)
    weights = row_weights(seed, 41, weighted)
    values = values_of(regression_quality(labels, predictions, 0.95, weights))
    options = {"sample_weight": weights}
    times = 1 if weights is None else weights.astype(int)
    repeated = np.repeat(np.abs(labels - predictions), times)
    assert values == pytest.approx(
        {
            "rmse": oracle.root_mean_squared_error(labels, predictions, **options),
            "mae": oracle.mean_absolute_error(labels, predictions, **options),
            "r2": oracle.r2_score(labels, predictions, **options),
            "mape": oracle.mean_absolute_percentage_error(labels, predictions, **options),
            "median_absolute_error": np.median(repeated),
            "bias": np.average(predictions - labels, weights=weights),
        }
    )
    if weights is None:
        median = oracle.median_absolute_error(labels, predictions)
        assert values["median_absolute_error"] == pytest.approx(median)
    assert set(judging_metrics("regression", None)) <= set(values)


def test_a_weight_of_two_is_the_same_as_the_row_twice() -> None:
    labels, probabilities = classified(3, 2, rows=30)
    weights = row_weights(3, 30, weighted=True)
    index = np.repeat(np.arange(30), weights.astype(int))

    def measured(rows: np.ndarray, weights: np.ndarray | None) -> dict[str, float]:
        outcome = outcome_of(labels[rows], probabilities[rows], 2)
        quality = classification_quality(labels[rows], outcome, ["no", "yes"], 0.95, weights, 1)
        return values_of(quality)

    assert measured(np.arange(30), weights) == pytest.approx(measured(index, None))


def test_a_row_without_weight_has_no_influence_on_any_metric() -> None:
    generator = np.random.default_rng(1)
    labels, errors = generator.normal(size=20), generator.normal(size=20)
    weights = np.append(np.ones(19), 0.0)
    errors_of_other_row = np.append(errors[:19], 1e6)
    first = values_of(regression_quality(labels, labels + errors, 0.95, weights))
    second = values_of(regression_quality(labels, labels + errors_of_other_row, 0.95, weights))
    assert first == pytest.approx(second)


@pytest.mark.parametrize("weighted", [False, True])
def test_every_interval_contains_its_value_and_every_metric_is_compared(weighted: bool) -> None:
    labels, probabilities = classified(5, 2)
    weights = row_weights(5, len(labels), weighted)
    outcome, other = (
        outcome_of(labels, values, 2) for values in (probabilities, probabilities[:, ::-1])
    )
    quality = classification_quality(labels, outcome, ["no", "yes"], 0.95, weights, 1)
    compared = compare_classifiers(labels, outcome, other, 0.95, weights, 1)
    assert set(compared) == set(judging_metrics("classification", 2))
    for name, estimate in quality.metrics.items():
        assert estimate.low is not None
        assert estimate.low <= estimate.value <= estimate.high
        is_share = name in {"accuracy", "precision", "recall"} and not weighted
        assert estimate.method == ("wilson" if is_share else "bootstrap")
    for name, comparison in compared.items():
        assert comparison.low <= comparison.advantage <= comparison.high
        difference = comparison.challenger - comparison.champion
        sign = 1 if METRICS[name].higher_is_better else -1
        assert comparison.advantage == pytest.approx(sign * difference)
        assert comparison.advantage > 0, "the other model is upside down"
        assert comparison.p_value < 0.05
        assert comparison.challenger == pytest.approx(quality.metrics[name].value)


def test_a_weighted_accuracy_is_compared_by_the_bootstrap_and_a_plain_one_by_mcnemar() -> None:
    labels, probabilities = classified(5, 2)
    outcome = outcome_of(labels, probabilities, 2)
    plain = compare_classifiers(labels, outcome, outcome, 0.95)
    weights = row_weights(5, len(labels), weighted=True)
    weighted = compare_classifiers(labels, outcome, outcome, 0.95, weights)
    assert plain["accuracy"].method == "mcnemar mid-p"
    assert weighted["accuracy"].method == "paired bootstrap"
    assert plain["accuracy"].p_value == weighted["accuracy"].p_value == 1


def test_one_row_can_change_a_metric_by_its_share_of_the_rows_that_matter() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    probabilities = np.where(labels[:, None] == [0, 1], 0.9, 0.1)
    outcome = outcome_of(labels, probabilities, 2)
    steps = {
        name: compared.one_row
        for name, compared in compare_classifiers(
            labels, outcome, outcome, 0.95, positive=1
        ).items()
    }
    assert steps["accuracy"] == pytest.approx(1 / 100)
    assert steps["recall"] == steps["precision"] == pytest.approx(1 / 10)
    assert steps["f1"] == pytest.approx(2 / 20)
    assert steps["balanced_accuracy"] == pytest.approx(1 / 20)
    assert steps["log_loss"] is None


@pytest.mark.parametrize(
    ("metric", "labels", "positive"),
    [("roc_auc", [0, 0, 0], None), ("average_precision", [0, 0, 0], None), ("recall", [0, 0], 1)],
)
def test_a_metric_that_is_undefined_on_the_rows_is_left_out(
    metric: str, labels: list[int], positive: int | None
) -> None:
    outcome = outcome_of(np.array(labels), np.full((len(labels), 2), 0.5), 2)
    quality = classification_quality(
        np.array(labels), outcome, ["no", "yes"], 0.95, positive=positive
    )
    assert metric not in quality.metrics
    assert "log_loss" in quality.metrics


def test_the_percentage_error_is_left_out_where_a_label_is_0() -> None:
    quality = regression_quality(np.array([0.0, 1.0]), np.array([1.0, 1.0]), 0.95)
    assert "mape" not in quality.metrics
    assert "mae" in quality.metrics


def test_a_positive_class_that_is_never_predicted_has_precision_0() -> None:
    labels = np.array([0, 0, 1])
    outcome = outcome_of(labels, np.array([[0.9, 0.1]] * 3), 2)
    values = values_of(classification_quality(labels, outcome, ["no", "yes"], 0.95, positive=1))
    assert (values["precision"], values["recall"], values["f1"]) == (0, 0, 0)


@pytest.mark.parametrize("rows", [9_000, 60_000])
def test_intervals_of_many_rows_shrink_with_the_square_root_of_their_number(rows: int) -> None:
    labels, probabilities = classified(1, 2, rows)
    outcome = outcome_of(labels, probabilities, 2)
    began = time.perf_counter()
    estimate = classification_quality(labels, outcome, ["no", "yes"], 0.95).metrics["roc_auc"]
    assert time.perf_counter() - began < 30
    # Hanley and McNeil's standard error.
    area, side = estimate.value, rows / 2
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (side - 1) * (first + second - 2 * area**2)
    error = (variance / side**2) ** 0.5
    assert (estimate.high - estimate.low) / 2 == pytest.approx(1.96 * error, rel=0.2)


def test_intervals_of_weighted_rows_are_wider_than_those_of_as_many_plain_ones() -> None:
    generator = np.random.default_rng(2)
    labels = generator.normal(size=400)
    predictions = labels + generator.normal(size=400)
    weights = np.where(np.arange(400) < 40, 10.0, 1.0)  # 40 rows carry half of the weight
    plain = regression_quality(labels, predictions, 0.95).metrics["mae"]
    weighted = regression_quality(labels, predictions, 0.95, weights).metrics["mae"]
    assert weighted.high - weighted.low > 1.2 * (plain.high - plain.low)


def test_numbers_are_compared_by_every_metric() -> None:
    generator = np.random.default_rng(2)
    labels = generator.normal(size=400) + 10
    good, bad = (labels + generator.normal(scale=scale, size=400) for scale in (0.5, 1.0))
    compared = compare_regressions(labels, good, bad, 0.95)
    assert set(compared) == set(judging_metrics("regression", None))
    for name, comparison in compared.items():
        assert comparison.advantage > 0, name
        assert comparison.p_value < 0.01, name


def test_every_judging_metric_belongs_to_one_task() -> None:
    both = judging_metrics("classification", 2) + judging_metrics("regression", None)
    assert sorted(both) == sorted(JUDGING)
    assert not {"roc_auc", "average_precision"} & set(judging_metrics("classification", 3))
