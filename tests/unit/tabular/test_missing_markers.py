"""A marker means a missing value where no one means it as a value, and is said elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import PayloadInvalid, TooManyBadRows
from refit.domain.inferences.payload import encoded_lines
from refit.domain.inferences.request_rows import instances_of
from refit.domain.model_settings import parse_settings

from tests.support.preparing import Preparing, scattered, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.schema import Schema

ROWS = 200
LABELS = ["no" if scattered(7 * n) % 3 else "yes" for n in range(ROWS)]
SIZES = [scattered(n) / 8 for n in range(ROWS)]
EVERYWHERE = ["", " ", "NaN", "nan", "-nan", "NULL", "null", "<NA>", "#N/A", r"\N", "#DIV/0!"]
IN_NUMBERS = ["NA", "na", "N/A", "n/a", "None", "none", "nil", "?", "-", "--", "–", "."]


def table(cells: Sequence[object], **more: Sequence[object]) -> bytes:
    return table_of({"label": LABELS, "size": SIZES, "x": cells} | more)


def encoded(schema: Schema, body: Any) -> list[str]:
    return encoded_lines(instances_of(json.dumps(body).encode(), None, schema), schema)


@pytest.mark.parametrize("marker", [*EVERYWHERE, *IN_NUMBERS])
def test_a_marker_among_numbers_is_missing(prepared: Preparing, marker: str) -> None:
    cells = [marker if n % 5 == 0 else scattered(n) for n in range(ROWS)]
    result = prepared(table(cells))
    assert result.refused == []
    assert result.schema.features[1].type == "number"
    missing = [row for row in result.all_rows if row.endswith((b",", b",nan"))]
    assert len(missing) == 40
    column = result.learned.columns[1]
    assert (column.name, column.missing, column.example) == ("x", 40, str(cells[1]))
    assert encoded(result.schema, [[1, marker]]) == ["1,"]


@pytest.mark.parametrize("marker", EVERYWHERE)
def test_a_marker_that_no_one_means_as_a_value_is_missing_among_texts(
    prepared: Preparing, marker: str
) -> None:
    cells = [[marker, "red", "blue"][n % 3] for n in range(ROWS)]
    result = prepared(table(cells))
    assert result.schema.features[1].values == ("blue", "red")
    assert result.learned.columns[1].missing == 67
    assert result.doubts == ""


@pytest.mark.parametrize("marker", IN_NUMBERS)
def test_a_word_that_can_be_a_value_is_one_among_texts_and_is_said(
    prepared: Preparing, marker: str
) -> None:
    cells = [[marker, "red", "blue"][n % 3] for n in range(ROWS)]
    result = prepared(table(cells))
    assert marker in (result.schema.features[1].values or ())
    assert f"{marker!r} in column 'x' (67 cells) is read as a value" in result.doubts
    assert f'set [data] missing = ["{marker}"]' in result.doubts
    said = prepared(table(cells), missing=[marker])
    assert said.schema.features[1].values == ("blue", "red")
    assert said.doubts == ""


@pytest.mark.parametrize("marker", ["None", "none", "NA", "-"])
def test_a_word_that_can_be_a_class_is_one_and_is_said(prepared: Preparing, marker: str) -> None:
    labels = [["Insomnia", marker, "Apnea"][n % 3] for n in range(ROWS)]
    data = table_of({"label": labels, "size": SIZES})
    result = prepared(data)
    assert result.schema.classes == tuple(sorted(["Insomnia", marker, "Apnea"]))
    assert result.refused == []
    assert f"{marker!r} in label 'label' is read as a class" in result.doubts
    without = prepared(data, missing=[marker])
    assert without.schema.classes == ("Apnea", "Insomnia")
    assert without.learned.refused == 67


@pytest.mark.parametrize("marker", ["", "NaN", "NULL", "N/A", "?", "none"])
def test_rows_without_a_numeric_label_are_refused_and_the_task_stays(
    prepared: Preparing, marker: str
) -> None:
    prices = [marker if n % 10 == 0 else SIZES[n] for n in range(ROWS)]
    result = prepared(table_of({"label": prices, "size": SIZES[::-1]}))
    assert result.schema.task == "regression"
    assert result.learned.refused == 20
    assert result.learned.refused_reasons == {"the label 'label' is missing": 20}
    assert "20 rows have no label ('label') and are not used" in result.doubts
    assert sum(result.rows.values()) == 180


def test_zero_and_one_with_gaps_stay_two_classes(prepared: Preparing) -> None:
    labels = ["N/A" if n % 50 == 0 else n % 2 for n in range(ROWS)]
    assert prepared(table_of({"label": labels, "size": SIZES})).schema.classes == ("0", "1")


def test_rows_without_a_label_are_no_bad_rows_unless_they_are_most(prepared: Preparing) -> None:
    labels = ["" if n % 20 < 9 else n % 2 for n in range(ROWS)]
    result = prepared(table_of({"label": labels, "size": SIZES}), test_fraction=0.3)
    assert (sum(result.rows.values()), result.learned.refused) == (110, 90)
    labels = ["" if n % 20 < 11 else n % 2 for n in range(ROWS)]
    with pytest.raises(TooManyBadRows, match="110 of 200 rows have no label"):
        prepared(table_of({"label": labels, "size": SIZES}))


def test_a_row_with_another_fault_is_a_bad_row_also_without_its_label(prepared: Preparing) -> None:
    lines = [f"{n % 2},{scattered(n)},{scattered(n) / 8}" for n in range(ROWS)]
    lines += [",1,2"] * 50 + ["1,2"] * 2
    result = prepared("\n".join(["label,a,b", *lines]).encode())
    assert result.learned.refused_reasons == {
        "the label 'label' is missing": 50,
        "2 cells, not 3": 2,
    }
    with pytest.raises(TooManyBadRows, match="3 of 253 rows were refused"):
        prepared("\n".join(["label,a,b", *lines, "1,2"]).encode())


@pytest.mark.parametrize("written", ["-999", "-999.0", "-999.00", "-9.99e2"])
@pytest.mark.parametrize("setting", ["-999", "-999.0"])
def test_a_number_that_means_missing_means_it_in_each_spelling(
    prepared: Preparing, written: str, setting: str
) -> None:
    cells = [written if n % 4 == 0 else scattered(n) for n in range(ROWS)]
    result = prepared(table(cells), missing=[setting])
    assert sum(row.endswith((b",", b",nan")) for row in result.all_rows) == 50
    assert result.learned.columns[1].missing == 50
    for value in (written, float(written), int(float(written))):
        assert encoded(result.schema, [[1, value]]) == ["1,"]
        assert encoded(result.schema, [{"x": value, "size": value}]) == [","]
    assert encoded(result.schema, [[1, -998]]) == ["1,-998"]


def test_a_missing_number_is_missing_with_a_decimal_comma_too(prepared: Preparing) -> None:
    cells = ['"-1,0"' if n % 4 == 0 else f'"{scattered(n)},5"' for n in range(ROWS)]
    result = prepared(table(cells), missing=["-1"])
    assert sum(row.endswith((b",", b",nan")) for row in result.all_rows) == 50
    assert encoded(result.schema, [[1, "-1,0"], [1, "3,5"]]) == ["1,", "1,3.5"]


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e999])
def test_a_number_that_no_column_holds_is_rejected_also_beside_a_missing_number(
    prepared: Preparing, value: float
) -> None:
    result = prepared(table(SIZES[::-1]), missing=["-999"])
    with pytest.raises(PayloadInvalid, match="column 'x' requires a finite number"):
        result.schema.encode_instance([1, value])


def test_a_missing_number_of_a_category_is_missing_as_a_number_of_json(
    prepared: Preparing,
) -> None:
    cells = [["a", "b", "9"][n % 3] for n in range(ROWS)]
    result = prepared(table(cells), missing=["9"])
    assert result.schema.features[1].values == ("a", "b")
    assert encoded(result.schema, [[1, 9], [1, 9.0], [1, "9"], [1, "b"]]) == [
        "1,",
        "1,",
        "1,",
        "1,1",
    ]


def test_true_is_no_missing_one(prepared: Preparing) -> None:
    cells = ["true" if n % 3 else "false" for n in range(ROWS)]
    result = prepared(table(cells), missing=["1"])
    assert encoded(result.schema, [[2, True], [2, 1], [2, "1"]]) == ["2,1", "2,", "2,"]


@pytest.mark.parametrize(
    ("toml", "texts"),
    [
        ('["unknown", "-999"]', ("unknown", "-999")),
        ("[-999, 9.5]", ("-999", "9.5")),
        ("[-999.0]", ("-999",)),
        (f"[{10**400}]", (str(10**400),)),
    ],
)
def test_markers_are_texts_or_numbers_in_the_settings(toml: str, texts: tuple[str, ...]) -> None:
    assert parse_settings(f"[data]\nmissing = {toml}\n").data.missing == texts


def test_a_text_that_means_missing_means_it_in_each_column(prepared: Preparing) -> None:
    def with_gaps(cells: Sequence[object], step: int) -> list[object]:
        return ["unknown" if n % step == 0 else cell for n, cell in enumerate(cells)]

    columns = {
        "label": with_gaps(LABELS, 50),
        "number": with_gaps(SIZES[::-1], 4),
        "text": with_gaps(["a" if n % 3 else "b" for n in range(ROWS)], 5),
        "flag": with_gaps([str(n % 7 == 3) for n in range(ROWS)], 9),
    }
    data = table_of(columns)
    result = prepared(data, missing=[" unknown "])
    assert result.schema.classes == ("no", "yes")
    assert [(f.type, f.values) for f in result.schema.features] == [
        ("number", None),
        ("category", ("a", "b")),
        ("boolean", None),
    ]
    assert [column.missing for column in result.learned.columns] == [50, 40, 23]
    assert result.learned.refused_reasons == {
        "the label 'label' is missing": 4,
        "no feature has a value": 1,
    }
    assert encoded(result.schema, [["unknown", "unknown", "unknown"]]) == [",,"]


def test_a_marker_is_counted_in_columns_that_are_left_out(prepared: Preparing) -> None:
    names = ["NA" if n % 10 == 0 else f"person {n}" for n in range(ROWS)]
    result = prepared(table(names))
    (column,) = [column for column in result.learned.columns if column.type == "ignored"]
    assert (column.name, column.missing) == ("x", 20)


def test_an_unknown_text_among_numbers_is_refused_with_the_ways_out(prepared: Preparing) -> None:
    cells = ["unknown" if n % 4 == 0 else scattered(n) for n in range(ROWS)]
    with pytest.raises(TooManyBadRows) as refused:
        prepared(table(cells))
    for text in ("'unknown' is text where numbers are expected", "[data] missing", "ignore"):
        assert text in str(refused.value)
