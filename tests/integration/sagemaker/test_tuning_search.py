"""The search of a tuning job: where it looks, what it repeats, and what it gives up."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

import pytest
from refit_local.sagemaker.tuning.progress import SearchProgress, is_behind_the_median
from refit_local.sagemaker.tuning.search import Search

ETA = {"Name": "eta", "MinValue": "0.01", "MaxValue": "1", "ScalingType": "Logarithmic"}
DEPTH = {"Name": "max_depth", "MinValue": "1", "MaxValue": "9", "ScalingType": "Linear"}
SMALL = {
    "CategoricalParameterRanges": [
        {"Name": "eta", "Values": ["0.1", "0.2"]},
        {"Name": "subsample", "Values": ["0.5", "0.75", "1"]},
    ]
}
NUMBERS = {"IntegerParameterRanges": [DEPTH], "ContinuousParameterRanges": [ETA]}


def config(strategy: str, ranges: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "Strategy": strategy,
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:rmse"},
        "ParameterRanges": NUMBERS if ranges is None else ranges,
        **more,
    }


def loss(values: dict[str, str]) -> float:
    """A bowl whose bottom is at eta 0.1 and depth 4."""
    return math.log10(float(values["eta"]) / 0.1) ** 2 + (int(values["max_depth"]) - 4) ** 2 / 16


def best_of_search(strategy: str, seed: int, trials: int = 30) -> float:
    search = Search(config(strategy, RandomSeed=seed))
    losses = []
    for _ in range(trials):
        suggestion = search.ask()
        losses.append(loss(suggestion.values))
        search.tell(suggestion, losses[-1])
    return min(losses)


def test_the_bayesian_search_comes_closer_to_the_best_point_than_the_random_one() -> None:
    seeds = range(8)
    bayesian = statistics.fmean(best_of_search("Bayesian", seed) for seed in seeds)
    chance = statistics.fmean(best_of_search("Random", seed) for seed in seeds)
    assert bayesian < 0.6 * chance


@pytest.mark.parametrize("strategy", ["Bayesian", "Random"])
def test_values_stay_in_their_ranges_and_integers_are_written_as_such(strategy: str) -> None:
    search = Search(config(strategy, RandomSeed=1))
    for _ in range(20):
        suggestion = search.ask()
        assert 0.01 <= float(suggestion.values["eta"]) <= 1
        assert suggestion.values["max_depth"] in map(str, range(1, 10))
        search.tell(suggestion, 1.0)


def test_a_logarithmic_range_is_searched_evenly_over_its_powers() -> None:
    search = Search(config("Random", {"ContinuousParameterRanges": [ETA]}, RandomSeed=1))
    values = [float(search.ask().values["eta"]) for _ in range(200)]
    assert 70 < sum(value < 0.1 for value in values) < 130


def test_a_reversed_logarithmic_range_is_searched_closely_at_its_upper_end() -> None:
    reverse = {**ETA, "MinValue": "0.5", "MaxValue": "0.999", "ScalingType": "ReverseLogarithmic"}
    search = Search(config("Random", {"ContinuousParameterRanges": [reverse]}, RandomSeed=1))
    values = [float(search.ask().values["eta"]) for _ in range(200)]
    assert all(0.5 <= value <= 0.999 for value in values)
    assert sum(value > 0.95 for value in values) > 100


def test_the_same_seed_gives_the_same_search() -> None:
    assert best_of_search("Bayesian", 3) == best_of_search("Bayesian", 3)
    assert best_of_search("Bayesian", 3) != best_of_search("Bayesian", 4)


@pytest.mark.parametrize("strategy", ["Grid", "Random", "Bayesian"])
def test_no_combination_is_tried_twice_while_others_remain(strategy: str) -> None:
    search = Search(config(strategy, SMALL, RandomSeed=1))
    tried = []
    for _ in range(6):
        suggestion = search.ask()
        tried.append((suggestion.values["eta"], suggestion.values["subsample"]))
        search.tell(suggestion, 1.0)
    assert sorted(tried) == sorted(itertools.product(["0.1", "0.2"], ["0.5", "0.75", "1"]))


def test_a_trial_that_could_not_start_is_the_next_one_again() -> None:
    search = Search(config("Random", RandomSeed=1))
    first = search.ask()
    search.give_back(first)
    assert search.ask().values == first.values


def test_a_warm_start_searches_near_the_best_trials_of_its_parents() -> None:
    grid = itertools.product(("0.02", "0.1", "0.5"), map(str, range(1, 10)))
    tried = [{"eta": eta, "max_depth": depth} for eta, depth in grid]
    known = [(values, loss(values)) for values in tried]

    def mean_of_first_trials(known: list[tuple[dict[str, str], float]]) -> float:
        searches = (Search(config("Bayesian", RandomSeed=seed), known) for seed in range(8))
        return statistics.fmean(loss(search.ask().values) for search in searches)

    assert mean_of_first_trials(known) < 0.25 * mean_of_first_trials([])


def test_a_trial_of_a_parent_outside_the_ranges_is_left_out() -> None:
    outside = [({"eta": "7", "max_depth": "3"}, 0.1), ({"max_depth": "3"}, 0.1)]
    assert Search(config("Bayesian", RandomSeed=1), outside).ask().values["max_depth"]


def test_hyperband_gives_up_trials_that_are_worse_than_others_after_the_same_rounds() -> None:
    resources = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 9}}
    search = Search(config("Hyperband", StrategyConfig=resources, RandomSeed=1))
    stopped = 0
    for number in range(12):
        suggestion = search.ask()
        weak = number % 2 == 1
        rounds = (
            search.is_hopeless(suggestion, round_, 10.0 if weak else 1.0 / round_)
            for round_ in range(1, 10)
        )
        gave_up = any(rounds)
        assert weak or not gave_up
        stopped += gave_up
        search.tell(suggestion, 10.0 if weak else 0.1)
    assert stopped >= 2


def test_early_stopping_compares_with_the_median_of_running_averages() -> None:
    # After two rounds the running averages are 3, 5 and 7; their median is 5.
    earlier = [[4.0, 2.0, 0.0], [6.0, 4.0], [8.0, 6.0, 9.0]]
    assert is_behind_the_median([9.0, 5.1], earlier, maximize=False)
    assert not is_behind_the_median([9.0, 5.0], earlier, maximize=False)
    assert is_behind_the_median([0.0, 4.9], earlier, maximize=True)
    assert not is_behind_the_median([], earlier, maximize=True)
    assert not is_behind_the_median([9.0], [], maximize=False)


def progress_of(*objectives: float, maximize: bool = False) -> SearchProgress:
    progress = SearchProgress(maximize)
    for objective in objectives:
        progress.add(objective)
    return progress


def test_a_search_is_complete_when_a_trial_reaches_the_target() -> None:
    criteria = {"TargetObjectiveMetricValue": 0.2}
    assert progress_of(0.5, 0.2, 0.4).is_complete(criteria)
    assert not progress_of(0.5, 0.21).is_complete(criteria)
    assert progress_of(0.1, 0.3, maximize=True).is_complete(criteria)


def test_trials_that_improve_by_less_than_one_percent_do_not_count_as_better() -> None:
    criteria = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    assert progress_of(1.0, 0.995, 0.994, 0.993).is_complete(criteria)
    assert progress_of(1.0, 0.995, 0.994, 0.993).best == 0.993
    assert not progress_of(1.0, 0.995, 0.994, 0.98).is_complete(criteria)


def test_a_search_that_is_no_better_for_long_has_converged() -> None:
    criteria = {"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}
    assert progress_of(1.0, *[2.0] * 10).is_complete(criteria)
    assert not progress_of(1.0, *[2.0] * 9).is_complete(criteria)
    disabled = {"ConvergenceDetected": {"CompleteOnConvergence": "Disabled"}}
    assert not progress_of(1.0, *[2.0] * 10).is_complete(disabled)
