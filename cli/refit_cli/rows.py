"""Read the rows to predict as data preparation reads them, from a file or from stdin."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from refit.domain.column_reading import name_key
from refit.domain.csv_dialect import (
    CsvDialect,
    HeaderSetting,
    column_names,
    detect_dialect,
    is_repeated_header,
)
from refit.domain.csv_rows import CsvFault, CsvFormat
from refit.domain.data_settings import DataSettings
from refit.domain.errors import LabelUnclear, PayloadInvalid
from refit.domain.inferences.request_rows import listed, names_columns
from refit.tabular.csv_stream import RecordStream, first_lines
from refit.tabular.dataset import tables_of
from refit.tabular.label_choice import ColumnSample, label_index
from refit.tabular.readers.lines import LineBlock, OverlongLine, line_blocks
from refit.tabular.readers.table import DroppedFile
from refit.tabular.table_dialects import check_encoding, unclear_header

from refit_cli.errors import BadInput

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator, Sequence

    from refit.domain.csv_rows import CsvRecord
    from refit.domain.schema import Schema
    from refit.tabular.readers.table import CsvTable

MAX_LINE_BYTES = 4_000_000
_SHOWN_FAULTS = 5


@dataclass(frozen=True)
class InputRow:
    """One row to predict.

    Attributes:
        number: of the row, from 1.
        cells: as text: the features in the order of the names, or without names the columns of the
            file in the model's order.
        label: the cell of the label column; None if the file has no such column.
    """

    number: int
    cells: list[str]
    label: str | None = None


@dataclass
class SkippedRows:
    """Rows that cannot be predicted, as data preparation refuses them.

    Attributes:
        count: number of rows.
        first: line and reason of the first ones.
    """

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, line: int, reason: str) -> None:
        """Count a row."""
        self.count += 1
        if len(self.first) < _SHOWN_FAULTS:
            self.first.append(f"line {line}: {reason}")


@dataclass(frozen=True)
class InputTable:
    """The rows to predict.

    Attributes:
        names: of the features; None if the rows have the columns of the file by position.
        rows: read while they are consumed.
        label: name or position of the label column; None if there is none.
        skipped: the rows that were not yielded so far.
    """

    names: list[str] | None
    rows: Iterator[InputRow]
    label: str | None = None
    skipped: SkippedRows = field(default_factory=SkippedRows)


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    Attributes:
        schema: of the live version.
        settings: `[data]` of model.toml when the version was trained.
        delimiter: that of the files that the version was trained on; None if it is not known.
        header: whether the first record names the columns; `auto` decides by names and rows.
        columns: names of the columns that replace those of a header.
        label: name, position or `last` of the label column, as it was typed; None for the model's
            own label, if the file has it.
    """

    schema: Schema
    settings: DataSettings = field(default_factory=DataSettings)
    delimiter: str | None = None
    header: HeaderSetting = "auto"
    columns: list[str] | None = None
    label: str | None = None


def numbered(lines: Iterable[list[str]]) -> Iterator[InputRow]:
    """Number rows that are in memory, from 1."""
    return (InputRow(number, cells) for number, cells in enumerate(lines, 1))


@contextmanager
def open_table(path: Path, reading: Reading) -> Iterator[InputTable]:
    """Open a file of any format that can be trained on; `-` is stdin.

    Raises:
        BadInput: if the file cannot be read, or its columns are not those of the model.
        CallerError: if data preparation would refuse the file.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = tables_of([_dropped(path, folder)], folder).tables
        layouts = [_layout(table, reading) for table in tables]
        skipped = SkippedRows()
        by_name = layouts[0].header is not None
        yield InputTable(
            [feature.name for feature in reading.schema.features] if by_name else None,
            _rows(zip(tables, layouts, strict=True), reading.schema, skipped, by_name=by_name),
            layouts[0].label_name,
            skipped,
        )


def open_bytes(path: Path) -> AbstractContextManager[io.BufferedReader]:
    """Open a file for reading; `-` is stdin. Raises BadInput when it cannot be read."""
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)  # type: ignore[arg-type]
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def _dropped(path: Path, folder: Path) -> DroppedFile:
    """Present a file as a dropped one. Stdin is copied, because a file is read more than once."""
    name, source = str(path), path
    with open_bytes(path) as stream:
        if name == "-":
            name, source = "stdin", folder / "stdin"
            with source.open("wb") as out:
                shutil.copyfileobj(stream, out)

    def opened() -> IO[bytes]:
        return source.open("rb")

    return DroppedFile(Path(name).name, source.stat().st_size, opened)


@dataclass(frozen=True)
class _Layout:
    """Where the columns of the model are in a table.

    Attributes:
        header: names of the columns; None without names.
        header_cells: cells of the header as they are in the file, which may be repeated in it.
        picks: index of the cell of each feature, or without names of each column of the file.
        label: index of the label's cell; None if there is none.
        label_name: how the label column is called.
    """

    csv_format: CsvFormat
    width: int
    header: tuple[str, ...] | None
    header_lines: int
    header_cells: tuple[str, ...]
    picks: list[int]
    label: int | None
    label_name: str | None


def _layout(table: CsvTable, reading: Reading) -> _Layout:
    lines = first_lines(line_blocks(table.blocks(), MAX_LINE_BYTES))
    if table.columns is not None:
        names = column_names(table.columns)
        dialect = CsvDialect(CsvFormat(), len(names), names, 0, ())
    else:
        dialect = _dialect(table, lines, reading)
    header = tuple(reading.columns) if reading.columns else dialect.header
    if header is not None and len(header) != dialect.width:
        raise BadInput(
            f"{table.name}: there are {len(header)} column names, and the rows have "
            f"{dialect.width} cells"
        )
    label = _label_of(table, dialect, header, reading)
    if header is None:
        picks = _picks_by_position(table, dialect.width, label, reading.schema)
        label_name = None if label is None else f"column {label}"
    else:
        picks = _picks_by_name(table, header, label, reading.schema)
        label_name = None if label is None else header[label]
    return _Layout(
        dialect.csv_format,
        dialect.width,
        header,
        dialect.header_lines,
        dialect.header_cells,
        picks,
        label,
        label_name,
    )


def _dialect(table: CsvTable, lines: Sequence[bytes], reading: Reading) -> CsvDialect:
    schema, settings = reading.schema, reading.settings
    header = reading.header if reading.header != "auto" else settings.header
    delimiter = settings.delimiter
    if delimiter == "auto" and reading.delimiter and _splits(lines, reading):
        delimiter = reading.delimiter  # type: ignore[assignment]

    def detected(has_header: HeaderSetting) -> CsvDialect:
        named = reading.label if reading.label and not _is_position(reading.label) else None
        return detect_dialect(
            lines,
            delimiter=delimiter,
            header=has_header,
            label=named or schema.label,
            known_names=reading.columns or [*schema.all_columns],
            lone_record_is_header=False,
        )

    dialect = detected(header)
    if dialect.width == 0:
        raise BadInput(f"{table.name} has no row to predict")
    check_encoding(lines[: dialect.header_lines], table.name)
    if header != "auto":
        return dialect
    if dialect.header is None:
        first = dialect.rows[0] if dialect.rows else ()
        if names_columns(first, schema):
            return detected("yes")
        if dialect.header_is_unclear and not _is_row(first, schema):
            raise unclear_header(dialect, table.name)
        return dialect
    has_names = reading.columns is not None or names_columns(dialect.header, schema)
    return detected("no") if not has_names and _is_row(dialect.header, schema) else dialect


def _is_row(record: Sequence[str], schema: Schema) -> bool:
    """Return whether the model can read a record, with or without a label at either end."""
    width = len(schema.all_columns)
    for row in (record, record[1:], record[:-1]):
        if len(row) == width:
            try:
                return any(value is not None for value in schema.encode_instance(row))
            except PayloadInvalid:
                continue
    return False


def _splits(lines: Sequence[bytes], reading: Reading) -> bool:
    """Return whether the delimiter of the training data gives rows of the model's width."""
    assert reading.delimiter is not None
    width = len(reading.schema.all_columns)
    split = detect_dialect(lines, delimiter=reading.delimiter, header="no")
    return split.width in {width, width + 1}


def _label_of(
    table: CsvTable, dialect: CsvDialect, header: Sequence[str] | None, reading: Reading
) -> int | None:
    """Return the index of the label column; None if the table has none."""
    keys = [name_key(name) for name in header or ()]
    if reading.label is not None:
        return _chosen_label(table, dialect.width, keys, reading.label)
    own = name_key(reading.schema.label)
    if header is not None:
        return keys.index(own) if own in keys else None
    if dialect.width != len(reading.schema.all_columns) + 1:
        return None
    columns = tuple(zip(*dialect.rows, strict=True)) or ((),) * dialect.width
    try:
        sample = ColumnSample(table.name, None, columns)
        setting = reading.settings.label
        return label_index(sample, setting if isinstance(setting, int) else None, None)
    except LabelUnclear as error:
        raise BadInput(error.reason, "say which column is the label: --label N, or last") from error


def _chosen_label(table: CsvTable, width: int, keys: Sequence[str], label: str) -> int:
    if name_key(label) in keys:
        return keys.index(name_key(label))
    index = width - 1 if label in {"last", "-1"} else None
    if _is_position(label):
        index = int(label)
    if index is not None and index < width:
        return index
    known = f"the columns are {listed(keys, 10)}" if keys else "no header names the columns"
    raise BadInput(
        f"{table.name} has no column {label!r}: {known}",
        "provide the name of a column in the header, a position from 0, or last",
    )


def _is_position(label: str) -> bool:
    return label.isascii() and label.isdigit()


def _picks_by_name(
    table: CsvTable, header: Sequence[str], label: int | None, schema: Schema
) -> list[int]:
    keys = [name_key(name) for name in header]
    repeated = [name for name, count in Counter(keys).items() if count > 1]
    if repeated:
        raise BadInput(f"{table.name} has two columns {repeated[0]!r}", "rename one of them")
    features = [feature.name for feature in schema.features]
    known = {*map(name_key, schema.all_columns), name_key(schema.label)}
    for index, key in enumerate(keys):
        if key not in known and index != label:
            raise BadInput(
                f"{table.name} has an unknown column {header[index]!r}; the model has "
                f"{listed(features)}",
                "remove the column, or name it with --label if it is the label; if the first line "
                "is a row, give --header no",
            )
    absent = [name for name in features if name_key(name) not in keys]
    if absent:
        raise BadInput(
            f"{table.name} lacks the column {listed(absent)}",
            "add it; empty cells are missing values",
        )
    return [keys.index(name_key(name)) for name in features]


def _picks_by_position(table: CsvTable, width: int, label: int | None, schema: Schema) -> list[int]:
    columns = schema.all_columns
    picks = [index for index in range(width) if index != label]
    if len(picks) != len(columns):
        left_out = f", also those that are left out: {listed(list(schema.left_out))}"
        raise BadInput(
            f"{table.name} has rows of {width} cells without column names; the model requires the "
            f"{len(columns)} columns that it was trained on, without the label "
            f"({listed(columns)}){left_out if schema.left_out else ''}",
            "name the columns with a header or --columns, or the label with --label",
        )
    return picks


def _rows(
    tables: Iterable[tuple[CsvTable, _Layout]],
    schema: Schema,
    skipped: SkippedRows,
    *,
    by_name: bool,
) -> Iterator[InputRow]:
    number = 0
    names = [feature.name for feature in schema.features]
    for table, layout in tables:
        for record in _records(table, layout):
            number += 1
            if isinstance(record, CsvFault):
                skipped.add(record.line, record.reason)
                continue
            cells = record.cells
            if len(cells) != layout.width:
                skipped.add(record.line, f"{len(cells)} cells, not {layout.width}")
                continue
            picked = [cells[index] for index in layout.picks]
            try:
                schema.encode_instance(dict(zip(names, picked, strict=True)) if by_name else picked)
            except PayloadInvalid as error:
                skipped.add(record.line, str(error))
                continue
            yield InputRow(number, picked, None if layout.label is None else cells[layout.label])


def _records(table: CsvTable, layout: _Layout) -> Iterator[CsvRecord | CsvFault]:
    """Yield the rows below the header; a header that is repeated is no row."""
    stream = RecordStream(layout.csv_format)

    def wanted(records: Iterable[CsvRecord | CsvFault]) -> Iterator[CsvRecord | CsvFault]:
        for record in records:
            is_header = not isinstance(record, CsvFault) and is_repeated_header(
                record.cells, layout.header_cells
            )
            if not is_header and record.line > layout.header_lines:
                yield record

    for block in line_blocks(table.blocks(), MAX_LINE_BYTES):
        if isinstance(block, OverlongLine):
            reason = f"it is longer than {MAX_LINE_BYTES:,} bytes, more than one request carries"
            yield CsvFault(block.number, reason, block.head)
        elif block.first + block.data.count(b"\n") > layout.header_lines:
            yield from wanted(stream.read(_below(block, layout.header_lines)))
    yield from wanted(stream.finish())


def _below(block: LineBlock, lines: int) -> LineBlock:
    """Return the part of a block below the first lines of the file."""
    first, data = block.first, block.data
    while first <= lines and data:
        data = data[data.index(b"\n") + 1 :]
        first += 1
    return LineBlock(first, data)
