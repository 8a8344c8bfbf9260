"""Have the inputs or the answers moved, before any label tells whether it matters?

Warns, never retrains: a benign shift is one, too. A column is flagged when what was counted live
lies further from the reference than chance would put it once in `false_alarm_every` cohorts over
all checks together, and further than `effect`, below which a shift is not worth a word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from refit.domain.monitoring.input_counts import split_by_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.evaluation.resampling import Floats, Integers
    from refit.domain.monitoring.baseline import Baseline
    from refit.domain.monitoring.input_counts import Column, Columns, InputCounts, Role

Check = Literal["distribution", "completeness"]

_ROBUST_FACTOR = 1.8
_SMOOTHING_ROWS = 2


@dataclass(frozen=True)
class InputRule:
    """The settings of the checks: `[monitoring]` of model.toml.

    Attributes:
        false_alarm_every: cohorts between two false warnings, over all checks together.
        effect: the smallest shift that is worth a word, as a share.
        critical: features whose flags are told as critical.
    """

    false_alarm_every: float = 8760
    effect: float = 0.05
    critical: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One check of one column.

    Attributes:
        name: the feature's, or `prediction` or `score`.
        check: `distribution`, of the values that are there; or `completeness`.
        value: the largest gap of the two cumulative shares (of a category: of a text's shares), or
            the gap of the missing shares; 0 to 1, 0 means alike.
        threshold: what it has to exceed; at least the effect floor.
        n: live values that were looked at.
        reference_n: values of the reference.
        flagged: value > threshold.
        critical: whether a person named the feature so.
        outside: share of the live values below or above all of training, or of no category of it;
            None for `completeness`.
        missing: live share of missing values; a category's texts that were never seen in training
            are among them, since they are encoded so.
        category: whether the column holds texts.
        robust_distance: Deequ's: max(0, value − 1.8·√(1/n + 1/n₀)); None for `completeness`.
        psi: population stability index, ≥ 0, descriptive: its mean without any shift is about
            (bins − 1)·(1/n + 1/n₀); None for `completeness`.
        js: Jensen-Shannon divergence, base 2, 0 to 1, descriptive; None for `completeness`.
    """

    name: str
    role: Role
    check: Check
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


@dataclass(frozen=True)
class InputVerdict:
    """What one cohort's inputs and answers say.

    Attributes:
        rows: counted.
        findings: of every check, flagged or not.
        estimated_accuracy: the accuracy that the scores let expect; None where it is not known.
    """

    rows: int
    findings: tuple[Finding, ...]
    estimated_accuracy: float | None

    @property
    def flagged(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.flagged)

    @property
    def largest_shift(self) -> float:
        """Return the largest value as a multiple of its threshold; over 1 is flagged."""
        return max((finding.value / finding.threshold for finding in self.findings), default=0.0)


def judge_inputs(
    columns: Columns, counts: InputCounts, baseline: Baseline | None, rule: InputRule
) -> InputVerdict:
    """Judge the counts of one cohort. Each look at a cohort spends its part of the budget.

    Args:
        columns: of the run that predicted.
        counts: of one cohort.
        baseline: of the run.
        rule: the settings.

    Raises:
        ValueError: when the counts were made for another run.
    """
    split = split_by_column(columns, counts)
    chance = 1 / (rule.false_alarm_every * max(_checks(columns), 1))
    findings = [
        finding for column, slots in split for finding in _findings(column, slots, chance, rule)
    ]
    scores = next((slots for column, slots in split if column.role == "score"), None)
    return InputVerdict(
        rows=counts.rows,
        findings=tuple(findings),
        estimated_accuracy=None if scores is None else estimated_accuracy(scores[:-1], baseline),
    )


def threshold_of(n: int, reference_n: int, chance: float, effect: float) -> float:
    """Return what a gap has to exceed to be flagged; at least the effect floor, 1 without values.

    Two samples of one distribution lie further apart than √(−ln(chance/2)/2)·√(1/n + 1/n₀) with at
    most about this chance.

    Args:
        n: live values, ≥ 0.
        reference_n: values of the reference, ≥ 0.
        chance: of flagging this check without any shift, within (0, 1).
        effect: the floor, as a share.

    Source: Massart (1990), Annals of Probability 18:1269, for cumulative shares of two samples Wei
    and Dudley (2012), Statistics & Probability Letters 82:636; Hoeffding (1963) for one share.
    """
    if not n or not reference_n:
        return 1.0
    noise = math.sqrt(-math.log(chance / 2) / 2) * math.sqrt(1 / n + 1 / reference_n)
    return max(noise, effect)


def estimated_accuracy(scores: Integers, baseline: Baseline | None) -> float | None:
    """Return the accuracy to expect of answers with such scores, before any label has come.

    A score counts for as much as the held-out rows of its bin were right, smoothed towards the
    score itself by two rows. Blind to a world in which the same inputs mean something else.

    Args:
        scores: (20,) live answers by their largest probability.
        baseline: of the run.
    """
    if baseline is None or baseline.scores is None or not scores.sum():
        return None
    middles = (np.arange(len(scores)) + 0.5) / len(scores)
    rows = np.array([score.rows for score in baseline.scores])
    right = np.array([score.right for score in baseline.scores])
    sums = np.array([score.probability_sum for score in baseline.scores])
    said = np.where(rows > 0, sums / np.maximum(rows, 1), middles)
    calibrated = (right + _SMOOTHING_ROWS * said) / (rows + _SMOOTHING_ROWS)
    return float(scores @ calibrated / scores.sum())


def _checks(columns: Columns) -> int:
    """Return how many gaps are looked at: a category's texts are a gap each."""
    return sum(_gaps(column) + (column.role == "feature") for column in columns.columns)


def _gaps(column: Column) -> int:
    return 1 if column.texts is None else max(column.slots - 1, 1)


def _findings(column: Column, slots: Integers, chance: float, rule: InputRule) -> Iterator[Finding]:
    def compared(check: Check, gap: float, n: int, reference_n: int) -> Finding:
        threshold = threshold_of(n, reference_n, chance, rule.effect)
        return Finding(
            name=column.name,
            role=column.role,
            check=check,
            value=gap,
            threshold=threshold,
            n=n,
            reference_n=reference_n,
            flagged=gap > threshold,
            critical=column.name in rule.critical,
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
        compared("distribution", gap, present, known_present),
        outside=_outside(column, shares),
        robust_distance=_robust(gap, present, known_present),
        psi=_psi(live, known),
        js=_jensen_shannon(shares, expected),
    )
    if column.role == "feature":
        gap = abs(missing - float(reference[-1] / max(reference_n, 1))) if n else 0.0
        yield compared("completeness", gap, n, reference_n)


def _outside(column: Column, shares: Floats) -> float | None:
    """Return the share of what training never had: numbers out of its range, texts unknown."""
    if column.role != "feature" or len(shares) < 2:
        return None
    return float(shares[-1] if column.texts is not None else shares[0] + shares[-1])


def _robust(gap: float, n: int, reference_n: int) -> float:
    """Return Deequ's distance, which takes off what two small samples may lie apart."""
    if not n or not reference_n:
        return 0.0
    return max(0.0, gap - _ROBUST_FACTOR * math.sqrt(1 / n + 1 / reference_n))


def _psi(live: Integers, known: Integers) -> float:
    """Return the population stability index, half a row added to each bin against zeros."""
    shares = (live + 0.5) / (live.sum() + 0.5 * len(live))
    expected = (known + 0.5) / (known.sum() + 0.5 * len(known))
    return float(((shares - expected) * np.log(shares / expected)).sum())


def _jensen_shannon(shares: Floats, expected: Floats) -> float:
    middle = (shares + expected) / 2
    return max(0.0, (_entropy(middle) - (_entropy(shares) + _entropy(expected)) / 2) / math.log(2))


def _entropy(shares: Floats) -> float:
    present = shares[shares > 0]
    return -float((present * np.log(present)).sum())
