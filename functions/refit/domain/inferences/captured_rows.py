"""Convert the rows of a captured call to predictions of a version."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.cells import number_text, shown
from refit.domain.decision_rule import predicted_class
from refit.domain.errors import AnswerMalformed
from refit.domain.inferences.capture_reader import CaptureUnreadable, cells_of, csv_of, values_of
from refit.domain.inferences.inference import ID_PATTERN, Prediction, Source, inference_ids
from refit.domain.inferences.payload import answer_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.decision_rule import DecisionRule
    from refit.domain.inferences.capture_reader import CapturedCells, CapturedEvent
    from refit.domain.schema import Schema

MAX_PROBABILITIES = 200
"""If a model has more classes, its probabilities are not stored, to keep the items small."""

_FLOAT32_ERROR = 1e-6  # error of a probability that was rounded to float32


@dataclass(frozen=True)
class CapturedRow:
    """A row and the prediction for it.

    Attributes:
        values: values that the model read; NaN where one is missing.
        answer: code of the predicted class, or the predicted number.
    """

    inference_id: str
    prediction: Prediction
    values: list[float]
    answer: float


@dataclass(frozen=True)
class BadRow:
    """A row of a call that cannot be used; `text` is the row and its answer."""

    reason: str
    text: str


def captured_rows(
    event: CapturedEvent,
    key: str,
    line: int,
    version: int,
    schema: Schema,
    rule: DecisionRule | None = None,
) -> Iterator[CapturedRow | BadRow]:
    """Yield the rows of a call.

    Args:
        event: the call.
        key: key of the capture file.
        line: index of the call's line in the file.
        version: the version that answered.
        schema: schema of that version.
        rule: decision rule of that version; None: it predicts the most probable class.
    """
    rows = len(event.inputs)
    ids = inference_ids(event.event_id, rows)
    parts = zip(ids, event.inputs, event.answers, strict=True)
    for row, (inference_id, cells, answer_cells) in enumerate(parts):
        try:
            if not ID_PATTERN.match(inference_id):
                raise CaptureUnreadable(
                    f"the id of the row, {shown(inference_id)}, has over 80 characters"
                )
            values = _values_of_width(cells, len(schema.features))
            answer, text, confidence, packed = _answer(answer_cells, schema, rule)
        except CaptureUnreadable as reason:
            yield BadRow(str(reason), f"{csv_of(cells)}\n{csv_of(answer_cells)}")
            continue
        prediction = Prediction(
            text=text,
            confidence=confidence,
            probabilities=packed,
            version=version,
            at=event.at,
            source=Source(key, line, row),
            rows=rows,
            digest=_digest(version, cells, answer_cells),
        )
        yield CapturedRow(inference_id, prediction, values, answer)


def _values_of_width(cells: CapturedCells, width: int) -> list[float]:
    values = values_of(cells)
    if len(values) != width:
        raise CaptureUnreadable(
            f"a row has {len(values)} values, but the version reads {width}, so the answer is wrong"
        )
    return values


def _answer(
    cells: CapturedCells, schema: Schema, rule: DecisionRule | None
) -> tuple[float, str, float | None, bytes | None]:
    """Return an answer as a number and as text, its probability, and all probabilities."""
    try:
        values = answer_values(cells_of(cells), schema)
    except AnswerMalformed as error:
        raise CaptureUnreadable(str(error)) from None
    if schema.classes is None:
        return values[0], number_text(values[0]), None, None
    if min(values) < -_FLOAT32_ERROR or max(values) > 1 + _FLOAT32_ERROR:
        raise CaptureUnreadable(
            f"the endpoint returned {shown(csv_of(cells))}, but a probability is from 0 to 1"
        )
    best = predicted_class(values, schema.classes, rule)
    is_kept = len(values) <= MAX_PROBABILITIES
    packed = struct.pack(f"<{len(values)}f", *values) if is_kept else None
    return best, schema.classes[best], values[best], packed


def _digest(version: int, cells: CapturedCells, answer_cells: CapturedCells) -> str:
    """Return a digest of a prediction that does not depend on how the prediction was captured."""
    content = f"{version}\n{csv_of(cells)}\n{csv_of(answer_cells)}"
    return hashlib.blake2b(content.encode(errors="surrogatepass"), digest_size=8).hexdigest()
