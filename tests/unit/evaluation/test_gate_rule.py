"""The decision of the gate, with the sentences that explain it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from refit.domain.decision_rule import DecisionRule
from refit.domain.errors import SettingsInvalid
from refit.domain.evaluation.chance import chance_of_classifier, chance_of_regression
from refit.domain.evaluation.comparison import compare_regressions
from refit.domain.evaluation.gate import decide
from refit.domain.evaluation.measured_rows import ClassifiedRows, NumberRows
from refit.domain.evaluation.metrics import classification_quality, regression_quality
from refit.domain.evaluation.naive_baseline import classification_baseline, regression_baseline
from refit.domain.evaluation.outcomes import outcome_of
from refit.domain.evaluation.report import EvaluatedRows, Evaluation
from refit.domain.evaluation.training_labels import TrainingLabels
from refit.domain.model_settings import GateSettings

from tests.support.evaluations import (
    CHAMPION,
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


def test_columns_that_alone_give_the_label_are_among_the_reasons() -> None:
    doubt = "column 'alive' alone gives the label 'survived'"
    decision = decide(evaluation(evaluated_rows(400, 0.9, None)), GateSettings(), leaks=[doubt])
    assert decision.passed
    assert decision.reasons[-1] == "Column 'alive' alone gives the label 'survived'."


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


def test_without_base_rows_the_new_rows_decide_and_the_reasons_say_why() -> None:
    note = "Not comparable on base rows: all 40 of them are older than the new cut."
    without = {"champion": CHAMPION, "comparable": True, "notes": (note,)}
    better = evaluation(evaluated_rows(400, 0.95, 0.9)).model_copy(update=without)
    decision = decide(better, GateSettings())
    assert decision.passed
    assert [check.name for check in decision.checks] == ["floor", "new"]
    assert decision.reasons[-1] == note
    worse = evaluation(evaluated_rows(400, 0.7, 0.9)).model_copy(update=without)
    decision = decide(worse, GateSettings())
    assert failed_checks(decision) == ["new"]
    assert decision.reasons[-1] == note


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


RARE = TrainingLabels(classes={"no": 984, "yes": 16})


def fraud(scores_follow_labels: bool, metric: str, training: TrainingLabels = RARE) -> Evaluation:
    """Return the evaluation of a first model on 200 rows, of which 4 are positive."""
    labels = np.array([1] * 4 + [0] * 196)
    scores = np.full(200, 0.01)
    scores[:4] = 0.4 if scores_follow_labels else 0.01
    outcome = outcome_of(labels, np.column_stack([1 - scores, scores]), 2)
    rows = ClassifiedRows(labels, outcome, 2, np.ones(200))
    new = EvaluatedRows(
        rows=200,
        baseline=classification_baseline(labels, ("no", "yes"), training),
        challenger=classification_quality(labels, outcome, ("no", "yes"), 0.95),
        chance=chance_of_classifier(metric, rows, 0.95),
    )
    return evaluation(new).model_copy(
        update={
            "classes": ("no", "yes"),
            "imbalance": training.imbalance(),
            "lone_classes": training.lone_classes(),
        }
    )


def test_a_rare_class_is_judged_by_log_loss_and_the_reasons_show_the_average_precision() -> None:
    decision = decide(fraud(True, "log_loss"), GateSettings())
    assert decision.passed
    assert decision.metric == "log_loss"
    note = decision.reasons[-2]
    assert note.startswith("98.4 % of the training rows are class 'no' and only 1.6 % class 'yes'")
    assert "so [gate] metric = 'auto' judged by log loss" in note
    assert "average precision is 1 (" in note
    assert "without skill it is 0.02" in note


def test_accuracy_that_a_rare_class_makes_useless_names_the_metric_to_set() -> None:
    decision = decide(fraud(True, "accuracy"), GateSettings(metric="accuracy"))
    assert not decision.passed
    assert "98.4 % of the training rows are class 'no'" in decision.reasons[0]
    assert "set [gate] metric = 'log_loss'" in decision.reasons[0]
    assert "'auto' would judge by log loss" in decision.reasons[1]


@pytest.mark.parametrize(
    ("counts", "is_rare"),
    [
        ([90, 10], False),
        ([91, 9], True),
        ([46, 46, 8], True),
        ([10] * 10, False),  # ten even classes have 10 % each
        ([9, 11] * 5, False),
        ([10] * 9 + [4], True),
        ([50, 50, 0], False),  # a class without training rows is no class of theirs
    ],
)
def test_a_class_is_rare_below_a_tenth_or_half_of_an_equal_share(
    counts: list[int], is_rare: bool
) -> None:
    classes = {str(index): count for index, count in enumerate(counts)}
    assert (TrainingLabels(classes=classes).imbalance() is not None) is is_rare


def test_classes_of_a_single_row_are_said_to_be_no_classes() -> None:
    lone = TrainingLabels(classes={str(index): 1 for index in range(300)} | {"x": 2, "no": 3})
    decision = decide(fraud(False, "accuracy", lone), GateSettings(metric="accuracy"))
    assert not decision.passed
    assert "302 classes in 305 training rows" in decision.reasons[0]
    assert "set [data] task = 'regression'" in decision.reasons[0].replace("Set", "set")
    assert TrainingLabels(classes={"a": 1, "b": 1}).lone_classes() is None


def test_a_value_that_is_better_by_chance_is_refused_with_its_p_value() -> None:
    lucky = evaluated_rows(12, 0.5, None)  # always the first class is right in a quarter
    decision = decide(evaluation(lucky), GateSettings())
    assert not decision.passed
    assert "p must be below 0.05, so this may be chance" in decision.reasons[0]
    assert "drop more rows, or raise [data] test_fraction" in decision.reasons[0]
    assert decide(evaluation(lucky), GateSettings(floor=0.5)).passed


def test_a_model_that_is_not_better_says_what_may_be_wrong() -> None:
    decision = decide(evaluation(evaluated_rows(400, 0.25, None)), GateSettings())
    assert "[data] label names the wrong column" in decision.reasons[0]


def test_a_metric_that_cannot_be_measured_refuses_and_says_what_to_set() -> None:
    rows = evaluated_rows(40, 0.9, 0.8)
    without = {name: value for name, value in rows.challenger.metrics.items() if name != "f1"}
    quality = rows.challenger.model_copy(update={"metrics": without})
    compared = {name: value for name, value in rows.comparisons.items() if name != "f1"}
    rows = rows.model_copy(update={"challenger": quality, "comparisons": compared})
    decision = decide(evaluation(rows, rows), GateSettings(metric="f1"))
    assert failed_checks(decision) == ["floor", "base", "new"]
    assert decision.challenger is None
    assert "the F1 cannot be measured" in decision.reasons[0]
    assert "set [gate] metric = 'log_loss'" in decision.reasons[0]


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_metric_of_two_classes_is_refused_for_more_with_those_that_are_allowed(
    metric: str,
) -> None:
    with pytest.raises(
        SettingsInvalid, match=r"needs exactly two classes, and there are 4; allowed: auto, acc"
    ):
        decide(evaluation(evaluated_rows(40, 0.9, None)), GateSettings(metric=metric))


@pytest.mark.parametrize("metric", ["balanced_accuracy", "brier", "f1", "precision", "recall"])
def test_every_metric_of_classes_can_decide(metric: str) -> None:
    good, base = evaluated_rows(400, 0.9, 0.9, metric), evaluated_rows(400, 0.9, 0.9)
    settings = GateSettings(metric=metric, margin=0.05)
    passed = decide(evaluation(good, base), settings)
    assert (passed.passed, passed.metric) == (True, metric)
    worse = decide(evaluation(good, evaluated_rows(400, 0.7, 0.9)), settings)
    assert failed_checks(worse) == ["base"]


@pytest.mark.parametrize("metric", ["mae", "r2", "median_absolute_error"])
def test_every_metric_of_numbers_can_decide(metric: str) -> None:
    good, worse = regression(1.0, 1.0), regression(5.0, 1.0)
    settings = GateSettings(metric=metric, margin=0.1)
    kept = evaluation(good, good).model_copy(update={"task": "regression", "classes": None})
    lost = evaluation(good, worse).model_copy(update={"task": "regression", "classes": None})
    assert decide(kept, settings).passed
    assert "base" in failed_checks(decide(lost, settings))


def test_the_decision_rule_is_said() -> None:
    rule = DecisionRule(positive="b", threshold=0.3, chosen="settings", is_default=True)
    shown = evaluation(evaluated_rows(400, 0.9, None)).model_copy(update={"decision": rule})
    note = decide(shown, GateSettings()).reasons[1]
    assert note == (
        "The positive class is 'b' (the second class, because [prediction] positive is not set); "
        "it is predicted if its probability is at least 0.3 ([prediction] threshold)."
    )


@pytest.mark.parametrize(("second", "is_certain"), [((0, 1, 1, 0), True), ((0, 1, 0.9, 0), False)])
def test_answers_that_may_be_numbers_of_classes_are_noted(second, is_certain):
    labels = np.array([0, 1, 1, 0] * 10)
    probabilities = np.array([[1 - p, p] for p in second * 10])
    outcome = outcome_of(labels, probabilities, 2)
    quality = classification_quality(labels, outcome, ("a", "b"), 0.95)
    rows = evaluated_rows(40, 0.9, None).model_copy(update={"challenger": quality})
    decision = decide(evaluation(rows), GateSettings())
    assert any("numbers of the classes" in note for note in decision.reasons) == is_certain
