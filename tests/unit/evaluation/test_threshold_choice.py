"""The threshold that costs least, and the one rule that applies it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit.domain.decision_rule import DecisionRule, predicted_class, predicted_classes
from refit.domain.errors import SettingsInvalid
from refit.domain.evaluation.positive_class import check_prediction, positive_class
from refit.domain.evaluation.threshold_choice import cheapest_threshold
from refit.domain.model_settings import Costs, PredictionSettings, parse_settings
from refit.domain.schema import Schema

PAIR = Schema(task="classification", label="fraud", features=(), classes=("no", "yes"))
COSTS = Costs(false_positive=1, false_negative=20)


def cost_at(
    threshold: float, positives: np.ndarray, scores: np.ndarray, costs: Costs, weights: np.ndarray
) -> float:
    predicted = scores >= threshold
    false_alarms = weights[predicted & ~positives].sum() * costs.false_positive
    missed = weights[~predicted & positives].sum() * costs.false_negative
    return float((false_alarms + missed) / weights.sum())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=30),
    st.floats(0.1, 50),
    st.floats(0.1, 50),
    st.integers(0, 99),
)
def test_no_other_threshold_costs_less(
    rows: list[tuple[bool, int]], false_positive: float, false_negative: float, seed: int
) -> None:
    positives = np.array([row[0] for row in rows])
    positives[:2] = True, False
    scores = np.array([row[1] for row in rows]) / 20
    weights = np.random.default_rng(seed).uniform(0.5, 2, len(rows))
    costs = Costs(false_positive=false_positive, false_negative=false_negative)
    chosen = cheapest_threshold(positives, scores, costs, weights)
    assert 0 < chosen.threshold < 1
    reached = cost_at(chosen.threshold, positives, scores, costs, weights)
    assert chosen.expected_cost == pytest.approx(reached)
    others = np.append(np.unique(scores), np.linspace(0.001, 0.999, 57))
    others = others[(others > 0) & (others < 1)]
    best = min(cost_at(other, positives, scores, costs, weights) for other in others)
    assert reached <= best + 1e-9


def test_expensive_misses_lower_the_threshold() -> None:
    generator = np.random.default_rng(1)
    scores = generator.random(2000)
    positives = generator.random(2000) < scores  # calibrated: the best threshold is fp / (fp + fn)
    ones = np.ones(2000)
    cheap = cheapest_threshold(positives, scores, Costs(false_positive=1, false_negative=9), ones)
    even = cheapest_threshold(positives, scores, Costs(false_positive=1, false_negative=1), ones)
    assert cheap.threshold == pytest.approx(0.1, abs=0.05)
    assert even.threshold == pytest.approx(0.5, abs=0.07)


def test_between_thresholds_that_cost_the_same_the_one_of_calibrated_probabilities_is_chosen() -> (
    None
):
    chosen = cheapest_threshold(
        np.array([False, True]),
        np.array([0.02, 0.9]),
        Costs(false_positive=1, false_negative=3),
        np.ones(2),
    )
    assert chosen.threshold == 0.25


@pytest.mark.parametrize("positives", [[True, True], [False, False]])
def test_validation_rows_of_one_class_choose_no_threshold(positives: list[bool]) -> None:
    with pytest.raises(SettingsInvalid, match=r"2 validation rows .* set \[prediction\] threshold"):
        cheapest_threshold(np.array(positives), np.array([0.1, 0.2]), COSTS, np.ones(2))


def test_a_probability_equal_to_the_threshold_is_positive() -> None:
    rule = DecisionRule(positive="yes", threshold=0.25)
    assert predicted_class([0.75, 0.25], ("no", "yes"), rule) == 1
    assert predicted_class([0.76, 0.24], ("no", "yes"), rule) == 0
    both = np.array([[0.75, 0.25], [0.76, 0.24]])
    assert predicted_classes(both, ("no", "yes"), rule).tolist() == [1, 0]


def test_the_first_class_can_be_positive() -> None:
    rule = DecisionRule(positive="no", threshold=0.9)
    assert predicted_class([0.89, 0.11], ("no", "yes"), rule) == 1
    assert predicted_class([0.9, 0.1], ("no", "yes"), rule) == 0


@given(
    st.lists(st.integers(0, 100), min_size=1, max_size=20),
    st.sampled_from([None, 0.01, 0.25, 0.5, 0.99]),
    st.sampled_from(["no", "yes"]),
)
def test_many_rows_are_decided_as_each_of_them(
    percents: list[int], threshold: float | None, positive: str
) -> None:
    scores = np.array(percents) / 100
    probabilities = np.column_stack([1 - scores, scores])
    for rule in (None, DecisionRule(positive=positive, threshold=threshold)):
        one_by_one = [predicted_class(row, ("no", "yes"), rule) for row in probabilities.tolist()]
        assert predicted_classes(probabilities, ("no", "yes"), rule).tolist() == one_by_one


def test_equally_probable_classes_without_a_threshold_give_the_first() -> None:
    assert predicted_class([0.5, 0.5], ("no", "yes"), None) == 0


def test_without_a_section_there_is_no_positive_class() -> None:
    assert positive_class(PredictionSettings(), PAIR) is None


def test_the_second_class_is_positive_by_default() -> None:
    assert positive_class(PredictionSettings(threshold=0.3), PAIR) == 1
    assert positive_class(PredictionSettings(positive="no"), PAIR) == 0


def test_a_number_names_the_class_of_its_text() -> None:
    numbered = Schema(task="classification", label="fraud", features=(), classes=("0", "1"))
    prediction = parse_settings("[prediction]\npositive = 1\n").prediction
    assert positive_class(prediction, numbered) == 1


def test_a_positive_class_that_the_data_do_not_have_is_refused_with_those_they_have() -> None:
    with pytest.raises(SettingsInvalid, match=r"'maybe' is not a class .* 'no', 'yes'"):
        positive_class(PredictionSettings(positive="maybe"), PAIR)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (PAIR.model_copy(update={"classes": ("a", "b", "c")}), "two classes, .* has 3: 'a', 'b'"),
        (PAIR.model_copy(update={"task": "regression", "classes": None}), "is a number"),
    ],
)
def test_a_threshold_needs_two_classes(schema: Schema, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        positive_class(PredictionSettings(threshold=0.3), schema)


def test_costs_need_validation_rows() -> None:
    check_prediction(PredictionSettings(costs=COSTS), PAIR, 1)
    check_prediction(PredictionSettings(threshold=0.3), PAIR, 0)
    with pytest.raises(SettingsInvalid, match="validation_fraction"):
        check_prediction(PredictionSettings(costs=COSTS), PAIR, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("threshold = 0.3\ncosts = {false_positive = 1, false_negative = 2}", "costs choose"),
        ("threshold = 0", r"\[prediction\] threshold = 0"),
        ("threshold = 1.0", r"\[prediction\] threshold = 1.0"),
        (
            "costs = {false_positive = 0, false_negative = 2}",
            r"\[prediction.costs\] false_positive",
        ),
        ("costs = {false_positive = 1}", r"\[prediction.costs\] false_negative"),
        ("positive = true", r"\[prediction\] positive = true"),
        ("cutoff = 0.3", r"cutoff is not a known key; allowed: positive, threshold, costs"),
    ],
)
def test_settings_that_contradict_or_exceed_their_range_are_named(text: str, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        parse_settings(f"[prediction]\n{text}\n")
