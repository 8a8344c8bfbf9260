"""The forms of a verdict: stored with field names, published in camel case."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from refit.domain.monitoring.verdict import (
    DriftAlarm,
    InputVerdict,
    LiveQuality,
    QualityVerdict,
    Verdict,
)
from refit.domain.monitoring.violations import Violation

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHIFT = Violation(
    feature_name="width",
    constraint_check_type="baseline_drift_check",
    description="…",
    value=0.3,
    threshold=0.1,
    n=100,
)


def quality(**changes: Any) -> QualityVerdict:
    values: dict[str, Any] = {
        "drifted": True,
        "log10_evidence": 4.5,
        "threshold": 8760,
        "labels": 500,
        "cohorts": 5,
        "since": NOON,
        "counted": 500,
        "errors": 40,
        "error_rate": 0.08,
        "tolerated_error_rate": 0.06,
        "baseline_error": 0.05,
        "coverage": 0.5,
        "selectivity": 1.0,
        "class_name": None,
        "alarm_cohort": NOON,
        "held_back": None,
        "sentence": "Drift: 40 of 500 predictions are wrong.",
    }
    return QualityVerdict(**values | changes)


def verdict() -> Verdict:
    return Verdict(
        version=1,
        run="r1",
        checked_at=NOON,
        quality=quality(),
        live=LiveQuality(
            since=NOON,
            until=NOON,
            cohorts=1,
            predictions=2,
            labelled=1,
            coverage=0.5,
            label_delay_s=9.0,
            metrics={"accuracy": 1.0},
            baseline={"accuracy": 0.9},
        ),
        inputs=InputVerdict(
            cohort=NOON, rows=2, flagged=1, shifts=(SHIFT,), estimated_accuracy=None
        ),
        alarm=DriftAlarm(
            version=1, raised_at=NOON, claimed_at=NOON, notified=False, sentence="Drift"
        ),
    )


@pytest.mark.parametrize(
    ("log10", "text"),
    [(None, "0.0"), (-3.0, "0.0"), (4.0, "10,000.0"), (6.0, "10^6"), (398.7, "10^399")],
)
def test_evidence_of_a_million_and_more_is_shown_as_a_power_of_ten(
    log10: float | None, text: str
) -> None:
    assert quality(log10_evidence=log10).evidence_text == text


def test_a_verdict_is_read_back_as_it_was_stored() -> None:
    assert Verdict.model_validate(verdict().model_dump(mode="json")) == verdict()


def test_printed_names_are_in_camel_case() -> None:
    printed = verdict().model_dump(mode="json", by_alias=True)
    assert printed["lookedAt"] == "2026-11-20T12:00:00.000+00:00"
    assert {"log10", "errorRate", "bar", "baselineError", "className", "heldBack"} <= set(
        printed["quality"]
    )
    assert printed["live"]["labelDelaySeconds"] == 9.0
    assert printed["inputs"]["estimatedAccuracy"] is None
    assert {"raisedAt", "takenBackAt"} <= set(printed["alarm"])


def test_violations_keep_the_names_of_model_monitor() -> None:
    printed = verdict().model_dump(mode="json", by_alias=True)
    assert printed["inputs"]["shifts"][0]["feature_name"] == "width"


@pytest.mark.parametrize(
    ("log10", "stored", "evidence"),
    [(2.0, 2.0, 100.0), (-math.inf, None, 0.0), (None, None, 0.0), (500.0, 500.0, 1e300)],
)
def test_infinite_evidence_has_no_logarithm(
    log10: float | None, stored: float | None, evidence: float
) -> None:
    judged = quality(log10_evidence=log10)
    assert judged.log10_evidence == stored
    assert judged.evidence == pytest.approx(evidence)
