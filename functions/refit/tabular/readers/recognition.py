"""Recognize the kind of a file by its content. The name is only used as a hint."""

from __future__ import annotations

import re
from enum import StrEnum

from refit.domain.errors import DatasetUnreadable

HEAD_BYTES = 4096
"""Number of bytes of a file that `kind_of` requires."""


class FileKind(StrEnum):
    """The supported kinds of files."""

    CSV = "csv"
    PARQUET = "parquet"
    PICKLE = "pickle"
    IDX = "idx"


PARQUET_MAGIC = b"PAR1"
_IDX_HEAD = re.compile(rb"\0\0[\x08\x09\x0b-\x0e][\x01-\x08]", re.DOTALL)
_PICKLE_HEAD = re.compile(rb"\x80[\x02-\x05]", re.DOTALL)
_IDX_NAME = re.compile(r"idx[1-4][-.]ubyte")
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".p")
_BINARY_SHARE = 100
_UNSUPPORTED = (
    (b"PK\x03\x04", "a ZIP archive or an Excel file: drop its table as CSV"),
    (b"BZh", "bzip2: pack it with gzip, or drop it unpacked"),
    (b"\xfd7zXZ", "xz: pack it with gzip, or drop it unpacked"),
    (b"\x28\xb5\x2f\xfd", "zstandard: pack it with gzip, or drop it unpacked"),
    (b"\x1f\x8b", "gzip within gzip: pack it once"),
    (b"\x89HDF", "HDF5: save it as Parquet or CSV"),
    (b"\x93NUMPY", "a NumPy array: save it as CSV"),
    (b"ARROW1", "an Arrow file: save it as Parquet or CSV"),
    (b"Obj\x01", "Avro: save it as Parquet or CSV"),
    (b"%PDF", "a PDF"),
    (b"\xff\xfe", "UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16: save it as UTF-8"),
    (b"\0\0\xfe\xff", "UTF-32: save it as UTF-8"),
)


def kind_of(head: bytes, name: str) -> FileKind:
    """Return the kind of a file.

    Args:
        head: first `HEAD_BYTES` bytes of the file, decompressed; empty if the file is empty.
        name: name of the file.

    Raises:
        DatasetUnreadable: if the kind is unsupported, or contradicts the name.
    """
    lowered = name.lower().removesuffix(".gz")
    if head.startswith(PARQUET_MAGIC):
        return FileKind.PARQUET
    if _PICKLE_HEAD.match(head) or (head and lowered.endswith(_PICKLE_SUFFIXES)):
        return FileKind.PICKLE
    if _IDX_HEAD.match(head):
        return FileKind.IDX
    for magic, meaning in _UNSUPPORTED:
        if head.startswith(magic):
            raise DatasetUnreadable(f"{name} is {meaning}")
    if lowered.endswith((".parquet", ".pq")):
        raise DatasetUnreadable(f"{name} is not Parquet: it does not begin with PAR1")
    if _IDX_NAME.search(lowered):
        raise DatasetUnreadable(f"{name} is not an IDX file: its first bytes are not 0, 0, a type")
    if _BINARY_SHARE * head.count(b"\0") > len(head):  # a single zero byte only invalidates its row
        raise DatasetUnreadable(f"{name} is binary, of a kind that Refit does not support")
    if head.lstrip()[:1] in {b"{", b"<"}:
        raise DatasetUnreadable(f"{name} looks like JSON or HTML: drop the table as CSV")
    return FileKind.CSV
