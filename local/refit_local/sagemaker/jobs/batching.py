"""Cut the input of a transform job into requests, and select columns of CSV records.

Source  docs/sagemaker-contract.md, "Batch transform"
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from refit_local.sagemaker.wire.errors import JobFailed, NotImplementedLocally

if TYPE_CHECKING:
    from collections.abc import Iterator

MEGABYTE = 1024**2
_INDEX = re.compile(r"\$\[(-?\d+)\]")
_INDEX_LIST = re.compile(r"\$\[(-?\d+(?:\s*,\s*-?\d+)+)\]")
_SLICE = re.compile(r"\$\[(-?\d*):(-?\d*)\]")


@dataclass(frozen=True)
class MiniBatch:
    """The records of one request to the model server, each with its line end."""

    records: list[bytes]


def mini_batches(
    stream: BinaryIO, *, split: bool, multi_record: bool, max_bytes: int
) -> Iterator[MiniBatch]:
    """Cut an object into requests.

    Args:
        stream: the content of the object.
        split: each line is a record; otherwise the object is one record.
        multi_record: put as many records into a request as fit; otherwise one.
        max_bytes: the largest payload of a request.

    Raises:
        JobFailed: when a record is larger than the largest payload.
    """
    if not split:
        whole = stream.read(max_bytes + 1)
        _check_size(whole, max_bytes)
        if whole:
            yield MiniBatch([whole])
        return
    records: list[bytes] = []
    size = 0
    while line := stream.readline(max_bytes + 1):
        _check_size(line, max_bytes)
        if records and (not multi_record or size + len(line) > max_bytes):
            yield MiniBatch(records)
            records, size = [], 0
        records.append(line)
        size += len(line)
    if records:
        yield MiniBatch(records)


def _check_size(record: bytes, max_bytes: int) -> None:
    if len(record) > max_bytes:
        raise JobFailed(
            f"ClientError: a record is larger than the maximum payload of {max_bytes} bytes; set "
            "SplitType to Line, or raise MaxPayloadInMB"
        )


@dataclass(frozen=True)
class FieldFilter:
    """A JSONPath over the columns of a CSV record: `$`, `$[2]`, `$[0,2]`, `$[1:]` or `$[-1]`.

    Raises:
        NotImplementedLocally: when the path has another form.
    """

    path: str

    def __post_init__(self) -> None:
        forms = (_INDEX, _INDEX_LIST, _SLICE)
        if self.path != "$" and not any(form.fullmatch(self.path) for form in forms):
            raise NotImplementedLocally(
                f"the filter {self.path}: it supports the JSONPath forms $, $[n], $[n,m] and "
                "$[n:m] over CSV columns"
            )

    @property
    def keeps_all(self) -> bool:
        """Whether the filter leaves records unchanged."""
        return self.path == "$"

    def apply(self, record: str) -> str:
        """Return the selected columns of a CSV record without line end.

        Raises:
            JobFailed: when the record does not have a selected column.
        """
        if self.keeps_all:
            return record
        columns = _columns(record)
        if match := _SLICE.fullmatch(self.path):
            start, end = (int(bound) if bound else None for bound in match.groups())
            return _csv_line(columns[start:end])
        match = _INDEX.fullmatch(self.path) or _INDEX_LIST.fullmatch(self.path)
        indices = [int(number) for number in match[1].split(",")] if match else []
        try:
            return _csv_line([columns[index] for index in indices])
        except IndexError:
            raise JobFailed(
                f"ClientError: the filter {self.path} names a column that a record of "
                f"{len(columns)} columns does not have"
            ) from None


def _columns(record: str) -> list[str]:
    if '"' not in record:
        return record.split(",")
    return next(csv.reader([record]), [])


def _csv_line(columns: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(columns)
    return text.getvalue()
