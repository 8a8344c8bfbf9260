"""Check a single cohort for values that the training data never had, which no season explains.

A cohort is a part of a season, so its distributions may differ from those of the whole season. But
the training data contains the same part of the season, too. It is assumed to hold a share of
cohort / day of the training rows (of cohort / season in a season shorter than a day), at least as
many as if the training rows were spread evenly.

Of n live values and m training values of the same part, in a healthy model each order is equally
likely. That the k values which are lowest are all live, or the k which are missing, has a
probability of at most (n / (n + m))ᵏ.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from refit.domain.monitoring.input_counts import split_by_column
from refit.domain.monitoring.input_drift import Finding, chance_of
from refit.domain.season_lengths import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.evaluation.resampling import Integers
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.monitoring.input_counts import Column, Columns, InputCounts


def check_unseen(
    columns: Columns, counts: InputCounts, settings: MonitoringSettings
) -> list[Finding]:
    """Check the features of one cohort for numbers out of the training range, and missing values.

    Missing values are unseen in a feature that had none. They include texts that the training data
    never had, because these are encoded as missing.

    Args:
        columns: columns of the run whose version predicted.
        counts: input counts of the cohort.
        settings: `[monitoring]` of the run, with a season.

    Raises:
        ValueError: when the counts belong to another run.
    """
    chance = chance_of(columns, settings)
    share = min(1.0, settings.cohort_s / min(settings.season_s, DAY_S))
    return [
        finding
        for column, slots in split_by_column(columns, counts)
        if column.role == "feature"
        for finding in _findings(column, slots, share, chance, settings)
    ]


def unseen_threshold(n: int, reference_n: float, chance: float, effect: float) -> float:
    """Return the share of unseen values above which a check is flagged; 1 without values.

    Args:
        n: number of live values, ≥ 0.
        reference_n: number of training values of the same part of the season, ≥ 0.
        chance: probability of flagging this check without a shift, within (0, 1).
        effect: smallest share that is flagged.
    """
    if not n or not reference_n:
        return 1.0
    values = -math.log(chance) / math.log1p(reference_n / n)
    return min(1.0, max(effect, values / n))


def _findings(
    column: Column, slots: Integers, share: float, chance: float, settings: MonitoringSettings
) -> Iterator[Finding]:
    rows, reference_rows = int(slots.sum()), sum(column.reference)
    present, missing = rows - int(slots[-1]), int(slots[-1])
    is_category = column.texts is not None

    def finding_of(unseen: int, n: int, reference_n: int, *, is_missing: bool) -> Finding:
        value = unseen / max(n, 1)
        threshold = unseen_threshold(n, reference_n * share, chance, settings.input_effect)
        return Finding(
            name=column.name,
            role=column.role,
            check="unseen missing" if is_missing else "unseen numbers",
            value=value,
            threshold=threshold,
            n=n,
            reference_n=reference_n,
            flagged=value > threshold,
            critical=settings.is_critical(column.name),
            missing=missing / max(rows, 1),
            category=is_category,
        )

    if column.edges:
        largest = max(int(slots[0]), int(slots[-2]))
        known = reference_rows - column.reference[-1]
        yield finding_of(largest, present, known, is_missing=False)
    elif not is_category:
        # A column without a value in the training data: every number is unseen.
        yield finding_of(present, rows, reference_rows, is_missing=False)
    if not column.reference[-1]:
        unknown = int(slots[-2]) if is_category else 0
        yield finding_of(missing + unknown, rows, reference_rows, is_missing=True)
