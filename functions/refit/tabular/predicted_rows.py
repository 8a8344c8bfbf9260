"""Find the columns of the live model in a file of rows to predict, and read its records.

The command line and batch predictions read a file in the same way: as data preparation reads it,
with or without a header, the label column or the columns that the model leaves out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit.domain.column_reading import name_key, similar_name
from refit.domain.csv_dialect import (
    CsvDialect,
    HeaderSetting,
    column_names,
    detect_dialect,
    is_repeated_header,
)
from refit.domain.csv_rows import CsvFault, CsvFormat
from refit.domain.data_settings import DataSettings
from refit.domain.errors import ColumnsUnfit, LabelUnclear, PayloadInvalid
from refit.domain.inferences.request_rows import listed, names_columns
from refit.tabular.csv_stream import RecordStream, first_lines
from refit.tabular.label_choice import ColumnSample, label_index
from refit.tabular.left_out import is_id_name
from refit.tabular.readers.lines import LineBlock, OverlongLine, line_blocks
from refit.tabular.table_dialects import check_encoding, unclear_header

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from refit.domain.csv_rows import CsvRecord
    from refit.domain.schema import Schema
    from refit.tabular.readers.table import CsvTable

MAX_LINE_BYTES = 4_000_000


@dataclass(frozen=True)
class Advice:
    """What a person can do about a file whose columns do not fit.

    Attributes:
        unclear_label: it is not clear which column is the label.
        unknown_column: the model does not know a column.
        unnamed_columns: the rows have another width, and no header names their cells.
    """

    unclear_label: str = "Name the columns with a header"
    unknown_column: str = (
        "Remove the column, or name it in [batch] id of model.toml if it identifies the rows"
    )
    unnamed_columns: str = "Name the columns with a header"


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
        row_id: name of a column that identifies the rows, which the model need not know.
        advice: what a person can do if the columns do not fit.
    """

    schema: Schema
    settings: DataSettings = field(default_factory=DataSettings)
    delimiter: str | None = None
    header: HeaderSetting = "auto"
    columns: list[str] | None = None
    label: str | None = None
    row_id: str | None = None
    advice: Advice = field(default_factory=Advice)


@dataclass(frozen=True)
class Layout:
    """Where the columns of the model are in a table.

    Attributes:
        header: names of the columns; None without names.
        header_cells: cells of the header as they are in the file, which may be repeated in it.
        picks: index of the cell of each feature, or without names of each column of the file.
        label: index of the label's cell; None if there is none.
        label_name: how the label column is called.
        row_id: index of the cell that identifies the row; None if there is none.
        row_id_name: how that column is called.
    """

    csv_format: CsvFormat
    width: int
    header: tuple[str, ...] | None
    header_lines: int
    header_cells: tuple[str, ...]
    picks: list[int]
    label: int | None
    label_name: str | None
    row_id: int | None
    row_id_name: str | None

    @property
    def is_by_name(self) -> bool:
        """Whether the picks are the cells of the features, and not all columns of the file."""
        return self.header is not None


def layout_of(table: CsvTable, reading: Reading) -> Layout:
    """Find the columns of the model in a table.

    Raises:
        ColumnsUnfit: if the columns are not those of the model.
        DatasetInvalid: if it is not clear whether the first line is a header.
    """
    lines = first_lines(line_blocks(table.blocks(), MAX_LINE_BYTES))
    if table.columns is not None:
        names = column_names(table.columns)
        dialect = CsvDialect(CsvFormat(), len(names), names, 0, ())
    else:
        dialect = _dialect(table, lines, reading)
    header = tuple(reading.columns) if reading.columns else dialect.header
    if header is not None and len(header) != dialect.width:
        raise ColumnsUnfit(
            f"{table.name}: there are {len(header)} column names, and the rows have "
            f"{dialect.width} cells"
        )
    label = _label_of(table, dialect, header, reading)
    if header is None:
        picks = _picks_by_position(table, dialect.width, label, reading)
        label_name = None if label is None else f"column {label}"
    else:
        picks = _picks_by_name(table, header, label, reading)
        label_name = None if label is None else header[label]
    row_id = _row_id(table, header, picks, reading)
    return Layout(
        csv_format=dialect.csv_format,
        width=dialect.width,
        header=header,
        header_lines=dialect.header_lines,
        header_cells=dialect.header_cells,
        picks=picks,
        label=label,
        label_name=label_name,
        row_id=row_id[0] if row_id else None,
        row_id_name=row_id[1] if row_id else None,
    )


def _row_id(
    table: CsvTable, header: Sequence[str] | None, picks: Sequence[int], reading: Reading
) -> tuple[int, str] | None:
    """Return index and name of the column that identifies the rows; None if there is none.

    It is the one that the settings name, or the only column called like row ids among those that
    the model leaves out.
    """
    if header is None:
        columns = dict(zip(map(name_key, reading.schema.all_columns), picks, strict=True))
    else:
        columns = {name_key(name): index for index, name in enumerate(header)}
    if reading.row_id is not None:
        if name_key(reading.row_id) not in columns:
            raise ColumnsUnfit(
                f"{table.name} has no column {reading.row_id!r}, which [batch] id names",
                advice="Add the column, or remove the setting",
            )
        return columns[name_key(reading.row_id)], reading.row_id
    found = [
        (columns[name_key(name)], name)
        for name in reading.schema.left_out
        if is_id_name(name) and name_key(name) in columns
    ]
    return found[0] if len(found) == 1 else None


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
        raise ColumnsUnfit(f"{table.name} has no row to predict")
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
        raise ColumnsUnfit(error.reason, advice=reading.advice.unclear_label) from error


def _chosen_label(table: CsvTable, width: int, keys: Sequence[str], label: str) -> int:
    if name_key(label) in keys:
        return keys.index(name_key(label))
    index = width - 1 if label in {"last", "-1"} else None
    if _is_position(label):
        index = int(label)
    if index is not None and index < width:
        return index
    known = f"the columns are {listed(keys, 10)}" if keys else "no header names the columns"
    raise ColumnsUnfit(
        f"{table.name} has no column {label!r}: {known}",
        advice="Provide the name of a column in the header, a position from 0, or last",
    )


def _is_position(label: str) -> bool:
    return label.isascii() and label.isdigit()


def _picks_by_name(
    table: CsvTable, header: Sequence[str], label: int | None, reading: Reading
) -> list[int]:
    schema = reading.schema
    keys = [name_key(name) for name in header]
    repeated = [name for name, count in Counter(keys).items() if count > 1]
    if repeated:
        raise ColumnsUnfit(
            f"{table.name} has two columns {repeated[0]!r}", advice="Rename one of them"
        )
    features = [feature.name for feature in schema.features]
    names = [*schema.all_columns, schema.label]
    if reading.row_id is not None:
        names.append(reading.row_id)
    known = set(map(name_key, names))
    for index, key in enumerate(keys):
        if key not in known and index != label:
            similar = similar_name(header[index], names)
            raise ColumnsUnfit(
                f"{table.name} has an unknown column {header[index]!r}; the model has "
                f"{listed(features)}",
                advice=f"Rename the column to {similar!r}"
                if similar is not None
                else reading.advice.unknown_column,
            )
    absent = [name for name in features if name_key(name) not in keys]
    if absent:
        raise ColumnsUnfit(
            f"{table.name} lacks the column {listed(absent)}",
            advice="Add it; empty cells are missing values",
        )
    return [keys.index(name_key(name)) for name in features]


def _picks_by_position(
    table: CsvTable, width: int, label: int | None, reading: Reading
) -> list[int]:
    schema = reading.schema
    columns = schema.all_columns
    picks = [index for index in range(width) if index != label]
    if len(picks) != len(columns):
        left_out = f", also those that are left out: {listed(list(schema.left_out))}"
        raise ColumnsUnfit(
            f"{table.name} has rows of {width} cells without column names; the model requires the "
            f"{len(columns)} columns that it was trained on, without the label "
            f"({listed(columns)}){left_out if schema.left_out else ''}",
            advice=reading.advice.unnamed_columns,
        )
    return picks


def records_of(table: CsvTable, layout: Layout) -> Iterator[CsvRecord | CsvFault]:
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
