"""Judge the quality of a live version, and record the violation that an alarm is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.monitoring.quality_drift import judge_quality
from refit.domain.monitoring.report_violations import violations_of_quality
from refit.domain.quality_metrics import USUAL_METRIC
from refit.usecases.record_violations import record_violations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.verdict import QualityVerdict
    from refit.usecases.services import Services


def judge_live_quality(
    services: Services, model: str, run: str, cohorts: Sequence[Cohort], now: datetime
) -> QualityVerdict:
    """Judge the quality, over all of its cohorts, of the version that a run made."""
    schema = services.artifacts.schema(model, run)
    verdict = judge_quality(
        cohorts,
        schema.classes or (),
        services.artifacts.baseline(model, run),
        services.artifacts.settings(model, run).monitoring,
        now,
    )
    violations = violations_of_quality(verdict, USUAL_METRIC[schema.task])
    if violations and verdict.alarm_cohort is not None:
        record_violations(services, model, cohorts[0].version, verdict.alarm_cohort, violations)
    return verdict
