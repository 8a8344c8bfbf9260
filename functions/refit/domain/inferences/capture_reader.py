"""Read the lines of capture files: the rows that were sent to an endpoint, and its answers.

A line is one call in the format of SageMaker's data capture and may contain many rows. A line that
cannot be read raises CaptureUnreadable; the other lines of the file are not affected.

Source: SageMaker developer guide, "Capture data from real-time endpoint". The JSON forms of answers
are those of SageMaker's XGBoost container.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ValidationError

from refit.domain.cells import shown
from refit.domain.errors import ModelNameInvalid
from refit.domain.inferences.inference import ID_PATTERN
from refit.domain.naming import ResourceNames, checked_model_name

MAX_LINE_BYTES = 32 * 1024**2
"""Request and answer have up to 6 MB each, and more when encoded as BASE64 or as a JSON string."""

VERIFICATION_ID = "refit-verification"
"""Inference id of the held-out rows that verify a deployment. They are not live predictions."""

CapturedCells: TypeAlias = str | list[Any]
"""A row as it was captured: a line of CSV, or the cells of a JSON list."""

_KEY = re.compile(r"(?P<model>[^/]+)/capture/(?P<endpoint>[^/]+)/(?P<variant>[^/]+)/.+\.jsonl\Z")
_CSV_TYPES = frozenset({"text/csv", "csv"})
_JSON_TYPES = frozenset({"application/json", "json"})
_JSON_LINES_TYPES = frozenset({"application/jsonlines", "application/x-ndjson"})
_SCORES = ("score", "probabilities", "predicted_score")


class CaptureUnreadable(Exception):
    """Raised when a captured call, or a row of it, cannot be used; the text is the reason."""


class _Side(BaseModel):
    data: str
    encoding: Literal["CSV", "JSON", "BASE64"]
    observedContentType: str | None = None


class _Sides(BaseModel):
    endpointInput: _Side | None = None
    endpointOutput: _Side | None = None


class _Metadata(BaseModel):
    eventId: str | None = None
    inferenceId: str | None = None
    inferenceTime: AwareDatetime


class _Line(BaseModel):
    captureData: _Sides
    eventMetadata: _Metadata
    eventVersion: Literal["0"] = "0"


@dataclass(frozen=True)
class CaptureKey:
    """The model, endpoint and variant that the key of a capture file states for all its lines."""

    model: str
    endpoint: str
    variant: str

    @property
    def version(self) -> int:
        """The model version that answered.

        Raises:
            CaptureUnreadable: when the name of the variant is not one that Refit assigns.
        """
        try:
            version = ResourceNames.version_of(self.variant)
        except ValueError:
            version = 0
        if version < 1 or self.variant != ResourceNames.variant(version):
            raise CaptureUnreadable(
                f"variant {shown(self.variant)} is not the name of a version: Refit names variants "
                "v1, v2, …"
            )
        return version


def capture_key_of(key: str) -> CaptureKey | None:
    """Return what the key of an object states; None when it is not a capture file of a model."""
    match = _KEY.match(key)
    if match is None:
        return None
    try:
        checked_model_name(match["model"])
    except ModelNameInvalid:
        return None
    return CaptureKey(match["model"], match["endpoint"], match["variant"])


@dataclass(frozen=True)
class CapturedEvent:
    """One call of an endpoint.

    Attributes:
        event_id: the caller's inference id, or the id of the event when the caller gave none.
        at: time of the call, in UTC.
        inputs: rows of the request.
        answers: one answer per row: a number, or one probability per class.
    """

    event_id: str
    at: datetime
    inputs: list[CapturedCells]
    answers: list[CapturedCells]


def read_event(line: bytes) -> CapturedEvent:
    """Return the call that a line of a capture file records.

    Raises:
        CaptureUnreadable: when the line is not a captured call with request and answer, or does
            not have one answer per row.
    """
    parsed = _parsed_line(line)
    event_id = parsed.eventMetadata.inferenceId or parsed.eventMetadata.eventId
    if not event_id:
        raise CaptureUnreadable("there is no id: neither inferenceId nor eventId is set")
    if not ID_PATTERN.match(event_id):
        raise CaptureUnreadable(
            "an id must have 1 to 80 printable ASCII characters and not begin with a space: "
            f"{shown(event_id)}"
        )
    sides = parsed.captureData
    if sides.endpointInput is None or sides.endpointOutput is None:
        missing = "endpointInput" if sides.endpointInput is None else "endpointOutput"
        raise CaptureUnreadable(f"{missing} is missing: capture both sides (InputAndOutput)")
    inputs = _rows_of(sides.endpointInput, "input", "instances")
    answers = _rows_of(sides.endpointOutput, "output", "predictions")
    if len(inputs) != len(answers):
        raise CaptureUnreadable(f"there are {len(inputs)} rows and {len(answers)} answers")
    if not inputs:
        raise CaptureUnreadable("there are no rows")
    return CapturedEvent(event_id, _in_utc(parsed.eventMetadata.inferenceTime), inputs, answers)


def answers_in(body: bytes, content_type: str) -> list[CapturedCells]:
    """Return the answer to each row in the body of an endpoint's answer.

    Raises:
        CaptureUnreadable: when the body is not of its content type.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise CaptureUnreadable(f"the answer is not UTF-8 text: {error}") from None
    media_type = content_type.partition(";")[0].strip().lower()
    encoding: Literal["CSV", "JSON"] = "JSON" if media_type in _JSON_TYPES else "CSV"
    side = _Side(data=text, encoding=encoding, observedContentType=content_type)
    return _rows_of(side, "answer", "predictions")


def inputs_of(line: bytes) -> list[list[float | None]]:
    """Return the rows of a captured request; None where a value is missing.

    Raises:
        CaptureUnreadable: when the rows cannot be read.
    """
    side = _parsed_line(line).captureData.endpointInput
    if side is None:
        raise CaptureUnreadable("endpointInput is missing")
    return [
        [None if math.isnan(value) else value for value in values_of(row)]
        for row in _rows_of(side, "input", "instances")
    ]


def cells_of(row: CapturedCells) -> list[Any]:
    """Return the cells of a row: texts, numbers or None."""
    return row.split(",") if isinstance(row, str) else row


def csv_of(row: CapturedCells) -> str:
    """Return a row as CSV, which is the same whether it was captured as CSV or as JSON."""
    if isinstance(row, str):
        return row
    return ",".join("" if cell is None else str(cell) for cell in row)


def values_of(row: CapturedCells) -> list[float]:
    """Return the values of a row; NaN where a cell is missing, blank or `nan`.

    Raises:
        CaptureUnreadable: when a cell does not hold a number.
    """
    cells = cells_of(row)
    try:
        return list(map(float, cells))
    except (ValueError, TypeError, OverflowError):
        return [_value_of(cell) for cell in cells]


def _value_of(cell: str | float | None) -> float:
    text = "" if cell is None else str(cell)
    if not text.strip():
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise CaptureUnreadable(f"a row has {shown(text)} where a number is expected") from None


def _parsed_line(line: bytes) -> _Line:
    try:
        return _Line.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise CaptureUnreadable(f"{where}: {problem['msg']}" if where else problem["msg"]) from None


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise CaptureUnreadable(
            f"inferenceTime {moment.isoformat()} is not a time in UTC"
        ) from None


def _rows_of(side: _Side, what: str, member: str) -> list[CapturedCells]:
    encoding = _encoding_of(side, what)
    text = _text_of(side, what)
    if encoding == "CSV":
        return [row for line in text.split("\n") if (row := line.strip())]
    documents = text.split("\n") if encoding == "JSONLINES" else [text]
    parsed = [_parsed_json(document, what) for document in documents if document.strip()]
    entries = parsed if encoding == "JSONLINES" else _entries_of(parsed, what, member)
    return [_json_row(entry, what) for entry in entries]


def _encoding_of(side: _Side, what: str) -> str:
    media_type = (side.observedContentType or "").partition(";")[0].strip().lower()
    if media_type in _JSON_LINES_TYPES:
        return "JSONLINES"
    if side.encoding != "BASE64":
        return side.encoding
    if media_type in _CSV_TYPES:
        return "CSV"
    if media_type in _JSON_TYPES:
        return "JSON"
    raise CaptureUnreadable(
        f"the {what} is of type {shown(side.observedContentType)}; text/csv and application/json "
        "can be read"
    )


def _text_of(side: _Side, what: str) -> str:
    if side.encoding != "BASE64":
        return side.data
    try:
        return base64.b64decode(side.data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise CaptureUnreadable(f"the {what} is not BASE64 of UTF-8 text: {error}") from None


def _parsed_json(document: str, what: str) -> Any:
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise CaptureUnreadable(f"the {what} is not JSON: {error}") from None


def _entries_of(parsed: list[Any], what: str, member: str) -> list[Any]:
    value = parsed[0] if parsed else None
    if isinstance(value, dict):
        value = value.get(member)
    if not isinstance(value, list):
        raise CaptureUnreadable(f'the {what} has no list of "{member}"')
    return value


def _json_row(entry: Any, what: str) -> list[Any]:
    """Return the cells of a row that is a JSON list, a number, or an object with either."""
    if isinstance(entry, dict):
        candidates = [entry.get(name) for name in ("features", *_SCORES)]
        # The container writes NaN for a score that it does not compute.
        entry = next((cells for cells in candidates if not _is_absent(cells)), None)
    cells = entry if isinstance(entry, list) else [entry]
    if not cells or not all(_is_cell(cell) for cell in cells) or cells == [None]:
        raise CaptureUnreadable(
            f"the {what} has a row that is not a list of numbers: {shown(entry)}"
        )
    return cells


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _is_cell(value: Any) -> bool:
    if isinstance(value, str):
        return "," not in value and "\n" not in value
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
