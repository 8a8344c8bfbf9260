"""The permutation test: what is better than chance, and how rarely noise is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from refit.domain.evaluation.chance import chance_of_classifier, chance_of_regression
from refit.domain.evaluation.measured_rows import ClassifiedRows, NumberRows
from refit.domain.evaluation.outcomes import outcome_of
from refit.domain.quality_metrics import judging_metrics


def rows_of(labels: list[int], predicted: list[int], n_classes: int) -> ClassifiedRows:
    probabilities = np.full((len(labels), n_classes), 0.2 / (n_classes - 1))
    probabilities[np.arange(len(labels)), predicted] = 0.8
    outcome = outcome_of(np.array(labels), probabilities, n_classes)
    return ClassifiedRows(np.array(labels), outcome, n_classes, np.ones(len(labels)))


def test_one_wrong_row_of_fifteen_flowers_is_far_beyond_chance() -> None:
    labels = [0] * 6 + [1] * 5 + [2] * 4
    predicted = [*labels[:-1], 1]
    for metric in ("accuracy", "balanced_accuracy", "log_loss", "brier", "f1"):
        assert chance_of_classifier(metric, rows_of(labels, predicted, 3), 0.95).p_value < 0.01


@pytest.mark.parametrize(("each", "orders"), [(2, 6), (3, 20), (4, 70)])
def test_the_p_value_of_a_perfect_model_is_twice_the_share_of_orders_as_good(
    each: int, orders: int
) -> None:
    labels = [0] * each + [1] * each
    found = chance_of_classifier("accuracy", rows_of(labels, labels, 2), 0.95)
    assert orders == math.comb(2 * each, each)
    assert found.p_value == pytest.approx(2 / orders, rel=0.25)


def test_always_the_same_class_is_never_beyond_chance() -> None:
    rows = rows_of([0] * 30 + [1] * 2, [0] * 32, 2)
    for metric in judging_metrics("classification", 2):
        assert chance_of_classifier(metric, rows, 0.95).p_value == 1, metric


@pytest.mark.parametrize("metric", judging_metrics("classification", 2))
def test_predictions_that_ignore_the_labels_are_beyond_chance_in_one_run_of_twenty(
    metric: str,
) -> None:
    generator = np.random.default_rng(7)
    beyond = []
    for _ in range(80):
        labels = (generator.random(30) < 0.4).astype(np.int64)
        labels[:2] = 0, 1
        scores = generator.random(30)
        outcome = outcome_of(labels, np.column_stack([1 - scores, scores]), 2)
        rows = ClassifiedRows(labels, outcome, 2, np.ones(30), positive=1)
        beyond.append(chance_of_classifier(metric, rows, 0.9).p_value < 0.1)
    # At a level of 10 %, two-sided, better than chance is 5 %; 12 of 80 has p < 0.0005.
    assert sum(beyond) < 12


@pytest.mark.parametrize("metric", judging_metrics("regression", None))
def test_numbers_that_ignore_the_labels_are_rarely_beyond_chance(metric: str) -> None:
    generator = np.random.default_rng(7)
    beyond = [
        chance_of_regression(
            metric,
            NumberRows(generator.lognormal(size=25), generator.lognormal(size=25), np.ones(25)),
            0.9,
        ).p_value
        < 0.1
        for _ in range(80)
    ]
    assert sum(beyond) < 12


@pytest.mark.parametrize("metric", judging_metrics("regression", None))
def test_numbers_that_follow_the_labels_are_beyond_chance(metric: str) -> None:
    generator = np.random.default_rng(1)
    labels = generator.normal(size=40) + 5
    rows = NumberRows(labels, labels + generator.normal(scale=0.3, size=40), np.ones(40))
    assert chance_of_regression(metric, rows, 0.95).p_value < 0.01


def test_class_weights_alone_are_not_beyond_chance() -> None:
    # Rows of class 1 weigh ten times as much, and the model nearly always says class 1.
    generator = np.random.default_rng(3)
    beyond = []
    for _ in range(60):
        labels = generator.integers(0, 2, 40)
        predicted = np.where(generator.random(40) < 0.05, 0, 1)
        rows = rows_of(labels.tolist(), predicted.tolist(), 2)
        weighted = ClassifiedRows(labels, rows.outcome, 2, np.where(labels == 1, 10.0, 1.0))
        beyond.append(chance_of_classifier("accuracy", weighted, 0.95).p_value < 0.05)
    assert sum(beyond) <= 5


def test_a_higher_confidence_tries_more_orders_so_that_it_can_be_reached() -> None:
    labels = [0] * 20 + [1] * 20
    found = chance_of_classifier("accuracy", rows_of(labels, labels, 2), 0.9999)
    assert found.p_value < 0.0001


def test_the_losses_of_many_classes_are_tested_on_a_sample_of_the_rows() -> None:
    labels = np.arange(40) % 4
    probabilities = np.full((40, 4), 0.1)
    probabilities[np.arange(40), labels] = 0.7
    whole = outcome_of(labels, probabilities, 4)
    sampled = outcome_of(labels[::2], probabilities[::2], 4).sample
    from dataclasses import replace

    rows = ClassifiedRows(labels, replace(whole, sample=sampled, step=2), 4, np.ones(40))
    assert chance_of_classifier("log_loss", rows, 0.95).p_value < 0.01
