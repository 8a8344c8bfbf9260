"""Data preparation, the predict API and the command line read the same CSV file alike."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from refit.domain.errors import DatasetInvalid, PayloadInvalid
from refit.domain.inferences.payload import encoded_lines
from refit.domain.inferences.request_rows import csv_instances, instances_of
from refit.domain.model_settings import DataSettings
from refit.domain.schema import Feature, Schema, csv_line
from refit_cli.rows import InputTable, Reading, open_table

from tests.support.preparing import Preparing, scattered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.preparing import PreparedDrop

Row = tuple[float, ...]
"""An encoded row, label first."""

MISSING = -1.0
ROWS = 60
WORDS = ["red", "blue, dark", 'a "b"', "two\nlines", "né", "x;y", "a|b", "O'Hara"]
COLUMNS = {
    "numbers": lambda n, draw: str(scattered(n)),
    "fractions": lambda n, draw: f"{draw.random() * 90:.2f}",
    "odd numbers": lambda n, draw: draw.choice(["007", "+4", "1e3", ".5", "5.", "2.5E-3"]),
    "decimal commas": lambda n, draw: f"{draw.random() * 9000:.1f}".replace(".", ","),
    "prices": lambda n, draw: f"$ {draw.randrange(1000, 9_000_000):,}.50",
    "texts": lambda n, draw: draw.choice(WORDS),
    "truth values": lambda n, draw: draw.choice(["True", "false"]),
    "one value": lambda n, draw: "same",
    "row numbers": lambda n, draw: str(n),
    "dates": lambda n, draw: f"2025-{1 + n % 12:02d}-{1 + n % 28:02d}",
}
LABELS = {
    "texts": lambda n, draw: ["cat", "dog, big", "NA"][n % 3],
    "whole numbers": lambda n, draw: str(n % 3),
    "truth values": lambda n, draw: ["TRUE", "False"][n % 2],
    "decimal commas": lambda n, draw: f"{draw.random() * 9000:.1f}".replace(".", ","),
}
MARKERS = ["", " ", "nan", "NULL", "#N/A"]


@dataclass(frozen=True, repr=False)
class File:
    """A CSV file as a program writes it.

    Attributes:
        records: the cells of the header, if there is one, and of the rows.
        label: index of the label column.
        blanks: whether a blank follows each delimiter.
    """

    records: tuple[tuple[str, ...], ...]
    has_header: bool
    label: int
    delimiter: str
    quoting: Any
    end: str
    blanks: bool
    mark: bytes

    def __repr__(self) -> str:
        first = self.data()[:300]
        return f"File({first!r}, label={self.label}, header={self.has_header})"

    def _repr_pretty_(self, printer: Any, _: bool) -> None:
        printer.text(repr(self))

    def data(self, leave_out: int | None = None) -> bytes:
        """Return the file; without one of its columns if that is given."""
        out = io.StringIO(newline="")
        writer = csv.writer(
            out, delimiter=self.delimiter, quoting=self.quoting, lineterminator=self.end
        )
        for cells in self.records:
            writer.writerow([cell for index, cell in enumerate(cells) if index != leave_out])
        text = out.getvalue()
        if self.blanks:  # before quotes and other cells, but not within a quoted cell
            text = '"'.join(
                part if index % 2 else part.replace(self.delimiter, f"{self.delimiter} ")
                for index, part in enumerate(text.split('"'))
            )
        return self.mark + text.encode()


@st.composite
def files(draw: st.DrawFn) -> File:
    kinds = draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))
    kinds = [draw(st.sampled_from(["numbers", "fractions", "texts"])), *kinds]
    label = draw(st.integers(0, len(kinds)))
    label_kind = LABELS[draw(st.sampled_from(sorted(LABELS)))]
    chance = random.Random(draw(st.integers(0, 10**6)))
    missing_share = draw(st.sampled_from([0, 0.1]))
    rows = []
    for number in range(ROWS):
        cells = [COLUMNS[kind](number, chance) for kind in kinds]
        for index, kind in enumerate(kinds):
            if kind in {"fractions", "texts"} and chance.random() < missing_share:
                cells[index] = chance.choice(MARKERS)
        rows.append((*cells[:label], label_kind(number, chance), *cells[label:]))
    names = tuple(f"col {index}" for index in range(len(kinds) + 1))
    has_header = draw(st.booleans())
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    return File(
        records=(names, *rows) if has_header else tuple(rows),
        has_header=has_header,
        label=label,
        delimiter=draw(st.sampled_from(",;|\t")),
        quoting=quoting,
        end=draw(st.sampled_from(["\n", "\r\n", "\n\n"])),
        blanks=draw(st.booleans()) and quoting == csv.QUOTE_ALL,
        mark=draw(st.sampled_from([b"", b"\xef\xbb\xbf"])),
    )


def prepared_rows(done: PreparedDrop) -> Counter[Row]:
    lines = [line.decode().split(",") for line in done.all_rows]
    return Counter(
        tuple(float(cell) if cell not in {"", "nan"} else MISSING for cell in cells)
        for cells in lines
    )


def numbers_of(values: Sequence[float | None]) -> Row:
    """Return encoded values as the endpoint reads them."""
    return tuple(float(cell) if cell else MISSING for cell in csv_line(values).split(","))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("readers")


def with_values(rows: Counter[Row]) -> Counter[Row]:
    """Return the rows with a feature. Others are kept if a left-out column has a value."""
    return Counter(
        {row: count for row, count in rows.items() if any(value != MISSING for value in row[1:])}
    )


def label_of(schema: Schema, text: str | None) -> float:
    assert text is not None
    code = schema.encode_label(text)
    assert code is not None
    return code


@settings(deadline=None, max_examples=60)
@given(file=files())
def test_preparation_the_command_line_and_the_api_encode_the_same_rows(
    folder: Any, tmp_path_factory: pytest.TempPathFactory, file: File
) -> None:
    path = folder / "drop.csv"
    path.write_bytes(file.data())
    options = {"label": file.label, "header": "yes" if file.has_header else "no"}
    prepare = Preparing(tmp_path_factory.mktemp("drop"))
    try:
        done = prepare(path.read_bytes(), test_fraction=0.3, max_bad_fraction=0.2, **options)
    except DatasetInvalid as error:  # by chance, no row is held out or no column is a feature
        event(str(error)[:40])
        assume(False)
    schema = done.schema
    trained = prepared_rows(done)
    assert trained.total() == ROWS - len(done.refused)

    reading = Reading(schema, DataSettings(**options))
    with open_table(path, reading) as table:
        predicted = list(encoded_by_command_line(schema, table))
    assert with_values(Counter(predicted)) == with_values(trained)

    body = file.data(leave_out=file.label)
    instances = instances_of(body, "text/csv", schema)
    asked = [numbers_of(schema.encode_instance(instance)) for instance in instances]
    empty = (MISSING,) * len(schema.features)  # a line of tabs is blank
    assert [row for row in asked if row != empty] == [
        row[1:] for row in predicted if row[1:] != empty
    ]


def encoded_by_command_line(schema: Schema, table: InputTable) -> Iterator[Row]:
    for row in table.rows:
        cells: Any = row.cells
        if table.names is not None:
            cells = dict(zip(table.names, cells, strict=True))
        yield (label_of(schema, row.label), *numbers_of(schema.encode_instance(cells)))


NUMBERS = Schema(
    task="regression",
    label="y",
    features=(Feature(name="a", type="number"), Feature(name="b", type="number")),
)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'1,"2"3', "the quotes do not match (',' expected after '\"')"),
        (b'1,"2', "a quote is never closed"),
    ],
)
def test_all_three_reject_a_bad_line_for_the_same_reason(
    prepared: Preparing, folder: Any, line: bytes, reason: str
) -> None:
    rows = [f"{scattered(n)},{scattered(n + 500)}".encode() for n in range(150)]
    data = b"\n".join([*rows[:2], line, *rows[2:]]) + b"\n"
    (refused,) = prepared(data, label=0, task="regression", header="no").refused
    assert (refused["line"], refused["reason"]) == (3, reason)
    with pytest.raises(PayloadInvalid) as rejected_by_api:
        csv_instances(data.decode(), NUMBERS)
    assert f"line 3 is not CSV: {reason}" in str(rejected_by_api.value)
    path = folder / "bad.csv"
    path.write_bytes(data)
    with open_table(path, Reading(NUMBERS)) as table:
        assert len(list(table.rows)) == 150
        assert table.skipped.first == [f"line 3: {reason}"]


def test_a_row_that_training_refuses_is_refused_by_the_api_and_the_command_line(
    prepared: Preparing, folder: Any
) -> None:
    rows = [f"{n % 3},{scattered(n)},{scattered(n) / 8}" for n in range(150)]
    bad = "1,tall,2"
    done = prepared("\n".join([*rows, bad]).encode(), label=0)
    (refused,) = done.refused
    assert refused["reason"] == "column 'f0': 'tall' is text where numbers are expected"
    with pytest.raises(PayloadInvalid, match="column 'f0' requires a finite number, not 'tall'"):
        encoded_lines(csv_instances("tall,2\n", done.schema), done.schema)
    path = folder / "bad.csv"
    path.write_text("\n".join([*rows, bad]))
    with open_table(path, Reading(done.schema, DataSettings(label=0))) as table:
        assert len(list(table.rows)) == 150
        assert table.skipped.first[0].startswith("line 151: column 'f0'")
