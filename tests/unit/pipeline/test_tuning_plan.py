"""What a tuning job searches, which metric decides, and the request to SageMaker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.hyperparameters import RULES
from refit.domain.pipeline.training_plan import DataShape, plan_training
from refit.domain.pipeline.tuning_plan import TuningPlan, default_ranges, plan_tuning
from refit.domain.pipeline.tuning_request import tuning_request
from refit.domain.pipeline.xgboost_rules import BROKEN_METRICS
from refit.domain.training_settings import TrainingSettings
from refit.domain.tuning_settings import TUNABLE, NumberRange, TuningSettings

from tests.support.sagemaker_requests import assert_valid_request

DIGITS = DataShape("classification", 1437, 64, 10, 214_000, 26_800, True, 180, 0.09)
BINARY = replace(DIGITS, classes=2, rare_share=0.4)
CARS = replace(DIGITS, task="regression", classes=None, rare_share=None)
IMAGES = replace(DIGITS, features=784)
ON = {"max_jobs": 12}


def planned(
    shape: DataShape, tuning: dict[str, Any] | None = None, training: dict[str, Any] | None = None
) -> TuningPlan:
    settings = TrainingSettings(hyperparameters=training or {})
    metric = "rmse" if shape.task == "regression" else "accuracy"
    hyperparameters = plan_training(shape, settings, metric).hyperparameters
    return plan_tuning(shape, hyperparameters, settings, TuningSettings(**ON | (tuning or {})))


@pytest.mark.parametrize("shape", [DIGITS, BINARY, CARS, IMAGES])
def test_every_default_range_is_one_that_the_settings_would_allow(shape: DataShape) -> None:
    ranges = default_ranges(shape)
    assert TuningSettings(max_jobs=12, ranges=ranges).ranges == ranges
    for name, searched in ranges.items():
        assert name in TUNABLE
        assert isinstance(searched, NumberRange)
        assert RULES[name].allows(searched.min)


def test_wide_data_and_numbers_are_searched_in_other_ranges_than_classes() -> None:
    assert default_ranges(IMAGES) != default_ranges(DIGITS) != default_ranges(CARS)


@pytest.mark.parametrize(
    ("shape", "metric", "maximize"),
    [(DIGITS, "mlogloss", False), (BINARY, "logloss", False), (CARS, "rmse", False)],
)
def test_trials_are_compared_by_the_metric_that_early_stopping_uses(
    shape: DataShape, metric: str, maximize: bool
) -> None:
    plan = planned(shape)
    assert (plan.metric, plan.maximize) == (metric, maximize)


def test_a_metric_of_the_settings_decides_with_or_without_its_prefix() -> None:
    for name in ("auc", "validation:auc"):
        plan = planned(BINARY, {"metric": name})
        assert (plan.metric, plan.maximize) == ("auc", True)


@pytest.mark.parametrize("metric", sorted(BROKEN_METRICS))
def test_a_metric_that_the_container_keeps_constant_is_refused_with_the_reason(metric: str) -> None:
    with pytest.raises(SettingsInvalid, match="the same value in every round") as caught:
        planned(BINARY, {"metric": metric})
    assert "allowed: logloss, auc, aucpr, error" in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "metric"),
    [(DIGITS, "auc"), (BINARY, "mlogloss"), (CARS, "logloss"), (BINARY, "error@0.3")],
)
def test_a_metric_that_does_not_fit_the_objective_is_refused(shape: DataShape, metric: str) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be tuned with the objective"):
        planned(shape, {"metric": metric})


def test_ranking_metrics_need_enough_validation_rows_of_each_class() -> None:
    with pytest.raises(SettingsInvalid, match="rows of the rarest class"):
        planned(replace(BINARY, rare_share=0.01), {"metric": "auc"})


def test_without_validation_rows_there_is_nothing_to_compare_trials_by() -> None:
    with pytest.raises(SettingsInvalid, match="validation_fraction"):
        planned(replace(DIGITS, has_validation=False))


def test_what_the_settings_fix_is_not_searched() -> None:
    plan = planned(DIGITS, training={"learning_rate": 0.1, "num_round": 50})
    assert "eta" not in plan.ranges
    assert (plan.static["eta"], plan.static["num_round"]) == ("0.1", "50")


def test_a_hyperparameter_that_is_fixed_and_searched_is_refused() -> None:
    tuning = {"ranges": {"eta": [0.1, 0.3]}}
    with pytest.raises(SettingsInvalid, match=r"\[training.hyperparameters\] sets it to 0.1"):
        planned(DIGITS, tuning, {"eta": 0.1})


def test_if_everything_is_fixed_there_is_nothing_to_search() -> None:
    fixed = {name: 1 for name in default_ranges(DIGITS)}
    with pytest.raises(SettingsInvalid, match="fixes everything"):
        planned(DIGITS, training=fixed)


def test_no_hyperparameter_is_both_fixed_and_searched_and_small_steps_have_more_rounds() -> None:
    plan = planned(DIGITS)
    assert not plan.static.keys() & plan.ranges.keys()
    assert plan.static["num_round"] == "400"


def test_ranges_of_the_settings_replace_the_default_ones() -> None:
    assert list(planned(DIGITS, {"ranges": {"alpha": [0, 2.5]}}).ranges) == ["alpha"]


def request_of(tuning: dict[str, Any], shape: DataShape = DIGITS) -> dict[str, Any]:
    training: dict[str, Any] = {
        "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/jobs",
        "HyperParameters": {"num_round": "1"},
        "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "Tags": [{"Key": "refit:model", "Value": "digits"}],
    }
    settings = TuningSettings(**ON | tuning)
    request = tuning_request(training, planned(shape, tuning), settings)
    name = {"HyperParameterTuningJobName": "refit-0f1e2d3c4b5a-0"}
    assert_valid_request("CreateHyperParameterTuningJob", request | name)
    return request


def test_the_request_has_the_ranges_as_text_by_their_kind() -> None:
    ranges = {"max_depth": [3, 9], "eta": [0.05, 0.3], "subsample": ["0.5", "1"]}
    config = request_of({"ranges": ranges})["HyperParameterTuningJobConfig"]
    assert config["ParameterRanges"] == {
        "IntegerParameterRanges": [
            {"Name": "max_depth", "MinValue": "3", "MaxValue": "9", "ScalingType": "Auto"}
        ],
        "ContinuousParameterRanges": [
            {"Name": "eta", "MinValue": "0.05", "MaxValue": "0.3", "ScalingType": "Auto"}
        ],
        "CategoricalParameterRanges": [{"Name": "subsample", "Values": ["0.5", "1"]}],
    }


def test_the_request_names_the_metric_of_the_validation_channel_and_its_direction() -> None:
    request = request_of({"metric": "auc", "max_parallel": 20}, BINARY)
    config = request["HyperParameterTuningJobConfig"]
    objective = config["HyperParameterTuningJobObjective"]
    assert objective == {"Type": "Maximize", "MetricName": "validation:auc"}
    assert config["ResourceLimits"] == {
        "MaxNumberOfTrainingJobs": 12,
        "MaxParallelTrainingJobs": 12,
    }


def test_hyperband_gets_the_rounds_as_its_resource() -> None:
    config = request_of({"strategy": "hyperband"})["HyperParameterTuningJobConfig"]
    assert config["StrategyConfig"]["HyperbandStrategyConfig"] == {
        "MinResource": 14,
        "MaxResource": 400,
    }
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    searched = request_of({"strategy": "hyperband", "ranges": {"num_round": [10, 90]}})
    strategy = searched["HyperParameterTuningJobConfig"]["StrategyConfig"]
    assert strategy["HyperbandStrategyConfig"]["MaxResource"] == 90


def test_target_and_seed_are_sent_only_if_they_are_set() -> None:
    config = request_of({"target": 0.1, "seed": 7})["HyperParameterTuningJobConfig"]
    assert config["TuningJobCompletionCriteria"] == {"TargetObjectiveMetricValue": 0.1}
    assert config["RandomSeed"] == 7
    bare = request_of({})["HyperParameterTuningJobConfig"]
    assert not {"TuningJobCompletionCriteria", "RandomSeed", "StrategyConfig"} & bare.keys()
