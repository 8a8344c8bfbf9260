"""Read label files: CSV, JSON lines, and JSON lines of SageMaker ground-truth records.

Accepted formats, each optionally gzipped:
    CSV         inferenceId,label[,observedAt]; in any order if the first line names the columns;
                separated by a comma, semicolon, | or tab. A name may also be inference_id
    JSON lines  {"inferenceId": …, "label": …, "observedAt"?: …}
    JSON        a list of such objects, or {"labels": [such objects]}
    SageMaker   {"groundTruthData": {"data": "1", "encoding": "CSV"},
                "eventMetadata": {"eventId": …}, "eventVersion": "0"}; data may be JSON or base64,
                and holds one label for each row of the event

A line that cannot be used is reported with its number, and the lines after it are still read.
"""

from __future__ import annotations

import base64
import binascii
import re
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from refit.domain.cells import shown
from refit.domain.csv_dialect import DELIMITERS
from refit.domain.csv_rows import CsvFormat, CsvLineInvalid, read_text, split_line
from refit.domain.errors import DatasetUnreadable, PayloadInvalid
from refit.domain.inferences.inference import inference_ids
from refit.domain.inferences.label_records import (
    BadLine,
    LabelRecord,
    Sent,
    label_key,
    record_of,
)
from refit.domain.inferences.request_rows import parsed_json
from refit.tabular.readers.gunzip import GZIP_MAGIC, gunzipped
from refit.tabular.readers.lines import SHOWN_BYTES, OverlongLine, line_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_Lines: TypeAlias = "Iterator[tuple[int, bytes] | BadLine]"

COLUMNS = ("inferenceId", "label", "observedAt")
_FORMAT = CsvFormat()
_LIST_BYTES = 16 * 1024**2
_NO_HEADER = {2: COLUMNS[:2], 3: COLUMNS}
_JSON_NAME = re.compile(r"\.(jsonl|json|ndjson)(\.gz)?\Z", re.IGNORECASE)
_CSV_NAME = re.compile(r"\.csv(\.gz)?\Z", re.IGNORECASE)


def labels_in(blocks: Iterator[bytes], name: str) -> Iterator[Sent]:
    """Yield the records and the bad lines of a file, in their order.

    Args:
        blocks: the file's bytes.
        name: name of the file. Its extension determines the format; if the extension is unknown,
            the content does.

    Yields:
        The record of each line, the records of a line with a list of labels, or a bad line. A
        damaged file ends with a bad line. A file whose header names an unknown column is reported
        as one bad line.
    """
    lines = _lines(blocks, name)
    first = next((line for line in lines if isinstance(line, BadLine) or line[1].strip()), None)
    if first is None:
        return
    lines = chain([first], lines)
    if _is_list(name, first):
        yield from _list_records(lines)
    elif _is_json(name, first):
        yield from _json_records(lines)
    else:
        yield from _csv_records(lines)


def _is_list(name: str, first: tuple[int, bytes] | BadLine) -> bool:
    starts = not isinstance(first, BadLine) and first[1].lstrip().startswith(b"[")
    return starts and not _CSV_NAME.search(name)


def _is_json(name: str, first: tuple[int, bytes] | BadLine) -> bool:
    if _JSON_NAME.search(name) or _CSV_NAME.search(name):
        return bool(_JSON_NAME.search(name))
    return not isinstance(first, BadLine) and first[1].lstrip().startswith(b"{")


def _lines(blocks: Iterator[bytes], name: str) -> _Lines:
    head = next(blocks, b"")
    whole = chain([head], blocks)
    number = 0
    try:
        for block in line_blocks(gunzipped(whole, name) if head[:2] == GZIP_MAGIC else whole):
            if isinstance(block, OverlongLine):
                number = block.number
                reason = f"the line has {block.size_bytes:,} bytes and is too long for a record"
                yield _bad(number, reason, block.head)
                continue
            # A record of a label file is one line, so no line end is within quotes.
            data = block.without_carriage_returns().data
            for number, line in enumerate(data[:-1].split(b"\n"), block.first):
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


def _list_records(lines: _Lines) -> Iterator[Sent]:
    """Yield the records of one JSON list, which is read as a whole."""
    content = bytearray()
    number = 0
    for line in lines:
        if isinstance(line, BadLine):
            yield line
            return
        number = number or line[0]
        content += line[1] + b"\n"
        if len(content) > _LIST_BYTES:
            reason = (
                f"a JSON list may have {_LIST_BYTES // 1024**2} MiB: send a record on each line"
            )
            yield _bad(number, reason, bytes(content[:SHOWN_BYTES]))
            return
    try:
        records = parsed_json(_text(bytes(content)), "the file")
    except PayloadInvalid as error:
        yield _bad(number, str(error), bytes(content[:SHOWN_BYTES]))
        return
    yield from _records_of_list(records, number)


def _records_of_list(values: list[Any], line: int) -> Iterator[Sent]:
    for number, value in enumerate(values, 1):
        try:
            yield record_of(value, f"record {number}", line)
        except PayloadInvalid as error:
            yield BadLine(line, str(error), "")


def _json_line(number: int, line: bytes) -> Sequence[Sent]:
    value = parsed_json(_text(line), "the line")
    if isinstance(value, dict) and list(value) == ["labels"] and isinstance(value["labels"], list):
        return list(_records_of_list(value["labels"], number))
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
    csv_format = _FORMAT
    for line in lines:
        if isinstance(line, BadLine):
            yield line
            continue
        try:
            if is_first:
                csv_format = _format_of(line[1])
            cells = _cells(line[1], csv_format)
            if not cells:
                continue
            names = [label_key(cell) or cell.strip() for cell in cells] if is_first else []
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


def _format_of(line: bytes) -> CsvFormat:
    """Return the format of a file by its first line; a comma if several fit."""
    for delimiter in DELIMITERS:
        try:
            if len(split_line(line, CsvFormat(delimiter))) in _NO_HEADER:
                return CsvFormat(delimiter)
        except CsvLineInvalid:
            continue
    return _FORMAT


def _cells(line: bytes, csv_format: CsvFormat) -> list[str]:
    # Lines are read one by one, so that an unclosed quote invalidates only its own line.
    _text(line)
    try:
        cells = split_line(line, csv_format)
    except CsvLineInvalid as error:
        raise PayloadInvalid(f"the line is not CSV: {error}") from None
    return cells if any(map(str.strip, cells)) else []


def _header_fault(columns: Sequence[str]) -> str | None:
    allowed = f"a header must name {COLUMNS[0]}, {COLUMNS[1]} and optionally {COLUMNS[2]}"
    consequence = "no line of the file was read"
    if unknown := [name for name in columns if name not in COLUMNS]:
        return f"unknown column {shown(unknown[0])}: {allowed}; {consequence}"
    if len(set(columns)) < len(columns) or COLUMNS[1] not in columns:
        return f"the header is {shown(','.join(columns))}: {allowed}; {consequence}"
    return None


def _csv_record(cells: list[str], columns: Sequence[str] | None, number: int) -> LabelRecord:
    names = columns or _NO_HEADER.get(len(cells), ())
    if len(names) != len(cells):
        expected = "2 or 3 (inferenceId,label[,observedAt])" if columns is None else len(columns)
        raise PayloadInvalid(f"the line has {len(cells)} cells, not {expected}")
    values = dict(zip(names, cells, strict=True))
    return LabelRecord(
        values["inferenceId"].lstrip(),
        values["label"],
        values.get("observedAt", "").strip() or None,
        line=number,
    )


class _GroundTruthData(BaseModel):
    model_config = ConfigDict(strict=True)

    data: str
    encoding: Literal["CSV", "JSON", "BASE64"]


class _GroundTruthMetadata(BaseModel):
    model_config = ConfigDict(strict=True)

    event_id: str = Field(alias="eventId")


class _GroundTruthRecord(BaseModel):
    model_config = ConfigDict(strict=True)

    ground_truth: _GroundTruthData = Field(alias="groundTruthData")
    metadata: _GroundTruthMetadata = Field(alias="eventMetadata")


def _sagemaker_records(value: Any, number: int) -> list[LabelRecord]:
    try:
        record = _GroundTruthRecord.model_validate(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise PayloadInvalid(f"the line is not a ground-truth record: {problems}") from None
    labels = _decoded(record.ground_truth)
    if not labels:
        raise PayloadInvalid("groundTruthData.data holds no label")
    event_id, count = record.metadata.event_id, len(labels)
    return [
        LabelRecord(inference_id, label, None, event_id, None if count == 1 else count, number)
        for inference_id, label in zip(inference_ids(event_id, count), labels, strict=True)
    ]


def _decoded(truth: _GroundTruthData) -> list[Any]:
    if truth.encoding == "JSON":
        return _json_labels(truth.data)
    if truth.encoding == "CSV":
        return _csv_labels(truth.data)
    try:
        text = base64.b64decode(truth.data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise PayloadInvalid(f"groundTruthData.data is not base64 of UTF-8 text: {error}") from None
    return _json_labels(text) if text.lstrip().startswith("[") else _csv_labels(text)


def _json_labels(text: str) -> list[Any]:
    value = parsed_json(text, "groundTruthData.data")
    return value if isinstance(value, list) else [value]


def _csv_labels(text: str) -> list[Any]:
    try:
        rows = read_text(text, _FORMAT)
    except CsvLineInvalid as error:
        raise PayloadInvalid(f"groundTruthData.data is not CSV: {error}") from None
    return [cell for row in rows for cell in row]
