"""The hyperparameters, instance and volume of a training job."""

from __future__ import annotations

from dataclasses import replace

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.model_settings import TrainingSettings
from refit.domain.pipeline.training_plan import DataShape, plan_training

DIGITS = DataShape("classification", 50_000, 784, 10, 91_000_000, 18_000_000, True)


def test_a_classification_is_trained_to_predict_probabilities() -> None:
    multiclass = plan_training(DIGITS, TrainingSettings(), "accuracy").hyperparameters
    binary = plan_training(
        replace(DIGITS, classes=2), TrainingSettings(), "accuracy"
    ).hyperparameters
    assert (multiclass["objective"], multiclass["num_class"]) == ("multi:softprob", "10")
    assert binary["objective"] == "binary:logistic"
    assert "num_class" not in binary


def test_early_stopping_is_requested_only_with_validation_data() -> None:
    with_validation = plan_training(DIGITS, TrainingSettings(), "accuracy").hyperparameters
    without = plan_training(replace(DIGITS, has_validation=False), TrainingSettings(), "accuracy")
    assert with_validation["early_stopping_rounds"]
    assert with_validation["eval_metric"].split(",")[-1] == "mlogloss"
    assert "early_stopping_rounds" not in without.hyperparameters


def test_hyperparameters_of_the_settings_override_the_defaults_and_are_text() -> None:
    settings = TrainingSettings(hyperparameters={"eta": 0.05, "num_round": 7, "lambda": 2})
    planned = plan_training(DIGITS, settings, "accuracy").hyperparameters
    assert (planned["eta"], planned["num_round"], planned["lambda"]) == ("0.05", "7", "2")
    assert all(isinstance(value, str) for value in planned.values())


@pytest.mark.parametrize(
    ("shape", "hyperparameters", "name"),
    [
        (DIGITS, {"objective": "multi:softmax"}, "multi:softmax"),
        (replace(DIGITS, task="regression"), {"objective": "binary:logistic"}, "binary:logistic"),
        (replace(DIGITS, classes=2), {"eval_metric": "logloss,f1"}, "f1"),
        (DIGITS, {"_kfold": 5}, "_kfold"),
        (DIGITS, {"csv_weights": 1}, "csv_weights"),
    ],
)
def test_an_unsupported_hyperparameter_is_refused_by_name(
    shape: DataShape, hyperparameters: dict[str, str | int | float | bool], name: str
) -> None:
    with pytest.raises(SettingsInvalid, match=name):
        plan_training(shape, TrainingSettings(hyperparameters=hyperparameters), "accuracy")


@pytest.mark.parametrize(
    ("rows", "instance"),
    [(1_000, "ml.m5.large"), (1_000_000, "ml.m5.2xlarge"), (5_000_000, "ml.m5.12xlarge")],
)
def test_the_instance_grows_with_the_data(rows: int, instance: str) -> None:
    shape = replace(DIGITS, train_rows=rows, train_bytes=rows * 1820, validation_bytes=0)
    assert plan_training(shape, TrainingSettings(), "accuracy").instance_type == instance


def test_data_that_is_too_large_for_every_instance_is_refused_and_names_the_setting() -> None:
    shape = replace(DIGITS, train_rows=50_000_000, train_bytes=10**11)
    with pytest.raises(SettingsInvalid, match="instance_type"):
        plan_training(shape, TrainingSettings(), "accuracy")


def test_the_volume_has_room_for_twice_the_data() -> None:
    shape = replace(DIGITS, train_bytes=10**10, validation_bytes=0)
    assert plan_training(shape, TrainingSettings(), "accuracy").volume_gb == 25
