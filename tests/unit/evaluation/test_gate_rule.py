"""The decision of the gate, with the sentences that explain it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from refit.domain.errors import SettingsInvalid
from refit.domain.evaluation.comparison import compare_classifiers, compare_regressions
from refit.domain.evaluation.gate import GateDecision, RetrainingContext, decide
from refit.domain.evaluation.metrics import (
    classification_baseline,
    classification_quality,
    outcome_of,
    regression_baseline,
    regression_quality,
)
from refit.domain.evaluation.report import ChampionRun, EvaluatedRows, Evaluation
from refit.domain.model_settings import GateSettings

CLASSES = ("a", "b", "c", "d")
CHAMPION = ChampionRun(run="a1b2c3d4e5f6", version=3)


def predictions(labels: np.ndarray, accuracy: float, seed: int) -> np.ndarray:
    """Return class probabilities with exactly this accuracy."""
    generator = np.random.default_rng(seed)
    predicted = labels.copy()
    wrong = generator.permutation(len(labels))[: round((1 - accuracy) * len(labels))]
    predicted[wrong] = (labels[wrong] + 1) % len(CLASSES)
    probabilities = np.full((len(labels), len(CLASSES)), 0.1)
    probabilities[np.arange(len(labels)), predicted] = 0.7
    return probabilities


def rows(count: int, challenger: float, champion: float | None) -> EvaluatedRows:
    """Return held-out rows on which the models have these accuracies."""
    labels = np.arange(count) % len(CLASSES)
    challenger_outcome = outcome_of(labels, predictions(labels, challenger, 1), len(CLASSES))
    evaluated = EvaluatedRows(
        rows=count,
        baseline=classification_baseline(labels, CLASSES),
        challenger=classification_quality(labels, challenger_outcome, CLASSES, 0.95),
    )
    if champion is None:
        return evaluated
    champion_outcome = outcome_of(labels, predictions(labels, champion, 2), len(CLASSES))
    return evaluated.model_copy(
        update={
            "champion": classification_quality(labels, champion_outcome, CLASSES, 0.95),
            "comparisons": compare_classifiers(labels, challenger_outcome, champion_outcome, 0.95),
        }
    )


def evaluation(
    new: EvaluatedRows,
    base: EvaluatedRows | None = None,
    fresh: EvaluatedRows | None = None,
    comparable: bool | None = None,
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
        fresh=fresh,
    )


RETRAINING = RetrainingContext(
    base_margin=0.05, test_fraction=0.1, dropped=1438, labelled=550, held_out=62, lost={}
)


def failed(decision: GateDecision) -> list[str]:
    return [check.name for check in decision.checks if not check.passed]


def test_a_good_first_model_passes_and_the_reason_names_the_baseline() -> None:
    decision = decide(evaluation(rows(400, 0.9, None)), GateSettings())
    assert decision.passed
    assert (decision.metric, decision.challenger, decision.champion) == ("accuracy", 0.9, None)
    floor, note = decision.reasons
    assert floor.startswith("On 400 new held-out rows the challenger's accuracy is 90.00% (95 %")
    assert "always predicting the most frequent class 'a' reaches 25.00%" in floor
    assert note == "There is no live version to compare with yet."


def test_a_model_no_better_than_the_most_frequent_class_is_refused() -> None:
    decision = decide(evaluation(rows(400, 0.25, None)), GateSettings())
    assert not decision.passed
    assert failed(decision) == ["floor"]
    assert "it must be better" in decision.reasons[0]


@pytest.mark.parametrize(("floor", "passed"), [(0.9, True), (0.91, False)])
def test_the_floor_of_the_settings_replaces_the_baseline(floor: float, passed: bool) -> None:
    decision = decide(evaluation(rows(400, 0.9, None)), GateSettings(floor=floor))
    assert decision.passed is passed
    assert f"[gate] floor requires at least {floor:.2%}" in decision.reasons[0]


def test_a_model_that_is_slightly_worse_on_the_base_rows_passes_within_the_margin() -> None:
    decision = decide(
        evaluation(rows(400, 0.97, 0.90), rows(400, 0.945, 0.95)), GateSettings(margin=0.01)
    )
    assert decision.passed
    assert [check.name for check in decision.checks] == ["floor", "base", "new"]
    assert "0.50 points worse" in decision.reasons[1]
    assert "[gate] margin allows 1.00 points worse" in decision.reasons[1]
    assert "7.00 points better" in decision.reasons[2]


def test_a_model_of_mislabelled_data_is_refused_on_the_base_rows() -> None:
    # The new held-out rows are mislabelled in the same way: the challenger looks good on them.
    decision = decide(evaluation(rows(400, 0.95, 0.02), rows(400, 0.02, 0.95)), GateSettings())
    assert not decision.passed
    assert failed(decision) == ["base"]
    assert len(decision.reasons) == 1
    assert "the challenger's accuracy is 2.00% and that of version 3 95.00%" in decision.reasons[0]
    assert "93.00 points worse" in decision.reasons[0]


def test_a_model_of_partly_mislabelled_data_is_refused_on_the_base_rows() -> None:
    decision = decide(evaluation(rows(400, 0.8, 0.75), rows(400, 0.90, 0.95)), GateSettings())
    assert failed(decision) == ["base"]


def test_a_model_that_is_worse_by_exactly_the_margin_passes() -> None:
    decision = decide(evaluation(rows(400, 0.9, 0.9), rows(400, 0.94, 0.95)), GateSettings())
    assert decision.passed


def test_one_more_wrong_row_is_always_allowed_on_few_base_rows() -> None:
    one_row_worse = decide(evaluation(rows(400, 0.96, 0.90), rows(40, 0.875, 0.90)), GateSettings())
    two_rows_worse = decide(evaluation(rows(400, 0.96, 0.90), rows(40, 0.85, 0.90)), GateSettings())
    assert one_row_worse.passed
    assert "one row is allowed, which is 2.50 points" in one_row_worse.checks[1].reason
    assert not two_rows_worse.passed


def test_a_challenger_significantly_worse_on_the_new_rows_is_refused() -> None:
    decision = decide(evaluation(rows(400, 0.80, 0.95), rows(400, 0.95, 0.95)), GateSettings())
    assert failed(decision) == ["new"]
    assert "a challenger that is worse with p below 0.05 is refused" in decision.reasons[0]


def test_a_difference_on_the_new_rows_that_is_not_significant_passes() -> None:
    decision = decide(evaluation(rows(40, 0.90, 0.925), rows(400, 0.95, 0.95)), GateSettings())
    assert decision.passed


def test_every_failed_check_is_reported() -> None:
    decision = decide(evaluation(rows(400, 0.10, 0.95), rows(400, 0.10, 0.95)), GateSettings())
    assert failed(decision) == ["floor", "base", "new"]
    assert len(decision.reasons) == 3


def test_with_changed_columns_only_the_floor_is_checked_and_the_reasons_say_so() -> None:
    decision = decide(evaluation(rows(400, 0.9, None), comparable=False), GateSettings())
    assert decision.passed
    assert [check.name for check in decision.checks] == ["floor"]
    assert decision.reasons[-1] == (
        "The columns differ from those of the live version 3, which the settings accept, "
        "so it was not compared."
    )


def test_a_retrained_model_that_is_better_on_the_fresh_rows_passes() -> None:
    decision = decide(
        evaluation(rows(400, 0.93, 0.85), rows(400, 0.92, 0.95), rows(60, 0.9, 0.6)),
        GateSettings(),
        RETRAINING,
    )
    assert decision.passed
    assert [check.name for check in decision.checks] == ["floor", "base", "new", "fresh"]
    assert "[retraining] base_margin allows 5.00 points worse" in decision.reasons[1]
    assert decision.reasons[3].startswith(
        "On 60 fresh held-out rows the challenger's accuracy is 90.00% and that of version 3 "
        "60.00%, 30.00 points better (95 % interval"
    )
    assert decision.reasons[3].endswith("it must be better, with p below 0.05.")
    assert decision.reasons[4] == (
        "It was trained on 1,438 dropped and 550 labelled rows; 62 more labelled rows were held "
        "out."
    )


@pytest.mark.parametrize(
    ("fresh", "champion"),
    [
        pytest.param(0.6, 0.6, id="equal"),
        pytest.param(0.61, 0.6, id="not significantly better"),
        pytest.param(0.4, 0.9, id="worse"),
    ],
)
def test_a_retrained_model_that_is_not_significantly_better_on_the_fresh_rows_is_refused(
    fresh: float, champion: float
) -> None:
    decision = decide(
        evaluation(rows(400, 0.93, 0.93), rows(400, 0.95, 0.95), rows(100, fresh, champion)),
        GateSettings(),
        RETRAINING,
    )
    assert failed(decision) == ["fresh"]
    assert decision.reasons[0].startswith("On 100 fresh held-out rows")


def test_a_model_of_poisoned_labels_is_refused_on_the_base_rows_despite_good_fresh_rows() -> None:
    decision = decide(
        evaluation(rows(400, 0.9, 0.6), rows(400, 0.80, 0.95), rows(100, 0.95, 0.1)),
        GateSettings(),
        RETRAINING,
    )
    assert failed(decision) == ["base"]


def test_the_wider_margin_applies_to_retrainings_only() -> None:
    compared = evaluation(rows(400, 0.93, 0.9), rows(400, 0.92, 0.95), rows(60, 0.9, 0.6))
    assert decide(compared, GateSettings(), RETRAINING).passed
    assert failed(decide(compared, GateSettings())) == ["base"]


def test_a_retraining_without_fresh_rows_is_refused_with_the_number_of_labels_it_requires() -> None:
    decision = decide(
        evaluation(rows(400, 0.95, 0.9), rows(400, 0.95, 0.95)), GateSettings(), RETRAINING
    )
    assert failed(decision) == ["fresh"]
    assert "about 50 new labels are required for the 5 held-out rows" in decision.reasons[0]


@pytest.mark.parametrize(("count", "passed"), [(4, False), (5, True)])
def test_fewer_than_five_fresh_rows_can_never_be_significantly_better(
    count: int, passed: bool
) -> None:
    decision = decide(
        evaluation(rows(400, 0.95, 0.9), rows(400, 0.95, 0.95), rows(count, 1, 0)),
        GateSettings(),
        RETRAINING,
    )
    assert decision.passed is passed
    assert ("which requires at least 5 rows" in decision.checks[-1].reason) is not passed


def test_a_retraining_that_cannot_be_compared_is_refused() -> None:
    decision = decide(
        evaluation(rows(400, 0.9, None), comparable=False), GateSettings(), RETRAINING
    )
    assert failed(decision) == ["fresh"]
    assert decision.reasons[0].startswith("The columns differ from those of the live version")


def test_unused_labelled_rows_are_reported_with_the_most_frequent_reason_first() -> None:
    unused_rows = {"withdrawn": 1, "superseded": 12}
    decision = decide(
        evaluation(rows(400, 0.93, 0.85), rows(400, 0.95, 0.95), rows(60, 0.9, 0.6)),
        GateSettings(),
        replace(RETRAINING, lost=unused_rows),
    )
    assert decision.reasons[-1].endswith(
        "held out, and 13 could not be used (12 superseded, 1 withdrawn)."
    )


def test_log_loss_decides_when_the_settings_choose_it() -> None:
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


def test_a_model_is_refused_on_held_out_rows_of_one_class_unless_there_is_a_floor() -> None:
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
    challenger = labels + generator.normal(scale=challenger_error, size=300)
    champion = labels + generator.normal(scale=champion_error, size=300)
    return EvaluatedRows(
        rows=300,
        baseline=regression_baseline(labels),
        challenger=regression_quality(labels, challenger, 0.95),
        champion=regression_quality(labels, champion, 0.95),
        comparisons=compare_regressions(labels, challenger, champion, 0.95),
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
    assert "floor" in failed(decision)
    assert "always predicting the mean" in decision.reasons[0]


def test_an_evaluation_is_the_same_after_writing_and_reading_it() -> None:
    stored = evaluation(rows(40, 0.9, 0.9), rows(40, 0.9, 0.9)).model_dump_json()
    restored = Evaluation.model_validate_json(stored)
    assert restored.model_dump_json() == stored


def test_the_gate_handler_does_not_import_numpy() -> None:
    code = "import refit.handlers.gate, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
