"""The hyperparameters, instance and volume of a training job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.hyperparameters import check_hyperparameters
from refit.domain.pipeline.training_plan import DataShape, plan_training
from refit.domain.pipeline.xgboost_rules import BROKEN_METRICS
from refit.domain.quality_metrics import JUDGING, METRICS
from refit.domain.training_settings import TrainingSettings

if TYPE_CHECKING:
    from refit.domain.vocabulary import Task

METRICS_OF = {"classification": "accuracy", "regression": "rmse"}
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
        (DIGITS, {"csv_weights": 1}, "csv_weights"),
        (DIGITS, {"objective": "binary:logistic"}, "is for two, and there are 10"),
        (DIGITS, {"num_class": 7}, "num_class = 7: the label has 10 classes"),
        (replace(DIGITS, classes=2), {"num_class": 2}, "num_class = 2: with the objective"),
        (replace(DIGITS, task="regression", classes=None), {"num_class": 3}, "num_class = 3"),
        (DIGITS, {"eval_metric": "merror,auc"}, "eval_metric = auc"),
    ],
)
def test_an_unsupported_hyperparameter_is_refused_by_name(
    shape: DataShape, hyperparameters: dict[str, str | int | float | bool], name: str
) -> None:
    with pytest.raises(SettingsInvalid, match=name):
        plan_training(shape, TrainingSettings(hyperparameters=hyperparameters), "accuracy")


def test_the_container_reads_row_weights_exactly_if_the_data_has_them() -> None:
    weighted = replace(DIGITS, has_weights=True)
    assert (
        plan_training(weighted, TrainingSettings(), "accuracy").hyperparameters["csv_weights"]
        == "1"
    )
    assert (
        "csv_weights" not in plan_training(DIGITS, TrainingSettings(), "accuracy").hyperparameters
    )
    same = TrainingSettings(hyperparameters={"csv_weights": 1})
    assert plan_training(weighted, same, "accuracy").hyperparameters["csv_weights"] == "1"
    off = TrainingSettings(hyperparameters={"csv_weights": 0})
    with pytest.raises(SettingsInvalid, match=r"the row weights of \[data\] weight as a feature"):
        plan_training(weighted, off, "accuracy")
    with pytest.raises(SettingsInvalid, match=r"name the column of the row weights in \[data\]"):
        plan_training(DIGITS, same, "accuracy")


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


def planned(**changes: Any) -> dict[str, str]:
    shape = replace(DIGITS, features=20, **changes)
    metric = "rmse" if shape.task == "regression" else "accuracy"
    return plan_training(shape, TrainingSettings(), metric).hyperparameters


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("rows", [50, 1_000, 10_000, 1_000_000])
@pytest.mark.parametrize("features", [1, 10, 60, 784])
def test_what_is_planned_is_what_the_settings_would_allow(
    task: Task, classes: int, rows: int, features: int
) -> None:
    shape = DataShape(task, rows, features, classes, 10**6, 10**5, True)
    if task == "regression":
        shape = replace(shape, classes=None)
    check_hyperparameters(
        plan_training(shape, TrainingSettings(), METRICS_OF[task]).hyperparameters
    )


def test_more_rows_allow_deeper_trees() -> None:
    depths = [int(planned(train_rows=rows)["max_depth"]) for rows in (100, 3_000, 9_000, 50_000)]
    assert depths == sorted(set(depths))


def test_every_node_sees_all_columns_if_there_are_few() -> None:
    few, more = (
        plan_training(replace(DIGITS, features=features), TrainingSettings(), "accuracy")
        for features in (4, 20)
    )
    assert few.hyperparameters["colsample_bynode"] == "1"
    assert float(more.hyperparameters["colsample_bynode"]) < 1


def test_rounds_of_many_classes_take_larger_steps_and_let_sure_rows_be_split() -> None:
    pair, many = (planned(classes=classes, train_rows=1_000) for classes in (2, 10))
    assert float(many["eta"]) > float(pair["eta"])
    assert float(many["min_child_weight"]) < float(pair["min_child_weight"])


PAIR = replace(DIGITS, classes=2, validation_rows=200, rare_share=0.3)
NUMBERS = replace(DIGITS, task="regression", classes=None)


@pytest.mark.parametrize(
    ("shape", "metric", "stopping"),
    [
        (PAIR, "accuracy", "error,logloss"),
        (PAIR, "f1", "error,logloss"),
        (PAIR, "log_loss", "error,logloss"),
        (PAIR, "roc_auc", "error,auc"),
        (PAIR, "average_precision", "error,aucpr"),
        (DIGITS, "balanced_accuracy", "merror,mlogloss"),
        (NUMBERS, "rmse", "rmse"),
        (NUMBERS, "r2", "rmse"),
        (NUMBERS, "mae", "rmse,mae"),
        (NUMBERS, "median_absolute_error", "rmse,mae"),
        (NUMBERS, "mape", "rmse,mape"),
    ],
)
def test_the_last_metric_is_one_that_matches_the_gate(
    shape: DataShape, metric: str, stopping: str
) -> None:
    planned = plan_training(shape, TrainingSettings(), metric).hyperparameters
    assert planned["eval_metric"] == stopping


@pytest.mark.parametrize("metric", JUDGING)
def test_no_metric_stops_on_one_that_the_image_computes_wrongly(metric: str) -> None:
    shape = NUMBERS if METRICS[metric].task == "regression" else PAIR
    planned = plan_training(shape, TrainingSettings(), metric).hyperparameters
    assert not BROKEN_METRICS.intersection(planned["eval_metric"].split(","))


def test_a_ranking_is_not_stopped_on_if_the_rare_class_may_be_missing_in_validation() -> None:
    rare = replace(PAIR, rare_share=0.01)  # about two rows
    planned = plan_training(rare, TrainingSettings(), "roc_auc").hyperparameters
    assert planned["eval_metric"] == "error,logloss"


def test_the_average_precision_of_the_first_class_has_no_match() -> None:
    settings = TrainingSettings()
    first = plan_training(PAIR, settings, "average_precision", positive=0).hyperparameters
    second = plan_training(PAIR, settings, "average_precision", positive=1).hyperparameters
    assert (first["eval_metric"], second["eval_metric"]) == ("error,logloss", "error,aucpr")


def test_trees_of_many_classes_are_shallower_unless_there_are_many_rows() -> None:
    pairs, many = (
        [int(planned(classes=classes, train_rows=rows)["max_depth"]) for rows in (1_000, 50_000)]
        for classes in (2, 10)
    )
    assert many[0] == pairs[0] - 1
    assert many[1] == pairs[1]


def test_two_classes_with_the_objective_of_many_get_its_metrics_and_the_number_of_classes() -> None:
    settings = TrainingSettings(hyperparameters={"objective": "multi:softprob"})
    planned = plan_training(replace(DIGITS, classes=2), settings, "accuracy").hyperparameters
    assert (planned["num_class"], planned["eval_metric"]) == ("2", "merror,mlogloss")
    same = TrainingSettings(hyperparameters={"num_class": 10})
    assert plan_training(DIGITS, same, "accuracy").hyperparameters["num_class"] == "10"


def test_a_program_of_the_user_may_compute_metrics_of_its_own() -> None:
    settings = TrainingSettings(script="train.py", hyperparameters={"eval_metric": "rmse"})
    assert plan_training(DIGITS, settings, "accuracy").hyperparameters["eval_metric"] == "rmse"
