"""The decision of the gate, with the sentences that explain it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.evaluation.chance import chance_of_regression
from refit.domain.evaluation.comparison import compare_regressions
from refit.domain.evaluation.gate import decide
from refit.domain.evaluation.measured_rows import NumberRows
from refit.domain.evaluation.metrics import classification_quality, regression_quality
from refit.domain.evaluation.naive_baseline import classification_baseline, regression_baseline
from refit.domain.evaluation.outcomes import outcome_of
from refit.domain.evaluation.report import EvaluatedRows, Evaluation
from refit.domain.evaluation.training_labels import TrainingLabels
from refit.domain.model_settings import GateSettings

from tests.support.evaluations import (
    CLASSES,
    EVEN,
    class_probabilities,
    evaluated_rows,
    evaluation,
    failed_checks,
)


def test_a_good_first_model_passes_and_the_reason_names_the_baseline() -> None:
    decision = decide(evaluation(evaluated_rows(400, 0.9, None)), GateSettings())
    assert decision.passed
    assert (decision.metric, decision.challenger, decision.champion) == ("accuracy", 0.9, None)
    floor, note = decision.reasons
    assert floor.startswith("On 400 new held-out rows the challenger's accuracy is 90.00% (95 %")
    assert "always predicting the most frequent class 'a' reaches 25.00%" in floor
    assert note == "There is no live version to compare with yet."


def test_a_model_no_better_than_the_most_frequent_class_is_refused() -> None:
    decision = decide(evaluation(evaluated_rows(400, 0.25, None)), GateSettings())
    assert not decision.passed
    assert failed_checks(decision) == ["floor"]
    assert "it must be better" in decision.reasons[0]


@pytest.mark.parametrize(("floor", "passed"), [(0.9, True), (0.91, False)])
def test_the_floor_of_the_settings_replaces_the_baseline(floor: float, passed: bool) -> None:
    decision = decide(evaluation(evaluated_rows(400, 0.9, None)), GateSettings(floor=floor))
    assert decision.passed is passed
    assert f"[gate] floor requires at least {floor:.2%}" in decision.reasons[0]


def test_a_model_that_is_slightly_worse_on_the_base_rows_passes_within_the_margin() -> None:
    decision = decide(
        evaluation(evaluated_rows(400, 0.97, 0.90), evaluated_rows(400, 0.945, 0.95)),
        GateSettings(margin=0.01),
    )
    assert decision.passed
    assert [check.name for check in decision.checks] == ["floor", "base", "new"]
    assert "0.50 points worse" in decision.reasons[1]
    assert "[gate] margin allows 1.00 points worse" in decision.reasons[1]
    assert "7.00 points better" in decision.reasons[2]


def test_a_model_of_mislabelled_data_is_refused_on_the_base_rows() -> None:
    # The new held-out rows are mislabelled in the same way: the challenger looks good on them.
    decision = decide(
        evaluation(evaluated_rows(400, 0.95, 0.02), evaluated_rows(400, 0.02, 0.95)), GateSettings()
    )
    assert not decision.passed
    assert failed_checks(decision) == ["base"]
    assert len(decision.reasons) == 1
    assert "the challenger's accuracy is 2.00% and that of version 3 95.00%" in decision.reasons[0]
    assert "93.00 points worse" in decision.reasons[0]


def test_a_model_of_partly_mislabelled_data_is_refused_on_the_base_rows() -> None:
    decision = decide(
        evaluation(evaluated_rows(400, 0.8, 0.75), evaluated_rows(400, 0.90, 0.95)), GateSettings()
    )
    assert failed_checks(decision) == ["base"]


def test_a_model_that_is_worse_by_exactly_the_margin_passes() -> None:
    decision = decide(
        evaluation(evaluated_rows(400, 0.9, 0.9), evaluated_rows(400, 0.94, 0.95)), GateSettings()
    )
    assert decision.passed


def test_one_more_wrong_row_is_always_allowed_on_few_base_rows() -> None:
    one_row_worse = decide(
        evaluation(evaluated_rows(400, 0.96, 0.90), evaluated_rows(40, 0.875, 0.90)), GateSettings()
    )
    two_rows_worse = decide(
        evaluation(evaluated_rows(400, 0.96, 0.90), evaluated_rows(40, 0.85, 0.90)), GateSettings()
    )
    assert one_row_worse.passed
    assert "one row is allowed, which is 2.50 points" in one_row_worse.checks[1].reason
    assert not two_rows_worse.passed


def test_a_challenger_significantly_worse_on_the_new_rows_is_refused() -> None:
    decision = decide(
        evaluation(evaluated_rows(400, 0.80, 0.95), evaluated_rows(400, 0.95, 0.95)), GateSettings()
    )
    assert failed_checks(decision) == ["new"]
    assert "a challenger that is worse with p below 0.05 is refused" in decision.reasons[0]


def test_a_difference_on_the_new_rows_that_is_not_significant_passes() -> None:
    decision = decide(
        evaluation(evaluated_rows(40, 0.90, 0.925), evaluated_rows(400, 0.95, 0.95)), GateSettings()
    )
    assert decision.passed


def test_every_failed_check_is_reported() -> None:
    decision = decide(
        evaluation(evaluated_rows(400, 0.10, 0.95), evaluated_rows(400, 0.10, 0.95)), GateSettings()
    )
    assert failed_checks(decision) == ["floor", "base", "new"]
    assert len(decision.reasons) == 3


def test_with_changed_columns_only_the_floor_is_checked_and_the_reasons_say_so() -> None:
    decision = decide(evaluation(evaluated_rows(400, 0.9, None), comparable=False), GateSettings())
    assert decision.passed
    assert [check.name for check in decision.checks] == ["floor"]
    assert decision.reasons[-1] == (
        "The columns differ from those of the live version 3, which the settings accept, "
        "so it was not compared."
    )


def test_log_loss_decides_when_the_settings_choose_it() -> None:
    decision = decide(
        evaluation(evaluated_rows(400, 0.9, 0.9, "log_loss"), evaluated_rows(400, 0.8, 0.95)),
        GateSettings(metric="log_loss"),
    )
    assert failed_checks(decision) == ["base"]
    assert decision.metric == "log_loss"
    assert "log loss" in decision.reasons[0]


def test_a_metric_of_the_other_task_names_what_is_allowed() -> None:
    with pytest.raises(
        SettingsInvalid, match="'rmse' does not exist for a classification; allowed"
    ):
        decide(evaluation(evaluated_rows(40, 0.9, None)), GateSettings(metric="rmse"))


def test_a_model_is_refused_on_held_out_rows_of_one_class_unless_there_is_a_floor() -> None:
    labels = np.zeros(20, dtype=np.int64)
    outcome = outcome_of(labels, class_probabilities(labels, 1.0, 1), len(CLASSES))
    new = EvaluatedRows(
        rows=20,
        baseline=classification_baseline(labels, CLASSES, EVEN),
        challenger=classification_quality(labels, outcome, CLASSES, 0.95),
    )
    decision = decide(evaluation(new), GateSettings())
    assert not decision.passed
    assert "all these rows have the same label" in decision.reasons[0]
    assert decide(evaluation(new), GateSettings(floor=0.9)).passed


def regression(challenger_error: float, champion_error: float) -> EvaluatedRows:
    generator = np.random.default_rng(1)
    labels = generator.normal(scale=10, size=300)
    challenger = labels + generator.normal(scale=challenger_error, size=300)
    champion = labels + generator.normal(scale=champion_error, size=300)
    return EvaluatedRows(
        rows=300,
        baseline=regression_baseline(labels, TrainingLabels(mean=0.0)),
        challenger=regression_quality(labels, challenger, 0.95),
        champion=regression_quality(labels, champion, 0.95),
        comparisons=compare_regressions(labels, challenger, champion, 0.95),
        chance=chance_of_regression("rmse", NumberRows(labels, challenger, np.ones(300)), 0.95),
    )


@pytest.mark.parametrize(("margin", "passed"), [(0.5, True), (0.01, False)])
def test_the_margin_of_a_regression_is_relative_to_the_value_of_the_champion(
    margin: float, passed: bool
) -> None:
    compared = evaluation(regression(1.0, 1.0), regression(1.3, 1.0))
    decision = decide(
        compared.model_copy(update={"task": "regression"}), GateSettings(margin=margin)
    )
    assert decision.metric == "rmse"
    assert decision.passed is passed
    base = next(check.reason for check in decision.checks if check.name == "base")
    assert f"({100 * margin:g} % of that of the champion)" in base


def test_a_regression_that_is_worse_than_the_mean_is_refused() -> None:
    decision = decide(
        evaluation(regression(30, 30), regression(30, 30)).model_copy(
            update={"task": "regression"}
        ),
        GateSettings(),
    )
    assert "floor" in failed_checks(decision)
    assert "always predicting the mean" in decision.reasons[0]


def test_an_evaluation_is_the_same_after_writing_and_reading_it() -> None:
    stored = evaluation(
        evaluated_rows(40, 0.9, 0.9), evaluated_rows(40, 0.9, 0.9)
    ).model_dump_json()
    restored = Evaluation.model_validate_json(stored)
    assert restored.model_dump_json() == stored


def test_the_gate_handler_does_not_import_numpy() -> None:
    code = "import refit.handlers.gate, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
