"""The output of a batch transform job is read and checked."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit.domain.errors import EvaluationIncomplete
from refit.domain.evaluation.batch_output import (
    class_indices,
    parse_labels,
    prediction_blocks,
    read_numbers,
    read_outcome,
)

probabilities = st.floats(0, 1, width=32)


def read(data: bytes, **options: int) -> list[list[float]]:
    blocks = prediction_blocks(io.BytesIO(data), "out", **options)
    return [row for block in blocks for row in block.tolist()]


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(probabilities, min_size=width, max_size=width), max_size=40)
    ),
    st.integers(1, 60),
    st.booleans(),
)
def test_predictions_are_read_in_blocks_of_any_size(
    rows: list[list[float]], block_bytes: int, ends_in_newline: bool
) -> None:
    data = "\n".join(map(str, rows)).encode() + (b"\n" if ends_in_newline else b"")
    assert read(data, block_bytes=block_bytes) == rows


def test_recorded_output_of_the_container_is_read() -> None:
    # Recorded from image sagemaker-xgboost:3.0-5 with SAGEMAKER_BATCH=true.
    softprob = b"[0.7906578779220581, 0.11060703545808792, 0.09873505681753159]\n"
    assert read(softprob) == [[0.7906578779220581, 0.11060703545808792, 0.09873505681753159]]
    assert read(b"0.15067484974861145\n0.7086732387542725\n") == [
        [0.15067484974861145],
        [0.7086732387542725],
    ]
    assert read(b"-0.7193003296852112\n") == [[-0.7193003296852112]]


def test_plain_numbers_and_blank_lines_between_parts_are_read() -> None:
    assert read(b"0.25\n1e-05\n\n\n0.75") == [[0.25], [1e-05], [0.75]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"0.5\nlabel\n", "line 2: 'label' is not a prediction"),
        (b"[0.5, 0.5]\n[0.5, 0.5\n", r"line 2: '\[0.5, 0.5' is not a prediction"),
        (b"[0.5, 0.5]\n\n[1.0]\n", "line 3: 1 values, but the lines before have 2"),
        (b"[0.5, 0.5]\n0.5\n", "line 2: 1 values, but the lines before have 2"),
        (b"0.5\nNaN\n", "line 2: 'NaN' is not finite"),
        (b"0.5\nnan\n", "line 2: 'nan' is not a prediction"),
        (b"0.5\n-Infinity\n", "line 2: '-Infinity' is not finite"),
        (b'0.5\n"0.5"\n', "line 2: '\"0.5\"' is not a prediction"),
        (b"[]\n", r"line 1: '\[\]' is not a prediction"),
        (b"[[0.1], [0.9]]\n", "line 1"),
        (b"0.5,0.5\n", "line 1: '0.5,0.5' is not a prediction"),
        (b"[0.5\n0.5]\n", r"line 1: '\[0.5' is not a prediction"),
        (b"\xff\xfe\n", "line 1"),
    ],
)
def test_a_line_that_is_not_a_prediction_is_named(data: bytes, message: str) -> None:
    with pytest.raises(EvaluationIncomplete, match=message):
        read(data)


def test_one_number_per_row_is_the_probability_of_the_second_of_two_classes() -> None:
    labels = np.array([0, 1, 1])
    outcome = read_outcome(io.BytesIO(b"0.25\n0.5\n0.75\n"), "out", labels, ("a", "b"), 2)
    assert outcome.predicted.tolist() == [0, 0, 1]
    assert outcome.losses == pytest.approx([-math.log(0.75), -math.log(0.5), -math.log(0.75)])
    assert outcome.second_class.tolist() == [0.25, 0.5, 0.75]


def test_a_champion_that_knows_two_classes_is_evaluated_on_three() -> None:
    labels = np.array([0, 2])
    outcome = read_outcome(io.BytesIO(b"0.25\n0.75\n"), "out", labels, ("a", "b"), 3)
    assert outcome.predicted.tolist() == [0, 1]
    assert outcome.losses[1] == pytest.approx(-math.log(1e-15))
    assert outcome.second_class is None


@pytest.mark.parametrize(("rows", "predictions"), [(2, 3), (4, 3), (1, 0)])
def test_the_numbers_of_rows_and_predictions_must_be_equal(rows: int, predictions: int) -> None:
    labels = np.zeros(rows, dtype=np.int64)
    message = f"holds {predictions} predictions for {rows} held-out rows"
    with pytest.raises(EvaluationIncomplete, match=message):
        read_outcome(io.BytesIO(b"[1.0, 0.0]\n" * predictions), "out", labels, ("a", "b"), 2)
    with pytest.raises(EvaluationIncomplete, match=message):
        read_numbers(io.BytesIO(b"1.0\n" * predictions), "out", rows)


def test_predicted_classes_in_place_of_probabilities_are_refused() -> None:
    with pytest.raises(EvaluationIncomplete, match="1 values a row, but the model knows 3"):
        read_outcome(io.BytesIO(b"2.0\n"), "out", np.array([2]), ("a", "b", "c"), 3)


def test_raw_scores_are_refused() -> None:
    with pytest.raises(EvaluationIncomplete, match="not class probabilities"):
        read_outcome(io.BytesIO(b"-3.5\n"), "out", np.array([1]), ("a", "b"), 2)


def test_several_values_per_row_are_not_a_regression() -> None:
    with pytest.raises(EvaluationIncomplete, match="several values"):
        read_numbers(io.BytesIO(b"[1.0, 2.0]\n"), "out", 1)


def test_labels_are_read_in_every_notation_of_numbers() -> None:
    assert parse_labels(b"1\n+2.50\n.5\n007\n1e3\n", "labels").tolist() == [1, 2.5, 0.5, 7, 1000]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"1\nx\n", b"1\nnan\n", b"inf\n"])
def test_missing_or_invalid_labels_are_refused(data: bytes) -> None:
    with pytest.raises(EvaluationIncomplete, match="labels"):
        parse_labels(data, "labels")


@pytest.mark.parametrize("wrong", [-1.0, 2.0, 0.5])
def test_a_label_that_is_not_a_class_is_named_with_its_line(wrong: float) -> None:
    with pytest.raises(EvaluationIncomplete, match=r"labels, line 2: .* not the index of one of 2"):
        class_indices(np.array([0.0, wrong]), 2, "labels")
