"""Convert Parquet files to CSV with DuckDB, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import DatasetInvalid, DatasetUnreadable
from refit.tabular.readers.gunzip import MAX_UNPACKED_BYTES

if TYPE_CHECKING:
    from pathlib import Path

MEMORY_LIMIT = "400MB"
_BYTES_PER_CELL = 2  # smallest size of a cell as CSV
_NESTED = ("STRUCT", "MAP", "UNION")


def parquet_to_csv(source: Path, target: Path, name: str) -> tuple[str, ...]:
    """Write the rows of a Parquet file as CSV without header, in their order.

    Args:
        source: the Parquet file.
        target: the CSV file to write: comma-separated, with quotes around texts that need them.
        name: name of the file, for messages.

    Returns:
        The names of the columns.

    Raises:
        DatasetUnreadable: if the file is damaged, not Parquet, or larger than the limit of a drop.
        DatasetInvalid: if a column holds lists or structures.
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
            columns = dict(zip(table.columns, map(str, table.types), strict=True))
            _refuse_nested(columns, name)
            ((rows,),) = connection.execute(
                "SELECT sum(num_rows) FROM parquet_file_metadata(?)", [str(source)]
            ).fetchall()
            if rows * len(columns) * _BYTES_PER_CELL > MAX_UNPACKED_BYTES:
                raise DatasetUnreadable(
                    f"{name} holds {rows:,} rows of {len(columns):,} columns: drop it in parts"
                )
            table.write_csv(str(target), header=False, sep=",", na_rep="")
        except duckdb.Error as error:
            first_line = str(error).partition("\n")[0].replace(str(source), name)
            raise DatasetUnreadable(f"{name} cannot be read as Parquet: {first_line}") from error
    return tuple(columns)


def _refuse_nested(columns: dict[str, str], name: str) -> None:
    for column, kind in columns.items():
        if kind.endswith("]") or kind.startswith(_NESTED):
            raise DatasetInvalid(f"{name}: column {column!r} is {kind}; a cell holds one value")
