"""The gate's rule, each case with the sentence that a person reads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from refit.domain.comparison import compare_classifiers, compare_regressions
from refit.domain.errors import SettingsInvalid
from refit.domain.evaluation import ChampionRun, EvaluatedRows, Evaluation
from refit.domain.gate import Decision, decide
from refit.domain.metrics import (
    classification_baseline,
    classification_quality,
    outcome_of,
    regression_baseline,
    regression_quality,
)
from refit.domain.spec import GateSettings

CLASSES = ("a", "b", "c", "d")
CHAMPION = ChampionRun(run="a1b2c3d4e5f6", version=3)


def predictions(labels: np.ndarray, right: float, seed: int) -> np.ndarray:
    """Class probabilities that are right on an exact share of the rows."""
    generator = np.random.default_rng(seed)
    predicted = labels.copy()
    wrong = generator.permutation(len(labels))[: round((1 - right) * len(labels))]
    predicted[wrong] = (labels[wrong] + 1) % len(CLASSES)
    probabilities = np.full((len(labels), len(CLASSES)), 0.1)
    probabilities[np.arange(len(labels)), predicted] = 0.7
    return probabilities


def rows(count: int, challenger: float, champion: float | None) -> EvaluatedRows:
    """Held-out rows on which the models are right on these shares."""
    labels = np.arange(count) % len(CLASSES)
    mine = outcome_of(labels, predictions(labels, challenger, 1), len(CLASSES))
    evaluated = EvaluatedRows(
        rows=count,
        baseline=classification_baseline(labels, CLASSES),
        challenger=classification_quality(labels, mine, CLASSES, 0.95),
    )
    if champion is None:
        return evaluated
    other = outcome_of(labels, predictions(labels, champion, 2), len(CLASSES))
    return evaluated.model_copy(
        update={
            "champion": classification_quality(labels, other, CLASSES, 0.95),
            "comparisons": compare_classifiers(labels, mine, other, 0.95),
        }
    )


def evaluation(
    new: EvaluatedRows, base: EvaluatedRows | None = None, comparable: bool | None = None
) -> Evaluation:
    return Evaluation(
        model="digits",
        run="0f1e2d3c4b5a",
        task="classification",
        classes=CLASSES,
        confidence=0.95,
        champion=CHAMPION if base or comparable is False else None,
        comparable=base is not None,
        new=new,
        base=base,
    )


def failed(decision: Decision) -> list[str]:
    return [check.name for check in decision.checks if not check.passed]


def test_the_first_good_model_passes_and_the_reason_says_against_what() -> None:
    decision = decide(evaluation(rows(400, 0.9, None)), GateSettings())
    assert decision.passed
    assert (decision.metric, decision.challenger, decision.champion) == ("accuracy", 0.9, None)
    floor, note = decision.reasons
    assert floor.startswith("On 400 new held-out rows the challenger's accuracy is 90.00% (95 %")
    assert "always giving the commonest class 'a' reaches 25.00%" in floor
    assert note == "There is no live version to compare with yet."


def test_a_model_no_better_than_the_commonest_class_is_refused() -> None:
    decision = decide(evaluation(rows(400, 0.25, None)), GateSettings())
    assert not decision.passed
    assert failed(decision) == ["floor"]
    assert "must be better than that" in decision.reasons[0]


@pytest.mark.parametrize(("floor", "passed"), [(0.9, True), (0.91, False)])
def test_a_floor_of_the_settings_counts_in_place_of_the_baseline(
    floor: float, passed: bool
) -> None:
    decision = decide(evaluation(rows(400, 0.9, None)), GateSettings(floor=floor))
    assert decision.passed is passed
    assert f"[gate] floor asks for at least {floor:.2%}" in decision.reasons[0]


def test_better_data_passes_although_it_loses_a_little_on_base() -> None:
    decision = decide(
        evaluation(rows(400, 0.97, 0.90), rows(400, 0.945, 0.95)), GateSettings(margin=0.01)
    )
    assert decision.passed
    assert [check.name for check in decision.checks] == ["floor", "base", "new"]
    assert "0.50 points worse" in decision.reasons[1]
    assert "[gate] margin allows 1.00 points worse" in decision.reasons[1]
    assert "7.00 points better" in decision.reasons[2]


def test_mislabelled_data_is_refused_by_the_champions_own_rows() -> None:
    # Its held-out rows are wrong in the same way: there the challenger looks good.
    decision = decide(evaluation(rows(400, 0.95, 0.02), rows(400, 0.02, 0.95)), GateSettings())
    assert not decision.passed
    assert failed(decision) == ["base"]
    assert len(decision.reasons) == 1
    assert "the challenger's accuracy is 2.00% and that of version 3 95.00%" in decision.reasons[0]
    assert "93.00 points worse" in decision.reasons[0]


def test_partly_mislabelled_data_is_refused_too() -> None:
    decision = decide(evaluation(rows(400, 0.8, 0.75), rows(400, 0.90, 0.95)), GateSettings())
    assert failed(decision) == ["base"]


def test_a_loss_of_exactly_the_margin_passes() -> None:
    decision = decide(evaluation(rows(400, 0.9, 0.9), rows(400, 0.94, 0.95)), GateSettings())
    assert decision.passed


def test_one_row_of_few_is_no_loss_and_two_are() -> None:
    one = decide(evaluation(rows(400, 0.96, 0.90), rows(40, 0.875, 0.90)), GateSettings())
    two = decide(evaluation(rows(400, 0.96, 0.90), rows(40, 0.85, 0.90)), GateSettings())
    assert one.passed
    assert "one row is allowed, which is 2.50 points" in one.checks[1].reason
    assert not two.passed


def test_a_challenger_significantly_worse_on_the_new_rows_is_refused() -> None:
    decision = decide(evaluation(rows(400, 0.80, 0.95), rows(400, 0.95, 0.95)), GateSettings())
    assert failed(decision) == ["new"]
    assert "worse with p below 0.05 is refused" in decision.reasons[0]


def test_a_difference_within_noise_on_the_new_rows_passes() -> None:
    decision = decide(evaluation(rows(40, 0.90, 0.925), rows(400, 0.95, 0.95)), GateSettings())
    assert decision.passed


def test_every_failed_check_is_told() -> None:
    decision = decide(evaluation(rows(400, 0.10, 0.95), rows(400, 0.10, 0.95)), GateSettings())
    assert failed(decision) == ["floor", "base", "new"]
    assert len(decision.reasons) == 3


def test_changed_columns_that_the_settings_accept_leave_only_the_floor_and_say_so() -> None:
    decision = decide(evaluation(rows(400, 0.9, None), comparable=False), GateSettings())
    assert decision.passed
    assert [check.name for check in decision.checks] == ["floor"]
    assert decision.reasons[-1] == (
        "The columns differ from those of the live version 3, which the settings accept, "
        "so it was not compared."
    )


def test_log_loss_decides_when_it_is_asked_for() -> None:
    decision = decide(
        evaluation(rows(400, 0.9, 0.9), rows(400, 0.8, 0.95)), GateSettings(metric="log_loss")
    )
    assert failed(decision) == ["base"]
    assert decision.metric == "log_loss"
    assert "log loss" in decision.reasons[0]


def test_a_metric_of_the_other_task_names_what_is_allowed() -> None:
    with pytest.raises(
        SettingsInvalid, match="'rmse' does not exist for a classification; allowed"
    ):
        decide(evaluation(rows(40, 0.9, None)), GateSettings(metric="rmse"))


def test_held_out_rows_of_one_class_cannot_show_that_a_model_is_good() -> None:
    labels = np.zeros(20, dtype=np.int64)
    outcome = outcome_of(labels, predictions(labels, 1.0, 1), len(CLASSES))
    new = EvaluatedRows(
        rows=20,
        baseline=classification_baseline(labels, CLASSES),
        challenger=classification_quality(labels, outcome, CLASSES, 0.95),
    )
    decision = decide(evaluation(new), GateSettings())
    assert not decision.passed
    assert "all these rows have the same label" in decision.reasons[0]
    assert decide(evaluation(new), GateSettings(floor=0.9)).passed


def regression(challenger_error: float, champion_error: float) -> EvaluatedRows:
    generator = np.random.default_rng(1)
    labels = generator.normal(scale=10, size=300)
    mine = labels + generator.normal(scale=challenger_error, size=300)
    other = labels + generator.normal(scale=champion_error, size=300)
    return EvaluatedRows(
        rows=300,
        baseline=regression_baseline(labels),
        challenger=regression_quality(labels, mine, 0.95),
        champion=regression_quality(labels, other, 0.95),
        comparisons=compare_regressions(labels, mine, other, 0.95),
    )


@pytest.mark.parametrize(("margin", "passed"), [(0.5, True), (0.01, False)])
def test_the_margin_of_a_regression_is_a_share_of_the_champions_value(
    margin: float, passed: bool
) -> None:
    compared = evaluation(regression(1.0, 1.0), regression(1.3, 1.0))
    decision = decide(
        compared.model_copy(update={"task": "regression"}), GateSettings(margin=margin)
    )
    assert decision.metric == "rmse"
    assert decision.passed is passed
    base = next(check.reason for check in decision.checks if check.name == "base")
    assert f"({100 * margin:g} % of the champion's)" in base


def test_a_regression_worse_than_the_mean_is_refused() -> None:
    decision = decide(
        evaluation(regression(30, 30), regression(30, 30)).model_copy(
            update={"task": "regression"}
        ),
        GateSettings(),
    )
    assert "floor" in failed(decision)
    assert "always giving the mean" in decision.reasons[0]


def test_an_evaluation_survives_being_stored() -> None:
    stored = evaluation(rows(40, 0.9, 0.9), rows(40, 0.9, 0.9)).model_dump_json()
    restored = Evaluation.model_validate_json(stored)
    assert restored.model_dump_json() == stored


def test_the_gate_needs_no_numpy() -> None:
    code = "import refit.handlers.gate, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
