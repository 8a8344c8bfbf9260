"""Violations in Model Monitor's shape, with the numbers beside the text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from refit.domain.monitoring.input_drift import Finding, InputVerdict
from refit.domain.monitoring.quality_drift import QualityVerdict
from refit.domain.monitoring.violations import (
    Violations,
    violations_of_inputs,
    violations_of_quality,
)

FINDING = Finding(
    name="width",
    role="feature",
    check="distribution",
    value=0.31,
    threshold=0.08,
    n=1200,
    reference_n=20_000,
    flagged=True,
    critical=True,
    missing=0.25,
    category=False,
    outside=0.125,
)
ALARM = QualityVerdict(
    drifted=True,
    evidence=12_000.0,
    log10_evidence=4.08,
    threshold=8760,
    labels=400,
    cohorts=8,
    since=datetime(2026, 3, 1, tzinfo=UTC),
    counted=380,
    errors=57,
    error_rate=0.15,
    bar=0.09,
    baseline_error=0.08,
    coverage=0.9,
    selectivity=1.0,
    class_name=None,
    alarm_cohort=datetime(2026, 3, 2, tzinfo=UTC),
    held_back=None,
    sentence="Drift: 57 of 380 answers are wrong.",
)


def of(finding: Finding) -> Violations:
    verdict = InputVerdict(rows=1200, findings=(finding,), estimated_accuracy=None)
    return Violations(violations=tuple(violations_of_inputs(verdict)))


def test_a_shift_is_told_in_model_monitors_shape_with_its_numbers() -> None:
    (found,) = of(FINDING).model_dump()["violations"]
    assert found["feature_name"] == "width"
    assert found["constraint_check_type"] == "baseline_drift_check"
    assert (found["value"], found["threshold"], found["n"]) == (0.31, 0.08, 1200)
    assert found["critical"] is True
    assert "0.310" in found["description"]
    assert "12.50% lie outside of all training" in found["description"]


def test_what_is_not_flagged_is_no_violation() -> None:
    assert of(replace(FINDING, flagged=False)).violations == ()


def test_missing_values_break_completeness_of_a_number_and_the_values_of_a_category() -> None:
    number = of(replace(FINDING, check="completeness")).violations[0]
    category = of(replace(FINDING, check="completeness", category=True)).violations[0]
    assert number.constraint_check_type == "completeness_check"
    assert category.constraint_check_type == "categorical_values_check"
    assert "25.00%" in number.description
    assert "never seen in training" in category.description
    assert "never seen" not in number.description


def test_answers_and_scores_are_held_against_the_held_out_rows() -> None:
    answers = of(replace(FINDING, name="prediction", role="prediction")).violations[0]
    scores = of(replace(FINDING, name="score", role="score")).violations[0]
    assert "answers" in answers.description
    assert "probabilities" in scores.description
    feature = of(replace(FINDING, name="score")).violations[0]  # a column may be called so
    assert "probabilities" not in feature.description


def test_a_quality_alarm_is_a_violation_of_its_metric() -> None:
    (found,) = violations_of_quality(ALARM, "accuracy")
    assert (found.feature_name, found.constraint_check_type) == ("accuracy", "baseline_drift_check")
    assert (found.value, found.threshold, found.n) == (0.15, 0.09, 380)
    assert found.description == ALARM.sentence


def test_a_class_that_collapsed_is_named() -> None:
    (found,) = violations_of_quality(replace(ALARM, class_name="owl"), "accuracy")
    assert found.feature_name == "recall of owl"


def test_evidence_that_is_held_back_is_no_violation() -> None:
    assert violations_of_quality(replace(ALARM, drifted=False, held_back="…"), "accuracy") == []


def test_violations_are_read_back_as_they_were_written() -> None:
    written = of(FINDING)
    assert Violations.model_validate_json(written.model_dump_json()) == written
