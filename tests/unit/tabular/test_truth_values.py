"""A truth value has one spelling inside, and every spelling of it is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import duckdb
import pytest
from refit.domain.errors import DatasetInvalid, PayloadInvalid, TooManyBadRows
from refit.domain.inferences.payload import encoded_lines
from refit.domain.inferences.request_rows import instances_of
from refit.domain.retraining.row_decoder import BAD_VALUE, RowDecoder, RowUnusable
from refit.tabular.readers.table import CsvTable

from tests.support.preparing import Preparing, scattered, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from refit.domain.schema import Schema

ROWS = 200
LABELS = [["no", "yes"][scattered(7 * n) % 2] for n in range(ROWS)]
SIZES = [scattered(n) / 8 for n in range(ROWS)]
FLAGS = [scattered(3 * n) % 2 == 1 for n in range(ROWS)]


def table(cells: Sequence[object]) -> bytes:
    return table_of({"label": LABELS, "size": SIZES, "vip": cells})


def spelled(true: str, false: str) -> list[str]:
    return [true if flag else false for flag in FLAGS]


def encoded(schema: Schema, body: object) -> list[str]:
    return encoded_lines(instances_of(json.dumps(body).encode(), None, schema), schema)


def codes(rows: Sequence[bytes]) -> list[bytes]:
    return sorted(row.rpartition(b",")[2] for row in rows)


EXPECTED = sorted(b"%d" % flag for flag in FLAGS)
SPELLINGS = [("True", "False"), ("true", "false"), ("TRUE", "FALSE"), ("tRUE", "False")]


@pytest.mark.parametrize(("true", "false"), SPELLINGS)
def test_each_spelling_of_true_and_false_is_read(
    prepared: Preparing, true: str, false: str
) -> None:
    result = prepared(table(spelled(true, false)))
    assert [(f.name, f.type, f.values) for f in result.schema.features] == [
        ("size", "number", None),
        ("vip", "boolean", None),
    ]
    assert codes(result.all_rows) == EXPECTED
    column = result.learned.columns[1]
    assert (column.type, column.distinct, column.missing) == ("boolean", None, 0)
    assert "1 number, 1 truth value" in result.learned.sentence


def test_spellings_may_be_mixed_and_cells_missing(prepared: Preparing) -> None:
    cells = [[*SPELLINGS[n % 4]][not flag] for n, flag in enumerate(FLAGS)]
    cells[::10] = ["", "NaN", "NA", "None"] * 5
    result = prepared(table(cells))
    assert result.schema.features[1].type == "boolean"
    assert result.learned.columns[1].missing == 20
    assert sum(row.endswith((b",", b",nan")) for row in result.all_rows) == 20


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (True, "1"), (False, "0"), (1, "1"), (0, "0"), (1.0, "1"), (0.0, "0"),
        ("true", "1"), ("FALSE", "0"), (" True ", "1"), ("yes", "1"), ("no", "0"), ("1", "1"),
        ("0.0", "0"), ("t", "1"), ("F", "0"), ("on", "1"), ("off", "0"),
        (None, ""), ("", ""), ("NaN", ""), ("NA", ""), ("None", ""),
    ],
)  # fmt: skip
def test_a_request_may_spell_a_truth_value_in_any_way(
    prepared: Preparing, value: object, code: str
) -> None:
    schema = prepared(table(spelled("True", "False"))).schema
    assert encoded(schema, [[1, value]]) == [f"1,{code}"]
    assert encoded(schema, {"features": {"vip": value, "size": 1}}) == [f"1,{code}"]


@pytest.mark.parametrize("value", [2, -1, 0.5, "maybe", "2", [True], {"a": 1}])
def test_a_request_with_another_value_is_refused(prepared: Preparing, value: object) -> None:
    schema = prepared(table(spelled("True", "False"))).schema
    with pytest.raises(PayloadInvalid, match="column 'vip'"):
        encoded(schema, [[1, value]])


TEXTS = [("yes", "no"), ("Y", "N"), ("on", "off"), ("T", "F"), ("ja", "nein")]


@pytest.mark.parametrize(("true", "false"), TEXTS)
def test_other_words_stay_texts_unless_the_settings_say_so(
    prepared: Preparing, true: str, false: str
) -> None:
    data = table(spelled(true, false))
    result = prepared(data)
    assert result.schema.features[1].values == tuple(sorted([true, false]))
    if true == "ja":
        with pytest.raises(TooManyBadRows, match="is not true or false"):
            prepared(data, columns={"vip": "boolean"})
        return
    said = prepared(data, columns={"vip": "boolean"})
    assert said.schema.features[1].type == "boolean"
    assert codes(said.all_rows) == EXPECTED


@pytest.mark.parametrize(("true", "false"), [("1", "0"), ("1.0", "0.0")])
def test_zero_and_one_are_numbers_unless_the_settings_say_so(
    prepared: Preparing, true: str, false: str
) -> None:
    data = table(spelled(true, false))
    assert prepared(data).schema.features[1].type == "number"
    said = prepared(data, columns={"vip": "boolean"})
    assert said.schema.features[1].type == "boolean"
    assert codes(said.all_rows) == EXPECTED


def test_a_third_text_makes_a_category_of_both_spellings(prepared: Preparing) -> None:
    cells = spelled("true", "false")
    cells[::5] = ["unknown"] * 40
    result = prepared(table(cells))
    assert result.schema.features[1].values == ("false", "true", "unknown")
    assert encoded(result.schema, [[1, True], [1, "unknown"], [1, False]]) == ["1,1", "1,2", "1,0"]
    cells = spelled("True", "False")
    cells[::5] = ["unknown"] * 40
    pandas = prepared(table(cells)).schema
    assert encoded(pandas, [[1, True], [1, False]]) == ["1,1", "1,0"]


def test_one_other_text_is_a_refused_row(prepared: Preparing) -> None:
    cells = spelled("true", "false")
    cells[7] = "maybe"
    result = prepared(table(cells))
    assert result.schema.features[1].type == "boolean"
    assert [row["reason"] for row in result.refused] == [
        "column 'vip': 'maybe' is not true or false"
    ]


@pytest.mark.parametrize("spellings", [["T", "F", "TRUE", "FALSE"], ["Yes", "yes", "No"]])
def test_truth_values_in_several_spellings_are_doubted_unless_the_settings_name_them(
    prepared: Preparing, spellings: list[str]
) -> None:
    cells = [spellings[scattered(n) % len(spellings)] for n in range(ROWS)]
    doubts = " ".join(prepared(table(cells)).learned.doubts)
    assert "column 'vip' has truth values in several spellings" in doubts
    assert '[data.columns] "vip" = "boolean"' in doubts
    assert prepared(table(cells), columns={"vip": "boolean"}).learned.doubts == ()


@pytest.mark.parametrize("words", [["yes", "no"], ["yes", "no", "maybe"], ["f", "t", "n", "s"]])
def test_other_words_beside_truth_values_are_no_spellings(
    prepared: Preparing, words: list[str]
) -> None:
    result = prepared(table([words[scattered(n) % len(words)] for n in range(ROWS)]))
    assert "spellings" not in " ".join(result.learned.doubts)


@pytest.mark.parametrize(("true", "false"), SPELLINGS)
def test_truth_values_as_labels_are_two_classes(prepared: Preparing, true: str, false: str) -> None:
    result = prepared(table_of({"label": spelled(true, false), "size": SIZES}))
    assert result.schema.classes == ("false", "true")
    assert result.schema.label_type == "boolean"
    assert sorted(row.partition(b",")[0] for row in result.all_rows) == EXPECTED
    for text in ("True", "true", "TRUE", " true", "1", "yes"):
        assert result.schema.encode_label(text) == 1
    assert result.schema.encode_label("maybe") is None
    assert result.doubts == ""


def test_a_label_of_truth_values_may_be_missing(prepared: Preparing) -> None:
    labels = spelled("TRUE", "FALSE")
    labels[::10] = ["NA", ""] * 10
    result = prepared(table_of({"label": labels, "size": SIZES}))
    assert result.schema.classes == ("false", "true")
    assert result.learned.refused_reasons == {"the label 'label' is missing": 20}


def test_a_label_of_one_truth_value_is_refused(prepared: Preparing) -> None:
    with pytest.raises(DatasetInvalid, match="every label is 'true'"):
        prepared(table_of({"label": ["True"] * ROWS, "size": SIZES}))


def test_yes_and_no_are_classes_with_their_own_names(prepared: Preparing) -> None:
    result = prepared(table_of({"label": spelled("yes", "no"), "size": SIZES}))
    assert result.schema.classes == ("no", "yes")


def test_all_formats_give_the_same_truth_values(prepared: Preparing, tmp_path: Path) -> None:
    csv = prepared(
        table_of(
            {"label": spelled("True", "False"), "size": SIZES, "vip": spelled("TRUE", "FALSE")}
        )
    )
    rows = ", ".join(f"({flag}, {size}, {flag})" for flag, size in zip(FLAGS, SIZES, strict=True))
    select = f"SELECT * FROM (VALUES {rows}) t(label, size, vip)"
    for kind in ("parquet", "json"):
        path = tmp_path / f"made.{kind}"
        duckdb.sql(f"COPY ({select}) TO '{path}' (FORMAT {kind})")
        other = prepared({path.name: path.read_bytes()})
        assert other.schema == csv.schema
        assert codes(other.all_rows) == codes(csv.all_rows)


@pytest.mark.parametrize(("true", "false"), [("1", "0"), ("TRUE", "FALSE"), ("True", "False")])
def test_a_column_of_truth_values_stays_one_in_later_drops(
    prepared: Preparing, true: str, false: str
) -> None:
    prior = prepared(table(spelled("true", "false"))).schema
    for _ in range(2):
        later = prepared(table(spelled(true, false)), prior=prior)
        assert later.comparable
        assert later.schema.features == prior.features
        assert codes(later.all_rows) == EXPECTED
        prior = later.schema


@pytest.mark.parametrize(("true", "false"), [("1", "0"), ("TRUE", "FALSE")])
def test_a_label_of_truth_values_keeps_its_classes_in_later_drops(
    prepared: Preparing, true: str, false: str
) -> None:
    first = prepared(table_of({"label": spelled("True", "False"), "size": SIZES}))
    data = table_of({"label": spelled(true, false), "size": SIZES})
    second = prepared(data, prior=first.schema)
    third = prepared(data, prior=second.schema)
    for later in (second, third):
        assert later.comparable
        assert later.schema.classes == ("false", "true")
        assert sorted(row.partition(b",")[0] for row in later.all_rows) == EXPECTED


def test_labelled_predictions_have_the_truth_values_of_their_requests(prepared: Preparing) -> None:
    data = table(spelled("True", "False"))
    live = prepared(data).schema
    decoder = RowDecoder(live, live)
    assert decoder.line("yes", [1.5, 1.0]) == b"yes,1.5,true\n"
    assert decoder.line("yes", [1.5, None]) == b"yes,1.5,\n"
    for value in (2.0, 0.5):
        with pytest.raises(RowUnusable, match=BAD_VALUE):
            decoder.line("yes", [1.5, value])
    lines = b"".join(decoder.line(LABELS[n], [float(n), float(FLAGS[n])]) for n in range(ROWS))
    labelled = CsvTable(
        name="labelled rows",
        split=None,
        blocks=lambda: iter([lines * 4]),
        columns=("label", "size", "vip"),
        label_first=True,
        origin="labelled",
    )
    result = prepared(data, prior=live, labelled=[labelled])
    assert result.refused == []
    assert result.schema == live
    assert codes(result.all_rows) == sorted(EXPECTED * 5)
