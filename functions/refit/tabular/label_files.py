"""Files of labels: CSV, JSON lines, and JSON lines of SageMaker's own ground-truth records.

Accepted, each also gzipped:
    CSV         inferenceId,label[,observedAt] a line; in any order when a first line names them
    JSON lines  {"inferenceId": …, "label": …, "observedAt"?: …}
    SageMaker   {"groundTruthData": {"data": "1", "encoding": "CSV"},
                "eventMetadata": {"eventId": …}, "eventVersion": "0"}; data may be JSON or base64,
                and holds one label for each row of its event

A line that cannot be used is told with its number; the lines after it are read all the same.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from refit.domain.errors import DatasetUnreadable, PayloadInvalid
from refit.domain.inferences.ground_truth_records import BadLine, LabelRecord, Sent, record_of
from refit.domain.inferences.inference import inference_ids
from refit.domain.inferences.payload import parsed_json
from refit.domain.schema import shown
from refit.tabular.readers.gunzip import GZIP_MAGIC, gunzipped
from refit.tabular.readers.lines import SHOWN_BYTES, OverlongLine, line_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_Lines: TypeAlias = "Iterator[tuple[int, bytes] | BadLine]"

COLUMNS = ("inferenceId", "label", "observedAt")
_NO_HEADER = {2: COLUMNS[:2], 3: COLUMNS}
_JSON_NAME = re.compile(r"\.(jsonl|json|ndjson)(\.gz)?\Z", re.IGNORECASE)
_CSV_NAME = re.compile(r"\.csv(\.gz)?\Z", re.IGNORECASE)


def labels_in(blocks: Iterator[bytes], name: str) -> Iterator[Sent]:
    """Yield the records of a file in their order, and its bad lines in theirs.

    Args:
        blocks: the file's bytes.
        name: the file's name; where its ending does not tell the format, the content does.

    Yields:
        What each line holds: several records for a list of labels. A file that is damaged ends
        with a bad line; so does one whose header names an unknown column, unread.
    """
    lines = _lines(blocks, name)
    first = next((line for line in lines if isinstance(line, BadLine) or line[1].strip()), None)
    if first is None:
        return
    lines = chain([first], lines)
    yield from _json_records(lines) if _is_json(name, first) else _csv_records(lines)


def _is_json(name: str, first: tuple[int, bytes] | BadLine) -> bool:
    if _JSON_NAME.search(name) or _CSV_NAME.search(name):
        return bool(_JSON_NAME.search(name))
    return not isinstance(first, BadLine) and first[1].lstrip().startswith(b"{")


def _lines(blocks: Iterator[bytes], name: str) -> _Lines:
    head = next(blocks, b"")
    whole = chain([head], blocks)
    number = 0
    try:
        for part in line_blocks(gunzipped(whole, name) if head[:2] == GZIP_MAGIC else whole):
            if isinstance(part, OverlongLine):
                number = part.number
                reason = f"the line has {part.size_bytes:,} bytes: too long for a record"
                yield _bad(number, reason, part.head)
                continue
            for number, line in enumerate(part.data[:-1].split(b"\n"), part.first):
                yield number, line
    except DatasetUnreadable as error:
        yield BadLine(number + 1, str(error), "")


def _bad(number: int, reason: str, line: bytes) -> BadLine:
    return BadLine(number, reason, line[:SHOWN_BYTES].decode(errors="replace"))


def _json_records(lines: _Lines) -> Iterator[Sent]:
    for line in lines:
        if isinstance(line, BadLine):
            yield line
        elif line[1].strip():
            try:
                yield from _json_line(line[0], line[1])
            except PayloadInvalid as error:
                yield _bad(line[0], str(error), line[1])


def _json_line(number: int, line: bytes) -> list[LabelRecord]:
    value = parsed_json(_text(line), "the line")
    if isinstance(value, dict) and "groundTruthData" in value:
        return _sagemaker_records(value, number)
    return [record_of(value, "the line", number)]


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise PayloadInvalid(f"the line is not UTF-8 text: {error}") from None


def _csv_records(lines: _Lines) -> Iterator[Sent]:
    columns: Sequence[str] | None = None
    is_first = True
    for line in lines:
        if isinstance(line, BadLine):
            yield line
            continue
        try:
            cells = _cells(line[1])
            if not cells:
                continue
            names = [cell.strip() for cell in cells] if is_first else []
            if COLUMNS[0] in names:
                columns = names
                if reason := _header_fault(columns):
                    yield _bad(line[0], reason, line[1])
                    return
            else:
                yield _csv_record(cells, columns, line[0])
        except PayloadInvalid as error:
            yield _bad(line[0], str(error), line[1])
        is_first = False


def _cells(line: bytes) -> list[str]:
    # One line at a time: a quote that never ends spoils its own line, not the rest of the file.
    try:
        rows = list(csv.reader([_text(line)], strict=True))
    except csv.Error as error:
        raise PayloadInvalid(f"the line is not CSV: {error}") from None
    cells = rows[0] if rows else []
    return cells if any(map(str.strip, cells)) else []


def _header_fault(columns: Sequence[str]) -> str | None:
    allowed = f"a header names {COLUMNS[0]}, {COLUMNS[1]} and, if known, {COLUMNS[2]}"
    unread = "no line of the file was read"
    if unknown := [name for name in columns if name not in COLUMNS]:
        return f"unknown column {shown(unknown[0])}: {allowed}; {unread}"
    if len(set(columns)) < len(columns) or COLUMNS[1] not in columns:
        return f"the header is {shown(','.join(columns))}: {allowed}; {unread}"
    return None


def _csv_record(cells: list[str], columns: Sequence[str] | None, number: int) -> LabelRecord:
    names = columns or _NO_HEADER.get(len(cells), ())
    if len(names) != len(cells):
        wanted = "2 or 3 (inferenceId,label[,observedAt])" if columns is None else len(columns)
        raise PayloadInvalid(f"the line has {len(cells)} cells, not {wanted}")
    values = dict(zip(names, cells, strict=True))
    return LabelRecord(
        values["inferenceId"].lstrip(),
        values["label"],
        values.get("observedAt", "").strip() or None,
        line=number,
    )


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    data: str
    encoding: Literal["CSV", "JSON", "BASE64"]


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    event_id: str = Field(alias="eventId")


class _SageMakerRecord(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    ground_truth: _Data = Field(alias="groundTruthData")
    metadata: _Metadata = Field(alias="eventMetadata")


def _sagemaker_records(value: Any, number: int) -> list[LabelRecord]:
    try:
        record = _SageMakerRecord.model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise PayloadInvalid(f"the line is no ground-truth record: {wrong}") from None
    labels = _decoded(record.ground_truth)
    if not labels:
        raise PayloadInvalid("groundTruthData.data holds no label")
    event_id, count = record.metadata.event_id, len(labels)
    return [
        LabelRecord(inference_id, label, None, event_id, None if count == 1 else count, number)
        for inference_id, label in zip(inference_ids(event_id, count), labels, strict=True)
    ]


def _decoded(found: _Data) -> list[Any]:
    if found.encoding == "JSON":
        return _json_labels(found.data)
    if found.encoding == "CSV":
        return _csv_labels(found.data)
    try:
        text = base64.b64decode(found.data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise PayloadInvalid(f"groundTruthData.data is not base64 of UTF-8 text: {error}") from None
    return _json_labels(text) if text.lstrip().startswith("[") else _csv_labels(text)


def _json_labels(text: str) -> list[Any]:
    value = parsed_json(text, "groundTruthData.data")
    return value if isinstance(value, list) else [value]


def _csv_labels(text: str) -> list[Any]:
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise PayloadInvalid(f"groundTruthData.data is not CSV: {error}") from None
    return [cell for row in rows for cell in row]
