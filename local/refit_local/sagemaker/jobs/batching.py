"""Mini-batches of a transform job, and the parts of a CSV record that its filters keep (B6)."""

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
_ONE = re.compile(r"\$\[(-?\d+)\]")
_LIST = re.compile(r"\$\[(-?\d+(?:\s*,\s*-?\d+)+)\]")
_SLICE = re.compile(r"\$\[(-?\d*):(-?\d*)\]")


@dataclass(frozen=True)
class MiniBatch:
    """What one request to the model server carries: its records, each with its line end."""

    records: list[bytes]


def mini_batches(
    stream: BinaryIO, *, split: bool, multi_record: bool, max_bytes: int
) -> Iterator[MiniBatch]:
    """Cut an object into requests.

    Args:
        stream: the object.
        split: whether lines are records; else the object is one record.
        multi_record: as many records to a request as fit; else one.
        max_bytes: the largest payload.

    Raises:
        JobFailed: when one record is larger than the largest payload.
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
    """A JSONPath over the columns of a CSV record: `$`, `$[2]`, `$[0,2]`, `$[1:]`, `$[-1]`."""

    path: str

    def __post_init__(self) -> None:
        if self.path != "$" and not any(
            form.fullmatch(self.path) for form in (_ONE, _LIST, _SLICE)
        ):
            raise NotImplementedLocally(
                f"the filter {self.path}: of JSONPath it has the forms for CSV columns $, $[n], "
                "$[n,m], $[n:m]"
            )

    @property
    def keeps_all(self) -> bool:
        """Whether the record stays as it is."""
        return self.path == "$"

    def apply(self, record: str) -> str:
        """Return the kept columns of a CSV record without line end.

        Raises:
            JobFailed: when a column is not there.
        """
        if self.keeps_all:
            return record
        columns = _columns(record)
        if match := _SLICE.fullmatch(self.path):
            low, high = (int(bound) if bound else None for bound in match.groups())
            return _csv(columns[low:high])
        match = _ONE.fullmatch(self.path) or _LIST.fullmatch(self.path)
        wanted = [int(number) for number in match[1].split(",")] if match else []
        try:
            return _csv([columns[number] for number in wanted])
        except IndexError:
            raise JobFailed(
                f"ClientError: the filter {self.path} names a column that a record of "
                f"{len(columns)} columns does not have"
            ) from None


def _columns(record: str) -> list[str]:
    if '"' not in record:
        return record.split(",")
    return next(csv.reader([record]), [])


def _csv(columns: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(columns)
    return text.getvalue()
