"""Detect the CSV dialects of the tables of a drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.csv_dialect import CsvDialect, column_names, detect_dialect
from refit.domain.csv_rows import CsvFormat
from refit.domain.errors import DatasetEmpty, DatasetInvalid
from refit.tabular.csv_stream import first_lines
from refit.tabular.readers.lines import line_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.model_settings import DataSettings
    from refit.domain.schema import Schema
    from refit.tabular.readers.table import CsvTable


def table_dialects(
    tables: Sequence[CsvTable], settings: DataSettings, prior: Schema | None
) -> list[CsvDialect]:
    """Return the dialect of each table.

    A first record that has the column names of the live model, or of the previous table, is a
    header.

    Raises:
        DatasetEmpty: if a file is empty.
        DatasetInvalid: if a file has only one column.
    """
    names = (prior.label, *(feature.name for feature in prior.features)) if prior else None
    dialects = []
    for table in tables:
        lines = first_lines(line_blocks(table.blocks()))
        if table.columns is not None:
            dialect = _dialect_of_reader(table.columns, lines, table.name)
        else:
            if not lines:
                raise DatasetEmpty(f"{table.name} is empty")
            dialect = _dialect_of_file(lines, settings, names, table.name)
            names = dialect.header or names
        dialects.append(dialect)
    return dialects


def _dialect_of_file(
    lines: Sequence[bytes], settings: DataSettings, names: Sequence[str] | None, file: str
) -> CsvDialect:
    dialect = detect_dialect(
        lines,
        delimiter=settings.delimiter,
        header=settings.header,
        label=settings.label if isinstance(settings.label, str) else None,
        known_names=names,
    )
    if dialect.width < 2:
        raise DatasetInvalid(
            f"{file} has one column: a label and at least one feature are required, separated by "
            "one of , ; | or a tab"
        )
    return dialect


def _dialect_of_reader(columns: tuple[str, ...], lines: Sequence[bytes], file: str) -> CsvDialect:
    """Return the dialect of CSV that a reader wrote from a format with column names."""
    if len(columns) < 2:
        raise DatasetInvalid(
            f"{file} has one column: a label and at least one feature are required"
        )
    written = detect_dialect(lines, delimiter=",", header="no")
    rows = written.rows if written.width == len(columns) else ()
    return CsvDialect(CsvFormat(), len(columns), column_names(columns), 0, rows)
