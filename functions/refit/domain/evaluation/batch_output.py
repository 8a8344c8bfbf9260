"""Read the output of a batch transform job, and the labels that it is compared with.

Every container writes one line per row, in a form of its algorithm (domain/pipeline/algorithms.py).
XGBoost writes a number, or for multi:softprob a list such as `[0.79, 0.11, 0.10]`, whatever the
Accept header (batch mode, container version 3.0-5).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import IO, TYPE_CHECKING

import numpy as np

from refit.domain.errors import EvaluationIncomplete
from refit.domain.evaluation.outcomes import ClassOutcome, joined, outcome_of
from refit.domain.pipeline.algorithms import AnswerForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refit.domain.decision_rule import DecisionRule
    from refit.domain.evaluation.resampling import Floats, Integers

_BLOCK_BYTES = 4 * 1024 * 1024
_PROBABILITY_ERROR = 1e-3  # of numbers that were rounded for their text
_EXPECTED = {
    AnswerForm.LISTS: "a number, or a list such as [0.2, 0.8]",
    AnswerForm.CSV: "a number, or one for each class with commas between them",
    AnswerForm.SCORES: 'an object such as {"score": 0.2} or {"score": [0.2, 0.8]}',
}
_MAX_SAMPLED_CELLS = 4_000_000  # 32 MB of probabilities


def prediction_blocks(
    stream: IO[bytes],
    name: str,
    form: AnswerForm = AnswerForm.LISTS,
    block_bytes: int = _BLOCK_BYTES,
) -> Iterator[Floats]:
    """Yield the predictions of a batch output, in blocks of some thousand rows.

    Blank lines, which joined parts can leave, are skipped.

    Args:
        stream: the object's bytes.
        name: for error messages.
        form: of the lines.
        block_bytes: read at a time; a line may be longer.

    Yields:
        (n_rows, n_values): 1 value for lines with a number, else the number of values.

    Raises:
        EvaluationIncomplete: when a line has not the form, holds a number that is not finite, or
            its width differs from the other lines.
    """
    first_line, rest = 1, b""
    while block := stream.read(block_bytes):
        whole, newline, tail = block.rpartition(b"\n")
        if not newline:
            rest += block
            continue
        lines = (rest + whole).splitlines()
        yield from _parsed(lines, first_line, name, form)
        first_line, rest = first_line + len(lines), tail
    yield from _parsed(rest.splitlines(), first_line, name, form)


def _parsed(lines: list[bytes], first_line: int, name: str, form: AnswerForm) -> Iterator[Floats]:
    filled = [line for line in lines if line.strip()]
    if not filled:
        return
    try:
        values = _array(filled, form)
    except ValueError:
        raise _refused(lines, first_line, name, form) from None
    if not np.isfinite(values).all():
        raise _refused(lines, first_line, name, form)
    yield values


def _array(lines: list[bytes], form: AnswerForm) -> Floats:
    if form is AnswerForm.CSV:
        values = np.array([[float(cell) for cell in line.split(b",")] for line in lines])
    elif form is AnswerForm.SCORES:
        values = np.array([_score(line) for line in lines])
    else:
        values = np.array(json.loads(b"[" + b",".join(lines) + b"]"))
    # Count the lines: one with a comma outside brackets would be read as two.
    if values.dtype.kind not in "if" or not 1 <= values.ndim <= 2 or len(values) != len(lines):
        raise ValueError("a line is neither one number nor one list of numbers")
    if not values.size:
        raise ValueError("an empty list")
    return values.astype(np.float64).reshape(len(values), -1)


def _score(line: bytes) -> object:
    entry = json.loads(line)
    if not isinstance(entry, dict) or "score" not in entry:
        raise ValueError("no object with a score")
    return entry["score"]


def _refused(
    lines: list[bytes], first_line: int, name: str, form: AnswerForm
) -> EvaluationIncomplete:
    """Return an error that names the first bad line."""
    width = None
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        shown = line[:80].decode(errors="replace")
        try:
            values = _array([line], form)
        except ValueError:
            return EvaluationIncomplete(
                f"{name}, line {number}: {shown!r} is not a prediction; expected: {_EXPECTED[form]}"
            )
        if not np.isfinite(values).all():
            return EvaluationIncomplete(f"{name}, line {number}: {shown!r} is not finite")
        width = width or values.shape[1]
        if values.shape[1] != width:
            return EvaluationIncomplete(
                f"{name}, line {number}: {values.shape[1]} values, but the lines before have "
                f"{width}"
            )
    return EvaluationIncomplete(f"{name}, from line {first_line} on: lines of different formats")


def parse_labels(data: bytes, name: str) -> Floats:
    """Parse one number per line.

    Raises:
        EvaluationIncomplete: when there is none, or one is not a finite number.
    """
    try:
        labels = np.array(data.split(), dtype=np.float64)
    except ValueError as error:
        raise EvaluationIncomplete(f"{name}: {error}") from None
    if not len(labels):
        raise EvaluationIncomplete(f"{name} is empty: there are no held-out rows to evaluate on")
    if not np.isfinite(labels).all():
        row = int(np.argmin(np.isfinite(labels)))
        raise EvaluationIncomplete(f"{name}, line {row + 1} is not a finite number")
    return labels


def parse_weights(data: bytes, name: str, rows: int) -> Floats:
    """Parse the weights of held-out rows, one number per line.

    Raises:
        EvaluationIncomplete: when there is not one per row, one is negative, or all are 0.
    """
    weights = parse_labels(data, name)
    if len(weights) != rows:
        raise EvaluationIncomplete(f"{name} holds {len(weights)} weights for {rows} held-out rows")
    if weights.min() < 0 or not weights.any():
        raise EvaluationIncomplete(f"{name}: weights must not be negative, nor all be 0")
    return weights


def class_indices(labels: Floats, n_classes: int, name: str) -> Integers:
    """Return labels as class indices.

    Raises:
        EvaluationIncomplete: when one is not a whole number from 0 to n_classes − 1.
    """
    indices = labels.astype(np.int64)
    wrong = (indices != labels) | (indices < 0) | (indices >= n_classes)
    if wrong.any():
        row = int(wrong.argmax())
        raise EvaluationIncomplete(
            f"{name}, line {row + 1}: {labels[row]:g} is not the index of one of "
            f"{n_classes} classes"
        )
    return indices


def read_outcome(
    stream: IO[bytes],
    name: str,
    labels: Integers,
    known: Sequence[str],
    n_classes: int,
    rule: DecisionRule | None = None,
    form: AnswerForm = AnswerForm.LISTS,
) -> ClassOutcome:
    """Read the batch output of a classifier and compare it with the labels, block by block.

    Keeps 32 to 40 bytes a row, whatever the number of classes, and at most 32 MB of probabilities.

    Args:
        stream: the batch output.
        name: for error messages.
        labels: (n_rows,) class indices of the same rows in the same order.
        known: texts of the classes that the model knows; the output for two classes can be one
            number, the probability of class 1.
        n_classes: number of classes now.
        rule: decision rule of the model; None: it predicts the most probable class.
        form: of the output.

    Raises:
        EvaluationIncomplete: when rows are missing or too many, or are not probabilities of the
            known classes.
    """
    n_known, rows = len(known), 0
    parts: list[ClassOutcome] = []
    step = -(-len(labels) * n_classes // _MAX_SAMPLED_CELLS)
    for block in prediction_blocks(stream, name, form):
        start, rows = rows, rows + len(block)
        if rows > len(labels):
            continue  # keep counting for the error message
        probabilities = np.column_stack([1 - block, block]) if block.shape[1] == 1 else block
        if probabilities.shape[1] != n_known or n_known > n_classes:
            raise EvaluationIncomplete(
                f"{name}: {block.shape[1]} values a row, but the model knows {n_known} classes"
            )
        if form is not AnswerForm.LISTS:  # XGBoost's are probabilities by the planned objective
            _check_probabilities(probabilities, start, name)
        part = outcome_of(labels[start:rows], probabilities, n_classes, known, rule)
        # Every step-th row of all rows, wherever the block begins.
        sample = part.sample[-start % step :: step].copy()
        parts.append(replace(part, sample=sample, step=step))
    _check_count(name, rows, len(labels))
    return joined(parts)


def _check_probabilities(rows: Floats, start: int, name: str) -> None:
    """Check that each row has probabilities; without them no gate and no drift test works.

    Raises:
        EvaluationIncomplete: names the first row that has not.
    """
    outside = ((rows < 0) | (rows > 1)).any(axis=1)
    wrong = outside | (np.abs(rows.sum(axis=1) - 1) > _PROBABILITY_ERROR)
    if wrong.any():
        row = int(wrong.argmax())
        shown = ", ".join(f"{value:.6g}" for value in rows[row, :5])
        raise EvaluationIncomplete(
            f"{name}, row {start + row + 1}: {shown} are no probabilities; expected: a number from "
            "0 to 1 for each class, which add up to 1, or of two classes the probability of the "
            "second one"
        )


def read_numbers(
    stream: IO[bytes], name: str, rows: int, form: AnswerForm = AnswerForm.LISTS
) -> Floats:
    """Read the batch output of a regression: one number per row.

    Raises:
        EvaluationIncomplete: when rows are missing or too many, or hold more than one value.
    """
    blocks = list(prediction_blocks(stream, name, form))
    _check_count(name, sum(len(block) for block in blocks), rows)
    if any(block.shape[1] != 1 for block in blocks):
        raise EvaluationIncomplete(f"{name}: several values a row, but a regression has one")
    return np.concatenate(blocks)[:, 0]


def _check_count(name: str, predictions: int, rows: int) -> None:
    if predictions != rows:
        raise EvaluationIncomplete(
            f"{name} holds {predictions} predictions for {rows} held-out rows"
        )
