"""Test whether the distribution of the inputs or predictions has shifted, without labels.

The result is a warning and never starts a retraining, because a shift can be harmless. A column is
flagged when its live distribution differs from the reference by more than `input_effect` and the
difference is significant. Without a shift, all checks together flag a column at most once in
`input_false_alarm_every` cohorts on average.

With a season that is longer than a cohort, the whole last season is compared after every cohort
(input_seasons.py), and unseen_values.py checks the cohort itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from refit.domain.monitoring.input_counts import split_by_column
from refit.domain.season_lengths import seasons_longer_than

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.monitoring.input_counts import Column, Columns, InputCounts, Role

CheckKind = Literal["distribution", "completeness", "unseen numbers", "unseen missing"]

_ROBUST_FACTOR = 1.8
_SMOOTHING_ROWS = 2

_UNSEEN_CHECKS = 3
"""Checks of unseen values of a feature: below the range, above it, and missing."""


@dataclass(frozen=True)
class Finding:
    """The result of one check of one column.

    Attributes:
        name: the feature, `prediction` or `score`.
        check: `distribution` of the values that are present, or `completeness`; or what the
            training data never had: `unseen numbers` out of its range, or `unseen missing` values.
        value: largest gap between the cumulative shares (of a category: between the shares of a
            text), or the gap between the missing shares; of what is unseen, its share. 0 to 1, 0
            means identical.
        threshold: the check is flagged above this value; at least `input_effect`.
        n: number of live values.
        reference_n: number of values of the reference.
        flagged: value > threshold.
        critical: whether the feature is one of `critical_features`.
        outside: share of live values below or above all training values, or in no category of the
            training data; None for other checks than `distribution`.
        missing: share of live values that are missing. It includes category texts that were never
            seen in training, because they are encoded as missing.
        category: whether the column holds texts.
        robust_distance: Deequ's robust distance, max(0, value − 1.8·√(1/n + 1/n₀)); None as
            `outside`.
        psi: population stability index, ≥ 0, for information. Its average without a shift is about
            (bins − 1)·(1/n + 1/n₀). None as `outside`.
        js: Jensen-Shannon divergence, base 2, 0 to 1, for information; None as `outside`.
    """

    name: str
    role: Role
    check: CheckKind
    value: float
    threshold: float
    n: int
    reference_n: int
    flagged: bool
    critical: bool
    missing: float
    category: bool
    outside: float | None = None
    robust_distance: float | None = None
    psi: float | None = None
    js: float | None = None

    @property
    def is_unseen(self) -> bool:
        """Whether a single cohort was checked for values that the training data never had."""
        return self.check in {"unseen numbers", "unseen missing"}


def check_columns(
    columns: Columns, counts: InputCounts, settings: MonitoringSettings, missed: float = 0.0
) -> list[Finding]:
    """Check every column of one span, once per cohort to keep the stated false-alarm rate.

    Args:
        columns: columns of the run whose version predicted.
        counts: input counts of one cohort, or of a whole season.
        settings: `[monitoring]` of the run.
        missed: share of the season's predictions that outages prevented. Their values could have
            been any, which changes a gap by this share at most, so the thresholds rise by it.

    Returns:
        One finding for each check, flagged or not.

    Raises:
        ValueError: when the counts belong to another run.
    """
    chance = chance_of(columns, settings)
    return [
        finding
        for column, slots in split_by_column(columns, counts)
        for finding in _findings(column, slots, chance, settings, missed)
    ]


def chance_of(columns: Columns, settings: MonitoringSettings) -> float:
    """Return the probability with which a check may flag without a shift.

    It divides one false alarm in `input_false_alarm_every` cohorts among all checks of a cohort.
    Checks of overlapping seasons are counted at every cohort, so their dependence does not matter.
    """
    checks = _checks(columns)
    if seasons_longer_than(settings.cohort_s, settings.season_s):
        checks += sum(_UNSEEN_CHECKS for _ in columns.features)
    return 1 / (settings.input_false_alarm_every * max(checks, 1))


def threshold_of(n: int, reference_n: int, chance: float, effect: float) -> float:
    """Return the gap above which a check is flagged; at least `effect`, 1 without values.

    The gap between two samples of one distribution exceeds √(−ln(chance/2)/2)·√(1/n + 1/n₀) with a
    probability of about `chance` at most.

    Args:
        n: number of live values, ≥ 0.
        reference_n: number of values of the reference, ≥ 0.
        chance: probability of flagging this check without a shift, within (0, 1).
        effect: smallest gap that is flagged, as a share.

    Source: for cumulative shares, Massart (1990), Annals of Probability 18:1269, and for two
    samples, Wei and Dudley (2012), Statistics & Probability Letters 82:636; for one share,
    Hoeffding (1963).
    """
    if not n or not reference_n:
        return 1.0
    noise = math.sqrt(-math.log(chance / 2) / 2) * math.sqrt(1 / n + 1 / reference_n)
    return max(noise, effect)


def estimated_accuracy(columns: Columns, counts: InputCounts, baseline: Baseline) -> float | None:
    """Return the expected accuracy of the counted predictions, before any label has arrived.

    The result is None if the version returns no probabilities or nothing was counted. The estimate
    does not reflect concept drift, in which the same inputs get other labels.
    """
    split = split_by_column(columns, counts)
    scores = next((slots for column, slots in split if column.role == "score"), None)
    return None if scores is None else expected_accuracy(scores[:-1], baseline)


def expected_accuracy(scores: Integers, baseline: Baseline) -> float | None:
    """Return the expected accuracy of predictions with these scores.

    Each prediction contributes the share of correct held-out rows in its bin. The share is smoothed
    by two additional rows whose accuracy is the score itself.

    Args:
        scores: (20,) number of live predictions by their largest probability.
        baseline: baseline of the run.
    """
    if baseline.scores is None or not scores.sum():
        return None
    middles = (np.arange(len(scores)) + 0.5) / len(scores)
    rows = np.array([score.rows for score in baseline.scores])
    right = np.array([score.right for score in baseline.scores])
    sums = np.array([score.probability_sum for score in baseline.scores])
    average = np.where(rows > 0, sums / np.maximum(rows, 1), middles)
    calibrated = (right + _SMOOTHING_ROWS * average) / (rows + _SMOOTHING_ROWS)
    return float(scores @ calibrated / scores.sum())


def _checks(columns: Columns) -> int:
    """Return the number of gaps that are checked; each text of a category has its own gap."""
    return sum(_gaps(column) + (column.role == "feature") for column in columns.columns)


def _gaps(column: Column) -> int:
    return 1 if column.texts is None else max(column.slots - 1, 1)


def _findings(
    column: Column, slots: Integers, chance: float, settings: MonitoringSettings, missed: float
) -> Iterator[Finding]:
    def finding_of(check: CheckKind, gap: float, n: int, reference_n: int) -> Finding:
        threshold = threshold_of(n, reference_n, chance, settings.input_effect) + missed
        return Finding(
            name=column.name,
            role=column.role,
            check=check,
            value=gap,
            threshold=threshold,
            n=n,
            reference_n=reference_n,
            flagged=gap > threshold,
            critical=settings.is_critical(column.name),
            missing=missing,
            category=column.texts is not None,
        )

    reference = np.array(column.reference)
    n, reference_n = int(slots.sum()), int(reference.sum())
    missing = float(slots[-1] / max(n, 1))
    live, known = slots[:-1], reference[:-1]
    present, known_present = int(live.sum()), int(known.sum())
    shares, expected = live / max(present, 1), known / max(known_present, 1)
    gaps = shares - expected if column.texts is not None else np.cumsum(shares - expected)
    gap = float(np.abs(gaps).max()) if present and known_present else 0.0
    yield replace(
        finding_of("distribution", gap, present, known_present),
        outside=_outside(column, shares),
        robust_distance=_robust(gap, present, known_present),
        psi=_psi(live, known),
        js=_jensen_shannon(shares, expected),
    )
    if column.role == "feature":
        gap = abs(missing - float(reference[-1] / max(reference_n, 1))) if n else 0.0
        yield finding_of("completeness", gap, n, reference_n)


def _outside(column: Column, shares: Floats) -> float | None:
    """Return the share of values out of the range of the training data, or with unknown texts."""
    if column.role != "feature" or len(shares) < 2:
        return None
    return float(shares[-1] if column.texts is not None else shares[0] + shares[-1])


def _robust(gap: float, n: int, reference_n: int) -> float:
    """Return Deequ's robust distance: the gap minus what two small samples may differ by."""
    if not n or not reference_n:
        return 0.0
    return max(0.0, gap - _ROBUST_FACTOR * math.sqrt(1 / n + 1 / reference_n))


def _psi(live: Integers, known: Integers) -> float:
    """Return the population stability index; half a row is added to each bin to avoid zeros."""
    shares = (live + 0.5) / (live.sum() + 0.5 * len(live))
    expected = (known + 0.5) / (known.sum() + 0.5 * len(known))
    return float(((shares - expected) * np.log(shares / expected)).sum())


def _jensen_shannon(shares: Floats, expected: Floats) -> float:
    middle = (shares + expected) / 2
    return max(0.0, (_entropy(middle) - (_entropy(shares) + _entropy(expected)) / 2) / math.log(2))


def _entropy(shares: Floats) -> float:
    present = shares[shares > 0]
    return -float((present * np.log(present)).sum())
