"""The kind of a column is decided by all of its rows, and the task by the label."""

from __future__ import annotations

import pytest
from refit.domain.errors import DatasetInvalid, SchemaChanged, TooManyBadRows
from refit.domain.schema import Feature, Schema

from tests.support.preparing import Preparing, numbers_csv, scattered


def csv(rows: list[str], header: str = "") -> bytes:
    return "\n".join(([header] if header else []) + rows).encode() + b"\n"


def labelled(labels: list[str], rows: int = 400) -> bytes:
    lines = [f"{labels[n % len(labels)]},{scattered(n)},{scattered(n) / 8}" for n in range(rows)]
    return csv(lines, "label,a,b")


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_delimiter_is_found(prepared: Preparing, delimiter: str) -> None:
    data = numbers_csv().replace(b",", delimiter.encode())
    assert prepared(data).all_rows == sorted(numbers_csv().splitlines())
    assert prepared(data, delimiter=delimiter).train == prepared(data).train


@pytest.mark.parametrize(
    "header",
    ["y,a,b,c", "label,0,1,2", "0,1,2,label", '"y","a b","c, d","e"', ",a,b,c", "y,1x1,1x2,1x3"],
)
def test_a_header_is_detected_above_numbers(prepared: Preparing, header: str) -> None:
    result = prepared(header.encode() + b"\r\n" + numbers_csv(), label=0)
    assert result.refused == []
    assert sum(result.rows.values()) == 300


def test_a_header_is_detected_above_texts_that_repeat(prepared: Preparing) -> None:
    rows = [f"{'pe'[n % 2]},{'xbs'[n % 3]},{'abcde'[n % 5]}" for n in range(200)]
    result = prepared(csv(rows, "class,shape,odor"))
    assert result.schema.label == "class"
    assert result.schema.classes == ("e", "p")
    assert sum(result.rows.values()) == 200


@pytest.mark.parametrize("first", ["1,2,oops,4", "1,oops,oops,4", "1,0,1,2"])
def test_a_bad_first_row_is_not_a_header(prepared: Preparing, first: str) -> None:
    result = prepared(first.encode() + b"\n" + numbers_csv())
    assert sum(result.rows.values()) + len(result.refused) == 301


def test_the_settings_override_the_detection_of_a_header(prepared: Preparing) -> None:
    named = prepared(b"5,6,7,8\n" + numbers_csv(), header="yes", label="5")
    assert sum(named.rows.values()) == 300
    odd = prepared(b"a,b,c,d\n" + numbers_csv(), header="no")
    assert [refused["line"] for refused in odd.refused] == [1]


def test_files_with_the_same_columns_in_any_order_are_read_as_one_table(
    prepared: Preparing,
) -> None:
    rows = [(n % 2, scattered(n), scattered(n + 1000)) for n in range(300)]
    left = csv([f"{y},{a},{b}" for y, a, b in rows[:100]], "y,a,b")
    right = csv([f"{b};{y};{a}" for y, a, b in rows[100:200]], "b;y;a")
    bare = csv([f"{y},{a},{b}" for y, a, b in rows[200:]])
    result = prepared({"1.csv": left, "2.csv": right}, label="y")
    assert result.all_rows == sorted(f"{y},{a},{b}".encode() for y, a, b in rows[:200])
    both = prepared({"1.csv": left, "3.csv": bare})
    assert sum(both.rows.values()) == 200


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (csv(["1,2", "2,2"] * 9), "2.csv has 2 columns and 1.csv 3"),
        (csv(["1,2,3", "2,3,4"] * 9, "y,a,z"), "2.csv has a column 'z' that 1.csv does not have"),
        (csv(["1,2,3"] * 9, "y,a,a"), "2.csv: two columns are named 'a'"),
        (csv(["1,2"] * 9, "y,a"), "2.csv does not have the column 'b' of 1.csv"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(
    prepared: Preparing, other: bytes, text: str
) -> None:
    first = csv([f"{n % 2},{scattered(n)},{scattered(n) / 8}" for n in range(99)], "y,a,b")
    with pytest.raises(DatasetInvalid, match=text):
        prepared({"1.csv": first, "2.csv": other})


def test_a_column_whose_name_is_too_long_is_refused(prepared: Preparing) -> None:
    rows = [f"{n % 2},{scattered(n)},{n}" for n in range(99)]
    assert prepared(csv(rows, f"y,{'a' * 1000},b"), label="y").schema.label == "y"
    with pytest.raises(DatasetInvalid, match="the name of column 1 has 1,001 characters"):
        prepared(csv(rows, f"y,{'a' * 1001},b"), label="y")


@pytest.mark.parametrize("label", [0, 3, -1, 1, "last"])
def test_the_label_may_be_any_column(prepared: Preparing, label: int | str) -> None:
    features = [[str(scattered(n + 1000 * column)) for column in range(3)] for n in range(200)]
    rows = [list(row) for row in features]
    for n, row in enumerate(rows):
        row.insert(label if label in {0, 1, 3} else 3, str(n % 2))
    result = prepared(csv([",".join(row) for row in rows]), label=label)
    assert result.schema.task == "classification"
    expected = [",".join([str(n % 2), *row]).encode() for n, row in enumerate(features)]
    assert result.all_rows == sorted(expected)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"label": 9}, r"has 4 columns, so \[data\] label cannot be 9"),
        ({"label": "y"}, "has no header, so no column is named 'y'"),
    ],
)
def test_a_missing_label_column_is_refused(
    prepared: Preparing, settings: dict[str, object], text: str
) -> None:
    with pytest.raises(DatasetInvalid, match=text):
        prepared(numbers_csv(), **settings)
    with pytest.raises(DatasetInvalid, match=r"has no column 'z'.*it has 'y', 'a', 'b', 'c'"):
        prepared(b"y,a,b,c\n" + numbers_csv(), label="z")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["cat", "dog"], ("cat", "dog")),
        (["2", "10", "1"], ("1", "2", "10")),
        (["1.0", "1", "01", "-3"], ("-3", "1")),
        (["x", "1"], ("1", "x")),
        (["New York", "A, B"], None),
    ],
)
def test_texts_and_few_whole_numbers_are_classes(
    prepared: Preparing, labels: list[str], classes: tuple[str, ...] | None
) -> None:
    rows = [f'"{labels[n % len(labels)]}",{scattered(n)}' for n in range(300)]
    result = prepared(csv(rows))
    assert result.schema.task == "classification"
    assert result.schema.classes == (classes or ("A, B", "New York"))
    assert sum(result.profile["label"]["classes"].values()) == result.rows["train"]
    assert set(result.labels.split()) == {
        str(code).encode() for code in range(len(result.schema.classes or ()))
    }


@pytest.mark.parametrize(
    "labels", [["0.5", "1"], [str(n) for n in range(51)], ["1", "2", "3.5e-3"]]
)
def test_other_numbers_are_a_regression_target(prepared: Preparing, labels: list[str]) -> None:
    result = prepared(labelled(labels))
    assert result.schema.task == "regression"
    assert result.schema.classes is None
    assert {row.partition(b",")[0].decode() for row in result.all_rows} == set(labels)


def test_one_fraction_among_many_whole_labels_makes_a_regression_target(
    prepared: Preparing,
) -> None:
    labels = ["1"] * 200 + ["2"] * 199 + ["1.5"]
    assert prepared(labelled(labels)).schema.task == "regression"


def test_the_settings_decide_the_task(prepared: Preparing) -> None:
    assert prepared(labelled(["1", "2"]), task="regression").schema.task == "regression"
    many = labelled([str(n) for n in range(80)], 2000)
    assert len(prepared(many, task="classification").schema.classes or ()) == 80
    halves = prepared(labelled(["1.5", "2.5"]), task="classification")
    assert halves.schema.classes == ("1.5", "2.5")
    with pytest.raises(TooManyBadRows, match="'cat' is text where numbers are expected"):
        prepared(labelled(["cat", "dog"]), task="regression")


def test_numbers_that_are_no_classes_are_refused_with_the_task_that_fits(
    prepared: Preparing,
) -> None:
    prices = labelled([f"{n}.5" for n in range(3000)], 6000)
    with pytest.raises(DatasetInvalid, match=r"They look like numbers to estimate") as refused:
        prepared(prices, task="classification")
    assert refused.value.advice == 'Set [data] task = "regression"'


def test_labels_that_are_all_different_are_not_classes(prepared: Preparing) -> None:
    with pytest.raises(DatasetInvalid, match=r"more than 1,000 distinct values .* identifiers"):
        prepared(labelled([f"id{n}" for n in range(3000)], 3000))
    with pytest.raises(DatasetInvalid, match="400 distinct values in 400 rows"):
        prepared(labelled([f"id{n}" for n in range(400)], 400))


def test_a_column_is_judged_by_all_of_its_rows_not_by_the_first(prepared: Preparing) -> None:
    # 2,000 numbers come first, then 3,000 words: the first rows suggest a column of numbers.
    rows = [
        f"{n % 2},{scattered(n)},{scattered(n) % 100 if n < 2000 else 'abc'[n % 3]}"
        for n in range(5000)
    ]
    result = prepared(csv(rows))
    assert result.refused == []
    assert [feature.type for feature in result.schema.features] == ["number", "category"]
    assert result.schema.features[1].values is not None
    assert len(result.schema.features[1].values) == 103
    turned = prepared(csv(rows[::-1]))
    assert turned.schema == result.schema
    assert turned.all_rows == result.all_rows


def test_rows_with_text_among_numbers_are_refused(prepared: Preparing) -> None:
    rows = [
        f"{n % 2},{scattered(n)},{'oops' if n % 200 == 7 else scattered(n + 1)}"
        for n in range(1000)
    ]
    result = prepared(csv(rows))
    assert [refused["line"] for refused in result.refused] == [8, 208, 408, 608, 808]
    assert result.schema.features[1].type == "number"


def test_identifiers_are_not_a_category_even_if_the_settings_say_so(prepared: Preparing) -> None:
    rows = csv([f"{n % 2},{scattered(n)},user-{n}" for n in range(3000)])
    assert [feature.name for feature in prepared(rows).schema.features] == ["f0"]
    with pytest.raises(DatasetInvalid, match="column 'f1' holds more than 1000 distinct texts"):
        prepared(rows, columns={"f1": "category"})


def test_missing_categories_stay_missing(prepared: Preparing) -> None:
    rows = [f"{n % 2},{scattered(n)},{['red', '', 'NaN', 'blue'][n % 4]}" for n in range(400)]
    result = prepared(csv(rows))
    assert result.schema.features[1].values == ("blue", "red")
    cells = {row.split(b",")[2] for row in (result.validation + result.test).splitlines()}
    assert cells == {b"", b"0", b"1"}


def test_a_column_without_any_value_is_kept_if_the_settings_say_so(prepared: Preparing) -> None:
    rows = csv([f"{n % 2},{scattered(n)}," for n in range(300)], "y,a,empty")
    assert [feature.name for feature in prepared(rows).schema.features] == ["a"]
    result = prepared(rows, columns={"empty": "number"})
    assert [feature.name for feature in result.schema.features] == ["a", "empty"]
    # XGBoost takes the number of columns from the cells with a value, so one cell is written.
    assert result.train.splitlines()[0].endswith(b",nan")
    assert all(row.endswith(b",") for row in result.train.splitlines()[1:])
    assert result.profile["columns"][1]["completeness"] == 0


PRIOR = Schema(
    task="classification",
    label="y",
    features=(
        Feature(name="a", type="number"),
        Feature(name="b", type="category", values=("red", "blue")),
    ),
    classes=("dog", "cat"),
)


def test_the_codes_of_the_live_model_are_kept(prepared: Preparing) -> None:
    rows = [
        f"{['cat', 'ant'][n % 2]},{scattered(n)},{['green', 'blue'][n % 2]}" for n in range(300)
    ]
    result = prepared(csv(rows, "y,a,b"), prior=PRIOR)
    assert result.comparable
    assert result.schema.classes == ("dog", "cat", "ant")
    assert result.schema.features[1].values == ("red", "blue", "green")
    assert {row.split(b",")[0] for row in result.all_rows} == {b"1", b"2"}
    assert {row.split(b",")[2] for row in result.all_rows} == {b"1", b"2"}


def test_columns_in_another_order_or_without_names_match_the_live_models(
    prepared: Preparing,
) -> None:
    rows = [
        (["cat", "dog"][n % 2], str(scattered(n)), ["red", "blue"][n % 3 % 2]) for n in range(300)
    ]
    plain = prepared(csv([",".join(row) for row in rows], "y,a,b"), prior=PRIOR)
    turned = prepared(csv([",".join(row[::-1]) for row in rows], "b,a,y"), prior=PRIOR, label="y")
    bare = prepared(csv([",".join(row) for row in rows]), prior=PRIOR, label=0)
    assert plain.comparable
    assert plain.train == turned.train == bare.train
    assert plain.schema == turned.schema == bare.schema


def test_a_category_whose_new_texts_are_all_numbers_stays_a_category(prepared: Preparing) -> None:
    rows = [f"{['cat', 'dog'][n % 2]},{n},{n % 3}" for n in range(300)]
    result = prepared(csv(rows, "y,a,b"), prior=PRIOR)
    assert result.comparable
    assert result.schema.features[1].values == ("red", "blue", "0", "1", "2")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (
            csv([f"cat,{n}" for n in range(50)] + [f"dog,{n}" for n in range(50)], "y,a"),
            "gone: 'b'",
        ),
        (
            csv([f"{'cd'[n % 2]},{scattered(n)},{scattered(n)}" for n in range(99)], "y,a,c"),
            "'b' .category. and is 'c'",
        ),
        (
            csv([f"{n / 7},{n},red" for n in range(99)], "y,a,b"),
            "version 3. is a classification of 'y', and this drop was read as a regression",
        ),
    ],
)
def test_changed_columns_are_refused_unless_the_settings_accept_them(
    prepared: Preparing, data: bytes, text: str
) -> None:
    with pytest.raises(SchemaChanged, match=text):
        prepared(data, prior=PRIOR)
    assert not prepared(data, prior=PRIOR, schema_change="accept").comparable


def test_a_regression_target_with_few_values_stays_a_regression_target(prepared: Preparing) -> None:
    prior = prepared(labelled([str(n / 2) for n in range(100)])).schema
    result = prepared(labelled(["1", "2"]), prior=prior)
    assert result.comparable
    assert result.schema.task == "regression"


def test_given_splits_are_kept_and_the_missing_ones_are_made_by_hash(prepared: Preparing) -> None:
    rows = numbers_csv(600).splitlines(keepends=True)
    train, test = b"".join(rows[:500]), b"".join(rows[500:])
    only_test = prepared({"more.csv": train, "test/t.csv": test})
    assert only_test.test == test
    assert only_test.rows["validation"] > 0
    assert only_test.rows["train"] + only_test.rows["validation"] == 500
    all_given = prepared({"train/a.csv": train, "validation/v.csv": test, "test/t.csv": test})
    assert all_given.rows == {"train": 500, "validation": 100, "test": 100}
    no_test = prepared({"train/a.csv": train, "validation/v.csv": test})
    assert no_test.validation == test
    assert no_test.rows["test"] > 0
