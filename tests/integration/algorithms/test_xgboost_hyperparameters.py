"""Hyperparameters are accepted or refused as by the image, with the same messages."""

import json
import math

import pytest
from refit_local.algorithms.xgboost.errors import AlgorithmError, UserError
from refit_local.algorithms.xgboost.hyperparameters import validate
from xgboost_container import recordings

VECTORS = [
    vector
    for path in recordings("hyperparameter_vectors*.json")
    for vector in json.loads(path.read_text())
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: json.dumps(vector["in"])[:80])
def test_recorded_hyperparameters_get_the_recorded_result(vector):
    try:
        result = {"ok": validate(vector["in"])}
    except (UserError, AlgorithmError, KeyError, NameError, SyntaxError) as error:
        result = {"error": type(error).__name__, "message": str(error)}
    recorded = {key: value for key, value in vector.items() if key != "in"}
    # Compared as JSON, which includes the order of the hyperparameters.
    assert json.dumps(result) == json.dumps(recorded)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_depth", " 5 ", 5),
        ("max_depth", "+5", 5),
        ("max_depth", "1_0", 10),
        ("eta", "1e-1", 0.1),
        ("eta", " .5", 0.5),
        ("gamma", "inf", float("inf")),
        ("updater", "sync", ["sync"]),
    ],
)
def test_numbers_are_parsed_as_python_parses_them(name, text, value):
    assert validate({"num_round": "1", name: text})[name] == value


def test_nan_is_within_every_range():
    eta = validate({"num_round": "1", "eta": "nan"})["eta"]
    assert math.isnan(eta)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"max_depth": "5.0"},
            "Hyperparameter max_depth: could not parse value (caused by ValueError)",
        ),
        ({"gamma": "-inf"}, "Hyperparameter gamma: -inf is not in [0, +inf)"),
        (
            {"seed": "2147483647"},
            "Hyperparameter seed: 2147483647 is not in (-2147483648, 2147483647)",
        ),
        (
            {"updater": "shotgun"},
            "Tree updater should be selected from these options: 'grow_colmaker', "
            "'distcol', 'grow_histmaker', 'grow_skmaker', 'grow_quantile_histmaker', 'sync', "
            "'refresh', 'prune', 'shortgun', 'coord_descent'.",
        ),
        (
            {"updater": "grow_colmaker,distcol"},
            "Only one tree grow plugin can be selected. Choose one from thefollowing: "
            "'grow_colmaker', 'distcol', 'grow_histmaker', 'grow_skmaker'",
        ),
        (
            {"process_type": "update", "updater": "sync"},
            "process_type 'update' can only be used with updater 'refresh' and 'prune'",
        ),
        (
            {"objective": "binary:logistic", "eval_metric": "error@x"},
            "Threshold value 't' in 'error@t' expects float input.",
        ),
        (
            {"objective": "reg:gamma", "eval_metric": "aft-nloglik"},
            "Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.",
        ),
        (
            {"monotone_constraints": "(1,0)"},
            "monotone_constraints can be used only when the tree_method parameter is set to "
            "either 'exact' or 'hist'.",
        ),
        (
            {"tree_method": "auto", "interaction_constraints": "[[1]]"},
            "interaction_constraints can be used only when the tree_method parameter is set to "
            "either 'exact', 'hist' or 'approx'.",
        ),
        (
            {"tree_method": "hist", "interaction_constraints": "[[0,1]]"},
            "Hyperparameter interaction_constraints: value [[0, 1]] not in range [1, +inf)",
        ),
    ],
)
def test_an_invalid_value_is_refused_with_the_message_of_the_image(given, message):
    with pytest.raises(UserError) as refused:
        validate({"num_round": "1", **given})
    assert str(refused.value) == message


def test_an_invalid_threshold_is_reported_before_an_unknown_metric():
    with pytest.raises(UserError, match="Metric 'rmse@1' is not supported"):
        validate({"num_round": "1", "objective": "reg:gamma", "eval_metric": "nonsense,rmse@1"})


def test_an_unknown_name_is_reported_before_a_value_out_of_range():
    with pytest.raises(UserError, match="Extraneous hyperparameter found: foo"):
        validate({"num_round": "1", "eta": "7", "foo": "1"})


def test_a_value_that_cannot_be_parsed_is_reported_before_a_value_out_of_range():
    with pytest.raises(UserError, match="max_depth: could not parse"):
        validate({"num_round": "1", "eta": "7", "max_depth": "x"})


def test_the_last_of_a_name_and_its_alias_wins():
    assert validate({"num_round": "1", "eta": "0.1", "learning_rate": "0.2"})["eta"] == 0.2


def test_an_eval_metric_without_an_objective_fails_as_in_the_image():
    with pytest.raises(KeyError) as failed:
        validate({"num_round": "1", "eval_metric": "rmse"})
    assert str(failed.value) == "'objective'"


@pytest.mark.parametrize("text", ["1", "[[1]", "[1,2]", "abc", "__import__('os').system('x')"])
def test_a_malformed_constraint_is_refused_and_never_evaluated(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("monotone_constraints", "interaction_constraints"):
        with pytest.raises((UserError, AlgorithmError, SyntaxError, NameError)):
            validate(
                {"num_round": "1", "tree_method": "hist", name: text.replace("x", "touch ran")}
            )
    assert not (tmp_path / "ran").exists()


def test_a_constraint_of_the_wrong_type_is_an_algorithm_error():
    with pytest.raises(AlgorithmError) as failed:
        validate({"num_round": "1", "tree_method": "hist", "monotone_constraints": "1"})
    assert str(failed.value) == (
        "Hyperparameter monotone_constraints: unexpected failure when validating 1 "
        "(caused by TypeError)"
    )
