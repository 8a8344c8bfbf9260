"""A request is read as the file that the model was trained on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import PayloadInvalid
from refit.domain.inferences.payload import encoded_lines
from refit.domain.inferences.request_rows import instances_of
from refit.domain.schema import Schema

from tests.support.preparing import Preparing, scattered, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = 200
LABELS = [["no", "yes"][scattered(7 * n) % 2] for n in range(ROWS)]
PRICES = [f'"{scattered(n)},{n % 10}"' for n in range(ROWS)]
COLUMNS: dict[str, Sequence[object]] = {
    "Unnamed: 0": range(ROWS),
    "gro\u0308\u00dfe": PRICES,
    "name": [f"Smith {n}" for n in range(ROWS)],
    "label": LABELS,
    " colour ": [["red", "blue"][scattered(n) % 2] for n in range(ROWS)],
    "vip": [["True", "False"][scattered(n) % 2] for n in range(ROWS)],
    "since": [f"2024-0{1 + n % 9}-0{1 + n % 5}" for n in range(ROWS)],
    "constant": ["x"] * ROWS,
}
SETTINGS = {"columns": {"since": "date"}, "missing": ["unknown", "-999"]}
DAY = "19723"  # 2024-01-01
EXPECTED = f"12.5,1,1,{DAY}"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    result = Preparing(tmp_path_factory.mktemp("drop"))(table_of(COLUMNS), **SETTINGS)
    assert result.refused == []
    assert result.feature_names == ["gro\u0308\u00dfe", "colour", "vip", "since"]
    return Schema.model_validate(json.loads(json.dumps(result.schema.as_json())))


def encoded(schema: Schema, row: Any) -> str:
    body = json.dumps({"instances": [row]}).encode()
    (line,) = encoded_lines(instances_of(body, "application/json", schema), schema)
    return line


def of_csv(schema: Schema, text: str) -> list[str]:
    return encoded_lines(instances_of(text.encode(), "text/csv", schema), schema)


FULL = ["7", "12,5", "Ada", "red", "TRUE", "2024-01-01", "y"]


def test_a_row_by_position_has_each_column_of_the_file_but_the_label(schema: Schema) -> None:
    assert encoded(schema, FULL) == EXPECTED
    assert encoded(schema, [None, "12,5", None, "red", True, "2024-01-01", None]) == EXPECTED
    assert encoded(schema, [{"a": 1}, 12.5, [], " red ", 1, "2024-01-01", 10**400]) == EXPECTED
    assert of_csv(schema, ';"12,5";;red;true;2024-01-01;\n') == [EXPECTED]
    assert of_csv(schema, '7,"12,5",Ada,red,true,2024-01-01,x') == [EXPECTED]


@pytest.mark.parametrize(
    "row",
    [
        ["12,5", "red", "TRUE", "2024-01-01"],
        FULL[:-1],
        [*FULL, "1"],
        [FULL[0], *FULL[1:3], "yes", *FULL[3:]],
        [],
    ],
    ids=["the features", "one less", "one more", "with the label", "nothing"],
)
def test_a_row_of_another_width_is_refused_with_the_columns(schema: Schema, row: list[str]) -> None:
    with pytest.raises(PayloadInvalid) as refused:
        encoded(schema, row)
    text = str(refused.value)
    assert f"an instance has {len(row)} values; the model requires 7" in text
    assert "'Unnamed: 0'" in text
    assert "also those that the model leaves out: 'Unnamed: 0', 'name', 'constant'" in text


NAMED = {"gr\u00f6\u00dfe": "12,5", "colour": "red", "vip": "true", "since": "2024-01-01"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"Unnamed: 0": 7},
        {"Unnamed: 0": None, "name": "Ada", "constant": "y"},
        {" name ": ["anything"], "constant": {"a": 1}},
    ],
)
def test_a_row_by_name_may_have_the_columns_that_are_left_out(
    schema: Schema, more: dict[str, object]
) -> None:
    assert encoded(schema, NAMED | more) == EXPECTED
    assert encoded(schema, dict(reversed((NAMED | more).items()))) == EXPECTED


@pytest.mark.parametrize("written", ["gr\u00f6\u00dfe", "gro\u0308\u00dfe", " gr\u00f6\u00dfe\t"])
def test_names_are_compared_in_one_unicode_form_and_without_blanks(
    schema: Schema, written: str
) -> None:
    row = {" colour ": "red", "vip": True, "since": "2024-01-01", written: 12.5}
    assert encoded(schema, row) == EXPECTED
    assert of_csv(schema, f'vip,colour,{written},since\ntrue,red,"12,5",2024-01-01\n') == [EXPECTED]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (NAMED | {"hue": 1}, "unknown column 'hue'; the model has"),
        (NAMED | {"label": "yes"}, "'label' is the label, which is predicted: leave it out"),
        (NAMED | {"Colour": "red"}, "unknown column 'Colour'.*Rename it to 'colour'"),
        ({"colour": "red", "vip": True, "since": None}, "no value for column 'gro\u0308\u00dfe'"),
        (NAMED | {"gro\u0308\u00dfe": "1,5"}, "has the column 'gro\u0308\u00dfe' twice"),
        (NAMED | {" colour": "blue"}, "has the column 'colour' twice"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    schema: Schema, row: dict[str, object], text: str
) -> None:
    with pytest.raises(PayloadInvalid, match=text):
        encoded(schema, row)


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("gr\u00f6\u00dfe", "1.234,5", None),
        ("gr\u00f6\u00dfe", "0,5", "0.5"),
        ("gr\u00f6\u00dfe", ",5", "0.5"),
        ("gr\u00f6\u00dfe", "-3", "-3"),
        ("gr\u00f6\u00dfe", "\u22123", "-3"),
        ("gr\u00f6\u00dfe", 0.5, "0.5"),
        ("gr\u00f6\u00dfe", "0.5", None),
        ("gr\u00f6\u00dfe", "12 kg", None),
        ("gr\u00f6\u00dfe", True, None),
        ("vip", "yes", "1"),
        ("vip", 0, "0"),
        ("vip", "perhaps", None),
        ("since", "2024-01-01T12:00:00Z", "19723.5"),
        ("since", "2031-05-07", "22406"),
        ("since", "01.01.2024", None),
        ("since", 19723, None),
        ("colour", "mauve", ""),
        ("colour", "RED", ""),
        ("colour", 5, ""),
    ],
)
def test_a_value_is_read_in_the_form_of_its_column_or_refused(
    schema: Schema, column: str, value: object, code: str | None
) -> None:
    row = dict.fromkeys(NAMED) | {column: value}
    if code is None:
        with pytest.raises(PayloadInvalid, match="column "):
            encoded(schema, row)
        return
    index = list(NAMED).index(column)
    assert encoded(schema, row).split(",")[index] == code


@pytest.mark.parametrize(
    "value", [None, "", " ", "NaN", "NULL", "unknown", " unknown ", -999, -999.0, "-999", "-999.0"]
)
def test_a_missing_value_is_missing_in_each_column(schema: Schema, value: object) -> None:
    row = dict.fromkeys(NAMED, value)
    assert encoded(schema, row) == ",,,"


def test_a_refusal_of_a_number_says_how_the_column_writes_them(schema: Schema) -> None:
    with pytest.raises(PayloadInvalid) as refused:
        encoded(schema, NAMED | {"gr\u00f6\u00dfe": "1.234,50 \u20ac"})
    assert "'1.234,50 \u20ac' is not a number of this column (decimal comma)" in str(refused.value)
    assert "send null or an empty cell for a missing value" in str(refused.value)


def test_a_version_of_before_has_neither_columns_nor_forms() -> None:
    stored = {
        "task": "classification",
        "label": "y",
        "features": [
            {"name": "a", "type": "number"},
            {"name": "b", "type": "category", "values": ["red", "blue"]},
        ],
        "classes": ["0", "1"],
    }
    schema = Schema.model_validate(stored)
    assert schema.as_json() == stored
    assert schema.all_columns == ("a", "b")
    assert schema.encode_instance(["1.5", "blue"]) == [1.5, 1]
    assert schema.encode_instance({"b": "red", "a": None}) == [None, 0]
    assert [schema.encode_label(text) for text in ("0", "1.0", "x")] == [0, 1, None]
