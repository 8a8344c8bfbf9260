"""What a container of one's own may answer, and how a wrong answer is refused."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from refit.domain.errors import EvaluationIncomplete
from refit.domain.evaluation.batch_output import read_numbers, read_outcome
from refit.domain.evaluation.training_curves import TrainedJob, curves_of
from refit.domain.pipeline.algorithms import AnswerForm

CLASSES = ("a", "b", "c")
JOB = TrainedJob("job", "training")


def outcome(answer: bytes, rows: int = 2, classes: tuple[str, ...] = CLASSES):
    return read_outcome(
        io.BytesIO(answer),
        "out",
        np.zeros(rows, dtype=np.int64),
        classes,
        len(classes),
        form=AnswerForm.CSV,
    )


def test_a_row_has_the_probability_of_each_class() -> None:
    assert outcome(b"0.2,0.7,0.1\n1e0, 0, .0\n").predicted.tolist() == [1, 0]


def test_of_two_classes_a_row_may_have_only_the_probability_of_the_second() -> None:
    assert outcome(b"0.2\n0.7", classes=("a", "b")).predicted.tolist() == [0, 1]


def test_a_regression_has_one_number_a_row() -> None:
    numbers = read_numbers(io.BytesIO(b"1.5\n-2\n"), "out", 2, AnswerForm.CSV)
    assert numbers.tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"0.2,0.7,0.1\nb\n", "out, line 2: 'b' is not a prediction; expected: a number, or one"),
        (b"[0.2, 0.7, 0.1]\n", "line 1: '[0.2, 0.7, 0.1]' is not a prediction"),
        (b"0.2,0.7,0.1\n0.2,,0.8\n", "line 2: '0.2,,0.8' is not a prediction"),
        (b"0.2,0.7,0.1\n0.2,nan,0.8\n", "line 2: '0.2,nan,0.8' is not finite"),
        (b"0.2,0.7,0.1\n2\n", "line 2: 1 values, but the lines before have 3"),
        (b"0.2,0.8\n0.2,0.8\n", "2 values a row, but the model knows 3 classes"),
        (b"0.2,0.7,0.1\n3.1,-1,-1.1\n", "out, row 2: 3.1, -1, -1.1 are no probabilities"),
        (b"0.2,0.7,0.1\n0.5,0.5,0.5\n", "expected: a number from 0 to 1 for each class"),
        (b"0.2,0.7,0.1\n", "holds 1 predictions for 2 held-out rows"),
    ],
)
def test_a_wrong_answer_is_refused_with_its_row_and_what_was_expected(
    answer: bytes, message: str
) -> None:
    with pytest.raises(EvaluationIncomplete, match=re.escape(message)):
        outcome(answer)


def test_class_numbers_instead_of_probabilities_are_refused() -> None:
    with pytest.raises(EvaluationIncomplete, match="row 2: -1, 2 are no probabilities"):
        outcome(b"1\n2\n", classes=("a", "b"))


def test_each_match_of_a_metric_is_the_next_round() -> None:
    log = ["epoch 1 validation-logloss=0.5", "other", "epoch 2 validation-logloss=0.4", "acc: 1"]
    metrics = {"validation-logloss": r"validation-logloss=(\S+)", "accuracy": r"acc: (\d+)"}
    curves = curves_of(JOB, log, metrics)
    assert curves.metrics == {"validation-logloss": (0.5, 0.4), "accuracy": (1.0, None)}
    assert curves.rounds == 2
    assert curves.best is not None
    assert (curves.best.round, curves.best.value) == (1, 0.4)


def test_a_log_without_a_defined_metric_says_so() -> None:
    assert "defines" in str(curves_of(JOB, ["nothing"], {"a": "a=(.)"}).missing)
    assert curves_of(JOB, ["a=x"], {"a": "a=(.)"}).metrics == {"a": (None,)}
