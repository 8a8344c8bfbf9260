"""The files of a drop, of whatever kind, as tables."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetEmpty, DatasetInvalid, DatasetUnreadable
from refit.tabular.readers.arrays import csv_blocks
from refit.tabular.readers.gunzip import GZIP_MAGIC, gunzipped
from refit.tabular.readers.idx import given_split, paired, read_idx
from refit.tabular.readers.parquet import parquet_to_csv
from refit.tabular.readers.pickled import read_pickle
from refit.tabular.readers.recognition import HEAD_BYTES, Kind, kind_of
from refit.tabular.readers.table import READ_BYTES, DroppedFile, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from refit.tabular.readers.arrays import Numbers
    from refit.tabular.split import Split

MAX_IN_MEMORY_BYTES = 1024**3
"""Pickled arrays and IDX files are held whole."""

_FOLDERS: dict[str, Split] = {"train": "train", "validation": "validation", "test": "test"}


def tables_of(files: Sequence[DroppedFile], folder: Path) -> list[Table]:
    """Find the tables in the files of a drop.

    A file's kind is recognised by its content. Files whose name begins with a dot or an underscore
    are markers of other systems and are left alone.

    Args:
        files: the drop.
        folder: an empty one, for what has to be unpacked on disk.

    Returns:
        Training tables first, then in the order of their names.

    Raises:
        DatasetEmpty: when there is no file, or one is empty.
        DatasetUnreadable: when a file is damaged, unsafe or of no kind that is read.
        DatasetInvalid: when a pickle or an IDX file holds something else than features and labels.
    """
    wanted = sorted((file for file in files if not _is_marker(file)), key=lambda file: file.name)
    if not wanted:
        raise DatasetEmpty("no file with data was dropped")
    kinds = {file.name: _kind(file) for file in wanted}
    tables = []
    for number, file in enumerate(wanted):
        match kinds[file.name]:
            case Kind.CSV:
                tables.append(Table(file.name, _folder_split(file.name), _unpacked(file)))
            case Kind.PARQUET:
                tables.append(_parquet_table(file, folder / f"{number:04d}"))
            case Kind.PICKLE:
                tables += _pickle_tables(file)
            case Kind.IDX:
                pass
    by_name = {file.name: file for file in wanted}
    for images, labels in paired([name for name, kind in kinds.items() if kind is Kind.IDX]):
        tables.append(_idx_table(by_name[images], by_name[labels]))
    return sorted(tables, key=lambda table: table.split in {"validation", "test"})


def _is_marker(file: DroppedFile) -> bool:
    return file.name.rpartition("/")[2].startswith((".", "_"))


def _folder_split(name: str) -> Split | None:
    return _FOLDERS.get(name.partition("/")[0]) if "/" in name else None


def _kind(file: DroppedFile) -> Kind:
    head = b""
    for block in _unpacked(file)():
        head += block
        if len(head) >= HEAD_BYTES:
            break
    if not head:
        raise DatasetEmpty(f"{file.name} is empty")
    return kind_of(head[:HEAD_BYTES], file.name)


def _raw(file: DroppedFile) -> Iterator[bytes]:
    stream = file.open()
    try:
        while block := stream.read(READ_BYTES):
            yield block
    finally:
        stream.close()


def _unpacked(file: DroppedFile) -> Callable[[], Iterator[bytes]]:
    """Return what begins to read a file, unpacked when it is gzip."""

    def blocks() -> Iterator[bytes]:
        stream = _raw(file)
        first = next(stream, b"")
        rest = _chained(first, stream)
        yield from gunzipped(rest, file.name) if first.startswith(GZIP_MAGIC) else rest

    return blocks


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _bounded(file: DroppedFile) -> Iterator[bytes]:
    """Yield a file that is going to be held in memory."""
    size_bytes = 0
    for block in _unpacked(file)():
        size_bytes += len(block)
        if size_bytes > MAX_IN_MEMORY_BYTES:
            raise DatasetUnreadable(
                f"{file.name} unpacks to more than {MAX_IN_MEMORY_BYTES // 1024**3} GiB: "
                "drop it as CSV or Parquet"
            )
        yield block


class _BlockReader(io.RawIOBase):
    """Blocks of bytes as a file, for what can only read from one."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        target = memoryview(buffer).cast("B")
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _parquet_table(file: DroppedFile, folder: Path) -> Table:
    folder.mkdir()
    source, target = folder / "in.parquet", folder / "out.csv"
    with source.open("wb") as out:
        for block in _unpacked(file)():
            out.write(block)
    columns = parquet_to_csv(source, target, file.name)
    source.unlink()
    converted = DroppedFile(file.name, target.stat().st_size, lambda: target.open("rb"))
    return Table(file.name, _folder_split(file.name), lambda: _raw(converted), columns)


def _pickle_tables(file: DroppedFile) -> list[Table]:
    with io.BufferedReader(_BlockReader(_bounded(file)), READ_BYTES) as stream:
        parts = read_pickle(stream, file.name)
    folder = _folder_split(file.name)
    return [
        _array_table(
            file.name if split is None else f"{file.name} ({split})",
            folder or split,
            features,
            labels,
        )
        for split, features, labels in parts
    ]


def _idx_table(images: DroppedFile, labels: DroppedFile) -> Table:
    features = read_idx(b"".join(_bounded(images)), images.name)
    values = read_idx(b"".join(_bounded(labels)), labels.name)
    if values.ndim != 1 or features.ndim < 2 or len(values) != len(features):
        raise DatasetInvalid(
            f"{images.name} holds {len(features)} images and {labels.name} an array of the shape "
            f"{values.shape}: one label is wanted for each image"
        )
    split = _folder_split(images.name) or given_split(images.name)
    return _array_table(images.name, split, features.reshape(len(features), -1), values)


def _array_table(name: str, split: Split | None, features: Numbers, labels: Numbers) -> Table:
    if not len(labels) or not features.shape[1]:
        raise DatasetEmpty(f"{name} holds no row")
    columns = ("label", *(f"f{place}" for place in range(features.shape[1])))
    return Table(name, split, lambda: csv_blocks(features, labels), columns, label_first=True)
