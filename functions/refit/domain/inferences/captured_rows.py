"""Captured invocations as predictions of a version: each row with its id, answer and digest."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import AnswerMalformed
from refit.domain.inferences.captured import CaptureUnreadable, values_of
from refit.domain.inferences.inference import ID_PATTERN, Prediction, Source, inference_ids
from refit.domain.inferences.payload import answer_values
from refit.domain.schema import number_text, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.inferences.captured import Event
    from refit.domain.schema import Schema

MAX_PROBABILITIES = 200
"""The probabilities of more classes are not kept with the inference: an item stays small."""

_SLACK = 1e-6  # a probability that was rounded to float32 and back


@dataclass(frozen=True)
class CapturedRow:
    """A row that a version predicted.

    Attributes:
        values: as the model read them, NaN where one is missing.
        answer: the code of the class, or the number.
    """

    inference_id: str
    prediction: Prediction
    values: list[float]
    answer: float


@dataclass(frozen=True)
class BadRow:
    """A row of an event that cannot be used: why, and what it says."""

    reason: str
    text: str


def captured_rows(
    event: Event, key: str, line: int, version: int, schema: Schema
) -> Iterator[CapturedRow | BadRow]:
    """Yield each row of an event as what the version predicted.

    Args:
        event: of the line.
        key: of the file.
        line: its place in the file, from 0.
        version: that answered.
        schema: of that version.
    """
    rows = len(event.inputs)
    ids = inference_ids(event.event_id, rows)
    parts = zip(ids, event.inputs, event.answers, strict=True)
    for row, (inference_id, asked, answered) in enumerate(parts):
        try:
            if not ID_PATTERN.match(inference_id):
                raise CaptureUnreadable(f"the row's id {shown(inference_id)} is over 80 characters")
            values = _values_of_width(asked, len(schema.features))
            answer, text, confidence, packed = _answered(answered, schema)
        except CaptureUnreadable as reason:
            yield BadRow(str(reason), f"{asked}\n{answered}")
            continue
        prediction = Prediction(
            text=text,
            confidence=confidence,
            probabilities=packed,
            version=version,
            at=event.at,
            source=Source(key, line, row),
            rows=rows,
            digest=_digest(version, asked, answered),
        )
        yield CapturedRow(inference_id, prediction, values, answer)


def _values_of_width(row: str, width: int) -> list[float]:
    values = values_of(row)
    if len(values) != width:
        raise CaptureUnreadable(
            f"a row has {len(values)} values and the version reads {width}: its answer is a guess"
        )
    return values


def _answered(row: str, schema: Schema) -> tuple[float, str, float | None, bytes | None]:
    """Return an answer as a number, as its text, its largest probability, and all of them."""
    try:
        values = answer_values(row.encode(errors="replace"), schema)
    except AnswerMalformed as error:
        raise CaptureUnreadable(str(error)) from None
    if schema.classes is None:
        return values[0], number_text(values[0]), None, None
    if min(values) < -_SLACK or max(values) > 1 + _SLACK:
        raise CaptureUnreadable(f"the endpoint answered {shown(row)}, and probabilities are 0 to 1")
    best = max(range(len(values)), key=values.__getitem__)
    kept = len(values) <= MAX_PROBABILITIES
    packed = struct.pack(f"<{len(values)}f", *values) if kept else None
    return best, schema.classes[best], values[best], packed


def _digest(version: int, asked: str, answered: str) -> str:
    content = f"{version}\n{asked}\n{answered}".encode(errors="surrogatepass")
    return hashlib.blake2b(content, digest_size=8).hexdigest()
