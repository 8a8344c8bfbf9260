"""Compare the inputs of whole seasons with the training data, so that a morning is no drift.

After every cohort, the sum of the last season is compared. Until the version has seen a whole
season, and in each single cohort, only values that the training data never had are looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.monitoring.input_drift import check_columns, estimated_accuracy
from refit.domain.monitoring.seasons import FEWEST_MISSED
from refit.domain.monitoring.unseen_values import check_unseen
from refit.domain.monitoring.verdict import InputVerdict
from refit.domain.season_lengths import DAY_S, seasons_longer_than

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from refit.domain.evaluation.resampling import Integers
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.input_counts import Columns, InputCounts
    from refit.domain.monitoring.input_drift import Finding
    from refit.domain.monitoring.violations import Violation

_SHOWN_SHIFTS = 20


@dataclass(frozen=True)
class InputSpan:
    """The span of time whose inputs are compared with the training data after a cohort.

    Attributes:
        cohort: start of the cohort.
        since: start of the season or, if the version is younger, of its first counted cohort.
        until: end of the cohort.
        season_s: length of the season; 0 if single cohorts are compared.
        missed: share of the season's predictions that outages prevented.
    """

    cohort: datetime
    since: datetime
    until: datetime
    season_s: int = 0
    missed: float = 0.0

    @classmethod
    def of_cohort(cls, start: datetime, settings: MonitoringSettings) -> InputSpan:
        """Return the span of a single cohort."""
        return cls(start, start, start + timedelta(seconds=settings.cohort_s))

    @classmethod
    def of_season(
        cls,
        start: datetime,
        first: datetime,
        cohorts: Sequence[Cohort],
        settings: MonitoringSettings,
    ) -> InputSpan:
        """Return the season that ends with a cohort.

        Args:
            start: start of the cohort.
            first: start of the first cohort whose inputs were counted.
            cohorts: cohorts of the version, in the order of time.
            settings: `[monitoring]` of the run, with a season.
        """
        season_s = compared_season_s(settings)
        until = start + timedelta(seconds=settings.cohort_s)
        since = max(until - timedelta(seconds=season_s), first)
        missed = missed_share(cohorts, until, settings.cohort_s, season_s)
        return cls(start, since, until, season_s, missed)

    @property
    def compared_from(self) -> datetime | None:
        """When the first whole season ends; None if the span is whole."""
        whole = self.since + timedelta(seconds=self.season_s)
        return whole if self.season_s and whole > self.until else None


def compared_season_s(settings: MonitoringSettings) -> int:
    """Return the length of the season over which inputs are compared; 0 for single cohorts."""
    return max(seasons_longer_than(settings.cohort_s, settings.season_s), default=0)


def check_inputs(
    span: InputSpan,
    columns: Columns,
    of_cohort: InputCounts,
    of_span: InputCounts,
    settings: MonitoringSettings,
) -> list[Finding]:
    """Check the inputs of a cohort and of its season; without a season, of the cohort alone.

    Args:
        span: the season, or the cohort.
        columns: columns of the run whose version predicted.
        of_cohort: input counts of the cohort.
        of_span: input counts of the span.
        settings: `[monitoring]` of the run.

    Returns:
        One finding for each check, flagged or not. A part of a season is never flagged.
    """
    findings = check_columns(columns, of_span, settings, span.missed)
    if span.compared_from:
        findings = [replace(finding, flagged=False) for finding in findings]
    return findings + (check_unseen(columns, of_cohort, settings) if span.season_s else [])


def input_verdict_of(
    span: InputSpan,
    columns: Columns,
    counts: InputCounts,
    baseline: Baseline,
    violations: Iterable[Violation],
    settings: MonitoringSettings,
) -> InputVerdict:
    """Summarise the checks of one cohort.

    Accuracy is not estimated from a part of a season, since the others may be easier or harder.

    Args:
        span: the season, or the cohort.
        columns: columns of the run whose version predicted.
        counts: input counts of the span.
        baseline: baseline of the run.
        violations: violations found in the cohort.
        settings: `[monitoring]` of the run.
    """
    shifts = sorted(violations, key=lambda each: each.value / each.threshold, reverse=True)
    is_whole = span.compared_from is None and span.missed <= settings.input_effect
    return InputVerdict(
        cohort=span.cohort,
        since=span.since,
        until=span.until,
        season_s=span.season_s,
        compared_from=span.compared_from,
        missed=span.missed,
        rows=counts.rows,
        flagged=len(shifts),
        shifts=tuple(shifts[:_SHOWN_SHIFTS]),
        estimated_accuracy=estimated_accuracy(columns, counts, baseline) if is_whole else None,
    )


def missed_share(cohorts: Sequence[Cohort], until: datetime, cohort_s: int, season_s: int) -> float:
    """Return the share of a season's predictions that outages prevented, 0 to 1.

    An outage is a stretch without predictions in whose hours, a season before, there were ten or
    more. In the first season, in which days are all that is known, it is a day before.

    Args:
        cohorts: cohorts of the version, in the order of time.
        until: end of the season.
        cohort_s: length of the cohorts.
        season_s: length of the season.
    """
    counted = [each for each in cohorts if each.predictions and each.start < until]
    if not counted:
        return 0.0
    starts = np.array([int(cohort.start.timestamp()) for cohort in counted])
    total = np.cumsum([0, *(cohort.predictions for cohort in counted)])
    end = int(until.timestamp())
    begin = end - season_s

    def between(first: Integers | int, last: Integers | int) -> Integers:
        ranks: Integers = np.searchsorted(starts, last)
        predictions: Integers = total[ranks] - total[np.searchsorted(starts, first)]
        return predictions

    gap_start = starts[:-1] + cohort_s
    is_gap = (starts[1:] > gap_start) & (starts[1:] > begin)
    gap_start, gap_end = gap_start[is_gap], starts[1:][is_gap]
    known = DAY_S if season_s % DAY_S == 0 else season_s
    period = np.where(gap_start - season_s >= starts[0], season_s, known)

    def expected(length: Integers) -> Integers:
        """Return the predictions to expect in the first `length` seconds of each gap."""
        whole, rest = np.divmod(length, period)
        before = gap_start - period
        return whole * between(before, gap_start) + between(before, before + rest)

    in_gap = expected(gap_end - gap_start)
    in_season = in_gap - expected(np.maximum(begin - gap_start, 0))
    missed = int(in_season[in_gap >= FEWEST_MISSED].sum())
    return missed / max(missed + int(between(begin, end)), 1)
