"""Violations in Model Monitor's format, with additional numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from refit.domain.monitoring.input_drift import Finding
from refit.domain.monitoring.report_violations import violations_of_inputs, violations_of_quality
from refit.domain.monitoring.verdict import QualityVerdict
from refit.domain.monitoring.violations import Violations

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
    log10_evidence=4.08,
    threshold=8760,
    labels=400,
    cohorts=8,
    since=datetime(2026, 3, 1, tzinfo=UTC),
    counted=380,
    errors=57,
    error_rate=0.15,
    tolerated_error_rate=0.09,
    baseline_error=0.08,
    coverage=0.9,
    selectivity=1.0,
    class_name=None,
    alarm_cohort=datetime(2026, 3, 2, tzinfo=UTC),
    held_back=None,
    sentence="Drift: 57 of 380 answers are wrong.",
)


def of(finding: Finding) -> Violations:
    return Violations(violations=tuple(violations_of_inputs([finding])))


def test_a_shift_is_reported_in_model_monitors_format_with_its_numbers() -> None:
    (violation,) = of(FINDING).model_dump()["violations"]
    assert violation["feature_name"] == "width"
    assert violation["constraint_check_type"] == "baseline_drift_check"
    assert (violation["value"], violation["threshold"], violation["n"]) == (0.31, 0.08, 1200)
    assert violation["critical"] is True
    assert "0.310" in violation["description"]
    assert (
        "12.50% of the values lie outside the range of the training data"
        in violation["description"]
    )


def test_a_finding_that_is_not_flagged_is_no_violation() -> None:
    assert of(replace(FINDING, flagged=False)).violations == ()


def test_missing_values_violate_completeness_of_numbers_and_values_of_categories() -> None:
    number = of(replace(FINDING, check="completeness")).violations[0]
    category = of(replace(FINDING, check="completeness", category=True)).violations[0]
    assert number.constraint_check_type == "completeness_check"
    assert category.constraint_check_type == "categorical_values_check"
    assert "25.00%" in number.description
    assert "never seen in training" in category.description
    assert "never seen" not in number.description


def test_predictions_and_scores_are_compared_with_the_held_out_rows() -> None:
    answers = of(replace(FINDING, name="prediction", role="prediction")).violations[0]
    scores = of(replace(FINDING, name="score", role="score")).violations[0]
    assert "predictions" in answers.description
    assert "probabilities" in scores.description
    feature = of(replace(FINDING, name="score")).violations[0]  # a feature may have this name
    assert "probabilities" not in feature.description


def test_a_quality_alarm_is_a_violation_of_its_metric() -> None:
    (violation,) = violations_of_quality(ALARM, "accuracy")
    assert (violation.feature_name, violation.constraint_check_type) == (
        "accuracy",
        "baseline_drift_check",
    )
    assert (violation.value, violation.threshold, violation.n) == (0.15, 0.09, 380)
    assert violation.description == ALARM.sentence


def test_the_violation_names_the_class_whose_errors_increased() -> None:
    (violation,) = violations_of_quality(ALARM.model_copy(update={"class_name": "owl"}), "accuracy")
    assert violation.feature_name == "recall of owl"


def test_an_alarm_that_is_held_back_is_no_violation() -> None:
    held_back = ALARM.model_copy(update={"drifted": False, "held_back": "…"})
    assert violations_of_quality(held_back, "accuracy") == []


def test_violations_are_read_back_as_they_were_written() -> None:
    written = of(FINDING)
    assert Violations.model_validate_json(written.model_dump_json()) == written


def test_a_repeated_check_replaces_its_own_violation_only() -> None:
    before = Violations(
        violations=(*of(FINDING).violations, *violations_of_quality(ALARM, "accuracy"))
    )
    after = before.replaced_by(of(replace(FINDING, value=0.4)).violations)
    assert {(each.feature_name, each.value) for each in after.violations} == {
        ("width", 0.4),
        ("accuracy", 0.15),
    }
