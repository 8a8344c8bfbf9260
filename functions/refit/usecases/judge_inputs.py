"""Judge the inputs of a live version after each cohort, and record violations and histograms.

A season is compared as a whole. Beside the counts of each cohort, the totals of the version up to
it are kept, so that the counts of a season are the difference of two objects.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from refit.domain.errors import ObjectNotFound
from refit.domain.monitoring.input_counts import InputCounts, merged
from refit.domain.monitoring.input_histograms import inputs_record
from refit.domain.monitoring.input_seasons import (
    InputSpan,
    check_inputs,
    compared_season_s,
    input_verdict_of,
)
from refit.domain.monitoring.input_totals import InputTotals
from refit.domain.monitoring.report_violations import violations_of_inputs
from refit.domain.naming import ModelKeys
from refit.usecases.record_violations import record_violations

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.verdict import InputVerdict
    from refit.usecases.services import Services

_MAX_CAPTURE_DELAY = timedelta(minutes=5)
"""Longest wait for the captures of a cohort after its end. The wait is the length of the cohort if
that is shorter."""

_MAX_COHORTS = 60
"""Largest number of cohorts whose inputs one check judges; older ones are skipped."""

_MAX_TOTALLED = 120
"""Largest number of cohorts that one check adds to the totals; the next check continues."""

_MAX_WITHOUT_TOTALS = 50
"""So many cohorts are passed, at most, in search of totals. Only cohorts that were counted after
a later one was judged, or whose objects were deleted, have none."""


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
        The verdict after the newest closed cohort; None before the first one has closed.
    """
    settings = services.artifacts.settings(model, run).monitoring
    length = timedelta(seconds=settings.cohort_s)
    latest_start = now - length - min(length, _MAX_CAPTURE_DELAY)
    closed = sorted(
        (cohort for cohort in cohorts if cohort.start <= latest_start),
        key=lambda cohort: cohort.start,
    )
    judge = _Judge(services, model, run, settings, closed)
    pending = [each for each in closed if before is None or each.start > before.cohort]
    if not compared_season_s(settings):
        return judge.each_alone(pending[-_MAX_COHORTS:]) or before
    if before is None:
        # The version was replaced and is live again: its cohorts may have totals.
        totalled = bisect_left(closed, True, key=judge.has_no_totals)
        pending = closed[totalled - 1 :] if totalled else closed[-_MAX_COHORTS:]
    # If all counts of the next cohorts were deleted, the check continues with the newest ones.
    return (
        judge.over_seasons(pending[:_MAX_TOTALLED])
        or judge.over_seasons(pending[_MAX_TOTALLED:][-_MAX_COHORTS:])
        or before
    )


@dataclass(frozen=True)
class _Judge:
    """Judges the inputs of closed cohorts of a version.

    Attributes:
        closed: all closed cohorts, in the order of time.
    """

    services: Services
    model: str
    run: str
    settings: MonitoringSettings
    closed: Sequence[Cohort]

    def each_alone(self, pending: Sequence[Cohort]) -> InputVerdict | None:
        """Compare each cohort with the training data; return the newest verdict."""
        verdict = None
        for cohort in pending:
            counts = self._counts(cohort)
            if counts is not None:
                span = InputSpan.of_cohort(cohort.start, self.settings)
                verdict = self._judge(cohort.version, span, counts, counts)
        return verdict

    def over_seasons(self, pending: Sequence[Cohort]) -> InputVerdict | None:
        """Add cohorts to the totals, and compare the season that ends with each of the newest.

        A check that is repeated writes the same totals. A version whose cohorts were judged before
        there were totals starts them with its next cohort.
        """
        verdict = None
        totals = self._totals_before(pending[0].start) if pending else None
        for index, cohort in enumerate(pending):
            counts = self._counts(cohort)
            if counts is None:
                continue
            totals = totals.plus(counts) if totals else InputTotals(cohort.start, counts)
            of_span, totals = self._season(cohort, totals, counts)
            key = ModelKeys(self.model).input_totals(cohort.version, cohort.start)
            self.services.bucket.put(key, totals.to_bytes())
            if index >= len(pending) - _MAX_COHORTS:
                first, settings = totals.since, self.settings
                span = InputSpan.of_season(cohort.start, first, self.closed, settings)
                verdict = self._judge(cohort.version, span, counts, of_span)
        return verdict

    def has_no_totals(self, cohort: Cohort) -> bool:
        """Return whether there are no totals up to a cohort."""
        return self._totals(cohort) is None

    def _season(
        self, cohort: Cohort, totals: InputTotals, counts: InputCounts
    ) -> tuple[InputCounts, InputTotals]:
        """Return the counts of the season that ends with a cohort, and the totals.

        The totals start again if those before the season were deleted.
        """
        season_s = compared_season_s(self.settings) - self.settings.cohort_s
        begin = cohort.start - timedelta(seconds=season_s)
        if totals.since >= begin:
            return totals.counts, totals
        earlier = self._totals_before(begin)
        if earlier is None or earlier.since != totals.since:
            return counts, InputTotals(cohort.start, counts)
        return totals.since_then(earlier), totals

    def _totals_before(self, start: datetime) -> InputTotals | None:
        """Return the newest totals that end before a cohort."""
        end = bisect_left(self.closed, start, key=lambda cohort: cohort.start)
        for cohort in reversed(self.closed[max(end - _MAX_WITHOUT_TOTALS, 0) : end]):
            totals = self._totals(cohort)
            if totals is not None:
                return totals
        return None

    def _totals(self, cohort: Cohort) -> InputTotals | None:
        key = ModelKeys(self.model).input_totals(cohort.version, cohort.start)
        try:
            return InputTotals.from_bytes(self.services.bucket.read(key))
        except ObjectNotFound:
            return None

    def _counts(self, cohort: Cohort) -> InputCounts | None:
        """Return the input counts of a cohort; None when it has none."""
        bucket = self.services.bucket
        folder = ModelKeys(self.model).cohort(cohort.version, cohort.start)
        keys = [entry.key for entry in bucket.list(folder) if entry.key.endswith(".npz")]
        return merged(InputCounts.from_bytes(bucket.read(key)) for key in keys)

    def _judge(
        self, version: int, span: InputSpan, of_cohort: InputCounts, of_span: InputCounts
    ) -> InputVerdict:
        """Check the inputs of a cohort and of its span; record histograms and violations."""
        columns = self.services.artifacts.columns(self.model, self.run)
        findings = check_inputs(span, columns, of_cohort, of_span, self.settings)
        record = inputs_record(span, columns, of_span, findings)
        key = ModelKeys(self.model).inputs(version, span.cohort)
        self.services.bucket.put_json(key, record.model_dump(mode="json"))
        violations = violations_of_inputs(findings, span.season_s)
        if violations:
            record_violations(self.services, self.model, version, span.cohort, violations)
        baseline = self.services.artifacts.baseline(self.model, self.run)
        return input_verdict_of(span, columns, of_span, baseline, violations, self.settings)
