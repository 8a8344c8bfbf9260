"""Statistics in the format of SageMaker Model Monitor, compared with its guide and scikit-learn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from refit.domain.evaluation.outcomes import outcome_of
from refit.domain.evaluation.quality_statistics import (
    classification_statistics,
    regression_statistics,
)
from sklearn import metrics as oracle


def binary_statistics(labels: list[int], scores: list[float]) -> dict[str, Any]:
    probabilities = np.column_stack([1 - np.array(scores), scores])
    outcome = outcome_of(np.array(labels), probabilities, 2)
    statistics = classification_statistics(np.array(labels), outcome, ["no", "yes"])
    return statistics["binary_classification_metrics"]


def test_statistics_of_a_binary_classification_are_those_of_the_developer_guide() -> None:
    # The guide's example: {"0": {"0": 1, "1": 2}, "1": {"0": 0, "1": 1}}, fewer than 200 rows.
    statistics = binary_statistics([0, 0, 0, 1], [0.1, 0.7, 0.8, 0.9])
    assert statistics["confusion_matrix"] == {"no": {"no": 1, "yes": 2}, "yes": {"no": 0, "yes": 1}}
    expected = {
        "recall": 1.0,
        "precision": 1 / 3,
        "accuracy": 0.5,
        "true_positive_rate": 1.0,
        "true_negative_rate": 1 / 3,
        "false_positive_rate": 2 / 3,
        "false_negative_rate": 0.0,
        "auc": 1.0,
        "f0_5": 0.3846153846153846,
        "f1": 0.5,
        "f2": 5 / 7,
    }
    for name, value in expected.items():
        assert statistics[name]["value"] == pytest.approx(value)
        assert statistics[name]["standard_deviation"] == "NaN"
    curve = statistics["receiver_operating_characteristic_curve"]
    assert curve["false_positive_rates"][0] == 0
    assert curve["true_positive_rates"][-1] == 1


def test_the_best_constant_classifier_predicts_the_most_frequent_class() -> None:
    statistics = binary_statistics([0, 0, 0, 1], [0.1, 0.7, 0.8, 0.9])
    assert statistics["accuracy_best_constant_classifier"]["value"] == 0.75
    assert statistics["recall_best_constant_classifier"]["value"] == 0
    assert statistics["precision_best_constant_classifier"]["value"] == "NaN"


def test_the_area_under_the_curve_counts_ties_as_half() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 500)
    scores = np.round(np.clip(labels * 0.2 + generator.random(500) * 0.8, 0, 1), 1)
    statistics = binary_statistics(labels.tolist(), scores.tolist())
    assert statistics["auc"]["value"] == pytest.approx(oracle.roc_auc_score(labels, scores))
    assert 0 < statistics["auc"]["standard_deviation"] < 0.05


def test_curves_have_at_most_two_hundred_points() -> None:
    generator = np.random.default_rng(1)
    labels, scores = generator.integers(0, 2, 5000), generator.random(5000)
    curve = binary_statistics(labels.tolist(), scores.tolist())["precision_recall_curve"]
    assert len(curve["precisions"]) == len(curve["recalls"]) == 200
    assert curve["recalls"][-1] == 1


def test_held_out_rows_of_one_class_give_no_curve_and_valid_json() -> None:
    statistics = binary_statistics([0, 0, 0], [0.1, 0.2, 0.9])
    assert "receiver_operating_characteristic_curve" not in statistics
    assert statistics["auc"]["value"] == "NaN"
    json.dumps(statistics, allow_nan=False)


def test_a_multiclass_classification_has_weighted_metrics() -> None:
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 3, 300)
    probabilities = generator.dirichlet(np.ones(3), 300)
    predicted = probabilities.argmax(axis=1)
    document = classification_statistics(
        labels, outcome_of(labels, probabilities, 3), ["a", "b", "c"]
    )
    assert document["version"] == 0.0
    assert document["dataset"] == {"item_count": 300}
    statistics = document["multiclass_classification_metrics"]
    for beta, name in ((0.5, "f0_5"), (1, "f1"), (2, "f2")):
        expected = oracle.fbeta_score(labels, predicted, beta=beta, average="weighted")
        assert statistics[f"weighted_{name}"]["value"] == pytest.approx(expected)
    expected = oracle.precision_score(labels, predicted, average="weighted")
    assert statistics["weighted_precision"]["value"] == pytest.approx(expected)
    assert statistics["accuracy"]["value"] == pytest.approx((labels == predicted).mean())
    assert 0 < statistics["accuracy"]["standard_deviation"] < 0.05
    assert sum(sum(row.values()) for row in statistics["confusion_matrix"].values()) == 300


def test_statistics_of_a_regression_are_those_of_the_developer_guide() -> None:
    generator = np.random.default_rng(3)
    labels = generator.normal(size=250)
    predictions = labels + generator.normal(scale=0.1, size=250)
    statistics = regression_statistics(labels, predictions)["regression_metrics"]
    assert set(statistics) == {"mae", "mse", "rmse", "r2"}
    assert statistics["mse"]["value"] == pytest.approx(
        oracle.mean_squared_error(labels, predictions)
    )
    assert statistics["r2"]["value"] == pytest.approx(oracle.r2_score(labels, predictions))
    assert all(metric["standard_deviation"] > 0 for metric in statistics.values())
