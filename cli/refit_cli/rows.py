"""Read the rows to predict as data preparation reads them, from a file or from stdin."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from refit.domain.csv_rows import CsvFault
from refit.domain.errors import ColumnsUnfit, PayloadInvalid
from refit.tabular.dataset import tables_of
from refit.tabular.predicted_rows import Advice, Reading, layout_of, records_of
from refit.tabular.readers.table import DroppedFile

from refit_cli.errors import BadInput

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator

    from refit.domain.schema import Schema
    from refit.tabular.predicted_rows import Layout
    from refit.tabular.readers.table import CsvTable

_SHOWN_FAULTS = 5
_ADVICE = Advice(
    unclear_label="say which column is the label: --label N, or last",
    unknown_column="remove the column, or name it with --label if it is the label; if the first "
    "line is a row, give --header no",
    unnamed_columns="name the columns with a header or --columns, or the label with --label",
)


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
        layouts = _layouts(tables, replace(reading, advice=_ADVICE))
        skipped = SkippedRows()
        by_name = layouts[0].is_by_name
        yield InputTable(
            [feature.name for feature in reading.schema.features] if by_name else None,
            _rows(zip(tables, layouts, strict=True), reading.schema, skipped, by_name=by_name),
            layouts[0].label_name,
            skipped,
        )


def _layouts(tables: Iterable[CsvTable], reading: Reading) -> list[Layout]:
    try:
        return [layout_of(table, reading) for table in tables]
    except ColumnsUnfit as error:
        raise BadInput(error.reason, error.advice) from error


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


def _rows(
    tables: Iterable[tuple[CsvTable, Layout]],
    schema: Schema,
    skipped: SkippedRows,
    *,
    by_name: bool,
) -> Iterator[InputRow]:
    number = 0
    encode = schema.encode_features if by_name else schema.encode_instance
    for table, layout in tables:
        for record in records_of(table, layout):
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
                encode(picked)
            except PayloadInvalid as error:
                skipped.add(record.line, str(error))
                continue
            yield InputRow(number, picked, None if layout.label is None else cells[layout.label])
