"""The quality of a live version from cohort counters, compared with the quality from its rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest
from refit.domain.evaluation.metrics import classification_quality
from refit.domain.evaluation.outcomes import outcome_of
from refit.domain.inferences.count_change import summed
from refit.domain.monitoring.cohort import Cohort
from refit.domain.monitoring.live_quality import newest, quality_of
from refit.stores.cohort_items import cohort_sk

from tests.support.joined import (
    ANIMALS,
    NOON,
    OF_ANIMALS,
    OF_PRICES,
    PRICES,
    CountingRules,
    change_of,
    inference,
    label,
    predicted,
)

if TYPE_CHECKING:
    from refit.domain.inferences.cohort_key import CohortKey

CLASSES = ("cat", "dog", "owl")


def cohorts_of(
    rows: list[tuple[str, str, list[float] | None]], rules: CountingRules
) -> list[Cohort]:
    """Return the cohorts of rows (prediction, label, probabilities) that are 15 minutes apart.
    The label of every third row arrives after the label age.
    """
    changes = []
    predictions: dict[CohortKey, int] = defaultdict(int)
    for index, (predicted_text, actual, probabilities) in enumerate(rows):
        prediction = predicted(predicted_text, probabilities)
        later = timedelta(minutes=15 * index)
        received = label(actual, received_s=60 if index % 3 else 4000)
        change = change_of(
            inference(
                replace(prediction, at=prediction.at + later),
                replace(received, received_at=received.received_at + later),
                inference_id=str(index),
            ),
            rules,
        )
        assert change is not None
        changes.append(change)
        predictions[next(iter(change.sums))] += 2  # one of the two is never labelled
    return [
        Cohort.from_items(
            [
                {
                    "sk": cohort_sk(key.version, key.start),
                    "seconds": Decimal(3600),
                    "predictions": predictions[key],
                }
                | {"files": {Decimal(3)}}
                | sums
            ]
        )
        for key, sums in summed(changes).items()
    ]


def confusion_of(cohorts: list[Cohort]) -> Counter[tuple[int, int]]:
    """Return the number of predictions by (actual, predicted) class code over all cohorts."""
    return sum((Counter(cohort.shown.confusion) for cohort in cohorts), Counter())


def animal_rows(count: int) -> list[tuple[str, str, list[float] | None]]:
    generator = np.random.default_rng(5)
    probabilities = generator.dirichlet([1, 1, 1], count).astype(np.float32)
    actual = generator.integers(0, 3, count)
    return [
        (CLASSES[int(row.argmax())], CLASSES[code], row.tolist())
        for row, code in zip(probabilities, actual, strict=True)
    ]


def test_the_metrics_of_a_classifier_equal_those_of_its_rows() -> None:
    rows = animal_rows(60)
    cohorts = cohorts_of(rows, OF_ANIMALS)
    found = quality_of(cohorts, ANIMALS)
    truth = np.array([CLASSES.index(actual) for _, actual, _ in rows])
    outcome = outcome_of(truth, np.array([row[2] for row in rows]), 3)
    plain = classification_quality(truth, outcome, CLASSES, 0.95)
    assert found.metrics["accuracy"] == plain.metrics["accuracy"].value
    assert found.metrics["log_loss"] == pytest.approx(plain.metrics["log_loss"].value, abs=1e-6)
    confusion = confusion_of(cohorts)
    codes = range(len(CLASSES))
    assert [
        [confusion[actual, answer] for answer in codes] for actual in codes
    ] == plain.confusion_matrix


def test_live_quality_includes_coverage_and_label_delay() -> None:
    found = quality_of(cohorts_of(animal_rows(60), OF_ANIMALS), ANIMALS)
    assert (found.predictions, found.labelled, found.coverage) == (120, 60, 0.5)
    assert found.label_delay_s == pytest.approx((20 * 4000 + 40 * 60) / 60)
    assert (found.since, found.until) == (NOON, NOON + timedelta(hours=15))
    assert found.cohorts == 15


def test_a_window_contains_the_newest_cohorts() -> None:
    cohorts = cohorts_of(animal_rows(60), OF_ANIMALS)
    window = newest(cohorts[::-1], 4)
    assert quality_of(window, ANIMALS).since == NOON + timedelta(hours=11)
    assert quality_of(window, ANIMALS).labelled == 16


def test_the_metrics_of_a_regression_equal_those_of_its_rows() -> None:
    generator = np.random.default_rng(6)
    answers, actual = generator.normal(100, 5, 40), generator.normal(100, 5, 40)
    rows = [(repr(float(a)), repr(float(b)), None) for a, b in zip(answers, actual, strict=True)]
    cohorts = cohorts_of(rows, OF_PRICES)
    found = quality_of(cohorts, PRICES)
    errors = answers - actual
    assert found.metrics == {
        "rmse": pytest.approx(float((errors**2).mean() ** 0.5), abs=1e-6),
        "mae": pytest.approx(float(np.abs(errors).mean()), abs=1e-6),
        "bias": pytest.approx(float(errors.mean()), abs=1e-6),
    }
    assert sum(cohort.shown.errors for cohort in cohorts) == (np.abs(errors) > 2.5).sum()
    assert not confusion_of(cohorts)


def test_a_class_that_the_version_does_not_know_counts_as_an_error_under_code_minus_one() -> None:
    rows = [("dog", "dog", None), ("dog", "yak", None)]
    cohorts = cohorts_of(rows, OF_ANIMALS)
    dog = CLASSES.index("dog")
    assert confusion_of(cohorts) == {(dog, dog): 1, (-1, dog): 1}
    assert quality_of(cohorts, ANIMALS).metrics["accuracy"] == 0.5
    assert "log_loss" not in quality_of(cohorts, ANIMALS).metrics


@pytest.mark.parametrize("schema", [ANIMALS, PRICES])
def test_without_a_label_there_are_no_metrics(schema: object) -> None:
    waiting = Cohort.from_items([{"sk": cohort_sk(1, NOON), "predictions": 4}])
    assert isinstance(schema, type(ANIMALS))
    found = quality_of([waiting], schema)
    assert (found.metrics, found.coverage) == ({}, 0)
    assert quality_of([], schema).coverage is None


def test_a_cohort_counts_the_labels_known_in_time_and_those_known_now() -> None:
    rows = [("dog", "owl", None), ("dog", "dog", None), ("cat", "owl", None)]
    (cohort,) = cohorts_of(rows, OF_ANIMALS)
    dog, owl = CLASSES.index("dog"), CLASSES.index("owl")
    assert (cohort.start, cohort.predictions, len(cohort.files)) == (NOON, 6, 1)
    assert (cohort.matured.labelled, cohort.matured.errors) == (2, 1)
    assert cohort.matured.classes == {dog: (1, 0), owl: (1, 1)}
    assert (cohort.shown.labelled, cohort.shown.errors) == (3, 2)
    assert cohort.shown.classes == {dog: (1, 0), owl: (2, 2)}


def test_live_quality_includes_the_metrics_of_the_baseline() -> None:
    found = quality_of(cohorts_of(animal_rows(4), OF_ANIMALS), ANIMALS, {"accuracy": 0.9})
    assert found.baseline == {"accuracy": 0.9}
