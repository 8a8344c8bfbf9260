"""How a captured prediction changes its inference."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from refit.domain.inferences.captured_rows import CapturedRow
from refit.domain.inferences.inference import NOTHING_COUNTED, Inference, Label, Prediction, Source
from refit.domain.inferences.prediction_change import PredictionEffect, prediction_change

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MADE = Prediction("cat", 0.9, None, 3, NOON, Source("a.jsonl", 4, 0), 2, "d1")
ROW = CapturedRow("x-0", MADE, [1.0], 0)
SINGLE, PAIR, TRIPLE = (Label("dog", NOON, NOON, size) for size in (None, 2, 3))


def known(prediction: Prediction | None, *labels: Label, ambiguous: bool = False) -> Inference:
    return Inference("zoo", "x-0", 5, prediction, ambiguous, labels, NOTHING_COUNTED)


def test_the_first_prediction_of_an_inference_is_new() -> None:
    change = prediction_change(ROW, None)
    assert change.effect is PredictionEffect.NEW
    assert change.adds_prediction
    assert change.is_first


def test_a_label_that_was_held_is_joined() -> None:
    change = prediction_change(ROW, known(None, SINGLE, PAIR))
    assert change.effect is PredictionEffect.JOINED
    assert change.adds_prediction
    assert change.is_first
    assert (change.kept, change.discarded) == ((SINGLE, PAIR), ())


def test_a_label_of_an_event_with_another_number_of_rows_is_dropped() -> None:
    change = prediction_change(ROW, known(None, TRIPLE, PAIR))
    assert (change.kept, change.discarded) == ((PAIR,), (TRIPLE,))


@pytest.mark.parametrize("ambiguous", [False, True])
def test_the_same_row_again_changes_nothing_and_is_still_the_first(ambiguous: bool) -> None:
    change = prediction_change(ROW, known(MADE, ambiguous=ambiguous))
    assert change.effect is PredictionEffect.NOTHING
    assert not change.adds_prediction
    assert change.is_first


def test_the_same_prediction_from_another_file_is_not_the_first() -> None:
    other = replace(MADE, source=Source("b.jsonl", 4, 0))
    change = prediction_change(replace(ROW, prediction=other), known(MADE))
    assert change.effect is PredictionEffect.NOTHING
    assert not change.is_first


def test_another_prediction_with_the_same_id_makes_it_ambiguous_once() -> None:
    other = replace(ROW, prediction=replace(MADE, digest="d2", source=Source("b.jsonl", 0, 0)))
    change = prediction_change(other, known(MADE))
    assert change.effect is PredictionEffect.AMBIGUOUS
    assert not change.adds_prediction
    assert not change.is_first
    assert prediction_change(other, known(MADE, ambiguous=True)).effect is PredictionEffect.NOTHING
