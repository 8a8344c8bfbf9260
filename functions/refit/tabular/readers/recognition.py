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
    JSON = "json"


PARQUET_MAGIC = b"PAR1"
_IDX_HEAD = re.compile(rb"\0\0[\x08\x09\x0b-\x0e][\x01-\x08]", re.DOTALL)
_PICKLE_HEAD = re.compile(rb"\x80[\x02-\x05]", re.DOTALL)
_IDX_NAME = re.compile(r"idx[1-4][-.]ubyte")
_PICKLE_SUFFIXES = (".pkl", ".pickle", ".p")
_BINARY_SHARE = 100
# Text has hardly any control character but tabs, line ends and a separator that repeats.
_CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\v\f\r\x1a\x1b")
_BINARY_CONTROLS, _DIFFERENT_CONTROLS = 20, 4
_BOM = b"\xef\xbb\xbf"
# A record begins with a name, and a list of records with a record.
_JSON_LISTS = re.compile(rb"\[\s*\[|\[[^\r\n]*\],?\s*[\r\n]")
_JSON_HEAD = re.compile(rb'(?:\[\s*)?\{\s*(?:"|\Z)')
_OFFICE_PARTS = (b"[Content_Types].xml", b"xl/", b"_rels/")
_UNSUPPORTED = (
    (b"PK\x03\x04", "a ZIP archive: unpack it, and drop its files"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file: save its table as CSV"),
    (b"BZh", "bzip2: pack it with gzip, or drop it unpacked"),
    (b"\xfd7zXZ", "xz: pack it with gzip, or drop it unpacked"),
    (b"\x28\xb5\x2f\xfd", "zstandard: pack it with gzip, or drop it unpacked"),
    (b"7z\xbc\xaf", "a 7-Zip archive: unpack it, and drop its files"),
    (b"Rar!", "a RAR archive: unpack it, and drop its files"),
    (b"\x1f\x8b", "gzip within gzip: pack it once"),
    (b"\x89HDF", "HDF5: save it as Parquet or CSV"),
    (b"\x93NUMPY", "a NumPy array: save it as CSV, with numpy.savetxt(…, delimiter=',')"),
    (b"ARROW1", "an Arrow or Feather file: save it as Parquet or CSV"),
    (b"FEA1", "a Feather file: save it as Parquet or CSV"),
    (b"\xff\xff\xff\xff", "an Arrow stream: save it as Parquet or CSV"),
    (b"ORC", "ORC: save it as Parquet or CSV"),
    (b"Obj\x01", "Avro: save it as Parquet or CSV"),
    (b"SQLite format 3\0", "an SQLite database: save its table as CSV"),
    (b"$FL2", "an SPSS file: save it as CSV"),
    (b"<stata_dta>", "a Stata file: save it as CSV"),
    (b"RDX", "R's data file: save it with write.csv(…, row.names = FALSE)"),
    (b"%PDF", "a PDF: save its table as CSV"),
    (b"\x89PNG", "an image: Refit reads tables, a row of numbers for each image"),
    (b"\xff\xd8\xff", "an image: Refit reads tables, a row of numbers for each image"),
    (b"GIF8", "an image: Refit reads tables, a row of numbers for each image"),
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
    if head.startswith(b"PK\x03\x04"):
        _refuse_archive(head, name)
    for magic, meaning in _UNSUPPORTED:
        if head.startswith(magic):
            raise DatasetUnreadable(f"{name} is {meaning}")
    if lowered.endswith((".parquet", ".pq")):
        raise DatasetUnreadable(f"{name} is not Parquet: it does not begin with PAR1")
    if _IDX_NAME.search(lowered):
        raise DatasetUnreadable(f"{name} is not an IDX file: its first bytes are not 0, 0, a type")
    if _BINARY_SHARE * head.count(b"\0") > len(head):  # a single zero byte only invalidates its row
        every_other = max(head[::2].count(b"\0"), head[1::2].count(b"\0"))
        if 3 * every_other > len(head):  # nearly every other byte of a Latin text is zero
            raise DatasetUnreadable(
                f"{name} seems to be UTF-16 without a byte-order mark: save it as UTF-8"
            )
        raise DatasetUnreadable(f"{name} is binary, of a kind that Refit does not support")
    controls = [code for code in _CONTROLS if code in head]
    count = sum(map(head.count, controls))
    if len(controls) >= _DIFFERENT_CONTROLS and _BINARY_CONTROLS * count > len(head):
        raise DatasetUnreadable(
            f"{name} is no text file: {count:,} of its first {len(head):,} bytes are control "
            "characters"
        )
    return _kind_of_text(head.removeprefix(_BOM).lstrip(), name)


def _kind_of_text(head: bytes, name: str) -> FileKind:
    if _JSON_HEAD.match(head):
        return FileKind.JSON
    if head[:1] == b"{" or _JSON_LISTS.match(head):
        raise DatasetUnreadable(
            f"{name} looks like JSON, but not like records: drop a JSON object on each line, or CSV"
        )
    if head[:1] == b"<":
        raise DatasetUnreadable(f"{name} looks like HTML or XML: drop the table as CSV")
    if head[:9].lower() == b"@relation":
        raise DatasetUnreadable(f"{name} is an ARFF file of Weka: save it as CSV")
    return FileKind.CSV


def _refuse_archive(head: bytes, name: str) -> None:
    lowered = name.lower()
    if lowered.endswith((".xlsx", ".xlsm")) or any(part in head for part in _OFFICE_PARTS):
        raise DatasetUnreadable(
            f"{name} is an Excel file: save its sheet as CSV UTF-8, and drop that"
        )
    if lowered.endswith(".npz"):
        raise DatasetUnreadable(
            f"{name} is a NumPy archive: save features and label as one table, CSV or Parquet"
        )
