"""Convert JSON records to CSV: an object on each line, or one list of objects.

Numbers keep the text that they have in the file, so that no digit is lost. A missing key and null
are an empty cell, and booleans are `true` and `false`.
"""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from refit.domain.cells import shown
from refit.domain.errors import DatasetInvalid, DatasetUnreadable
from refit.domain.inferences.request_rows import KeyRepeated, object_with_distinct_keys
from refit.tabular.readers.lines import OverlongLine, line_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

MAX_LIST_BYTES = 32 * 1024**2
"""Largest size of a list of records, which is read into memory as a whole."""

MAX_COLUMNS = 10_000

# json.loads would make a decoder for each line.
_DECODER = json.JSONDecoder(
    object_pairs_hook=object_with_distinct_keys,
    parse_int=str,
    parse_float=str,
    parse_constant=str,
)


def json_to_csv(
    blocks: Callable[[], Iterator[bytes]], target: Path, name: str, constants: Sequence[str] = ()
) -> tuple[str, ...]:
    """Write records as CSV without header, in their order.

    Args:
        blocks: starts to read the file; it is read twice, because any record may have a new key.
        target: the CSV file to write.
        name: name of the file, for messages.
        constants: cells that follow those of the file in each row.

    Returns:
        The names of the columns, in the order in which the keys appear.

    Raises:
        DatasetUnreadable: if the file is not JSON, or a list is too large.
        DatasetInvalid: if a record is not an object or has a key twice, or a value is a list or an
            object.
    """
    columns: dict[str, None] = {}
    for place, record in _records(blocks, name):
        _check(record, place)
        columns.update(dict.fromkeys(record))
        if len(columns) > MAX_COLUMNS:
            raise DatasetInvalid(
                f"{place}: the records have more than {MAX_COLUMNS:,} different keys"
            )
    with target.open("w", encoding="utf-8", errors="surrogatepass", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for _, record in _records(blocks, name):
            # None and "" are both an empty cell.
            writer.writerow([*(_text(record.get(column)) for column in columns), *constants])
    return tuple(columns)


def _records(blocks: Callable[[], Iterator[bytes]], name: str) -> Iterator[tuple[str, Any]]:
    """Yield each record with its place in the file, for messages."""
    for number, line in _lines(blocks, name):
        if line.lstrip().startswith(b"["):
            for index, record in enumerate(_listed(blocks, name), 1):
                yield f"{name} record {index}", record
            return
        yield f"{name} line {number}", _parsed(line, f"{name} line {number}")


def _lines(blocks: Callable[[], Iterator[bytes]], name: str) -> Iterator[tuple[int, bytes]]:
    for block in line_blocks(blocks()):
        if isinstance(block, OverlongLine):
            if block.head.lstrip().startswith(b"["):
                yield block.number, block.head
            raise DatasetUnreadable(
                f"{name} line {block.number} has {block.size_bytes:,} bytes; the limit is 4 MiB"
            )
        for number, line in enumerate(block.data.split(b"\n")[:-1], block.first):
            if line.strip():
                yield number, line


def _listed(blocks: Callable[[], Iterator[bytes]], name: str) -> list[Any]:
    data = bytearray()
    for block in line_blocks(blocks(), MAX_LIST_BYTES):
        data += block.head if isinstance(block, OverlongLine) else block.data
        if isinstance(block, OverlongLine) or len(data) > MAX_LIST_BYTES:
            raise DatasetUnreadable(
                f"{name} is a JSON list of more than {MAX_LIST_BYTES // 1024**2} MiB: drop an "
                "object on each line"
            )
    value = _parsed(bytes(data), name)
    assert isinstance(value, list)
    return value


def _parsed(text: bytes, where: str) -> Any:
    try:
        return _DECODER.decode(text.decode())
    except UnicodeDecodeError:
        raise DatasetUnreadable(f"{where} is not UTF-8 text: save the file as UTF-8") from None
    except KeyRepeated as error:
        raise DatasetInvalid(
            f"{where} has {error}, so it is not clear which value is meant",
            advice="Remove one of them, or give it another name",
        ) from None
    except (ValueError, RecursionError) as error:
        raise DatasetUnreadable(
            f"{where} is not JSON ({error}): drop an object on each line, a list of objects, or CSV"
        ) from None


def _check(record: Any, place: str) -> None:
    if not isinstance(record, dict):
        raise DatasetInvalid(
            f"{place} is {shown(record)}, not an object with a value for each name"
        )
    for column, value in record.items():
        if isinstance(value, list | dict):
            raise DatasetInvalid(
                f"{place}: the value of {column!r} is {shown(value)}; a cell holds one value"
            )


def _text(value: str | bool | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value or ""
