"""Judge the quality and the inputs of a live version, and record violations.

The failed checks of a cohort are written to its constraint_violations.json.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from refit.domain.errors import ObjectNotFound
from refit.domain.monitoring.input_counts import InputCounts, merged
from refit.domain.monitoring.input_drift import check_columns, input_verdict_of
from refit.domain.monitoring.input_histograms import inputs_record
from refit.domain.monitoring.quality_drift import judge_quality
from refit.domain.monitoring.report_violations import violations_of_inputs, violations_of_quality
from refit.domain.monitoring.violations import Violations
from refit.domain.naming import ModelKeys
from refit.domain.quality_metrics import USUAL_METRIC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.verdict import InputVerdict, QualityVerdict
    from refit.domain.monitoring.violations import Violation
    from refit.usecases.services import Services

_MAX_CAPTURE_DELAY = timedelta(minutes=5)
"""Longest wait for the captures of a cohort after its end. The wait is the length of the cohort if
that is shorter."""

_MAX_COHORTS = 60
"""Largest number of cohorts whose inputs one check judges; older ones are skipped."""


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
        _record_violations(services, model, cohorts[0].version, verdict.alarm_cohort, violations)
    return verdict


def judge_live_inputs(
    services: Services,
    model: str,
    run: str,
    cohorts: Sequence[Cohort],
    before: InputVerdict | None,
    now: datetime,
) -> InputVerdict | None:
    """Judge the inputs of the cohorts that have closed since the last check, each once.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        run: run that made the version.
        cohorts: cohorts of the version.
        before: the input verdict of the last check of the version.
        now: time of the check.

    Returns:
        The verdict on the newest closed cohort; None before the first one has closed.
    """
    length = timedelta(seconds=services.artifacts.settings(model, run).monitoring.cohort_s)
    latest_start = now - length - min(length, _MAX_CAPTURE_DELAY)
    pending = sorted(
        (
            cohort
            for cohort in cohorts
            if cohort.start <= latest_start and (before is None or cohort.start > before.cohort)
        ),
        key=lambda cohort: cohort.start,
    )
    verdict = before
    for cohort in pending[-_MAX_COHORTS:]:
        verdict = _judge_inputs_of_cohort(services, model, run, cohort) or verdict
    return verdict


def _judge_inputs_of_cohort(
    services: Services, model: str, run: str, cohort: Cohort
) -> InputVerdict | None:
    """Judge the inputs of one cohort; return None when it has no input counts."""
    folder = ModelKeys(model).cohort(cohort.version, cohort.start)
    keys = [entry.key for entry in services.bucket.list(folder) if entry.key.endswith(".npz")]
    counts = merged(InputCounts.from_bytes(services.bucket.read(key)) for key in keys)
    if counts is None:
        return None
    columns = services.artifacts.columns(model, run)
    settings = services.artifacts.settings(model, run).monitoring
    findings = check_columns(columns, counts, settings)
    record = inputs_record(columns, counts, findings)
    key = ModelKeys(model).inputs(cohort.version, cohort.start)
    services.bucket.put_json(key, record.model_dump(mode="json"))
    violations = violations_of_inputs(findings)
    if violations:
        _record_violations(services, model, cohort.version, cohort.start, violations)
    baseline = services.artifacts.baseline(model, run)
    return input_verdict_of(cohort.start, columns, counts, baseline, violations)


def _record_violations(
    services: Services, model: str, version: int, start: datetime, newer: Sequence[Violation]
) -> None:
    """Add violations to those of the cohort. A repeated check replaces its own violation."""
    key = ModelKeys(model).violations(version, start)
    try:
        before = Violations.model_validate_json(services.bucket.read(key))
    except ObjectNotFound:
        before = Violations()
    services.bucket.put_json(key, before.replaced_by(newer).model_dump(mode="json"))
