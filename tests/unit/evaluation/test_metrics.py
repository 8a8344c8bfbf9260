"""Metrics compared with their definitions, scikit-learn and published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit.domain.errors import EvaluationIncomplete
from refit.domain.evaluation.metrics import (
    classification_quality,
    confusion_matrix,
    regression_quality,
    wilson_interval,
)
from refit.domain.evaluation.naive_baseline import classification_baseline, regression_baseline
from refit.domain.evaluation.outcomes import outcome_of
from refit.domain.evaluation.training_labels import TrainingLabels
from sklearn import metrics as oracle

no_deadline = settings(deadline=None)
few_examples = settings(max_examples=25, deadline=None)


@st.composite
def classified(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    n_classes = draw(st.integers(2, 5))
    rows = draw(st.integers(1, 60))
    labels = draw(st.lists(st.integers(0, n_classes - 1), min_size=rows, max_size=rows))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    probabilities = generator.dirichlet(np.ones(n_classes), size=rows)
    return np.array(labels), probabilities, n_classes


def names(n_classes: int) -> list[str]:
    return [f"class {index}" for index in range(n_classes)]


def numbers(size: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-1e6, 1e6), min_size=size, max_size=size)


@few_examples
@given(classified())
def test_classification_agrees_with_scikit_learn(
    case: tuple[np.ndarray, np.ndarray, int],
) -> None:
    labels, probabilities, n_classes = case
    outcome = outcome_of(labels, probabilities, n_classes)
    quality = classification_quality(labels, outcome, names(n_classes), 0.95)
    predicted = probabilities.argmax(axis=1)
    value = {name: estimate.value for name, estimate in quality.metrics.items()}
    assert value["accuracy"] == pytest.approx(oracle.accuracy_score(labels, predicted))
    assert value["log_loss"] == pytest.approx(
        oracle.log_loss(labels, probabilities, labels=range(n_classes))
    )
    assert quality.confusion_matrix == (
        oracle.confusion_matrix(labels, predicted, labels=range(n_classes)).tolist()
    )
    occurring = np.unique(labels)
    for average in ("macro", "weighted"):
        expected = oracle.precision_recall_fscore_support(
            labels, predicted, labels=occurring, average=average, zero_division=0
        )
        got = [value[f"{average}_{name}"] for name in ("precision", "recall", "f1")]
        assert got == pytest.approx(list(expected[:3]))
    for index, name in enumerate(names(n_classes)):
        hits = int(((labels == index) & (predicted == index)).sum())
        support, predictions = int((labels == index).sum()), int((predicted == index).sum())
        class_quality = quality.per_class[name]
        assert (class_quality.support, class_quality.predicted) == (support, predictions)
        assert (class_quality.recall.value if support else class_quality.recall) == (
            pytest.approx(hits / support) if support else None
        )
        assert (class_quality.precision.value if predictions else class_quality.precision) == (
            pytest.approx(hits / predictions) if predictions else None
        )
        assert (class_quality.f1.value if support + predictions else class_quality.f1) == (
            pytest.approx(2 * hits / (support + predictions)) if support + predictions else None
        )


@few_examples
@given(classified())
def test_every_interval_contains_its_value(case: tuple[np.ndarray, np.ndarray, int]) -> None:
    labels, probabilities, n_classes = case
    outcome = outcome_of(labels, probabilities, n_classes)
    quality = classification_quality(labels, outcome, names(n_classes), 0.9)
    for name, estimate in quality.metrics.items():
        if len(labels) == 1 and name != "accuracy":
            assert (estimate.low, estimate.high) == (None, None)
        else:
            assert estimate.low <= estimate.value <= estimate.high


@few_examples
@given(st.integers(1, 40).flatmap(lambda size: st.tuples(numbers(size), numbers(size))))
def test_regression_metrics_agree_with_their_definitions(
    case: tuple[list[float], list[float]],
) -> None:
    labels, predictions = case
    quality = regression_quality(np.array(labels), np.array(predictions), 0.95)
    value = {name: estimate.value for name, estimate in quality.metrics.items()}
    errors = [p - y for y, p in zip(labels, predictions, strict=True)]
    mse = sum(e * e for e in errors) / len(errors)
    assert value["rmse"] == pytest.approx(math.sqrt(mse), abs=1e-9)
    assert value["mae"] == pytest.approx(sum(map(abs, errors)) / len(errors), abs=1e-9)
    assert value["bias"] == pytest.approx(sum(errors) / len(errors), abs=1e-9, rel=1e-6)
    if np.var(labels) > 1e-3:
        assert value["r2"] == pytest.approx(oracle.r2_score(labels, predictions), rel=1e-6)


def test_r2_is_left_out_when_all_labels_are_the_same() -> None:
    quality = regression_quality(np.full(5, 7.0), np.arange(5.0), 0.95)
    assert set(quality.metrics) == {"rmse", "mae", "median_absolute_error", "mape", "bias"}


def test_r2_is_accurate_for_labels_far_from_zero() -> None:
    labels = 1e9 + np.arange(100.0)
    quality = regression_quality(labels, labels + 1, 0.95)
    assert quality.metrics["r2"].value == pytest.approx(1 - 1 / np.arange(100.0).var())


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(
    successes: int, trials: int, low: float, high: float
) -> None:
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3.
    assert wilson_interval(successes, trials, 0.95) == pytest.approx((low, high), abs=5e-5)


@no_deadline
@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_intervals_stay_within_0_and_1_and_are_symmetric(case: tuple[int, int]) -> None:
    successes, trials = case
    low, high = wilson_interval(successes, trials, 0.95)
    assert 0 <= low <= successes / trials <= high <= 1
    mirrored = wilson_interval(trials - successes, trials, 0.95)
    assert mirrored == pytest.approx((1 - high, 1 - low))


def test_bootstrap_intervals_cover_the_true_value_at_about_their_confidence() -> None:
    generator = np.random.default_rng(7)
    covered = 0
    for _ in range(60):
        labels = generator.normal(size=200)
        noise = generator.normal(scale=0.5, size=200)
        estimate = regression_quality(labels, labels + noise, 0.9).metrics["rmse"]
        covered += estimate.low <= 0.5 <= estimate.high
    assert 45 <= covered <= 60  # 54 expected; 45 is four standard deviations below


def test_the_interval_of_many_rows_agrees_with_the_normal_approximation() -> None:
    generator = np.random.default_rng(3)
    labels = np.zeros(40_000)
    errors = generator.exponential(size=40_000)
    estimate = regression_quality(labels, errors, 0.95).metrics["bias"]
    half = 1.96 * errors.std() / math.sqrt(40_000)
    assert estimate.high - estimate.value == pytest.approx(half, rel=0.1)
    assert estimate.value - estimate.low == pytest.approx(half, rel=0.1)


def test_the_same_rows_give_the_same_intervals() -> None:
    generator = np.random.default_rng(5)
    labels, probabilities = generator.integers(0, 3, 50), generator.dirichlet(np.ones(3), 50)
    outcome = outcome_of(labels, probabilities, 3)
    first = classification_quality(labels, outcome, names(3), 0.95)
    assert classification_quality(labels, outcome, names(3), 0.95) == first


def test_f1_intervals_agree_with_resampling_the_rows() -> None:
    generator = np.random.default_rng(11)
    labels = generator.integers(0, 3, 300)
    predicted = np.where(generator.random(300) < 0.8, labels, generator.integers(0, 3, 300))
    outcome = outcome_of(labels, np.eye(3)[predicted], 3)
    estimate = classification_quality(labels, outcome, names(3), 0.95).metrics["macro_f1"]
    resampled = [
        oracle.f1_score(labels[rows], predicted[rows], average="macro")
        for rows in (generator.integers(0, 300, 300) for _ in range(300))
    ]
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert estimate.low == pytest.approx(low, abs=0.02)
    assert estimate.high == pytest.approx(high, abs=0.02)


def test_r2_intervals_agree_with_resampling_the_rows() -> None:
    generator = np.random.default_rng(12)
    labels = generator.normal(size=30)
    predictions = labels + generator.normal(scale=0.8, size=30)
    estimate = regression_quality(labels, predictions, 0.95).metrics["r2"]
    resampled = [
        oracle.r2_score(labels[rows], predictions[rows])
        for rows in (generator.integers(0, 30, 30) for _ in range(2000))
    ]
    low, high = np.quantile(resampled, [0.025, 0.975])
    assert estimate.low == pytest.approx(low, abs=0.05)
    assert estimate.high == pytest.approx(high, abs=0.02)


def test_a_class_absent_from_the_held_out_rows_has_no_metrics_and_is_not_averaged() -> None:
    labels = np.array([0, 0, 1])
    outcome = outcome_of(labels, np.eye(3)[labels], 3)
    quality = classification_quality(labels, outcome, names(3), 0.95)
    absent = quality.per_class["class 2"]
    assert (absent.support, absent.precision, absent.recall, absent.f1) == (0, None, None, None)
    assert quality.metrics["macro_recall"].value == 1


def test_a_class_unknown_to_the_model_has_the_smallest_probability() -> None:
    outcome = outcome_of(np.array([0, 2]), np.array([[0.9, 0.1], [0.3, 0.7]]), 3)
    assert outcome.predicted.tolist() == [0, 1]
    assert outcome.losses == pytest.approx([-math.log(0.9), -math.log(1e-15)])


def test_a_certain_and_wrong_prediction_has_a_finite_loss() -> None:
    outcome = outcome_of(np.array([1]), np.array([[1.0, 0.0]]), 2)
    assert outcome.losses[0] == pytest.approx(34.54, abs=0.01)


def test_equal_probabilities_predict_the_class_with_the_lower_index() -> None:
    outcome = outcome_of(np.array([1]), np.array([[0.5, 0.5]]), 2)
    assert outcome.predicted.tolist() == [0]


@pytest.mark.parametrize(
    "row", [[2.0, 7.0, 1.0], [0.2, 0.2, 0.2], [-0.5, 1.0, 0.5], [math.nan, 0.5, 0.5]]
)
def test_values_that_are_not_probabilities_are_refused(row: list[float]) -> None:
    rows = np.array([[0.2, 0.3, 0.5], row])
    with pytest.raises(EvaluationIncomplete, match="1 of 2 predictions are not class prob"):
        outcome_of(np.array([0, 0]), rows, 3)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_prediction_that_is_not_finite_is_refused_with_its_row(wrong: float) -> None:
    with pytest.raises(EvaluationIncomplete, match="held-out row 2 is"):
        regression_quality(np.zeros(3), np.array([1.0, wrong, 1.0]), 0.95)


def test_the_baseline_of_a_classification_uses_the_frequencies_of_the_classes() -> None:
    training = TrainingLabels(classes={"cat": 30, "dog": 60, "eel": 10})
    baseline = classification_baseline(np.array([0, 1, 1, 1]), ["cat", "dog", "eel"], training)
    assert baseline.answer == "dog"
    found = {name: baseline.metrics[name] for name in ("accuracy", "balanced_accuracy", "log_loss")}
    log_loss = -(0.25 * math.log(0.3) + 0.75 * math.log(0.6))
    assert found == pytest.approx(
        {"accuracy": 0.75, "balanced_accuracy": 0.5, "log_loss": log_loss}
    )


def test_the_most_frequent_class_is_that_of_the_training_rows() -> None:
    training = TrainingLabels(classes={"no": 51, "yes": 49})
    baseline = classification_baseline(np.array([1, 1, 1, 0]), ["no", "yes"], training)
    assert baseline.answer == "no"
    assert baseline.metrics["accuracy"] == 0.25
    assert baseline.metrics["roc_auc"] == 0.5
    assert baseline.metrics["average_precision"] == 0.75


def test_the_baseline_of_a_positive_class_is_the_best_guess_without_skill() -> None:
    training = TrainingLabels(classes={"no": 80, "yes": 20})
    labels = np.array([0, 0, 0, 0, 1])
    probabilities = np.array([[0.4, 0.6], [0.4, 0.6], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
    outcome = outcome_of(labels, probabilities, 2)
    metrics = classification_baseline(
        labels, ["no", "yes"], training, positive=1, challenger=outcome
    ).metrics
    assert metrics["precision"] == pytest.approx(0.2)  # of the rows, a fifth is positive
    assert metrics["recall"] == pytest.approx(0.4)  # of the rows, the model calls 2 of 5 positive
    assert metrics["f1"] == pytest.approx(2 * 0.2 / 1.2)  # all rows are called positive


def test_the_baseline_of_a_regression_is_the_mean() -> None:
    baseline = regression_baseline(np.array([0.0, 0.0, 3.0]), TrainingLabels(mean=1.0))
    assert baseline.answer == 1.0
    assert baseline.metrics == pytest.approx(
        {"rmse": math.sqrt(2), "mae": 4 / 3, "r2": 0, "median_absolute_error": 1}
    )


def test_the_mean_is_that_of_the_training_rows() -> None:
    baseline = regression_baseline(np.array([0.0, 2.0]), TrainingLabels(mean=3.0))
    assert baseline.metrics["mae"] == 2.0
    assert baseline.metrics["r2"] == pytest.approx(1 - 5 / 1)


def test_the_confusion_matrix_has_actual_rows_and_predicted_columns() -> None:
    matrix = confusion_matrix(np.array([0, 0, 1]), np.array([1, 1, 1]), 2)
    assert matrix.tolist() == [[0, 2], [0, 1]]
