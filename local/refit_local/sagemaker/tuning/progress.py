"""Compare the trials of a tuning job: the best one, weak ones, and whether the search may end.

Source  SageMaker Developer Guide, "Stop Training Jobs Early"; botocore model,
        BestObjectiveNotImproving. AWS does not document how it detects convergence
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_IMPROVEMENT = 0.01
_CONVERGED_AFTER = 10


def is_behind_the_median(
    values: Sequence[float], earlier: Sequence[Sequence[float]], *, maximize: bool
) -> bool:
    """Return whether a trial is worse than the median of the earlier ones after the same rounds.

    Args:
        values: the objective of the trial after each round.
        earlier: the same of the trials that have ended.
        maximize: whether a higher objective is better.
    """
    if not values or not any(earlier):
        return False
    averages = [statistics.fmean(other[: len(values)]) for other in earlier if other]
    median = statistics.median(averages)
    return values[-1] < median if maximize else values[-1] > median


@dataclass
class SearchProgress:
    """How the objective improves from trial to trial.

    Attributes:
        best: the best objective so far.
        not_improving: number of trials since the last that was better by 1 % or more.
    """

    maximize: bool
    best: float | None = None
    not_improving: int = 0
    _improved_on: float | None = field(default=None, repr=False)

    def add(self, objective: float) -> None:
        """Take the objective of a trial that has ended."""
        if self.best is None or self._gain(objective, self.best) > 0:
            self.best = objective
        if self._improved_on is None or self._gain(objective, self._improved_on) >= (
            _IMPROVEMENT * abs(self._improved_on)
        ):
            self._improved_on, self.not_improving = objective, 0
        else:
            self.not_improving += 1

    @property
    def has_converged(self) -> bool:
        """Whether many trials in a row were no better."""
        return self.not_improving >= _CONVERGED_AFTER

    def is_complete(self, criteria: Mapping[str, Any]) -> bool:
        """Return whether a TuningJobCompletionCriteria is met."""
        target = criteria.get("TargetObjectiveMetricValue")
        if target is not None and self.best is not None and self._gain(self.best, target) >= 0:
            return True
        limit = criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        )
        if limit is not None and self.not_improving >= limit:
            return True
        convergence = criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence")
        return convergence == "Enabled" and self.has_converged

    def _gain(self, objective: float, other: float) -> float:
        return objective - other if self.maximize else other - objective
