"""The baseline of a live version: the counts on its held-out rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.monitoring.baseline import Baseline
from refit.domain.monitoring.baseline_measures import (
    classification_baseline_of,
    quantile_histogram,
    regression_baseline_of,
)

CLASSES = ("cat", "dog", "owl")


def classified(probabilities: list[float] | None = None) -> Baseline:
    labels = np.array([0, 0, 0, 1, 1])
    predicted = np.array([0, 0, 1, 1, 0])
    sure = None if probabilities is None else np.array(probabilities)
    return classification_baseline_of(labels, predicted, sure, CLASSES, {"accuracy": 0.6}, "fresh")


def test_errors_are_counted_in_total_and_by_true_class() -> None:
    found = classified()
    assert (found.rows, found.errors, found.rows_of) == (5, 2, "fresh")
    assert found.classes is not None
    assert {name: (c.support, c.missed) for name, c in found.classes.items()} == {
        "cat": (3, 1),
        "dog": (2, 1),
    }
    assert found.predicted == {"cat": 3, "dog": 2, "owl": 0}
    assert found.scores is None


def test_each_score_bin_records_how_many_predictions_were_correct() -> None:
    scores = classified([0.55, 1.0, 0.56, 0.9, 1.0 + 1e-7]).scores
    assert scores is not None
    assert len(scores) == 20
    assert (scores[11].rows, scores[11].right) == (2, 1)
    assert scores[11].probability_sum == 0.55 + 0.56
    assert (scores[18].rows, scores[18].right) == (1, 1)
    assert (scores[19].rows, scores[19].right) == (2, 1)


def test_the_error_bound_of_a_regression_is_the_ninety_percent_quantile() -> None:
    labels = np.arange(100, dtype=float)
    found = regression_baseline_of(labels, labels + np.arange(100) * 0.5, {"rmse": 1.0})
    assert found.error_bound == 45.0
    assert found.errors == 9
    assert found.classes is None
    assert found.prediction_counts is not None
    assert sum(found.prediction_counts) == 100


def test_a_flawless_regression_has_no_errors() -> None:
    labels = np.arange(5, dtype=float)
    found = regression_baseline_of(labels, labels, {})
    assert (found.error_bound, found.errors) == (0.0, 0)


def test_a_baseline_is_read_back_as_it_was_written() -> None:
    found = classified([0.5, 0.6, 0.7, 0.8, 0.9])
    assert Baseline.model_validate_json(found.model_dump_json()) == found


def test_a_value_at_an_edge_belongs_to_the_bin_below() -> None:
    edges, counts = quantile_histogram(np.array([1.0, 1.0, 2.0, 3.0]))
    assert edges.tolist() == [1.0, 2.0]
    assert counts.tolist() == [2, 1, 1]


@given(st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=200))
def test_every_prediction_is_in_one_bin(values: list[float]) -> None:
    edges, counts = quantile_histogram(np.array(values))
    assert counts.sum() == len(values)
    assert len(counts) == len(edges) + 1 <= 32


def test_the_largest_confusions_are_listed_if_there_are_many_classes() -> None:
    classes = [f"c{code}" for code in range(30)]
    labels = np.array([3] * 5 + [7] * 9 + [1] * 2 + [4] * 50)
    predicted = np.array([8] * 5 + [2] * 9 + [29] * 2 + [4] * 50)
    found = classification_baseline_of(labels, predicted, None, classes, {})
    assert found.confusions == ((7, 2), (3, 8), (1, 29))


def test_no_more_than_100_confusions_are_listed() -> None:
    codes = np.arange(500)
    classes = [str(code) for code in codes]
    found = classification_baseline_of(codes, (codes + 1) % 500, None, classes, {})
    assert len(found.confusions) == 100


def test_of_few_classes_no_confusion_is_listed_because_all_are_counted() -> None:
    labels, predicted = np.array([0, 1, 2]), np.array([1, 2, 0])
    assert classification_baseline_of(labels, predicted, None, "abc", {}).confusions == ()
