"""Columns that are no features are left out, said, kept out later, and can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from refit.domain.errors import DatasetInvalid, PayloadInvalid, SchemaChanged

from tests.support.preparing import PreparedDrop, Preparing, scattered, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from refit.domain.schema import Schema

ROWS = 200
LABELS = [["no", "yes"][scattered(7 * n) % 2] for n in range(ROWS)]
SIZES = [scattered(n) / 8 for n in range(ROWS)]
COUNTS = [scattered(n + 300) for n in range(ROWS)]


def table(**columns: Sequence[object]) -> bytes:
    return table_of({"label": LABELS, "size": SIZES, "count": COUNTS} | columns)


def beside(name: str, cells: Sequence[object]) -> bytes:
    """Return a file with this column in front of three others."""
    return table_of({name: cells, "label": LABELS, "size": SIZES, "count": COUNTS})


INDEXES: dict[str, tuple[str, Callable[[int], object], str]] = {
    # kind: (name, cell in row n, reason)
    "pandas": ("", lambda n: n, "a column without a name, as an index is written"),
    "pandas, filtered": ("", lambda n: 3 * n % 601, "a column without a name"),
    "pandas, texts": ("", lambda n: f"row {n % 7}", "a column without a name"),
    "pandas, written twice": ("Unnamed: 0", scattered, "an index that pandas wrote"),
    "pandas, written thrice": ("Unnamed: 0.1", lambda n: n, "an index that pandas wrote"),
    "parquet": ("__index_level_0__", lambda n: n * n, "an index that pandas wrote"),
    "from 0": ("x", lambda n: n, "row numbers, which count up by one"),
    "from 1": ("x", lambda n: n + 1, "row numbers"),
    "from 70001": ("x", lambda n: n + 70_001, "row numbers"),
    "as fractions": ("x", lambda n: f"{n}.0", "row numbers"),
    "zero-padded": ("x", lambda n: f"{n:06d}", "row numbers"),
    "with gaps": ("x", lambda n: n + n // 4, "row ids, which increase from row to row"),
    "id with large gaps": ("order_id", lambda n: n * n + 9, "row ids, which increase"),
    "shuffled id": ("PassengerId", lambda n: n * 37 % 211, "row ids, another in each row"),
    "long id": ("id", lambda n: 10**15 + scattered(n), "row ids, another in each row"),
    "customer id": ("Customer ID", scattered, "row ids, another in each row"),
    "identifier": ("identifier", scattered, "row ids, another in each row"),
    "one word": ("customerid", scattered, "row ids, another in each row"),
    "serial number": ("S.No.", scattered, "row ids, another in each row"),
    "order number": ("Order Number", scattered, "row ids, another in each row"),
    "German number": ("Kunden-Nr.", scattered, "row ids, another in each row"),
}


@pytest.mark.parametrize("kind", INDEXES)
def test_an_index_is_left_out_with_its_reason(prepared: Preparing, kind: str) -> None:
    name, cell, reason = INDEXES[kind]
    result = prepared(beside(name, [cell(n) for n in range(ROWS)]))
    assert result.feature_names == ["size", "count"]
    assert result.left_out.keys() == {name or "column0"}
    assert reason in result.left_out[name or "column0"]
    assert result.doubts == ""
    assert "(1 column left out)" in result.learned.sentence


def test_the_row_names_of_r_are_left_out(prepared: Preparing) -> None:
    rows = [f'"{n + 1}","{LABELS[n]}",{SIZES[n]},{COUNTS[n]}' for n in range(ROWS)]
    result = prepared("\n".join(['"label","size","count"', *rows]).encode())
    assert result.feature_names == ["size", "count"]
    assert "a column without a name" in result.left_out["column0"]


FEATURES: dict[str, tuple[str, Callable[[int], object]]] = {
    "quantity": ("x", scattered),
    "quantity that increases": ("distance", lambda n: n * n + 9),
    "number of a customer": ("customer_id", lambda n: scattered(n) % 90),
    "group of rows": ("x", lambda n: n // 10),
    "year": ("year", lambda n: 1820 + n),
    "descending numbers": ("x", lambda n: 5000 - n),
    "fraction": ("x", lambda n: n + 0.5),
    "negative numbers": ("x", lambda n: n - 100),
    "word with id": ("humid", scattered),
    "word with row": ("arrow", scattered),
    "word with no": ("piano", scattered),
    "number of things": ("number_of_orders", scattered),
    "gap": ("x", lambda n: n if n % 50 else ""),
    "name like an index": ("Unnamed", lambda n: scattered(n) / 3),
    "mark or blank": ("x", lambda n: "x" if scattered(n) % 2 else ""),
    "value or marker": ("x", lambda n: 5 if scattered(n) % 2 else "NA"),
    "one other value": ("x", lambda n: 5 if n == 150 else 4),
    "one other text": ("x", lambda n: "b" if n == 150 else "a"),
    "its own name": ("male", lambda n: "male" if scattered(n) % 2 else "female"),
}


@pytest.mark.parametrize("kind", FEATURES)
def test_a_column_that_only_resembles_one_to_leave_out_is_kept(
    prepared: Preparing, kind: str
) -> None:
    name, cell = FEATURES[kind]
    result = prepared(beside(name, [cell(n) for n in range(ROWS)]))
    assert result.feature_names == [name, "size", "count"]
    assert result.left_out == {}


def test_numbers_that_count_down_by_one_are_doubted(prepared: Preparing) -> None:
    down = [5000 - n for n in range(ROWS)]
    doubts = prepared(beside("x", down)).doubts
    assert "column 'x' counts down by one" in doubts
    assert '[data.columns] x = "ignore"' in doubts
    assert prepared(beside("x", [2200 - n for n in range(ROWS)])).doubts == ""  # years
    assert prepared(beside("x", down), columns={"x": "number"}).doubts == ""


def test_ids_that_count_down_in_each_file_are_left_out(prepared: Preparing) -> None:
    file = beside("id", [5000 - n for n in range(ROWS)])
    result = prepared({"a.csv": file, "b.csv": file})
    assert result.left_out == {"id": "row ids, another in each row"}


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (lambda n: 5, "every row has the same value, '5'"),
        (lambda n: "Berlin", "every row has the same value, 'Berlin'"),
        (lambda n: " 5" if n % 2 else "5 ", "every row has the same value, '5'"),
        (lambda n: "true", "every row has the same value, 'true'"),
        (lambda n: "2025-01-31", "every row has the same value, '2025-01-31'"),
        (lambda n: "", "no row has a value"),
        (lambda n: ["", "NA", "nan", " "][n % 4], "no row has a value"),
    ],
)
def test_a_column_without_information_is_left_out(
    prepared: Preparing, cell: Callable[[int], object], reason: str
) -> None:
    result = prepared(beside("x", [cell(n) for n in range(ROWS)]))
    assert result.left_out == {"x": reason}
    assert result.feature_names == ["size", "count"]


def test_delimiters_at_the_ends_of_lines_make_no_column(prepared: Preparing) -> None:
    lines = [f"{line}," for line in table().decode().splitlines()]
    result = prepared("\n".join(lines).encode())
    assert result.feature_names == ["size", "count"]
    assert result.refused == []


def test_the_empty_rows_at_the_end_of_a_spreadsheet_hide_no_index(prepared: Preparing) -> None:
    data = beside("", range(ROWS)) + b",,,\n" * 20
    result = prepared(data)
    assert result.feature_names == ["size", "count"]
    assert result.learned.refused_reasons == {"the label 'label' is missing": 20}


def test_a_value_in_the_last_file_alone_makes_a_feature(prepared: Preparing) -> None:
    result = prepared(
        {"1.csv": table(x=["a"] * ROWS), "2.csv": table(x=["a"] * (ROWS - 1) + ["b"])}
    )
    assert "x" in result.feature_names


def test_each_file_of_a_drop_may_count_its_own_rows(prepared: Preparing) -> None:
    halves = {
        "1.csv": table(n=range(ROWS)),
        "2.csv": table(n=range(ROWS)),
        "3.csv": table(n=range(ROWS, 2 * ROWS)),
    }
    assert prepared(halves).left_out == {"n": "row numbers, which count up by one"}


def test_a_year_in_each_row_is_a_feature_also_beside_an_empty_file(prepared: Preparing) -> None:
    years = table(year=range(1820, 1820 + ROWS))
    empty = years.splitlines()[0] + b"\n"
    assert "year" in prepared({"1.csv": years, "2.csv": empty}).feature_names


def test_pixels_are_features_even_if_they_are_constant(prepared: Preparing) -> None:
    pixels = {
        f"pixel{n}": [scattered(n + row) % 9 if n > 3 else 0 for row in range(ROWS)]
        for n in range(20)
    }
    assert len(prepared(table_of({"label": LABELS} | pixels)).feature_names) == 20
    without_names = table_of({"label": LABELS} | pixels, header=False)
    assert len(prepared(without_names, label=0).feature_names) == 20


def test_numbered_answers_of_a_survey_are_no_pixels(prepared: Preparing) -> None:
    answers = {
        f"q{n}": [scattered(n + row) % 5 if n else 1 for row in range(ROWS)] for n in range(8)
    }
    assert prepared(table_of({"label": LABELS} | answers)).left_out.keys() == {"q0"}


TEXTS: dict[str, Callable[[int], str]] = {
    "names": lambda n: f"Smith {n}",
    "tickets": lambda n: str(scattered(n)) if n % 4 else f"PC {scattered(n)}",
    "free text": lambda n: f"the thing number {n} is {'good' if n % 3 else 'bad'}",
    "some repeated": lambda n: f"Smith {n * 3 // 5}",
    "hexadecimal ids": lambda n: f"{scattered(n):x}ab",
    "uuids": lambda n: f"123e4567-e89b-12d3-a456-{scattered(n):012d}",
}


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_that_are_nearly_all_distinct_are_left_out_with_a_doubt(
    prepared: Preparing, kind: str
) -> None:
    cells = [TEXTS[kind](n) for n in range(ROWS)]
    result = prepared(table(x=cells))
    assert "almost another in each row" in result.left_out["x"]
    assert "column 'x' is left out: it has" in result.doubts
    assert 'To use it, set [data.columns] x = "category"' in result.doubts
    kept = prepared(table(x=cells), columns={"x": "category"})
    assert kept.feature_names == ["size", "count", "x"]


def test_a_few_distinct_texts_are_a_category(prepared: Preparing) -> None:
    rows = 40
    cells = [f"shop {n % 20}" for n in range(rows)]
    columns = {"label": LABELS[:rows], "size": SIZES[:rows], "shop": cells}
    result = prepared(table_of(columns), test_fraction=0.3)
    assert len(result.schema.features[1].values or ()) == 20


BACK: dict[str, tuple[str, Callable[[int], object], str]] = {
    "index": ("Unnamed: 0", lambda n: n, "number"),
    "nameless": ("", lambda n: n, "number"),
    "row ids": ("id", scattered, "number"),
    "constant": ("x", lambda n: 5, "number"),
    "constant text": ("x", lambda n: "a", "category"),
    "empty": ("x", lambda n: "", "number"),
    "dates": ("day", lambda n: f"2025-01-{1 + n % 28:02d}", "date"),
    "dates as texts": ("day", lambda n: f"2025-01-{1 + n % 28:02d}", "category"),
    "texts": ("name", lambda n: f"Smith {n}", "category"),
}


@pytest.mark.parametrize("kind", BACK)
def test_a_column_is_taken_back_by_its_type_in_the_settings(prepared: Preparing, kind: str) -> None:
    name, cell, type_ = BACK[kind]
    data = beside(name, [cell(n) for n in range(ROWS)])
    known = name or "column0"
    assert known in prepared(data).left_out
    result = prepared(data, columns={known: type_})
    assert result.feature_names == [known, "size", "count"]
    assert result.schema.features[0].type == type_


def test_the_settings_leave_columns_out(prepared: Preparing) -> None:
    result = prepared(table(), ignore=["size"])
    assert result.left_out == {"size": "the settings ignore it"}
    assert prepared(table(), columns={" size ": "ignore"}).left_out == result.left_out
    assert result.feature_names == ["count"]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"ignore": ["sise"]}, r"ignore names a column 'sise' .*it has 'label', 'size', 'count'"),
        ({"columns": {"sise": "number"}}, r"columns names a column 'sise'"),
        ({"ignore": ["label"]}, "ignore names 'label', which is the label"),
        ({"ignore": ["size", "count"]}, "no column is left to predict 'label' from"),
    ],
)
def test_settings_that_do_not_fit_the_columns_are_refused(
    prepared: Preparing, settings: dict[str, object], text: str
) -> None:
    with pytest.raises(DatasetInvalid, match=text):
        prepared(table(), **settings)


def test_a_drop_without_a_feature_is_refused_with_each_reason(prepared: Preparing) -> None:
    columns: dict[str, Sequence[object]] = {"label": LABELS, "id": range(ROWS), "c": [1] * ROWS}
    with pytest.raises(DatasetInvalid) as refused:
        prepared(table_of(columns))
    for text in (
        "'id': row numbers, which count up by one",
        "'c': every row has the same value, '1'",
        '[data.columns] id = "number"',
    ):
        assert text in str(refused.value)


def test_the_index_of_a_parquet_file_is_left_out(prepared: Preparing, tmp_path: Path) -> None:
    path = tmp_path / "made.parquet"
    duckdb.sql(
        f"""COPY (SELECT n * 3 % 7 AS "__index_level_0__", n % 2 AS label, n * n % 307 AS x
                  FROM range(200) t(n)) TO '{path}' (FORMAT parquet)"""
    )
    result = prepared({"a.parquet": path.read_bytes()})
    assert result.left_out == {"__index_level_0__": "an index that pandas wrote"}


def test_the_schema_keeps_what_is_left_out_and_the_width_of_the_file(prepared: Preparing) -> None:
    schema = prepared(beside("", range(ROWS))).schema
    assert schema.columns == ("column0", "size", "count")
    assert schema.left_out == {"column0": "a column without a name, as an index is written"}
    plain = prepared(table()).schema
    assert (plain.columns, plain.left_out, plain.all_columns) == ((), {}, ("size", "count"))


# Three drops in a row: the schema of each is the live model's in the next one.


def in_a_row(prepared: Preparing, *drops: bytes, **settings: object) -> list[PreparedDrop]:
    results: list[PreparedDrop] = []
    prior: Schema | None = None
    for data in drops:
        results.append(prepared(data, prior=prior, **settings))
        prior = results[-1].schema
    return results


def test_a_constant_column_that_varies_later_stays_left_out_with_a_doubt(
    prepared: Preparing,
) -> None:
    varied = table(city=[["Berlin", "Rome"][n % 2] for n in range(ROWS)])
    first, second, third = in_a_row(prepared, table(city=["Berlin"] * ROWS), varied, varied)
    reason = "every row has the same value, 'Berlin'"
    assert first.left_out == second.left_out == third.left_out == {"city": reason}
    assert first.doubts == ""
    for result in (second, third):
        assert result.comparable
        assert result.feature_names == ["size", "count"]
        assert f"column 'city' stays left out, as in the live model ({reason})" in result.doubts
        assert "To use it, set [data.columns] city" in result.doubts


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (range(ROWS), COUNTS),
        ([""] * ROWS, SIZES),
        ([f"2025-01-{1 + n % 28:02d}" for n in range(ROWS)], [n % 7 for n in range(ROWS)]),
    ],
    ids=["row numbers", "empty", "dates"],
)
def test_the_reason_that_is_gone_is_doubted_in_each_later_drop(
    prepared: Preparing, before: Sequence[object], after: Sequence[object]
) -> None:
    drops = in_a_row(prepared, table(x=before), table(x=after), table(x=after))
    assert [("x" in drop.left_out, "stays left out" in drop.doubts) for drop in drops] == [
        (True, False),
        (True, True),
        (True, True),
    ]


def test_a_column_with_another_reason_now_is_not_doubted(prepared: Preparing) -> None:
    names = table(x=[f"Smith {n}" for n in range(ROWS)])
    dates = table(x=[f"2025-01-{1 + n % 28:02d}" for n in range(ROWS)])
    numbers, constant = table(x=range(ROWS)), table(x=[5] * ROWS)
    for drops in ((names, names, numbers), (numbers, dates, constant), (constant, numbers, dates)):
        results = in_a_row(prepared, *drops)
        assert all("x" in result.left_out for result in results)
        assert all("stays left out" not in result.doubts for result in results)


def test_a_column_that_the_settings_take_back_is_a_change_of_the_columns(
    prepared: Preparing,
) -> None:
    varied = table(city=[["Berlin", "Rome"][n % 2] for n in range(ROWS)])
    first = prepared(table(city=["Berlin"] * ROWS))
    taken = {"columns": {"city": "category"}}
    with pytest.raises(SchemaChanged, match="2 feature columns became 3; new: 'city'"):
        prepared(varied, prior=first.schema, **taken)
    second = prepared(varied, prior=first.schema, schema_change="accept", **taken)
    third = prepared(varied, prior=second.schema)
    assert second.feature_names == third.feature_names == ["size", "count", "city"]
    assert (second.comparable, third.comparable) == (False, True)
    assert second.left_out == third.left_out == {}
    constant = prepared(table(city=["Rome"] * ROWS), prior=third.schema)
    assert constant.feature_names == ["size", "count", "city"]


def test_an_index_that_appears_later_is_left_out_and_changes_no_column(
    prepared: Preparing,
) -> None:
    with_index = beside("Unnamed: 0", range(ROWS))
    first, second, third = in_a_row(prepared, table(), with_index, table())
    assert second.comparable
    assert third.comparable
    assert first.schema.features == second.schema.features == third.schema.features
    assert second.left_out == {"Unnamed: 0": "an index that pandas wrote"}
    assert second.schema.all_columns == ("Unnamed: 0", "size", "count")
    assert third.schema.all_columns == ("size", "count")
    assert third.schema.encode_instance({"size": 1, "count": 2, "Unnamed: 0": 9}) == [1, 2]


def test_a_column_that_is_left_out_may_be_absent_later(prepared: Preparing) -> None:
    with_id = table(id=range(ROWS))
    first, second, third = in_a_row(prepared, with_id, table(), with_id)
    assert (second.comparable, third.comparable) == (True, True)
    assert second.learned.columns == tuple(c for c in first.learned.columns if c.name != "id")
    assert second.schema.left_out == first.schema.left_out
    assert second.schema.encode_instance([1, 2]) == [1, 2]
    assert third.left_out == first.left_out
    with pytest.raises(PayloadInvalid, match="an instance has 2 values; the model requires 3"):
        third.schema.encode_instance([1, 2])


def test_a_column_that_is_left_out_may_be_in_some_files_of_a_later_drop(
    prepared: Preparing,
) -> None:
    first = prepared(table(id=range(ROWS)))
    second = prepared({"1.csv": table(id=range(ROWS)), "2.csv": table()}, prior=first.schema)
    third = prepared({"1.csv": table(), "2.csv": table(id=range(ROWS))}, prior=second.schema)
    assert second.comparable
    assert third.comparable
    assert sum(third.rows.values()) == 2 * ROWS


def test_a_feature_stays_one_whatever_a_later_drop_looks_like(prepared: Preparing) -> None:
    first = table(x=COUNTS[::-1], city=[["Rome", "Oslo"][n % 2] for n in range(ROWS)])
    second = table(x=range(ROWS), city=["Rome"] * ROWS)
    third = table(x=[""] * ROWS, city=[""] * ROWS)
    drops = in_a_row(prepared, first, second, third)
    assert all(drop.feature_names == ["size", "count", "x", "city"] for drop in drops)
    assert [drop.comparable for drop in drops] == [False, True, True]
    assert [drop.schema.features[3].values for drop in drops] == [("Oslo", "Rome")] * 3


def test_columns_that_the_settings_no_longer_ignore_stay_left_out_with_a_doubt(
    prepared: Preparing,
) -> None:
    first = prepared(table(), ignore=["size"])
    second = prepared(table(), prior=first.schema)
    third = prepared(table(), prior=second.schema)
    for result in (second, third):
        assert result.feature_names == ["count"]
        assert "column 'size' stays left out, as in the live model (the settings ignore it)" in (
            result.doubts
        )


def test_a_file_in_another_order_keeps_the_order_of_rows_by_position(prepared: Preparing) -> None:
    first = table_of({"id": range(ROWS), "size": SIZES, "label": LABELS, "count": COUNTS})
    turned = table_of({"count": COUNTS, "id": range(ROWS), "label": LABELS, "size": SIZES})
    one, two, three = in_a_row(prepared, first, turned, turned)
    assert one.schema.all_columns == two.schema.all_columns == three.schema.all_columns
    assert three.schema.encode_instance(["7", "1.5", "20"]) == [1.5, 20]
    assert one.all_rows == two.all_rows == three.all_rows
