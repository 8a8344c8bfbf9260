"""Choose the hyperparameters of trials with Optuna, by the strategies of SageMaker.

Random     samples each range independently
Bayesian   tree-structured Parzen estimators, after some random trials; AWS uses a Gaussian process
Grid       every combination of the categories once
Hyperband  random samples; Optuna's pruner says which trials to stop

Source  SageMaker Developer Guide, "How Hyperparameter Tuning Works" and "Define Hyperparameter
        Ranges". How `Auto` scales is not documented; here a range of a factor of 100 is logarithmic
"""

from __future__ import annotations

import itertools
import random
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

_RANDOM_TRIALS = 5
_LOGARITHMIC_FACTOR = 100
_REPEATED_ASKS = 20
optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class SearchedRange:
    """One range of the request, as a distribution of Optuna.

    Attributes:
        is_reversed: the distribution is that of 1 minus the value.
    """

    name: str
    distribution: BaseDistribution
    is_reversed: bool = False

    def text(self, sampled: Any) -> str:
        """Return a sampled value as SageMaker hands it to the container."""
        return str(1 - sampled if self.is_reversed else sampled)

    def sampled(self, text: str) -> Any:
        """Return the value in the distribution for a text.

        Raises:
            ValueError: when the text is no number.
        """
        if isinstance(self.distribution, CategoricalDistribution):
            return text
        if isinstance(self.distribution, IntDistribution):
            return int(text)
        return 1 - float(text) if self.is_reversed else float(text)


@dataclass(frozen=True)
class Suggestion:
    """The hyperparameters of one trial."""

    trial: optuna.Trial
    values: dict[str, str]


class Search:
    """The search of one tuning job.

    Args:
        config: the HyperParameterTuningJobConfig.
        known: hyperparameters and objectives of the trials of the parents of a warm start.
    """

    def __init__(
        self, config: Mapping[str, Any], known: Iterable[tuple[dict[str, str], float]] = ()
    ) -> None:
        self._ranges = searched_ranges(config.get("ParameterRanges", {}))
        self._distributions = {r.name: r.distribution for r in self._ranges}
        self._random = random.Random(config.get("RandomSeed"))
        self._seen: set[tuple[str, ...]] = set()
        self._is_hyperband = config["Strategy"] == "Hyperband"
        maximize = config["HyperParameterTuningJobObjective"]["Type"] == "Maximize"
        self._study = optuna.create_study(
            direction="maximize" if maximize else "minimize",
            sampler=_sampler(config["Strategy"], config.get("RandomSeed")),
            pruner=_pruner(config),
        )
        if config["Strategy"] == "Grid":
            for combination in combinations(self._ranges):
                self._study.enqueue_trial(combination)
        for values, objective in known:
            self._add(values, objective)

    def ask(self) -> Suggestion:
        """Return the hyperparameters of the next trial; none is tried twice while others remain."""
        asked = self._ask()
        for _ in range(_REPEATED_ASKS):
            if tuple(asked.values.values()) not in self._seen:
                break
            self._study.tell(asked.trial, state=TrialState.FAIL)
            asked = self._ask()
        else:
            asked = self._unseen(asked)
        self._seen.add(tuple(asked.values.values()))
        return asked

    def tell(self, suggestion: Suggestion, objective: float | None) -> None:
        """Take the final objective of a trial; None if it has none."""
        state = TrialState.FAIL if objective is None else TrialState.COMPLETE
        self._study.tell(suggestion.trial, objective, state)

    def give_back(self, suggestion: Suggestion) -> None:
        """Take a suggestion back that could not be tried; it is the next one again."""
        self._seen.discard(tuple(suggestion.values.values()))
        self._study.tell(suggestion.trial, state=TrialState.FAIL)
        self._study.enqueue_trial(suggestion.trial.params)

    def is_hopeless(self, suggestion: Suggestion, round_: int, value: float) -> bool:
        """Return whether Hyperband stops a trial after a round, which counts from 1."""
        if not self._is_hyperband:
            return False
        suggestion.trial.report(value, round_)
        return suggestion.trial.should_prune()

    def _ask(self) -> Suggestion:
        trial = self._study.ask(self._distributions)
        return Suggestion(trial, {r.name: r.text(trial.params[r.name]) for r in self._ranges})

    def _unseen(self, asked: Suggestion) -> Suggestion:
        """Return a combination that was not tried yet, or else what was asked last."""
        if not all(is_discrete(r.distribution) for r in self._ranges):
            return asked
        remaining = [
            combination
            for combination in combinations(self._ranges)
            if tuple(r.text(combination[r.name]) for r in self._ranges) not in self._seen
        ]
        if not remaining:
            return asked
        self._study.tell(asked.trial, state=TrialState.FAIL)
        self._study.enqueue_trial(self._random.choice(remaining))
        return self._ask()

    def _add(self, values: Mapping[str, str], objective: float) -> None:
        try:
            params = {r.name: r.sampled(values[r.name]) for r in self._ranges}
            trial = create_trial(params=params, distributions=self._distributions, value=objective)
        except (KeyError, ValueError):
            return  # outside the ranges of this tuning job
        self._study.add_trial(trial)


def searched_ranges(ranges: Mapping[str, Any]) -> list[SearchedRange]:
    """Return the ranges of a request in its order."""
    return [
        *(_numbers(r, whole=True) for r in ranges.get("IntegerParameterRanges", [])),
        *(_numbers(r, whole=False) for r in ranges.get("ContinuousParameterRanges", [])),
        *(
            SearchedRange(r["Name"], CategoricalDistribution(r["Values"]))
            for r in ranges.get("CategoricalParameterRanges", [])
        ),
    ]


def _numbers(spec: Mapping[str, str], *, whole: bool) -> SearchedRange:
    scaling = spec.get("ScalingType", "Auto")
    low, high = float(spec["MinValue"]), float(spec["MaxValue"])
    if scaling == "ReverseLogarithmic":
        return SearchedRange(spec["Name"], FloatDistribution(1 - high, 1 - low, log=True), True)
    is_wide = low > 0 and high >= _LOGARITHMIC_FACTOR * low
    log = scaling == "Logarithmic" or (scaling == "Auto" and is_wide)
    if whole:
        return SearchedRange(spec["Name"], IntDistribution(int(low), int(high), log=log))
    return SearchedRange(spec["Name"], FloatDistribution(low, high, log=log))


def is_discrete(distribution: BaseDistribution) -> bool:
    """Return whether a distribution has a countable number of values."""
    return isinstance(distribution, CategoricalDistribution | IntDistribution)


def size_of(distribution: BaseDistribution) -> int | None:
    """Return the number of values of a distribution; None if it is continuous."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return distribution.high - distribution.low + 1
    return None


def combinations(ranges: Iterable[SearchedRange]) -> Iterable[dict[str, Any]]:
    """Yield every combination of values of discrete ranges."""
    names, values = [], []
    for searched in ranges:
        names.append(searched.name)
        values.append(_values_of(searched.distribution))
    for combination in itertools.product(*values):
        yield dict(zip(names, combination, strict=True))


def _values_of(distribution: BaseDistribution) -> list[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, IntDistribution)
    return list(range(distribution.low, distribution.high + 1))


def _sampler(strategy: str, seed: int | None) -> BaseSampler:
    if strategy != "Bayesian":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=_RANDOM_TRIALS, multivariate=True
        )


def _pruner(config: Mapping[str, Any]) -> BasePruner:
    if config["Strategy"] != "Hyperband":
        return optuna.pruners.NopPruner()
    resources = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    return optuna.pruners.HyperbandPruner(
        min_resource=resources.get("MinResource", 1), max_resource=resources["MaxResource"]
    )
