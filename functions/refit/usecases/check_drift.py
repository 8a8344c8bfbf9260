"""What is counted of a live version, held against what it was on the held-out rows.

watched = watched_of(champion)             its run, read once
found = look_at(watched, before, now)      what there is to say, nothing written but violations
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetNotFound
from refit.domain.monitoring.baseline import Baseline
from refit.domain.monitoring.input_counts import Columns, InputCounts, columns_of, merged
from refit.domain.monitoring.input_drift import InputRule, judge_inputs
from refit.domain.monitoring.live_quality import bucket_of, newest, quality_of
from refit.domain.monitoring.quality_drift import QualityRule, QualityVerdict, judge_quality
from refit.domain.monitoring.verdict import Inputs, Live, Quality, Shift
from refit.domain.monitoring.violations import (
    Violation,
    Violations,
    violations_of_inputs,
    violations_of_quality,
)
from refit.domain.naming import ModelKeys, RunKeys
from refit.stores import cohorts, s3
from refit.stores import run_artifacts as versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.verdict import Verdict
    from refit.domain.schema import Schema

WINDOW_COHORTS = 24
"""The shown figures are of so many cohorts, a day of hourly ones: of all, a change would hide."""

_LONGEST_GRACE = timedelta(minutes=5)
"""Captures of a cohort come for as long as it lasted, or so long, after its end."""

_MOST_COHORTS = 60
"""So many cohorts' inputs are judged in one look; when there are more, the oldest are left out."""

_SHOWN_SHIFTS = 20
_METRIC = {"classification": "accuracy", "regression": "rmse"}


@dataclass(frozen=True)
class Watched:
    """A live version, and what its run says of it.

    Attributes:
        baseline: None when an older Refit made the version.
        columns: what is counted of its inputs and answers.
        rule: `[monitoring]` as it was when the run began.
    """

    model: str
    version: int
    run: str
    schema: Schema
    baseline: Baseline | None
    columns: Columns
    monitoring: MonitoringSettings


@dataclass(frozen=True)
class Found:
    """What one look found."""

    quality: Quality | None
    live: Live
    inputs: Inputs | None


@lru_cache(maxsize=64)
def watched_of(model: str, version: int, run: str) -> Watched:
    """Read what a version is held against; all of it was written by its run and stays."""
    keys = RunKeys(model, run)
    baseline = _baseline(keys)
    return Watched(
        model=model,
        version=version,
        run=run,
        schema=versions.schema_of(model, run),
        baseline=baseline,
        columns=columns_of(s3.get_json(keys.profile), baseline),
        monitoring=versions.monitoring_of(model, run),
    )


def _baseline(keys: RunKeys) -> Baseline | None:
    try:
        return Baseline.model_validate(s3.get_json(keys.baseline))
    except DatasetNotFound:
        return None


def look_at(watched: Watched, before: Verdict | None, now: datetime) -> Found:
    """Judge a version by what is counted of it now.

    Writes constraint_violations.json of each cohort in which something was found.

    Args:
        watched: the version.
        before: the last verdict, whose cohorts' inputs are not judged again.
        now: this moment, taken before anything is read.
    """
    counted = cohorts.load(watched.model, watched.version)
    quality = _quality(watched, counted, now)
    live = quality_of(newest(counted, WINDOW_COHORTS), watched.schema)
    baseline = watched.baseline.quality if watched.baseline else {}
    return Found(
        quality=quality,
        live=Live.model_validate(
            {**live.model_dump(include=set(Live.model_fields)), "baseline": baseline}
        ),
        inputs=_inputs(watched, counted, _inputs_before(watched, before), now),
    )


def _quality(watched: Watched, counted: Sequence[Cohort], now: datetime) -> Quality | None:
    if watched.baseline is None:
        return None
    chosen = watched.monitoring
    rule = QualityRule(
        label_age_s=chosen.label_age_s,
        label_wait_s=chosen.complete_age_s,
        cohort_s=chosen.cohort_s,
        tolerance=chosen.tolerance,
        false_alarm_every=chosen.false_alarm_every,
        min_labels=chosen.min_labels,
        min_coverage=chosen.min_coverage,
    )
    buckets = [bucket_of(cohort, watched.schema) for cohort in counted]
    verdict = judge_quality(buckets, watched.baseline, rule, now)
    violations = violations_of_quality(verdict, _METRIC[watched.schema.task])
    if violations and verdict.alarm_cohort is not None:
        _add_violations(watched, verdict.alarm_cohort, violations)
    return _stored(verdict)


def _stored(verdict: QualityVerdict) -> Quality:
    log10 = verdict.log10_evidence
    known = {name: getattr(verdict, name) for name in Quality.model_fields}
    return Quality.model_validate(
        known | {"log10_evidence": log10 if math.isfinite(log10) else None}
    )


def _inputs_before(watched: Watched, before: Verdict | None) -> Inputs | None:
    return before.inputs if before and before.version == watched.version else None


def _inputs(
    watched: Watched, counted: Sequence[Cohort], before: Inputs | None, now: datetime
) -> Inputs | None:
    """Judge the inputs of the cohorts that have closed since; return the newest one's."""
    length = timedelta(seconds=watched.monitoring.cohort_s)
    closed = now - length - min(length, _LONGEST_GRACE)
    starts = sorted(cohort.start for cohort in counted if cohort.start <= closed)
    ahead = [start for start in starts if before is None or start > before.cohort]
    found = before
    for start in ahead[-_MOST_COHORTS:]:
        found = _inputs_of(watched, start) or found
    return found


def _inputs_of(watched: Watched, start: datetime) -> Inputs | None:
    folder = ModelKeys(watched.model).cohort(watched.version, start)
    parts = [entry.key for entry in s3.list_keys(folder) if entry.key.endswith(".npz")]
    counts = merged(InputCounts.from_bytes(s3.get_bytes(key)) for key in parts)
    if counts is None:
        return None
    chosen = watched.monitoring
    rule = InputRule(
        false_alarm_every=chosen.input_false_alarm_every,
        effect=chosen.input_effect,
        critical=chosen.critical_features,
    )
    verdict = judge_inputs(watched.columns, counts, watched.baseline, rule)
    violations = violations_of_inputs(verdict)
    if violations:
        _add_violations(watched, start, violations)
    return Inputs(
        cohort=start,
        rows=verdict.rows,
        flagged=len(violations),
        shifts=_shifts(violations),
        estimated_accuracy=verdict.estimated_accuracy,
    )


def _shifts(violations: Sequence[Violation]) -> tuple[Shift, ...]:
    furthest = sorted(violations, key=lambda one: one.value / one.threshold, reverse=True)
    return tuple(Shift.model_validate(one) for one in furthest[:_SHOWN_SHIFTS])


def _add_violations(watched: Watched, start: datetime, violations: Sequence[Violation]) -> None:
    """Write what was found in a cohort beside what was found in it before."""
    key = ModelKeys(watched.model).violations(watched.version, start)
    checks = {(one.feature_name, one.constraint_check_type) for one in violations}
    kept = [
        one
        for one in _violations(key)
        if (one.feature_name, one.constraint_check_type) not in checks
    ]
    found = Violations(violations=(*kept, *violations))
    s3.put_json(key, found.model_dump(mode="json"))


def _violations(key: str) -> tuple[Violation, ...]:
    try:
        return Violations.model_validate(s3.get_json(key)).violations
    except DatasetNotFound:
        return ()
