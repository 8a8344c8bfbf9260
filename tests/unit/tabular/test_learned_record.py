"""What preparation learned is recorded, in words and as it is stored."""

from __future__ import annotations

import gzip
import json

import pytest
from refit.domain.learned import Learned, LearnedColumn

from tests.support.preparing import Preparing, scattered, table_of

ROWS = 200
LABELS = [["no", "yes"][scattered(7 * n) % 2] for n in range(ROWS)]
MIXED = {
    "": list(range(ROWS)),
    "size": [
        "" if n % 10 == 0 else f'"{scattered(n) / 8:.2f}"'.replace(".", ",") for n in range(ROWS)
    ],
    "label": LABELS,
    "colour": [["red", "blue", "NA"][n % 3] for n in range(ROWS)],
    "vip": [["True", "False", ""][n % 3] for n in range(ROWS)],
    "when": [f"2025-0{1 + n % 9}-0{1 + n % 5}" for n in range(ROWS)],
    "name": [f"Smith {n}" for n in range(ROWS)],
}


def columns(learned: Learned) -> list[tuple[object, ...]]:
    return [
        (column.name, column.type, column.distinct, column.missing, column.example)
        for column in learned.columns
    ]


def test_each_column_is_recorded_in_the_order_of_the_file(prepared: Preparing) -> None:
    learned = prepared(table_of(MIXED), columns={"when": "date"}).learned
    assert (learned.label, learned.task, learned.classes) == (
        "label", "classification", ("no", "yes"),
    )  # fmt: skip
    assert columns(learned) == [
        ("column0", "ignored", None, 0, "0"),
        ("size", "number", None, 20, "1250,75"),
        ("colour", "category", 3, 0, "red"),
        ("vip", "boolean", None, 66, "True"),
        ("when", "date", None, 0, "2025-01-01"),
        ("name", "ignored", None, 0, "Smith 0"),
    ]
    reasons = {column.name: column.reason for column in learned.columns}
    assert reasons["size"] == "decimal comma"
    assert reasons["when"] == "ISO 8601"
    assert reasons["colour"] is None
    assert "a column without a name" in (reasons["column0"] or "")
    assert "200 distinct texts" in (reasons["name"] or "")
    assert (learned.header, learned.delimiter, learned.decimal) == (True, ",", ",")
    assert (learned.rows, learned.refused, learned.refused_reasons) == (ROWS, 0, {})


def test_the_record_in_one_line_counts_the_columns_by_kind(prepared: Preparing) -> None:
    learned = prepared(table_of(MIXED), columns={"when": "date"}).learned
    assert learned.sentence == (
        "predicts 'label' (2 classes) from 1 number, 1 category, 1 truth value, 1 date (2 columns "
        "left out) · header yes · 200 rows, 0 refused"
    )


def test_a_record_of_numbers_without_a_header(prepared: Preparing) -> None:
    lines = [f"{scattered(n) / 8};{scattered(n + 9)};{scattered(n + 99)}" for n in range(ROWS)]
    learned = prepared("\n".join(["1;2", *lines]).encode()).learned
    assert learned.sentence == (
        "predicts 'label' (a number) from 2 numbers · header no · 200 rows, 1 refused"
    )
    assert (learned.classes, learned.delimiter, learned.header) == (None, ";", False)
    assert learned.refused_reasons == {"2 cells, not 3": 1}
    assert [column.name for column in learned.columns] == ["f0", "f1"]


def test_refused_rows_are_counted_by_reason_and_not_by_value(prepared: Preparing) -> None:
    lines = [f"{n % 2},{scattered(n)},{scattered(n + 1)}" for n in range(600)]
    lines += ["1,oops,2", "1,help,2", "1,2", "1,2,3,4", "1,inf,2", ",5,6", '1,"2"3,4']
    learned = prepared("\n".join(["label,a,b", *lines]).encode(), max_bad_fraction=0.1).learned
    assert learned.refused == 7
    assert learned.refused_reasons == {
        "column 'a': a value is text where numbers are expected": 2,
        "2 cells, not 3": 1,
        "4 cells, not 3": 1,
        "column 'a': a value is not finite": 1,
        "the label 'label' is missing": 1,
        "the quotes do not match (',' expected after '\"')": 1,
    }


def test_what_was_done_with_the_files_is_noted(prepared: Preparing) -> None:
    one = table_of({"label": LABELS, "size": [scattered(n) for n in range(ROWS)]})
    learned = prepared({"a.csv": b"# made by hand\n" + one + one, "b.csv": one}).learned
    assert learned.rows == 3 * ROWS
    assert "a.csv: 1 comment line above the header" in learned.notes
    assert "1 row that repeats the header is skipped" in learned.notes


def test_a_long_example_is_shortened_and_a_column_without_values_has_none(
    prepared: Preparing,
) -> None:
    texts = [f"{'x' * 5000}{n % 3}" for n in range(ROWS)]
    data = table_of({"label": LABELS, "text": texts, "nothing": [""] * ROWS})
    learned = prepared(data).learned
    assert len(learned.columns[0].example or "") == 60
    assert (learned.columns[1].type, learned.columns[1].example) == ("ignored", None)
    assert learned.columns[1].missing == ROWS


def test_equal_rows_that_no_hash_tells_apart_are_said(prepared: Preparing) -> None:
    data = table_of({"label": [n % 2 for n in range(ROWS)], "a": [n % 2 for n in range(ROWS)]})
    learned = prepared(data).learned
    assert "equal rows can be in several splits" in "\n".join(learned.doubts)


def wide(count: int) -> Learned:
    features = tuple(
        LearnedColumn(
            name=f"gene {number}",
            type="ignored" if number % 400 == 399 else "number",
            missing=0,
            example="0.123",
            reason="every row has the same value, '0.123'" if number % 400 == 399 else None,
        )
        for number in range(count)
    )
    return Learned(
        label="kind",
        task="classification",
        classes=("a", "b"),
        columns=features,
        header=True,
        delimiter=",",
        decimal=".",
        rows=100,
        refused=0,
        refused_reasons={},
    )


@pytest.mark.parametrize("count", [3, 200, 201, 20_000])
def test_the_record_of_a_wide_table_fits_into_an_item(count: int) -> None:
    stored = wide(count).for_item()
    assert len(stored.columns) == min(count, 200) + count // 400  # and those that are left out
    assert stored.columns[:3] == wide(3).columns
    assert stored.sentence == stored.for_item().sentence == wide(count).sentence
    assert len(gzip.compress(stored.model_dump_json().encode())) < 20_000


def test_the_record_is_read_as_it_was_stored(prepared: Preparing) -> None:
    learned = prepared(table_of(MIXED)).learned
    assert Learned.model_validate(json.loads(learned.model_dump_json())) == learned
