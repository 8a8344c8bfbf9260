"""A row is encoded for serving exactly as for training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.cells import FLOAT32_MAX, class_text, number_of
from refit.domain.errors import PayloadInvalid
from refit.domain.schema import Feature, Schema, csv_line

if TYPE_CHECKING:
    from tests.support.preparing import Preparing

NUMBERS = Schema(
    task="regression",
    label="y",
    features=tuple(Feature(name=f"f{index}", type="number") for index in range(4)),
)
MIXED = Schema(
    task="classification",
    label="kind",
    features=(
        Feature(name="size", type="number"),
        Feature(name="colour", type="category", values=("blue", "red", "7")),
    ),
    classes=("cat", "dog"),
)

finite = st.floats(-FLOAT32_MAX, FLOAT32_MAX, allow_nan=False)


@given(st.lists(finite | st.integers(-(10**30), 10**30), min_size=4, max_size=4))
def test_numbers_and_their_texts_encode_alike_and_read_back_exactly(row: list[float]) -> None:
    encoded = NUMBERS.encode_instance(row)
    assert encoded == [float(value) for value in row]
    assert NUMBERS.encode_instance([repr(value) for value in row]) == encoded
    assert [float(cell) for cell in csv_line(encoded).split(",")] == encoded


@given(st.lists(st.none() | finite, min_size=1, max_size=6))
def test_a_missing_value_is_an_empty_cell(row: list[float | None]) -> None:
    cells = csv_line(row).split(",")
    assert [float(cell) if cell else None for cell in cells] == row
    assert not any(cell.endswith(".0") for cell in cells)


@pytest.mark.parametrize(
    ("instance", "encoded"),
    [
        (["1.5", "red"], [1.5, 1]),
        ({"colour": "blue", "size": 3}, [3, 0]),
        ([None, None], [None, None]),
        (["", " "], [None, None]),
        (["?", "NA"], [None, None]),
        (["NaN", "nan"], [None, None]),
        (["None", "NULL"], [None, None]),
        ([" 2 ", " red "], [2, 1]),
        ([1, "green"], [1, None]),
        ([1, 7], [1, 2]),
        ([1, 7.0], [1, 2]),
        ([1, True], [1, None]),
    ],
)
def test_texts_become_codes_and_unknown_texts_are_missing(
    instance: list[object] | dict[str, object], encoded: list[float | None]
) -> None:
    assert MIXED.encode_instance(instance) == encoded


@pytest.mark.parametrize(
    ("instance", "text"),
    [
        ([1], r"an instance has 1 values; the model requires 2 \('size', 'colour'\)"),
        ([1, "red", 2], "an instance has 3 values"),
        ([float("nan"), "red"], "column 'size' requires a finite number, not nan"),
        (["inf", "red"], "column 'size' requires a finite number, not 'inf'"),
        ([float("inf"), "red"], "not inf"),
        (["1e39", "red"], "not '1e39'"),
        ([10**400, "red"], "column 'size' requires a finite number"),
        (["tall", "red"], "column 'size' requires a finite number, not 'tall'"),
        (["1_000", "red"], "not '1_000'"),
        (["１", "red"], "column 'size'"),
        ([True, "red"], "not True"),
        ([[1], "red"], r"column 'size' holds one value, not \[1\]"),
        ({"size": 1}, "no value for column 'colour'"),
        ({"size": 1, "colour": "red", "x": 1}, "unknown column 'x'"),
        ("1,red", "an instance is a list of values or an object"),
        (5, "an instance is a list of values or an object"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_column_and_value(
    instance: object, text: str
) -> None:
    with pytest.raises(PayloadInvalid, match=text):
        MIXED.encode_instance(instance)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad", [["1", "2", "inf", "4"], [1, 2, float("nan"), 4], "1_0 2 3 4".split()]
)
def test_the_fast_path_for_numbers_accepts_only_finite_numbers(bad: list[object]) -> None:
    with pytest.raises(PayloadInvalid, match="requires a finite number"):
        NUMBERS.encode_instance(bad)


def test_an_error_message_shows_at_most_a_part_of_a_long_value() -> None:
    with pytest.raises(PayloadInvalid) as caught:
        MIXED.encode_instance(["x" * 10_000_000, "red"])
    assert len(str(caught.value)) < 300


def test_a_schema_is_read_as_it_was_stored() -> None:
    stored = json.loads(json.dumps(MIXED.as_json()))
    assert Schema.model_validate(stored) == MIXED
    assert "values" not in stored["features"][0]
    assert stored["features"][1]["values"] == ["blue", "red", "7"]


def test_extending_a_schema_appends_codes_and_changes_none() -> None:
    other = MIXED.model_copy(
        update={
            "features": (
                MIXED.features[0],
                Feature(name="colour", type="category", values=("amber", "red")),
            ),
            "classes": ("ant", "dog"),
        }
    )
    extended = MIXED.extend(other)
    assert extended.features[1].values == ("blue", "red", "7", "amber")
    assert extended.classes == ("cat", "dog", "ant")
    assert MIXED.changes_to(extended) == []


def test_new_categories_are_encoded_although_the_shorter_list_was_used_before() -> None:
    assert MIXED.encode_instance([1, "amber"]) == [1, None]
    other = MIXED.model_copy(
        update={
            "features": (
                MIXED.features[0],
                Feature(name="colour", type="category", values=("amber",)),
            )
        }
    )
    assert MIXED.extend(other).encode_instance([1, "amber"]) == [1, 3]


def test_the_changed_columns_of_a_schema_are_named() -> None:
    fewer = NUMBERS.model_copy(update={"features": NUMBERS.features[:3]})
    assert NUMBERS.changes_to(fewer) == ["4 feature columns became 3", "gone: 'f3'"]
    assert NUMBERS.changes_to(MIXED) == [
        "the live model predicts 'y', and this drop's label is 'kind'"
    ]
    texts = NUMBERS.model_copy(
        update={"features": (*NUMBERS.features[:3], Feature(name="f3", type="category"))}
    )
    assert NUMBERS.changes_to(texts) == ["column 3 was 'f3' (number) and is 'f3' (category)"]


@pytest.mark.parametrize("text", ["1", "1.0", "01", "1e0", "+1", " 1 "])
def test_all_spellings_of_a_numeric_class_mean_the_same_class(text: str) -> None:
    assert class_text(text) == "1"
    digits = MIXED.model_copy(update={"classes": ("0", "1")})
    assert digits.encode_label(text) == 1


def test_labels_are_encoded_by_the_task() -> None:
    assert MIXED.encode_label("dog") == 1
    assert MIXED.encode_label("cow") is None
    assert NUMBERS.encode_label("1.5") == 1.5
    assert NUMBERS.encode_label("high") is None
    assert number_of("0x10") is None


def test_training_and_serving_encode_a_row_alike(prepared: Preparing) -> None:
    words = ["low", "mid, or so", 'a "high"', ""]
    lines = [f'{n % 2},{n / 8},"{words[n % 4].replace(chr(34), 2 * chr(34))}"' for n in range(200)]
    result = prepared("\n".join(["y,a,b", *lines]).encode())
    trained = dict(row.split(b",", 1) for row in result.all_rows)
    assert trained
    served = {
        csv_line(result.schema.encode_instance([str(n / 8), words[n % 4]])) for n in range(200)
    }
    stored = {row.split(b",", 1)[1].decode() for row in result.all_rows}
    assert {row.replace(".0,", ",") for row in stored} == served
