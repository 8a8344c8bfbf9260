"""Join the rows of a batch with what the transform job answered, as one CSV table."""

from __future__ import annotations

import csv
import io
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from refit.domain.decision_rule import predicted_classes
from refit.domain.errors import EvaluationIncomplete
from refit.domain.evaluation.batch_output import prediction_blocks
from refit.domain.pipeline.algorithms import AnswerForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refit.domain.decision_rule import DecisionRule
    from refit.domain.evaluation.resampling import Floats
    from refit.domain.schema import Schema

_BLOCK_BYTES = 1024**2
NAMES_LINE_END = "\r\n"
"""Of the files with numbers and ids: Python quotes a cell only if it has a character of it."""

ROW, PREDICTION, VERSION, INFERENCE_ID = "row", "prediction", "version", "inference_id"


class AnsweredRow(NamedTuple):
    """A row and its prediction.

    Attributes:
        number: of the row in the file, from 1.
        row_id: cell of the column that identifies the row; None if there is none.
        prediction: text of the class, or the number.
        probabilities: one per class; empty for a regression.
        answer: what the container answered.
    """

    number: int
    row_id: str | None
    prediction: str | float
    probabilities: list[float]
    answer: list[float]


def header(schema: Schema, id_column: str | None) -> list[str]:
    """Return the names of the columns of the result.

    A column that identifies the rows keeps its name, unless another column of the result has it.
    """
    own = [
        PREDICTION,
        *(f"probability_{text}" for text in schema.classes or ()),
        VERSION,
        INFERENCE_ID,
    ]
    if id_column is None:
        return [ROW, *own]
    is_taken = id_column in own or id_column == ROW
    return [ROW, f"{id_column}_of_file" if is_taken else id_column, *own]


def answered_rows(
    names: IO[bytes],
    output: IO[bytes],
    name: str,
    rows: int,
    schema: Schema,
    rule: DecisionRule | None,
    form: AnswerForm = AnswerForm.LISTS,
) -> Iterator[AnsweredRow]:
    """Yield the rows of one part with their predictions, in their order.

    Args:
        names: number and id of each row, as CSV.
        output: what the transform job wrote for the part.
        name: of the output, for error messages.
        rows: number of rows of the part.
        schema: schema of the version that predicted.
        rule: decision rule of that version; None: it predicts the most probable class.
        form: of the output.

    Raises:
        EvaluationIncomplete: when the output has not one prediction for each row.
    """
    numbered = csv.reader(lines_of(names))
    answered = 0
    for block in prediction_blocks(output, name, form):
        answered += len(block)
        if answered > rows:
            continue  # keep counting for the error message
        predictions, probabilities = _decoded(block, name, schema, rule)
        for cells, prediction, row_probabilities, answer in zip(
            (next(numbered) for _ in range(len(block))),
            predictions,
            probabilities,
            block.tolist(),
            strict=True,
        ):
            row_id = cells[1] if len(cells) > 1 else None
            yield AnsweredRow(int(cells[0]), row_id, prediction, row_probabilities, answer)
    if answered != rows:
        raise EvaluationIncomplete(f"{name} holds {answered:,} predictions for {rows:,} rows")


def checked_answers(block: Floats, name: str, schema: Schema) -> Floats:
    """Return (n_rows, n_classes) the probability of each class, or (n_rows, 1) the number.

    Args:
        block: (n_rows, n_values) answers; of two classes there may be only the second.
        name: of the output, for error messages.
        schema: schema of the version that answered.

    Raises:
        EvaluationIncomplete: when the answers have another width.
    """
    classes, width = schema.classes, block.shape[1]
    if classes is None:
        if width != 1:
            raise EvaluationIncomplete(f"{name}: several values a row, but a regression has one")
        return block
    if width == 1 and len(classes) == 2:  # the probability of the second class
        block = np.column_stack([1 - block, block])
    if block.shape[1] != len(classes):
        raise EvaluationIncomplete(
            f"{name}: {width} values a row, but the model knows {len(classes)} classes"
        )
    return block


def _decoded(
    block: Floats, name: str, schema: Schema, rule: DecisionRule | None
) -> tuple[Sequence[str | float], list[list[float]]]:
    block, classes = checked_answers(block, name, schema), schema.classes
    if classes is None:
        return block[:, 0].tolist(), [[]] * len(block)
    indices = predicted_classes(block, classes, rule).tolist()
    return [classes[index] for index in indices], block.tolist()


def lines_of(stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a stream of text with their line ends."""
    rest = b""
    while block := stream.read(_BLOCK_BYTES):
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line.decode() + "\n"
    if rest:
        yield rest.decode()


class PredictionTable:
    """Makes the lines of the result."""

    def __init__(self, version: int) -> None:
        self._version = version
        self._buffer = io.StringIO()
        self._write = csv.writer(self._buffer, lineterminator="\n").writerow
        # Python does not quote a carriage return of its own accord.
        self._write_quoted = csv.writer(
            self._buffer, lineterminator="\n", quoting=csv.QUOTE_ALL
        ).writerow

    def add_header(self, names: Sequence[str]) -> None:
        """Add the names of the columns."""
        self._write(names)

    def add(self, row: AnsweredRow, inference_id: str | None) -> None:
        """Add a row; `inference_id` is given if its prediction is captured."""
        key = (row.number,) if row.row_id is None else (row.number, row.row_id)
        write = self._write_quoted if row.row_id and "\r" in row.row_id else self._write
        write((*key, row.prediction, *row.probabilities, self._version, inference_id))

    def take(self) -> bytes:
        """Return the lines that were added since the last call."""
        content = self._buffer.getvalue().encode()
        self._buffer.seek(0)
        self._buffer.truncate()
        return content
