"""Which hyperparameters and instance types settings may have, decided when they are read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.hyperparameters import (
    ALIASES,
    RULES,
    Choice,
    Form,
    Listed,
    Number,
    check_hyperparameters,
)
from refit.domain.instance_types import instance_types
from refit.domain.model_settings import parse_settings
from refit_local.algorithms.xgboost.hyperparameter_table import Interval, table

# Refit does not cross-validate, tune or train on several GPUs.
NOT_SETTABLE = {"_kfold", "_num_cv_round", "_tuning_objective_metric", "use_dask_gpu_training"}
VECTORS = Path(__file__).parents[2] / "fixtures/xgboost/hyperparameter_vectors.json"


def read(key: str, value: str) -> None:
    parse_settings(f"[training.hyperparameters]\n{key} = {value}\n")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("monotone_constraints", '\'__import__("os").system("id")\''),
        ("monotone_constraints", "'(1,0,print(1))'"),
        ("monotone_constraints", "'(1)'"),
        ("monotone_constraints", "'(1,2)'"),
        ("monotone_constraints", "'(1,0'"),
        ("interaction_constraints", "'[[1,2],exit()]'"),
        ("interaction_constraints", "'[[0,1]]'"),
        ("interaction_constraints", "'[1,2]'"),
        ("eta", "1.5"),
        ("eta", "'nan'"),
        ("eta", "'0.1 or exit()'"),
        ("max_depth", "6.0"),
        ("max_depth", "true"),
        ("num_round", "0"),
        ("booster", "'tree'"),
        ("eval_metric", "'logloss,auc2'"),
        ("eval_metric", "'auc@0.5'"),
        ("eval_metric", "'error@x'"),
        ("seed", "2147483647"),
        ("scale_pos_weight", "0"),
        ("_kfold", "5"),
        ("device", "'cuda'"),
        ("sagemaker_program", "'train.py'"),
    ],
)
def test_what_the_container_must_not_get_is_refused_by_name_and_value(key: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=re.escape(f"{key} ")) as refused:
        read(key, value)
    assert "allowed: " in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("monotone_constraints", "'(1,0,-1)'"),
        ("monotone_constraints", "'(1, 0)'"),
        ("monotone_constraints", "'(1,)'"),
        ("interaction_constraints", "'[[1,2],[3]]'"),
        ("learning_rate", "0.1"),
        ("eta", "'1e-2'"),
        ("max_depth", "'6'"),
        ("save_model_on_termination", "true"),
        ("eval_metric", "'error@0.3,logloss'"),
        ("objective", "'count:poisson'"),
    ],
)
def test_what_the_container_takes_is_allowed(key: str, value: str) -> None:
    read(key, value)


def test_a_value_longer_than_sagemaker_allows_is_refused() -> None:
    read("monotone_constraints", repr("(" + ",".join(["1"] * 1249) + ")"))
    with pytest.raises(SettingsInvalid, match="2500"):
        read("monotone_constraints", repr("(" + ",".join(["1"] * 1250) + ")"))


def test_the_allowed_hyperparameters_are_those_of_the_image() -> None:
    assert set(RULES) == set(table().rows) - NOT_SETTABLE
    assert table().aliases == ALIASES


@pytest.mark.parametrize("name", RULES)
def test_the_range_of_a_hyperparameter_is_that_of_the_image(name: str) -> None:
    rule, row = RULES[name], table().rows[name]
    if isinstance(rule, Number):
        assert isinstance(row.allowed, Interval)
        same = (row.allowed.low, row.allowed.high, row.allowed.low_is_open)
        assert (rule.low, rule.high, rule.low_is_open) == same
        assert rule.high_is_open == row.allowed.high_is_open
        assert rule.whole == (row.kind == "integer")
    elif isinstance(rule, Choice | Listed):
        assert not isinstance(row.allowed, Interval)
        # The image lists the name of another hyperparameter among the objectives.
        assert set(rule.texts) == set(row.allowed) - {"aft_loss_distribution"}
    else:
        assert isinstance(rule, Form)
        assert row.kind in {"tuple", "nested list"}


def test_whatever_the_image_refuses_by_name_or_range_is_refused() -> None:
    vectors = json.loads(VECTORS.read_text())
    by_itself = ("Extraneous hyperparameter", "Hyperparameter ")
    refused = [one["in"] for one in vectors if one.get("message", "").startswith(by_itself)]
    assert refused
    for values in refused:
        with pytest.raises(ValueError, match="allowed"):
            check_hyperparameters(values)


@pytest.mark.parametrize("use", ["training", "endpoint"])
def test_the_instance_types_are_those_of_the_api(use: Any) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = {"training": "TrainingInstanceType", "endpoint": "ProductionVariantInstanceType"}[use]
    assert instance_types(use) == set(model.shape_for(shape).enum), "change instance_types.py"


@pytest.mark.parametrize(
    ("section", "name", "allowed"),
    [
        ("training", "ml.m5.huge", "ml.m5.large"),
        ("training", "ml.t2.medium", "families"),
        ("deployment", "ml.x9.large", "families"),
        ("deployment", "ml.t3.medium", "ml.t2"),
    ],
)
def test_an_instance_type_that_aws_would_refuse_is_refused(
    section: str, name: str, allowed: str
) -> None:
    with pytest.raises(SettingsInvalid, match=re.escape(f"'{name}'")) as refused:
        parse_settings(f"[{section}]\ninstance_type = '{name}'\n")
    assert allowed in str(refused.value)


@pytest.mark.parametrize(
    "line", ["volume_gb = 16385", "volume_gb = 0", "max_runtime_s = 432001", "max_wait_s = 432001"]
)
def test_a_size_or_time_that_aws_would_refuse_is_refused(line: str) -> None:
    with pytest.raises(SettingsInvalid, match=line.split(maxsplit=1)[0]):
        parse_settings(f"[training]\n{line}\n")
