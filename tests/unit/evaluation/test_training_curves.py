"""The metrics of each round: how a line is read, and what is kept of a whole log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.evaluation.training_curves import (
    BestRound,
    BoostingRound,
    TrainedJob,
    best_round,
    curves_of,
    parse_round,
    shown_metric,
)

JOB = TrainedJob("refit-digits-r1-0", "training")
ORACLES = Path(__file__).parents[2] / "fixtures" / "xgboost" / "oracle"


def test_a_line_of_the_container_gives_its_metrics():
    line = "[12]\ttrain-mlogloss:0.50439\tvalidation-mlogloss:0.51634"
    assert parse_round(line) == BoostingRound(
        12, {"train-mlogloss": 0.50439, "validation-mlogloss": 0.51634}
    )


def test_a_tab_as_cloudwatch_shows_it_is_read():
    line = "[0]#011train-rmse:3.2e-05#011validation-rmse:1"
    assert parse_round(line) == BoostingRound(0, {"train-rmse": 3.2e-05, "validation-rmse": 1.0})


@pytest.mark.parametrize(
    "line",
    [
        "[2026-11-24:00:00:00:INFO] Running XGBoost",
        "[3] something else",
        "",
        "[1]#011train-rmse:abc",
        "TRAIN_JOB_DEBUG: x",
    ],
)
def test_any_other_line_has_no_metrics(line):
    assert parse_round(line) is None


@given(st.text())
def test_no_line_is_an_error(line):
    curves_of(JOB, [line, f"[0]\t{line}", f"[{line}]\ttrain-rmse:1"])


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_a_value_that_is_no_number_is_left_out(text):
    line = f"[0]#011train-auc:0.9#011validation-auc:{text}"
    assert parse_round(line) == BoostingRound(0, {"train-auc": 0.9})


@pytest.mark.parametrize("oracle", ["binary_logistic", "multi_softprob", "reg_squarederror"])
def test_the_recorded_output_of_the_container_is_read_completely(oracle):
    lines = (ORACLES / oracle / "metrics.log").read_text().splitlines()
    curves = curves_of(JOB, [line.replace("\t", "#011") for line in lines])
    assert curves.rounds == len(lines)
    assert all(len(values) == len(lines) for values in curves.metrics.values())
    assert all(None not in values for values in curves.metrics.values())


def test_the_curves_have_the_value_of_each_round_and_the_best_round():
    lines = [
        "[2026-11-24:00:00:00:INFO] Running XGBoost",
        *(
            f"[{at}]#011train-auc:0.8{at}#011validation-auc:{value}"
            for at, value in enumerate((0.7, 0.9, 0.9, 0.8))
        ),
    ]
    curves = curves_of(JOB, lines)
    assert (curves.job, curves.title, curves.rounds) == ("refit-digits-r1-0", "training", 4)
    assert curves.metrics["validation-auc"] == (0.7, 0.9, 0.9, 0.8)
    assert curves.best == BestRound(metric="validation-auc", round=1, value=0.9)
    assert json.loads(curves.model_dump_json())["metrics"]["train-auc"] == [0.8, 0.81, 0.82, 0.83]


def test_a_round_that_is_missing_or_has_no_number_keeps_its_place():
    lines = ["[0]#011validation-auc:0.5", "[1]#011validation-auc:nan", "[3]#011validation-auc:0.7"]
    curves = curves_of(JOB, lines)
    assert curves.metrics["validation-auc"] == (0.5, None, None, 0.7)
    assert curves.best == BestRound(metric="validation-auc", round=3, value=0.7)


def test_a_line_that_is_delivered_twice_counts_once():
    line = "[1]#011train-rmse:2"
    assert curves_of(JOB, ["[0]#011train-rmse:3", line, line]).metrics == {"train-rmse": (3.0, 2.0)}


def test_after_an_interruption_the_training_begins_again_from_round_0():
    lines = [f"[{at}]#011train-rmse:{9 - at}" for at in range(5)] + ["[0]#011train-rmse:9"]
    assert curves_of(JOB, lines).metrics == {"train-rmse": (9.0,)}


def test_a_log_without_rounds_says_so():
    curves = curves_of(JOB, ["hello"])
    assert (curves.rounds, curves.metrics, curves.best) == (0, {}, None)
    assert curves.missing == "its log has no metrics of rounds"


@pytest.mark.parametrize(
    ("metrics", "best"),
    [
        ({"validation-error": (0.1, 0.3), "validation-logloss": (0.6, 0.5)}, 1),
        ({"validation-error@0.3": (0.1, 0.3)}, 0),
        ({"validation-ndcg@5": (0.1, 0.3)}, 1),
        ({"train-rmse": (2.0, 1.0)}, None),
        ({"validation-my-own": (2.0, 1.0)}, None),
        ({"validation-rmse": (None,)}, None),
        ({}, None),
    ],
)
def test_the_last_validation_metric_decides_the_best_round_if_its_direction_is_known(metrics, best):
    found = best_round(metrics)
    assert (found and found.round) == best


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train-a", "validation-a", "validation-b"], "validation-b"),
        (["train-a"], "train-a"),
        ([], None),
    ],
)
def test_the_metric_shown_is_the_last_on_validation_data(names, expected):
    assert shown_metric(names) == expected
