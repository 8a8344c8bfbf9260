"""The newest label of a prediction counts, and its captured row is decoded as it was dropped."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit.domain.cells import number_text
from refit.domain.pipeline.manifest import Slice
from refit.domain.retraining.row_decoder import (
    BAD_VALUE,
    NO_VALUE,
    OTHER_COLUMNS,
    RowDecoder,
    RowUnusable,
    is_fresh,
    reading_order,
)
from refit.domain.schema import Feature, Schema
from refit.tabular.labelled_rows import labelled_rows

from tests.support.joined import rows_that_hold

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.preparing import Preparing


def never(predicted_at: datetime) -> bool:
    """No row is fresh."""
    return False


def line(name: str, seq: int, label: str, index: int = 0, **more: Any) -> bytes:
    return json.dumps(
        {
            "inferenceId": name,
            "seq": seq,
            "label": label,
            "prediction": "a",
            "version": 1,
            "predictedAt": "2025-01-02T03:04:05.000+00:00",
            "observedAt": "2025-01-02T04:04:05.000+00:00",
            "source": {"key": f"file-{index // 4}", "line": index % 4, "row": 0},
        }
        | more
    ).encode()


@st.composite
def slices(draw: st.DrawFn) -> list[list[bytes]]:
    """Lines of a few predictions, in any order and as often as it comes."""
    known = st.tuples(st.integers(0, 7), st.integers(1, 4))
    return [
        [
            line(
                f"p{name}",
                seq,
                f"label {name} {seq}",
                index=name,
                **({"withdrawn": True} if (name + seq) % 4 == 0 else {}),
            )
            for name, seq in draw(st.lists(known, max_size=8))
        ]
        for _ in range(draw(st.integers(0, 4)))
    ]


@settings(deadline=None)  # each example creates a database
@given(given_slices=slices())
def test_the_newest_lines_count_in_whatever_order_they_are_read(
    tmp_path_factory: pytest.TempPathFactory, given_slices: list[list[bytes]]
) -> None:
    with labelled_rows(tmp_path_factory.mktemp("rows")) as rows:
        for number, lines in enumerate(given_slices):
            rows.add(number, lines, never)
        by_file = list(rows.by_file())
        files, unused = rows.files(), rows.unused()
    kept_labels = {
        (key, row.line): row.label for key, held in zip(files, by_file, strict=True) for row in held
    }
    plain = rows_that_hold(line for lines in given_slices for line in lines)
    assert kept_labels == {(row.source.key, row.source.line): row.label for row in plain}
    for number, lines in enumerate(given_slices):
        kept = sum(row.slice == number for held in by_file for row in held)
        assert kept + sum(unused.get(number, {}).values()) == len(lines)


def test_a_capture_file_is_read_once_and_from_its_beginning(tmp_path: Path) -> None:
    with labelled_rows(tmp_path) as rows:
        rows.add(0, [line(f"p{index}", 1, "a", index) for index in (5, 2, 7, 0, 4, 1)], never)
        assert rows.files() == ["file-1", "file-0"]
        assert [[row.line for row in held] for held in rows.by_file()] == [[0, 1, 3], [0, 1, 2]]


def test_only_rows_predicted_since_the_change_are_fresh(tmp_path: Path) -> None:
    moments = ["2025-01-02T03:00:00+00:00", "2025-01-02T04:00:00+00:00"]
    lines = [line(f"p{n}", 1, "a", n, predictedAt=at) for n, at in enumerate(moments)]
    known = [line(f"p{n + 2}", 1, "a", n + 2, predictedAt=at) for n, at in enumerate(moments)]
    with labelled_rows(tmp_path) as rows:
        rows.add(0, lines, partial(is_fresh, True, datetime.fromisoformat(moments[1])))
        rows.add(1, known, partial(is_fresh, False, None))
        (held,) = rows.by_file()
    assert [row.fresh for row in held] == [False, True, False, False]


def test_slices_that_are_not_fresh_are_read_first(tmp_path: Path) -> None:
    now = datetime.fromisoformat("2025-01-02T03:00:00+00:00")
    slices = [
        Slice(key=f"slice-{n}", version="v", size=1, last_modified=now, fresh=fresh)
        for n, fresh in enumerate([True, False, True, False])
    ]
    assert reading_order(slices) == [1, 3, 0, 2]
    with labelled_rows(tmp_path) as rows:
        for number in reading_order(slices[:2]):
            rows.add(number, [line("p", 1, "a")], partial(is_fresh, slices[number].fresh, None))
        ((held,),) = rows.by_file()
    assert (held.slice, held.fresh) == (1, False)


CLASSES = ('say "no"', "yes, twice", "two\nlines")
SCHEMA = Schema(
    task="classification",
    label="y",
    features=(
        Feature(name="n", type="number"),
        Feature(name="c", type="category", values=CLASSES),
    ),
    classes=CLASSES,
)
NUMBERS = Schema(
    task="regression",
    label="y",
    features=(Feature(name="a", type="number"), Feature(name="b", type="number")),
)


@given(
    label=st.sampled_from(CLASSES),
    number=st.none() | st.floats(-1e38, 1e38),
    code=st.integers(0, 2),
)
def test_texts_with_commas_quotes_and_line_breaks_survive(
    label: str, number: float | None, code: int
) -> None:
    written = RowDecoder(SCHEMA, SCHEMA).line(label, [number, float(code)]).decode()
    (cells,) = csv.reader(written.splitlines(keepends=True), strict=True)
    assert cells == [label, "" if number is None else number_text(number), CLASSES[code]]


def test_a_decoded_row_is_prepared_like_the_row_that_was_dropped(prepared: Preparing) -> None:
    rows = [(CLASSES[number % 3], number / 8, number % 2) for number in range(300)]
    decoder = RowDecoder(SCHEMA, SCHEMA)
    decoded = b"".join(decoder.line(label, [price, float(code)]) for label, price, code in rows)
    done = prepared(decoded, prior=SCHEMA, label=0)
    assert done.refused == []
    assert done.schema.classes == CLASSES
    encoded = {f"{number % 3},{number_text(number / 8)},{number % 2}" for number in range(300)}
    assert {row.decode() for row in done.all_rows} == encoded


def test_a_numeric_class_is_written_in_its_one_spelling() -> None:
    schema = Schema(task="classification", label="y", features=SCHEMA.features, classes=("0", "1"))
    assert RowDecoder(schema, schema).line("1.0", [2.0, 0.0]) == b'1,2,"say ""no"""\n'


def test_a_missing_value_is_an_empty_cell() -> None:
    assert RowDecoder(NUMBERS, NUMBERS).line("1.5", [None, 2.0]) == b"1.5,,2\n"


@pytest.mark.parametrize(
    ("schema", "values", "reason"),
    [
        (NUMBERS, [1.0], OTHER_COLUMNS),
        (NUMBERS, [1.0, 2.0, 3.0], OTHER_COLUMNS),
        (NUMBERS, [None, None], NO_VALUE),
        (NUMBERS, [1.0, float("inf")], BAD_VALUE),
        (NUMBERS, [1.0, 1e39], BAD_VALUE),
        (SCHEMA, [1.0, 3.0], BAD_VALUE),
        (SCHEMA, [1.0, 0.5], BAD_VALUE),
        (SCHEMA, [1.0, -1.0], BAD_VALUE),
    ],
)
def test_values_that_no_column_of_the_model_can_hold_are_rejected(
    schema: Schema, values: list[float | None], reason: str
) -> None:
    label = "1" if schema is NUMBERS else CLASSES[0]
    with pytest.raises(RowUnusable, match=reason):
        RowDecoder(schema, schema).line(label, values)
