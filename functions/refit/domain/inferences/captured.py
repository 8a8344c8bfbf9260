"""Capture files, read: what an endpoint was asked and what it answered, row by row.

A line is one invocation in the form of SageMaker's data capture; it may hold many rows. Whatever
cannot be read raises `CaptureUnreadable` with the reason, and is none of the other lines' trouble.

Source: SageMaker developer guide, "Capture data from real-time endpoint"; the answers' JSON forms
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
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from refit.domain.errors import ModelNameInvalid
from refit.domain.inferences.inference import ID_PATTERN
from refit.domain.naming import ResourceNames, checked_model_name
from refit.domain.schema import shown

MAX_LINE_BYTES = 32 * 1024**2
"""Request and answer hold 6 MB each; as BASE64, or as JSON inside a text, both grow."""

VERIFICATION_ID = "refit-verification"
"""Under this id held-out rows are asked when a version goes live: they are no live predictions."""

_KEY = re.compile(r"(?P<model>[^/]+)/capture/(?P<endpoint>[^/]+)/(?P<variant>[^/]+)/.+\.jsonl\Z")
_CSV_TYPES = frozenset({"text/csv", "csv"})
_JSON_TYPES = frozenset({"application/json", "json"})
_JSON_LINES_TYPES = frozenset({"application/jsonlines", "application/x-ndjson"})
_SCORES = ("score", "probabilities", "predicted_score")


class CaptureUnreadable(Exception):
    """A captured invocation, or a row of it, cannot be used; the text is the reason."""


class _Side(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: str
    encoding: Literal["CSV", "JSON", "BASE64"]
    observedContentType: str | None = None


class _Sides(BaseModel):
    model_config = ConfigDict(extra="ignore")

    endpointInput: _Side | None = None
    endpointOutput: _Side | None = None


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="ignore")

    eventId: str | None = None
    inferenceId: str | None = None
    inferenceTime: AwareDatetime


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore")

    captureData: _Sides
    eventMetadata: _Metadata
    eventVersion: Literal["0"] = "0"


@dataclass(frozen=True)
class CaptureKey:
    """What the key of a capture file says of all its lines."""

    model: str
    endpoint: str
    variant: str

    @property
    def version(self) -> int:
        """The model version that answered.

        Raises:
            CaptureUnreadable: when Refit did not name this variant.
        """
        try:
            version = ResourceNames.version_of(self.variant)
        except ValueError:
            version = 0
        if version < 1 or self.variant != ResourceNames.variant(version):
            raise CaptureUnreadable(
                f"variant {shown(self.variant)} names no version: Refit's are v1, v2, …"
            )
        return version


def capture_key_of(key: str) -> CaptureKey | None:
    """Return what an object's key says; None when it is no capture file of a model."""
    found = _KEY.match(key)
    if found is None:
        return None
    try:
        checked_model_name(found["model"])
    except ModelNameInvalid:
        return None
    return CaptureKey(found["model"], found["endpoint"], found["variant"])


@dataclass(frozen=True)
class Event:
    """One invocation.

    Attributes:
        event_id: the caller's inference id; the event's own where the caller gave none.
        at: when, in UTC.
        inputs: the rows that were asked, each as CSV.
        answers: what was answered to each, as CSV: a number, or one for each class.
    """

    event_id: str
    at: datetime
    inputs: list[str]
    answers: list[str]


def event_of(line: bytes) -> Event:
    """Read a line.

    Raises:
        CaptureUnreadable: when it is no captured invocation of which both sides are known, or the
            answers are not as many as the rows.
    """
    read = _line_of(line)
    given = read.eventMetadata.inferenceId or read.eventMetadata.eventId
    if not given:
        raise CaptureUnreadable("there is no id: neither inferenceId nor eventId is set")
    if not ID_PATTERN.match(given):
        raise CaptureUnreadable(
            f"the id is 1 to 80 printable ASCII characters, the first no space; not {shown(given)}"
        )
    sides = read.captureData
    if sides.endpointInput is None or sides.endpointOutput is None:
        missing = "endpointInput" if sides.endpointInput is None else "endpointOutput"
        raise CaptureUnreadable(f"{missing} is missing: capture both sides (InputAndOutput)")
    inputs = _rows_of(sides.endpointInput, "input", "instances")
    answers = _rows_of(sides.endpointOutput, "output", "predictions")
    if len(inputs) != len(answers):
        raise CaptureUnreadable(f"{len(inputs)} rows were asked and {len(answers)} answered")
    if not inputs:
        raise CaptureUnreadable("no row was asked")
    return Event(given, _in_utc(read.eventMetadata.inferenceTime), inputs, answers)


def inputs_of(line: bytes) -> list[list[float | None]]:
    """Return the rows that were asked in an invocation; None where a value is missing.

    Raises:
        CaptureUnreadable: when they cannot be read.
    """
    side = _line_of(line).captureData.endpointInput
    if side is None:
        raise CaptureUnreadable("endpointInput is missing")
    return [
        [None if math.isnan(value) else value for value in values_of(row)]
        for row in _rows_of(side, "input", "instances")
    ]


def values_of(row: str) -> list[float]:
    """Return the values of a CSV row; NaN where a cell is blank or says nan.

    Raises:
        CaptureUnreadable: when a cell holds no number.
    """
    cells = row.split(",")
    try:
        return list(map(float, cells))
    except ValueError:
        return [_value_of(cell) for cell in cells]


def _line_of(line: bytes) -> _Line:
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
        raise CaptureUnreadable(f"inferenceTime {moment.isoformat()} is no time in UTC") from None


def _rows_of(side: _Side, what: str, member: str) -> list[str]:
    """Return a side's rows as CSV."""
    kind = _kind_of(side, what)
    text = _text_of(side, what)
    if kind == "CSV":
        return [row for line in text.split("\n") if (row := line.strip())]
    documents = text.split("\n") if kind == "JSONLINES" else [text]
    parsed = [_parsed(document, what) for document in documents if document.strip()]
    entries = parsed if kind == "JSONLINES" else _entries_of(parsed, what, member)
    return [_row_of(entry, what) for entry in entries]


def _kind_of(side: _Side, what: str) -> str:
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
        "are read"
    )


def _text_of(side: _Side, what: str) -> str:
    if side.encoding != "BASE64":
        return side.data
    try:
        return base64.b64decode(side.data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise CaptureUnreadable(f"the {what} is not BASE64 of UTF-8 text: {error}") from None


def _parsed(document: str, what: str) -> Any:
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


def _row_of(entry: Any, what: str) -> str:
    """Return a row that was sent as JSON as CSV: a list, a number, or an object around them."""
    if isinstance(entry, dict):
        found = [entry.get(name) for name in ("features", *_SCORES)]
        entry = next((it for it in found if it is not None and it == it), None)  # noqa: PLR0124
    cells = entry if isinstance(entry, list) else [entry]
    if not cells or not all(_is_cell(cell) for cell in cells) or cells == [None]:
        raise CaptureUnreadable(f"the {what} has a row that is no list of numbers: {shown(entry)}")
    return ",".join("" if cell is None else str(cell) for cell in cells)


def _is_cell(value: Any) -> bool:
    if isinstance(value, str):
        return "," not in value and "\n" not in value
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _value_of(cell: str) -> float:
    if not cell.strip():
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise CaptureUnreadable(f"a row has {shown(cell)} where a number belongs") from None
