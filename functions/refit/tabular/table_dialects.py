"""Detect the CSV dialects of the tables of a drop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from refit.domain.cells import shown
from refit.domain.column_reading import name_key
from refit.domain.csv_delimiter import unsupported_delimiter
from refit.domain.csv_dialect import CsvDialect, column_names, detect_dialect
from refit.domain.csv_rows import CsvFormat
from refit.domain.errors import DatasetEmpty, DatasetInvalid, DatasetUnreadable
from refit.tabular.csv_stream import first_lines
from refit.tabular.readers.lines import line_blocks
from refit.tabular.readers.table import two_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.data_settings import DataSettings
    from refit.domain.schema import Schema
    from refit.tabular.readers.table import CsvTable


def table_dialects(
    tables: Sequence[CsvTable], settings: DataSettings, prior: Schema | None
) -> list[CsvDialect]:
    """Return the dialect of each table.

    A first record that has the column names of the live model, or of the previous table, is a
    header. If it can be a header as well as a row, it is a row if the previous table has no header.

    Raises:
        DatasetEmpty: if a file is empty.
        DatasetUnreadable: if a header is not UTF-8 text.
        DatasetInvalid: if a file has only one column, or its first record can be a header as well
            as a row.
    """
    names = (prior.label, *prior.all_columns) if prior else None
    dialects: list[CsvDialect] = []
    for table in tables:
        lines = first_lines(line_blocks(table.blocks()))
        if table.columns is not None:
            dialect = _dialect_of_reader(table.columns, lines, table.name)
        else:
            if not lines:
                raise DatasetEmpty(f"{table.name} is empty")
            known = names and [name for name in names if name not in dict(table.constants)]
            dialect = _dialect_of_file(lines, settings, known, table)
            if dialect.header_is_unclear and not (dialects and dialects[-1].header is None):
                raise unclear_header(dialect, table.name)
            names = dialect.header or names
        dialects.append(_with_constants(dialect, table))
    return dialects


def _dialect_of_file(
    lines: Sequence[bytes], settings: DataSettings, names: Sequence[str] | None, table: CsvTable
) -> CsvDialect:
    file = table.name
    dialect = detect_dialect(
        lines,
        delimiter=settings.delimiter,
        header=settings.header,
        label=settings.label if isinstance(settings.label, str) else None,
        known_names=names,
    )
    if dialect.width < 2 and (not table.constants or _other_delimiter(lines)):
        raise _one_column(lines, file)
    if dialect.other_names and settings.header == "auto":
        raise _other_header(dialect, file)
    check_encoding(lines[: dialect.header_lines], file)
    _check_row_names(dialect, file)
    return dialect


def _check_row_names(dialect: CsvDialect, file: str) -> None:
    """Check that a first column without a name can be row names, which are another in each row.

    Raises:
        DatasetInvalid: if values repeat. Then a value with a delimiter probably lacks its quotes,
            and all cells after it are in the wrong column.
    """
    if dialect.header is None or len(dialect.header_cells) != dialect.width - 1:
        return
    first = [cells[0] for cells in dialect.rows]
    if dialect.nameless == (0,) and len(set(first)) < len(first):
        repeated = next(cell for cell in first if first.count(cell) > 1)
        raise DatasetInvalid(
            f"{file}: the rows have {dialect.width} cells, and the header has {dialect.width - 1} "
            f"names. The first column cannot be row names, because {shown(repeated)} repeats",
            advice=f"Put values that contain {dialect.csv_format.delimiter!r} in quotes, or name "
            "all columns in the header",
        )


def _one_column(lines: Sequence[bytes], file: str) -> DatasetInvalid:
    texts = _texts(lines)
    if texts and all(text[0] == text[-1] == '"' and "," in text for text in texts):
        return DatasetInvalid(
            f"{file} has one column: each line is in quotes as a whole, such as {shown(texts[0])}",
            advice="Remove the quotes around the lines",
        )
    found = _other_delimiter(lines)
    seems = f"; its cells seem to be separated by {found}" if found else ""
    return DatasetInvalid(
        f"{file} has one column: a label and at least one feature are required{seems}",
        advice="Separate the cells by one of , ; | or a tab",
    )


def _other_delimiter(lines: Sequence[bytes]) -> str | None:
    texts = _texts(lines)
    return unsupported_delimiter(texts[1:] or texts)


def _texts(lines: Sequence[bytes]) -> list[str]:
    return [text for line in lines if (text := line.decode(errors="replace").strip())]


def _other_header(dialect: CsvDialect, file: str) -> DatasetInvalid:
    delimiter = dialect.csv_format.delimiter
    return DatasetInvalid(
        f"{file}: the first line, {shown(delimiter.join(dialect.other_names))}, can be the names "
        f"of {len(dialect.other_names)} columns, but the rows have {dialect.width} cells",
        advice=f"Put values that contain {delimiter!r} in quotes, or name each column; if the line "
        'names no columns, set [data] header = "no" in model.toml',
    )


def unclear_header(dialect: CsvDialect, file: str) -> DatasetInvalid:
    """Return the error for a first record that can be a header as well as a row."""
    return DatasetInvalid(
        f"{file}: the first line, {shown(dialect.csv_format.delimiter.join(dialect.rows[0]))}, can "
        "be the names of the columns or a row",
        advice='Set [data] header = "yes" or "no" in model.toml',
    )


def check_encoding(header: Sequence[bytes], file: str) -> None:
    """Check that the lines of a header are UTF-8 text.

    Raises:
        DatasetUnreadable: naming the line and its invalid bytes.
    """
    for number, line in enumerate(header, 1):
        _refuse_encoding(line, number, file)


def _refuse_encoding(line: bytes, number: int, file: str) -> None:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        invalid = line[error.start : error.start + 4]
        try:
            text = line.decode("cp1252")
            likely = f"; as Windows-1252 it reads {shown(text)}"
        except UnicodeDecodeError:
            likely = ""
        raise DatasetUnreadable(
            f"{file} line {number}, in the header, is not UTF-8 text: it has the bytes "
            f"{invalid.hex(' ')}{likely}",
            advice="Save the file as UTF-8",
        ) from None


def _with_constants(dialect: CsvDialect, table: CsvTable) -> CsvDialect:
    """Add the columns whose values are in the names of folders."""
    if not table.constants:
        return dialect
    names = dialect.header or column_names([""] * dialect.width)
    added = tuple(name for name, _ in table.constants)
    known = set(map(name_key, names))
    if both := [name for name in added if name_key(name) in known]:
        raise DatasetInvalid(two_sources(table.name, both[0]))
    values = tuple(value for _, value in table.constants)
    return replace(
        dialect,
        width=dialect.width + len(added),
        header=names + added,
        rows=tuple(row + values for row in dialect.rows),
    )


def _dialect_of_reader(columns: tuple[str, ...], lines: Sequence[bytes], file: str) -> CsvDialect:
    """Return the dialect of CSV that a reader wrote from a format with column names."""
    if len(columns) < 2:
        raise DatasetInvalid(
            f"{file} has one column: a label and at least one feature are required"
        )
    written = detect_dialect(lines, delimiter=",", header="no")
    rows = written.rows if written.width == len(columns) else ()
    return CsvDialect(CsvFormat(), len(columns), column_names(columns), 0, rows)
