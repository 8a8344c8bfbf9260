"""Find the tables in the files of a drop, in any supported format."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetEmpty, DatasetInvalid, DatasetUnreadable
from refit.domain.pipeline.drop_files import files_with_data, skip_notes
from refit.tabular.readers.arrays import csv_blocks
from refit.tabular.readers.gunzip import GZIP_MAGIC, gunzipped
from refit.tabular.readers.idx import given_split, paired, read_idx
from refit.tabular.readers.json_records import json_to_csv
from refit.tabular.readers.lines import as_utf8
from refit.tabular.readers.parquet import parquet_to_csv
from refit.tabular.readers.pickled import read_pickle
from refit.tabular.readers.recognition import HEAD_BYTES, FileKind, kind_of
from refit.tabular.readers.table import READ_BYTES, CsvTable, DroppedFile, two_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from refit.domain.pipeline.drop_files import DataFile
    from refit.tabular.readers.arrays import Numbers
    from refit.tabular.split import Split

MAX_IN_MEMORY_BYTES = 1024**3
"""Largest uncompressed size of a pickle or IDX file, which is read into memory as a whole."""


@dataclass(frozen=True)
class DropTables:
    """The tables of a drop.

    Attributes:
        tables: in the order of their names, with the tables for training first.
        notes: what was skipped and how folders are read; a sentence each.
    """

    tables: list[CsvTable]
    notes: tuple[str, ...]


def tables_of(
    files: Sequence[DroppedFile], folder: Path, read_bytes: int = READ_BYTES
) -> DropTables:
    """Find the tables in the files of a drop.

    `files_with_data` decides which files are read. The kind of a file is recognized by its content.

    Args:
        files: files of the drop.
        folder: an empty folder for files that are converted on disk.
        read_bytes: number of bytes that are read at a time.

    Raises:
        DatasetEmpty: if there is no file, or all files are empty.
        DatasetUnreadable: if a file is damaged, unsafe or of an unsupported kind.
        DatasetInvalid: if a pickle or an IDX file contains anything but features and labels, or
            folders contradict each other.
    """
    by_name = {file.name: file for file in files}
    drop = files_with_data({file.name: file.size_bytes for file in files})
    kinds = {file.name: _kind(by_name[file.name], read_bytes) for file in drop.files}
    empty = [name for name, kind in kinds.items() if kind is None]
    if len(empty) == len(kinds):
        raise DatasetEmpty(f"{empty[0]} is empty")
    tables: list[CsvTable] = []
    for number, placed in enumerate(drop.files):
        kind = kinds[placed.name]
        if kind is not None:
            tables += _tables(
                by_name[placed.name], placed, kind, folder / f"{number:04d}", read_bytes
            )
    splits = {placed.name: placed.split for placed in drop.files}
    for images, labels in paired([name for name, kind in kinds.items() if kind is FileKind.IDX]):
        tables.append(_idx_table(by_name[images], by_name[labels], splits[images]))
    tables.sort(key=lambda table: table.split in {"validation", "test"})
    return DropTables(tables, (*drop.notes, *skip_notes(dict.fromkeys(empty, "empty"))))


def _tables(
    file: DroppedFile, placed: DataFile, kind: FileKind, folder: Path, read_bytes: int
) -> list[CsvTable]:
    """Return the tables of a file; none for an IDX file, which is only a table with another one."""
    if kind in {FileKind.PICKLE, FileKind.IDX} and placed.partitions:
        column = placed.partitions[0][0]
        raise DatasetInvalid(
            f"{file.name}: a folder such as {column}=… is only read for CSV, Parquet and JSON files"
        )
    match kind:
        case FileKind.CSV:
            unpacked = _unpacked(file, read_bytes)
            return [CsvTable(file.name, placed.split, unpacked, constants=placed.partitions)]
        case FileKind.PARQUET | FileKind.JSON:
            return [_converted(file, placed, kind, folder)]
        case FileKind.PICKLE:
            return _pickle_tables(file, placed.split)
        case FileKind.IDX:
            return []


def _kind(file: DroppedFile, read_bytes: int) -> FileKind | None:
    """Return the kind of a file; None if it is empty, also after unpacking."""
    head = b""
    for block in as_utf8(_unpacked(file, read_bytes)()):
        head += block
        if len(head) >= HEAD_BYTES:
            break
    if not head.strip() and len(head) < HEAD_BYTES:
        return None
    return kind_of(head[:HEAD_BYTES], file.name)


def _raw(file: DroppedFile, read_bytes: int = READ_BYTES) -> Iterator[bytes]:
    with closing(file.open()) as stream:
        while block := stream.read(read_bytes):
            yield block


def _unpacked(file: DroppedFile, read_bytes: int = READ_BYTES) -> Callable[[], Iterator[bytes]]:
    """Return a function that starts to read a file, decompressed if it is gzip."""

    def blocks() -> Iterator[bytes]:
        stream = _raw(file, read_bytes)
        first = next(stream, b"")
        whole = chain([first] if first else [], stream)
        yield from gunzipped(whole, file.name) if first.startswith(GZIP_MAGIC) else whole

    return blocks


def _bounded(file: DroppedFile) -> Iterator[bytes]:
    """Yield the blocks of a file that must fit in memory."""
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
    """Presents blocks of bytes as a file, for libraries that only read files."""

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


def _converted(file: DroppedFile, placed: DataFile, kind: FileKind, folder: Path) -> CsvTable:
    """Convert a file with named columns to CSV on disk."""
    folder.mkdir()
    source, target = folder / "in", folder / "out.csv"
    values = [value for _, value in placed.partitions]
    index: tuple[str, ...] = ()
    if kind is FileKind.JSON:
        names = json_to_csv(_unpacked(file), target, file.name, values)
    else:
        with source.open("wb") as out:
            for block in _unpacked(file)():
                out.write(block)
        columns = parquet_to_csv(source, target, file.name, values)
        source.unlink()
        names, index = columns.names, columns.index
    added = tuple(name for name, _ in placed.partitions)
    if both := [name for name in added if name in names]:
        raise DatasetInvalid(two_sources(file.name, both[0]))
    converted = DroppedFile(file.name, target.stat().st_size, lambda: target.open("rb"))
    return CsvTable(
        file.name,
        placed.split,
        lambda: _raw(converted),
        names + added,
        index_columns=index,
    )


def _pickle_tables(file: DroppedFile, folder_split: Split | None) -> list[CsvTable]:
    with io.BufferedReader(_BlockReader(_bounded(file)), READ_BYTES) as stream:
        arrays = read_pickle(stream, file.name)
    return [
        _array_table(
            file.name if split is None else f"{file.name} ({split})",
            folder_split or split,
            features,
            labels,
        )
        for split, features, labels in arrays
    ]


def _idx_table(images: DroppedFile, labels: DroppedFile, folder_split: Split | None) -> CsvTable:
    features = read_idx(b"".join(_bounded(images)), images.name)
    values = read_idx(b"".join(_bounded(labels)), labels.name)
    if values.ndim != 1 or features.ndim < 2 or len(values) != len(features):
        raise DatasetInvalid(
            f"{images.name} has {len(features)} images, but {labels.name} has an array of shape "
            f"{values.shape}: each image requires one label"
        )
    split = folder_split or given_split(images.name)
    return _array_table(images.name, split, features.reshape(len(features), -1), values)


def _array_table(name: str, split: Split | None, features: Numbers, labels: Numbers) -> CsvTable:
    if not len(labels) or not features.shape[1]:
        raise DatasetEmpty(f"{name} holds no row")
    columns = ("label", *(f"f{index}" for index in range(features.shape[1])))
    return CsvTable(name, split, lambda: csv_blocks(features, labels), columns, label_first=True)
