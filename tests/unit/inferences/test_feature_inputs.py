"""The row that another model reads is made from the encoded row of the first."""

from __future__ import annotations

from typing import Any

import pytest
from refit.domain.errors import DatasetInvalid
from refit.domain.feature_source import FeatureSource
from refit.domain.inferences.feature_inputs import FeatureInputs, with_added_features
from refit.domain.retraining.row_decoder import RowDecoder
from refit.domain.schema import Schema


def schema(*features: dict[str, Any], classes: list[str] | None = None, **more: Any) -> Schema:
    task = "classification" if classes else "regression"
    content = {"task": task, "label": "y", "features": features, "classes": classes}
    return Schema.model_validate(content | more)


def number(name: str) -> dict[str, Any]:
    return {"name": name, "type": "number"}


def colour(*values: str) -> dict[str, Any]:
    return {"name": "Colour", "type": "category", "values": values}


OWN = schema(number("size"), colour("blue", "green", "red"), number("Age"))
ASKED = schema(number("Age"), colour("red", "blue"))
SOURCE = FeatureSource(model="prices", version=2, run="run2", columns=1)


def test_columns_are_found_by_name_and_texts_get_the_codes_of_the_other_model() -> None:
    inputs = FeatureInputs(ASKED, OWN, "prices")
    assert inputs.line(b"1,0,33") == b"33,1"
    assert inputs.line(b"1,2,33") == b"33,0"


def test_a_text_that_the_other_model_does_not_know_is_missing() -> None:
    assert FeatureInputs(ASKED, OWN, "prices").line(b"1,1,33") == b"33,"


@pytest.mark.parametrize("line", [b"1,,", b"1,1,"])
def test_a_row_without_any_value_is_still_a_row(line: bytes) -> None:
    assert FeatureInputs(ASKED, OWN, "prices").line(line) == b"nan,"


def test_the_missing_value_of_a_single_column_is_passed_on() -> None:
    inputs = FeatureInputs(schema(number("a")), schema(number("a")), "prices")
    assert inputs.line(b"nan") == b"nan"


def test_a_column_of_another_type_is_refused_with_both_types() -> None:
    with pytest.raises(DatasetInvalid) as refused:
        FeatureInputs(schema(number("Colour")), OWN, "prices")
    message = str(refused.value)
    assert "prices reads column 'Colour' as number, and these files have it as category" in message
    assert '[data.columns] "Colour" = "number"' in message


def test_a_column_that_is_left_out_is_refused_with_its_reason() -> None:
    own = schema(number("size"), columns=["size", "age"], left_out={"age": "is constant"})
    with pytest.raises(DatasetInvalid, match="'age', which is left out here: is constant"):
        FeatureInputs(schema(number("age")), own, "prices")


def test_added_columns_are_features_but_no_columns_of_the_files() -> None:
    added = with_added_features(OWN, SOURCE, ASKED)
    assert [feature.name for feature in added.features] == [
        "size", "Colour", "Age", "prices_prediction",
    ]  # fmt: skip
    assert added.all_columns == ("size", "Colour", "Age")
    assert added.own == OWN
    assert Schema.model_validate(added.as_json()) == added


def test_another_version_is_a_change_of_the_columns() -> None:
    live = with_added_features(OWN, SOURCE, ASKED)
    other = with_added_features(OWN, SOURCE.model_copy(update={"version": 3}), ASKED)
    assert live.changes_to(live) == []
    assert live.changes_to(other) == [
        "[data] features_from was version 2 of 'prices' (run run2) and is version 3 of 'prices' "
        "(run run2)"
    ]
    assert OWN.changes_to(live) == [
        "[data] features_from was not set and is version 2 of 'prices' (run run2)"
    ]


def test_a_labelled_prediction_becomes_a_row_without_the_added_columns() -> None:
    live = with_added_features(OWN, SOURCE, ASKED)
    assert RowDecoder(live, live).line("7", [1.0, 2.0, 33.0, 0.25]) == b"7,1,red,33\n"
