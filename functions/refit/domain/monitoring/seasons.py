"""Look at stakes after whole seasons only, so that the bad half of an ordinary day is no drift.

A healthy model errs more at some hours than at others. Over a whole season its error rate is the
tolerated one at most, so the product of the bets over whole seasons is fair, whatever happens
within them: for the odds ratio r of a bet and error rates pᵢ with a mean of at most m,
Π (1 + (r − 1)pᵢ) / (1 + (r − 1)m) ≤ 1, since a product is largest when its factors are equal. So
one unit is staked at every cohort, as without seasons, and is looked at only when its age is a
whole number of seasons.

A week contains days. Each span of time therefore has its own share of the stakes and its own
limit: single cohorts, whole days, and whole weeks. A shorter span finds a large rise sooner. The
odds of its limit are multiplied by `season_swing` for each season that is longer than it.

docs/monitoring.md has the guarantee and its proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.monitoring.evidence import log_evidence
from refit.domain.season_lengths import DAY_S, seasons_longer_than

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.domain.evaluation.resampling import Floats, Integers

LOOKS_PER_DAY = 24
"""So often, at most, stakes of whole seasons are looked at, however short the cohorts are."""

FEWEST_MISSED = 10
"""A gap in which fewer predictions were to be expected is chance, not an outage."""


@dataclass(frozen=True)
class Span:
    """A length of time over which bets are made.

    Attributes:
        season_s: stakes are looked at after whole seasons of this length; 0 for every cohort.
        swing: the odds of the tolerated error rate are multiplied by it.
        share: share of the stakes.
        within_s: length of the longest season that the swing allows for; 0 without.
    """

    season_s: int
    swing: float
    share: float
    within_s: int

    @property
    def smallest_ratio(self) -> float:
        """The smallest bet, as an odds ratio; small rises show over whole seasons only."""
        return 1.08 if self.swing == 1 else 1.35

    @property
    def bets(self) -> int:
        """Number of bets, from the smallest one on."""
        return 20 if self.swing == 1 else 10


def spans_of(cohort_s: int, season_s: int, season_swing: float) -> list[Span]:
    """Return the spans of a test: single cohorts first, then whole seasons, shortest first."""
    lengths = (0, *seasons_longer_than(cohort_s, season_s))
    longer = range(len(lengths) - 1, -1, -1)
    return [
        Span(
            season_s=length,
            swing=season_swing**levels,
            share=1 / len(lengths),
            within_s=lengths[-1] if levels else 0,
        )
        for length, levels in zip(lengths, longer, strict=True)
    ]


@dataclass(frozen=True)
class Blocks:
    """The cohorts of a version, summed up between two looks, in the order of time.

    A gap in the traffic would leave half a season, perhaps its bad half. So whole seasons without
    predictions are left out, and of what remains of a gap, each block counts as the same block one
    season before, with correct predictions only: fair, and never in favour of an alarm.

    Attributes:
        phases: blocks in a season.
        first: (n_present,) index of the first cohort of each block with predictions.
        position: (n_present,) position of these blocks in time.
        stand_ins: for each block of a gap, its position and the index, among the blocks with
            predictions, of the one that it counts as.
        size: number of blocks, gaps included.
        looked: (n_cohorts,) position of the last block that is complete after a cohort; −1 before.
    """

    phases: int
    first: Integers
    position: Integers
    stand_ins: tuple[Integers, Integers]
    size: int
    looked: Integers

    @classmethod
    def of(cls, starts: Integers, predictions: Integers, cohort_s: int, season_s: int) -> Blocks:
        """Divide cohorts, in the order of time, into blocks.

        Args:
            starts: (n_cohorts,), n_cohorts ≥ 1, when cohorts with predictions start, in Unix time.
            predictions: (n_cohorts,) number of predictions.
            cohort_s: their length, which divides the season.
            season_s: length of the season.
        """
        length = block_length(cohort_s, season_s)
        phases = season_s // length
        numbers, first, of_cohort = np.unique(
            starts // length, return_index=True, return_inverse=True
        )
        missing = np.diff(numbers, prepend=numbers[0] - 1) - 1
        position = np.cumsum(missing % phases + 1) - 1
        looked = np.where(
            (starts + cohort_s) % length == 0, position[of_cohort], position[of_cohort] - 1
        )
        return cls(
            phases=phases,
            first=first,
            position=position,
            stand_ins=_stand_ins(position, np.add.reduceat(predictions, first), phases),
            size=int(position[-1]) + 1,
            looked=looked,
        )

    def _sums(self, of_cohorts: Floats | Integers) -> Floats:
        """Return (n_present, …) sums over the cohorts of each block with predictions."""
        if len(self.first) == len(of_cohorts):
            return of_cohorts.astype(np.float64, copy=False)
        sums: Floats = np.add.reduceat(of_cohorts, self.first, axis=0)
        return sums

    def evidence(
        self, gains: Floats, if_correct: Callable[[], Floats], counted: Integers, last: int
    ) -> Floats:
        """Return the logarithm of the evidence of each bet after each cohort.

        Args:
            gains: (n_cohorts, n_bets) logarithm of the factor by which a stake is multiplied.
            if_correct: returns the same for counted predictions that are all correct.
            counted: (n_cohorts,) number of counted predictions.
            last: number of cohorts, from the end, after which the evidence is wanted.

        Returns:
            (last, n_bets); −∞ until the first season is complete.
        """
        wanted = self.looked[-last:]
        blocks = self.size - max(int(wanted[0]), 0)
        ends = self._ends(blocks)
        if not len(ends):
            return np.full((len(wanted), gains.shape[1]), -np.inf)
        whole = ends >= self.phases
        begins = np.maximum(ends - self.phases, 0)
        total = self._total(gains, if_correct)
        of_seasons = total[ends]
        of_seasons -= total[begins]
        per_block = np.zeros(self.size + 1)
        per_block[self.position + 1] = self._sums(counted)
        counts = per_block.cumsum()
        is_counted = whole & (counts[ends] > counts[begins])
        evidence = log_evidence(
            of_seasons.reshape(len(ends), -1),
            np.repeat(is_counted, gains.shape[1], axis=1),
            -(-blocks // ends.shape[1]),
        ).reshape(-1, gains.shape[1])
        after = wanted - (self.size - len(evidence))
        return np.where((after >= 0)[:, None], evidence[np.maximum(after, 0)], -np.inf)

    def change(self, gains: Floats, if_correct: Callable[[], Floats]) -> int:
        """Return the index of the cohort with the stake, of one bet, that has gained most.

        Args:
            gains: (n_cohorts, 1).
            if_correct: returns the same for counted predictions that are all correct.
        """
        ends = np.arange(int(self.looked[-1]) + 1, self.phases - 1, -self.phases)[::-1]
        if not len(ends):
            return 0
        total = self._total(gains, if_correct)[:, 0]
        before = total[ends - self.phases] - total[ends[0] - self.phases]
        start = int(ends[before.argmin()]) - self.phases
        return int(self.first[np.searchsorted(self.position, start)])

    def _ends(self, blocks: int) -> Integers:
        """Return where the seasons end that are looked at after each of the last blocks.

        Of shape (n_seasons, n_phases), in blocks from the first one on; no more phases than there
        are. The ends in the first row may be too early for a whole season.
        """
        phases = min(blocks, self.phases)
        seasons = np.arange(self.size // self.phases)[::-1, None]
        ends: Integers = self.size - np.arange(phases)[::-1] - seasons * self.phases
        return np.maximum(ends, 0)

    def _total(self, gains: Floats, if_correct: Callable[[], Floats]) -> Floats:
        """Return (size + 1, n_bets) sums of the gains of all blocks before each."""
        total = np.zeros((self.size + 1, gains.shape[1]))
        total[self.position + 1] = self._sums(gains)
        positions, sources = self.stand_ins
        if len(positions):
            total[positions + 1] = self._sums(if_correct())[sources]
        return np.cumsum(total, axis=0, out=total)


def block_length(cohort_s: int, season_s: int) -> int:
    """Return the seconds between two looks: whole cohorts, and a whole number of them a season."""
    shortest = min(season_s, DAY_S) / LOOKS_PER_DAY
    cohorts = season_s // cohort_s
    return next(
        cohort_s * n
        for n in range(1, cohorts + 1)
        if cohorts % n == 0 and (cohort_s * n >= shortest or n == cohorts)
    )


def _stand_ins(position: Integers, predictions: Integers, phases: int) -> tuple[Integers, Integers]:
    """Return the positions of the blocks of gaps that count as others, and the indices of these."""
    source = np.full(int(position[-1]) + 1, -1)
    source[position] = np.arange(len(position))
    chosen = []
    for end in np.flatnonzero(np.diff(position) > 1) + 1:
        gap = np.arange(position[end - 1] + 1, position[end])
        gap = gap[gap >= phases]
        before = source[gap - phases]
        gap, before = gap[before >= 0], before[before >= 0]
        if predictions[before].sum() >= FEWEST_MISSED:
            source[gap] = before
            chosen.append(gap)
    positions = np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)
    return positions, source[positions]
