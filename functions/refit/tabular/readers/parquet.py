"""Convert Parquet files to CSV with DuckDB, in bounded memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import DatasetInvalid, DatasetUnreadable
from refit.tabular.readers.gunzip import MAX_UNPACKED_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from duckdb import DuckDBPyConnection

MEMORY_LIMIT = "400MB"
_BYTES_PER_CELL = 2  # smallest size of a cell as CSV
_NESTED = ("STRUCT", "MAP", "UNION")


@dataclass(frozen=True)
class ParquetColumns:
    """The columns of a Parquet file.

    Attributes:
        names: as the file has them, also where they differ only in case.
        index: names of the columns that hold the index of a pandas data frame.
    """

    names: tuple[str, ...]
    index: tuple[str, ...]


def parquet_to_csv(
    source: Path, target: Path, name: str, constants: Sequence[str] = ()
) -> ParquetColumns:
    """Write the rows of a Parquet file as CSV without header, in their order.

    A missing value is an empty cell, NaN is `nan`, a boolean is `true` or `false`, and dates and
    times are ISO 8601 with a blank between date and time.

    Args:
        source: the Parquet file.
        target: the CSV file to write: comma-separated, with quotes around texts that need them.
        name: name of the file, for messages.
        constants: cells that follow those of the file in each row.

    Raises:
        DatasetUnreadable: if the file is damaged, not Parquet, or larger than the limit of a drop.
        DatasetInvalid: if a column holds lists, structures or bytes.
    """
    import duckdb  # noqa: PLC0415 - takes 66 MB and is only used for Parquet

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY_LIMIT,
        "threads": 2,
        "temp_directory": str(source.parent),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(config=settings) as connection:
        try:
            table = connection.from_parquet(str(source))
            kinds = list(map(str, table.types))
            names = _names(connection, source, table.columns)
            _refuse_nested(names, kinds, name)
            ((rows,),) = connection.execute(
                "SELECT sum(num_rows) FROM parquet_file_metadata(?)", [str(source)]
            ).fetchall()
            if rows * len(names) * _BYTES_PER_CELL > MAX_UNPACKED_BYTES:
                raise DatasetUnreadable(
                    f"{name} holds {rows:,} rows of {len(names):,} columns: drop it in parts"
                )
            index = _index_columns(connection, source)
            cells = [*(_as_text(*column) for column in zip(table.columns, kinds, strict=True))]
            cells += ["'" + value.replace("'", "''") + "'" for value in constants]
            table.project(", ".join(cells)).write_csv(str(target), header=False, sep=",", na_rep="")
        except duckdb.Error as error:
            first_line = str(error).partition("\n")[0].replace(str(source), name)
            raise DatasetUnreadable(f"{name} cannot be read as Parquet: {first_line}") from error
    return ParquetColumns(names, tuple(column for column in index if column in names))


def _names(connection: DuckDBPyConnection, source: Path, renamed: Sequence[str]) -> tuple[str, ...]:
    """Return the names in the file. DuckDB renames those that differ only in case."""
    schema = connection.execute(
        "SELECT name, coalesce(num_children, 0) FROM parquet_schema(?)", [str(source)]
    ).fetchall()
    columns = schema[1:]  # the first entry is the root
    if any(children for _, children in columns) or len(columns) != len(renamed):
        return tuple(renamed)
    return tuple(name for name, _ in columns)


def _index_columns(connection: DuckDBPyConnection, source: Path) -> list[str]:
    """Return the columns that the metadata of pandas names as the index of the data frame."""
    found = connection.execute(
        "SELECT decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = 'pandas'",
        [str(source)],
    ).fetchone()
    try:
        index = json.loads(found[0])["index_columns"] if found else []
    except (ValueError, KeyError, TypeError):
        return []
    return [column for column in index if isinstance(column, str)]  # a range has no column


def _as_text(column: str, kind: str) -> str:
    quoted = '"' + column.replace('"', '""') + '"'
    # The calendar of time zones is in an extension that is not loaded.
    return f"{quoted}::TIMESTAMP" if kind == "TIMESTAMP WITH TIME ZONE" else quoted


def _refuse_nested(names: Sequence[str], kinds: Sequence[str], file: str) -> None:
    for column, kind in zip(names, kinds, strict=True):
        if kind.endswith("]") or kind.startswith(_NESTED):
            raise DatasetInvalid(f"{file}: column {column!r} is {kind}; a cell holds one value")
        if kind == "BLOB":
            raise DatasetInvalid(f"{file}: column {column!r} holds bytes, not numbers or texts")
