"""CreateHyperParameterTuningJob refuses what AWS refuses, before any training costs money."""

from __future__ import annotations

from typing import Any

import pytest
from local_sagemaker import tuning_request
from refit_local.sagemaker.tuning.checks import check_tuning
from refit_local.sagemaker.wire.errors import ResourceLimitExceeded, ValidationException
from refit_local.sagemaker.wire.requests import checked_request

ETA = {"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5"}
DEPTH = {"Name": "max_depth", "MinValue": "3", "MaxValue": "5"}
CATEGORIES = {"Name": "max_depth", "Values": ["3", "5", "7"]}


def create(request: dict[str, Any]) -> None:
    check_tuning(checked_request("CreateHyperParameterTuningJob", request))


def continuous(**changes: str) -> dict[str, Any]:
    return {"ContinuousParameterRanges": [{**ETA, **changes}]}


def hyperband(**resources: int) -> dict[str, Any]:
    return {"Strategy": "Hyperband", "StrategyConfig": {"HyperbandStrategyConfig": resources}}


def test_an_ordinary_request_is_accepted() -> None:
    create(tuning_request("a" * 32))
    create(tuning_request("band", **hyperband(MinResource=1, MaxResource=5)))


@pytest.mark.parametrize("name", ["a" * 33, "a--", "-a", "a_b", ""])
def test_a_name_has_at_most_32_letters_digits_and_hyphens(name: str) -> None:
    with pytest.raises(ValidationException, match="hyperParameterTuningJobName"):
        create(tuning_request(name))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ranges": {"ContinuousParameterRanges": []}}, "At least one hyperparameter range"),
        ({"ranges": continuous(Name="max_bin")}, r"untunable hyperparameters: \[max_bin\]"),
        ({"ranges": continuous(MinValue="0.5")}, "less than its MaxValue"),
        ({"ranges": continuous(MinValue="low")}, "must be numbers"),
        ({"ranges": continuous(MinValue="0", ScalingType="Logarithmic")}, "greater than 0"),
        ({"ranges": continuous(MaxValue="1", ScalingType="ReverseLogarithmic")}, "0 <= x < 1"),
        ({"ranges": continuous(Name="max_depth")}, "max_depth is an integer hyperparameter"),
        ({"ranges": {"IntegerParameterRanges": [{**DEPTH, "MinValue": "3.5"}]}}, "be integers"),
        ({"static": {"eta": "0.1"}}, "must have one range, or be static: eta"),
        (
            {"ranges": {"ContinuousParameterRanges": [ETA, ETA]}},
            "must have one range, or be static: eta",
        ),
        ({"jobs": 4, "ranges": {"IntegerParameterRanges": [DEPTH]}}, r"ranges \[3.0\]"),
        ({"jobs": 2, "parallel": 3}, "MaxParallelTrainingJobs must be at most"),
        ({"Strategy": "Grid"}, "Grid supports only categorical parameters"),
        (
            {
                "jobs": 2,
                "Strategy": "Grid",
                "ranges": {"CategoricalParameterRanges": [CATEGORIES]},
            },
            "must be equal to 3",
        ),
        (
            {**hyperband(MinResource=1, MaxResource=9), "TrainingJobEarlyStoppingType": "Auto"},
            "must be Off for the strategy Hyperband",
        ),
        (hyperband(MinResource=1), "MaxResource is required"),
        (hyperband(MinResource=9, MaxResource=9), "MinResource must be less"),
        (hyperband(MinResource=9, MaxResource=20_001), "at most 20000"),
        (
            {**hyperband(MinResource=1, MaxResource=9), "Strategy": "Random"},
            "for the strategy Hyperband only",
        ),
        (
            {
                "HyperParameterTuningJobObjective": {
                    "Type": "Minimize",
                    "MetricName": "validation:loss",
                }
            },
            "A metric is required for this hyperparameter tuning job objective",
        ),
        (
            {
                "TuningJobCompletionCriteria": {
                    "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 2}
                }
            },
            "greater than or equal to 3",
        ),
        (
            {
                "ranges": {
                    "CategoricalParameterRanges": [
                        {"Name": "max_depth", "Values": [str(n) for n in range(31)]}
                    ]
                }
            },
            "length less than or equal to 30",
        ),
        (
            {"static": {f"key{number}": "1" for number in range(97)}},
            "At most 100 hyperparameters",
        ),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationException, match=text):
        create(tuning_request("t", **changes))


@pytest.mark.parametrize("limits", [{"jobs": 501}, {"jobs": 20, "parallel": 11}])
def test_the_default_quotas_of_tuning_jobs_are_enforced(limits: dict[str, int]) -> None:
    with pytest.raises(ResourceLimitExceeded):
        create(tuning_request("t", **limits))


def test_a_grid_search_needs_no_number_of_jobs() -> None:
    ranges = {"CategoricalParameterRanges": [CATEGORIES]}
    request = tuning_request("t", Strategy="Grid", ranges=ranges)
    del request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    create(request)
    request["HyperParameterTuningJobConfig"]["Strategy"] = "Random"
    with pytest.raises(ValidationException, match="MaxNumberOfTrainingJobs is required"):
        create(request)


@pytest.mark.parametrize("member", ["Autotune", "TrainingJobDefinitions"])
def test_what_is_not_built_is_refused_by_name(member: str) -> None:
    request = tuning_request("t")
    definition = request["TrainingJobDefinition"]
    value: Any = {"Mode": "Enabled"} if member == "Autotune" else [definition]
    with pytest.raises(ValidationException, match=f"does not implement {member}"):
        create({**request, member: value})
