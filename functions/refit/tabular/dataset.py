"""Find the tables in the files of a drop, in any supported format."""

from __future__ import annotations

import io
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetEmpty, DatasetInvalid, DatasetUnreadable
from refit.tabular.readers.arrays import csv_blocks
from refit.tabular.readers.gunzip import GZIP_MAGIC, gunzipped
from refit.tabular.readers.idx import given_split, paired, read_idx
from refit.tabular.readers.parquet import parquet_to_csv
from refit.tabular.readers.pickled import read_pickle
from refit.tabular.readers.recognition import HEAD_BYTES, FileKind, kind_of
from refit.tabular.readers.table import READ_BYTES, CsvTable, DroppedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from refit.tabular.readers.arrays import Numbers
    from refit.tabular.split import Split

MAX_IN_MEMORY_BYTES = 1024**3
"""Largest uncompressed size of a pickle or IDX file, which is read into memory as a whole."""

_FOLDERS: dict[str, Split] = {"train": "train", "validation": "validation", "test": "test"}


def tables_of(
    files: Sequence[DroppedFile], folder: Path, read_bytes: int = READ_BYTES
) -> list[CsvTable]:
    """Find the tables in the files of a drop.

    The kind of a file is recognized by its content. Files whose names begin with a dot or an
    underscore are markers of other systems and are ignored.

    Args:
        files: files of the drop.
        folder: an empty folder for files that are converted on disk.
        read_bytes: number of bytes that are read at a time.

    Returns:
        The tables in the order of their names, with the tables for training first.

    Raises:
        DatasetEmpty: if there is no file, or a file is empty.
        DatasetUnreadable: if a file is damaged, unsafe or of an unsupported kind.
        DatasetInvalid: if a pickle or an IDX file contains anything but features and labels.
    """
    files = sorted((file for file in files if not _is_marker(file)), key=lambda file: file.name)
    if not files:
        raise DatasetEmpty("no file with data was dropped")
    kinds = {file.name: _kind(file, read_bytes) for file in files}
    tables = []
    for number, file in enumerate(files):
        match kinds[file.name]:
            case FileKind.CSV:
                tables.append(
                    CsvTable(file.name, _folder_split(file.name), _unpacked(file, read_bytes))
                )
            case FileKind.PARQUET:
                tables.append(_parquet_table(file, folder / f"{number:04d}"))
            case FileKind.PICKLE:
                tables += _pickle_tables(file)
            case FileKind.IDX:
                pass
    by_name = {file.name: file for file in files}
    for images, labels in paired([name for name, kind in kinds.items() if kind is FileKind.IDX]):
        tables.append(_idx_table(by_name[images], by_name[labels]))
    return sorted(tables, key=lambda table: table.split in {"validation", "test"})


def _is_marker(file: DroppedFile) -> bool:
    return file.name.rpartition("/")[2].startswith((".", "_"))


def _folder_split(name: str) -> Split | None:
    return _FOLDERS.get(name.partition("/")[0]) if "/" in name else None


def _kind(file: DroppedFile, read_bytes: int) -> FileKind:
    head = b""
    for block in _unpacked(file, read_bytes)():
        head += block
        if len(head) >= HEAD_BYTES:
            break
    if not head:
        raise DatasetEmpty(f"{file.name} is empty")
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


def _parquet_table(file: DroppedFile, folder: Path) -> CsvTable:
    folder.mkdir()
    source, target = folder / "in.parquet", folder / "out.csv"
    with source.open("wb") as out:
        for block in _unpacked(file)():
            out.write(block)
    columns = parquet_to_csv(source, target, file.name)
    source.unlink()
    converted = DroppedFile(file.name, target.stat().st_size, lambda: target.open("rb"))
    return CsvTable(file.name, _folder_split(file.name), lambda: _raw(converted), columns)


def _pickle_tables(file: DroppedFile) -> list[CsvTable]:
    with io.BufferedReader(_BlockReader(_bounded(file)), READ_BYTES) as stream:
        arrays = read_pickle(stream, file.name)
    folder = _folder_split(file.name)
    return [
        _array_table(
            file.name if split is None else f"{file.name} ({split})",
            folder or split,
            features,
            labels,
        )
        for split, features, labels in arrays
    ]


def _idx_table(images: DroppedFile, labels: DroppedFile) -> CsvTable:
    features = read_idx(b"".join(_bounded(images)), images.name)
    values = read_idx(b"".join(_bounded(labels)), labels.name)
    if values.ndim != 1 or features.ndim < 2 or len(values) != len(features):
        raise DatasetInvalid(
            f"{images.name} has {len(features)} images, but {labels.name} has an array of shape "
            f"{values.shape}: each image requires one label"
        )
    split = _folder_split(images.name) or given_split(images.name)
    return _array_table(images.name, split, features.reshape(len(features), -1), values)


def _array_table(name: str, split: Split | None, features: Numbers, labels: Numbers) -> CsvTable:
    if not len(labels) or not features.shape[1]:
        raise DatasetEmpty(f"{name} holds no row")
    columns = ("label", *(f"f{index}" for index in range(features.shape[1])))
    return CsvTable(name, split, lambda: csv_blocks(features, labels), columns, label_first=True)
