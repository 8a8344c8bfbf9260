"""The label is chosen by its name or place, and where that is unclear the drop is refused."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from refit.domain.errors import DatasetInvalid, LabelUnclear, SettingsInvalid
from refit.domain.model_settings import parse_settings

from tests.support.preparing import Preparing, scattered, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from refit.domain.schema import Schema

ROWS = 200
KINDS = [["setosa", "versicolor", "virginica"][n % 3] for n in range(ROWS)]
SIZES = [scattered(n) / 8 for n in range(ROWS)]
COUNTS = [scattered(n + 300) for n in range(ROWS)]


def named(*names: str) -> bytes:
    """Return a file of columns with these names, each of which could be predicted."""
    return table_of(
        {name: [n * (3 + i) % (7 + i) for n in range(ROWS)] for i, name in enumerate(names)}
    )


@pytest.mark.parametrize(
    ("header", "label"),
    [
        ("label,a,b", "label"),
        ("a,label,b", "label"),
        ("a,b,Target", "Target"),
        ("a,TARGET,b", "TARGET"),
        ("a,b, Label ", "Label"),
        ("class,a,b", "class"),
        ("a,b,Class", "Class"),
        ("a,b,y", "y"),
        ("Y,a,b", "Y"),
        ("a,class,label", "label"),
        ("a,y,target,b", "target"),
    ],
)
def test_a_column_with_the_usual_name_is_the_label(
    prepared: Preparing, header: str, label: str
) -> None:
    assert prepared(named(*header.split(","))).schema.label == label


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("a,b,c", r"has the columns 'a', 'b', 'c'; none of them is called label or target"),
        ("a,class,b", "none of them is called label or target"),
        ("a,y,b", "none of them is called label or target"),
        ("label,a,target", "more than one of them could be the label: 'label' and 'target'"),
        ("label,a,y", "more than one of them could be the label: 'label' and 'y'"),
        ("class,a,y", "more than one of them could be the label: 'class' and 'y'"),
        ("labels,my_target,Y2", "none of them is called label or target"),
    ],
)
def test_a_header_without_one_such_name_is_refused_with_its_columns(
    prepared: Preparing, header: str, text: str
) -> None:
    with pytest.raises(LabelUnclear, match=text):
        prepared(named(*header.split(",")))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"sl": SIZES, "sw": COUNTS, "species": KINDS}, ["(it could be 'species')", "species"]),
        ({"sp ecies": KINDS, "sl": SIZES}, ["(it could be 'sp ecies')", '--label "sp ecies"']),
        ({"sl": SIZES, 'the "kind"': KINDS}, ['[data] label = "the \\"kind\\""']),
        ({"price": SIZES, "size": COUNTS}, ["--label NAME", '[data] label = "NAME" in model.toml']),
    ],
)
def test_the_refusal_says_what_could_be_the_label_and_what_to_type(
    prepared: Preparing, columns: dict[str, Sequence[object]], says: list[str]
) -> None:
    with pytest.raises(LabelUnclear) as refused:
        prepared(table_of(columns))
    assert "refit put MODEL FILE --label" in str(refused.value)
    for text in says:
        assert text in str(refused.value)


def test_a_refusal_of_many_columns_lists_the_first_ones(prepared: Preparing) -> None:
    with pytest.raises(LabelUnclear) as refused:
        prepared(named(*(f"gene{index}x" for index in range(500))))
    assert "'gene0x'" in str(refused.value)
    assert "(500 in all)" in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.fixture
def live(prepared: Preparing) -> Schema:
    return prepared(named("a", "kind", "b"), label="kind").schema


def test_the_live_models_label_is_the_label_if_the_file_has_it(
    prepared: Preparing, live: Schema
) -> None:
    assert prepared(named("b", "a", "kind"), prior=live).schema.label == "kind"
    named_label = prepared(named("label", "a", "kind", "b"), prior=live, schema_change="accept")
    assert named_label.schema.label == "kind"
    accepted = prepared(named("label", "a", "b"), prior=live, schema_change="accept")
    assert accepted.schema.label == "label"
    with pytest.raises(LabelUnclear):
        prepared(named("a", "b", "c"), prior=live)


def test_the_settings_decide_before_the_live_model_and_the_names(
    prepared: Preparing, live: Schema
) -> None:
    changed = prepared(named("a", "kind", "b"), prior=live, label="b", schema_change="accept")
    assert changed.schema.label == "b"
    assert prepared(named("label", "a", "b"), label="a").schema.label == "a"
    assert prepared(named("label", "a", "b"), label=2).schema.label == "b"
    assert prepared(named("a", "label", "b"), label=0).schema.label == "a"


@pytest.mark.parametrize("setting", ["gro\u0308\u00dfe", "gr\u00f6\u00dfe", " gr\u00f6\u00dfe "])
def test_names_are_compared_in_one_unicode_form_and_without_blanks(
    prepared: Preparing, setting: str
) -> None:
    for written in ("gr\u00f6\u00dfe", "gro\u0308\u00dfe"):
        assert prepared(named("a", written, "b"), label=setting).schema.label == written


def test_the_last_column_is_last_or_minus_one(prepared: Preparing) -> None:
    for setting in ("last", -1):
        assert prepared(named("a", "b", "kind"), label=setting).schema.label == "kind"
    assert prepared(named("last", "b", "kind"), label="last").schema.label == "last"
    columns = {"0": COUNTS, "1": SIZES, "2": KINDS}
    assert prepared(table_of(columns), label="2").schema.label == "2"


@pytest.mark.parametrize("value", ["-2", "1.5", "true", "[]", "{}"])
def test_another_negative_number_or_another_kind_is_no_label(value: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"\[data\] label|\[data.label"):
        parse_settings(f"[data]\nlabel = {value}\n")


def test_not_set_differs_from_the_first_column() -> None:
    assert parse_settings("").data.label is None
    assert parse_settings("[data]\nlabel = 0\n").data.label == 0
    assert parse_settings('[data]\nlabel = "last"\n').data.label == "last"


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("kind", r"has no column 'kind' \(\[data\] label\); it has 'a', 'b', 'c'"),
        (3, r"has 3 columns, so \[data\] label cannot be 3. The last one is 2, or 'last'"),
    ],
)
def test_a_column_that_the_file_does_not_have_is_refused(
    prepared: Preparing, setting: str | int, text: str
) -> None:
    with pytest.raises(LabelUnclear, match=text):
        prepared(named("a", "b", "c"), label=setting)


def headerless(*columns: Sequence[object]) -> bytes:
    return table_of({str(index): column for index, column in enumerate(columns)}, header=False)


@pytest.mark.parametrize(
    "first",
    [
        [n * 7 % 10 for n in range(ROWS)],
        ["ham" if n % 3 else "spam" for n in range(ROWS)],
        SIZES,
        [scattered(n) * 100 for n in range(ROWS)],
        [str(n % 2 == 0) for n in range(ROWS)],
    ],
    ids=["digits", "texts", "measures", "prices", "truth values"],
)
def test_without_a_header_the_first_column_is_the_label(
    prepared: Preparing, first: Sequence[object]
) -> None:
    result = prepared(headerless(first, SIZES, COUNTS), header="no")
    assert result.schema.label == "label"
    assert result.feature_names == ["f0", "f1"]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ((SIZES, COUNTS, KINDS), "last column looks like classes"),
        ((COUNTS, SIZES, [n * 7 % 3 for n in range(ROWS)]), "last column looks like classes"),
        ((KINDS, SIZES, ["yes" if n % 5 else "no" for n in range(ROWS)]), "looks like classes"),
        ((SIZES, COUNTS, [str(n % 2 == 0) for n in range(ROWS)]), "looks like classes"),
        ((range(ROWS), SIZES, COUNTS), "first column looks like row numbers"),
        ((range(1, ROWS + 1), SIZES, COUNTS), "first column looks like row numbers"),
        ((range(5000, 5000 + ROWS), SIZES, COUNTS), "first column looks like row numbers"),
        (([f"{n}.0" for n in range(ROWS)], SIZES, COUNTS), "looks like row numbers"),
        (([n + n // 3 for n in range(ROWS)], SIZES, COUNTS), "looks like row numbers"),
        (([10**16 + 7 * scattered(n) for n in range(ROWS)], SIZES), "looks like row numbers"),
        (([n * 37 % ROWS for n in range(ROWS)], SIZES, COUNTS), "looks like row numbers"),
    ],
    ids=[
        "iris", "wine quality", "car", "truth values", "from 0", "from 1", "from 5000", "fractions",
        "with gaps", "long ids", "shuffled",
    ],
)  # fmt: skip
def test_without_a_header_an_unclear_label_is_refused_with_both_columns(
    prepared: Preparing, columns: tuple[Sequence[object], ...], why: str
) -> None:
    with pytest.raises(LabelUnclear, match=why) as refused:
        prepared(headerless(*columns), header="no")
    assert "--label 0, or --label last" in str(refused.value)
    assert f"the first ({columns[0][0]}, {columns[0][1]}" in str(refused.value)
    assert f"the last ({columns[-1][0]}, {columns[-1][1]}" in str(refused.value)


def test_delimiters_at_the_ends_of_lines_hide_no_column_of_classes(prepared: Preparing) -> None:
    data = headerless(SIZES, COUNTS, KINDS, [""] * ROWS)
    with pytest.raises(LabelUnclear, match=r"looks like classes.*--label 0, or --label 2, "):
        prepared(data, header="no")
    assert prepared(data, header="no", label=2).schema.classes == tuple(sorted(set(KINDS)))


def test_without_a_header_a_name_is_refused(prepared: Preparing) -> None:
    with pytest.raises(LabelUnclear, match="has no header, so no column is named 'kind'"):
        prepared(headerless(KINDS, SIZES), header="no", label="kind")


def test_files_may_have_the_label_in_different_places(prepared: Preparing) -> None:
    columns: dict[str, Sequence[object]] = {"label": KINDS, "size": SIZES, "count": COUNTS}
    turned = {name: columns[name] for name in ("count", "label", "size")}
    one = prepared({"1.csv": table_of(columns), "2.csv": table_of(turned)})
    other = prepared({"1.csv": table_of(turned), "2.csv": table_of(columns)})
    assert sum(one.rows.values()) == sum(other.rows.values()) == 2 * ROWS
    assert one.schema.classes == other.schema.classes == tuple(sorted(set(KINDS)))


def test_a_file_without_the_label_of_the_first_file_is_refused(prepared: Preparing) -> None:
    first = table_of({"label": KINDS, "size": SIZES})
    with pytest.raises(DatasetInvalid, match=r"2\.csv"):
        prepared({"1.csv": first, "2.csv": table_of({"size": SIZES, "kind": KINDS})})


def test_a_format_with_labels_of_its_own_needs_no_name(prepared: Preparing) -> None:
    random = np.random.default_rng(1)
    pairs = tuple(
        (random.normal(size=(rows, 3)), random.integers(0, 2, rows)) for rows in (90, 30, 40)
    )
    result = prepared({"x.pkl": pickle.dumps(pairs)}, label="digit")
    assert result.schema.label == "label"
    assert result.rows == {"train": 90, "validation": 30, "test": 40}


def test_a_label_that_counts_the_rows_is_refused(prepared: Preparing) -> None:
    columns: dict[str, Sequence[object]] = {"id": range(ROWS), "size": SIZES, "count": COUNTS}
    with pytest.raises(DatasetInvalid, match=r"label 'id' counts the rows.*'size', 'count'"):
        prepared(table_of(columns), label="id")


YEARS = [1900 + n for n in range(ROWS)]


def test_a_year_in_each_row_may_be_predicted(prepared: Preparing) -> None:
    result = prepared(table_of({"year": YEARS, "size": SIZES}), label="year")
    assert result.schema.task == "regression"


@pytest.mark.parametrize(
    ("distinct", "rows", "is_classes"),
    [
        (2, 60, True),
        (5, 60, True),
        (20, 200, True),
        (50, 200, True),
        (51, 400, False),
        (40, 60, False),
        (30, 60, True),
        (31, 60, False),
    ],
)
def test_whole_numbers_are_classes_if_each_has_two_rows_on_average(
    prepared: Preparing, distinct: int, rows: int, is_classes: bool
) -> None:
    labels = [1000 + n % distinct for n in range(rows)]
    sizes = [scattered(n) / 8 for n in range(rows)]
    result = prepared(table_of({"label": labels, "size": sizes}), test_fraction=0.3)
    assert (result.schema.classes is not None) is is_classes


@pytest.mark.parametrize(
    ("distinct", "settings", "doubt"),
    [
        (10, {}, ""),
        (30, {}, "30 distinct whole numbers, 1000 to 1029, and is read as 30 classes"),
        (30, {"task": "classification"}, ""),
        (30, {"task": "regression"}, ""),
    ],
)
def test_many_ordered_whole_numbers_are_doubted_until_the_settings_say_the_task(
    prepared: Preparing, distinct: int, settings: dict[str, str], doubt: str
) -> None:
    labels = [1000 + n % distinct for n in range(ROWS)]
    result = prepared(table_of({"label": labels, "size": SIZES}), **settings)
    assert doubt in result.doubts
    assert bool(doubt) is ("task" in result.doubts)


def test_few_whole_numbers_that_are_read_as_a_quantity_are_doubted(prepared: Preparing) -> None:
    labels = [n * 7 % 40 for n in range(60)]
    result = prepared(table_of({"label": labels, "size": SIZES[:60]}), test_fraction=0.3)
    assert result.schema.task == "regression"
    assert "40 distinct whole numbers in 60 rows and is read as a quantity" in result.doubts
    assert '[data] task = "classification"' in result.doubts


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["01", "1", "001", "x"], ("001", "01", "1", "x")),
        (["1.0", "1", "01"], None),
        (["9007199254740993", "9007199254740992"], ("9007199254740992", "9007199254740993")),
        (["12345678901234567", "2"], ("2", "12345678901234567")),
        (["1.0", "2.0"], ("1", "2")),
        (["Yes", "yes"], ("Yes", "yes")),
    ],
)
def test_classes_are_told_apart_by_their_texts_unless_they_are_numbers(
    prepared: Preparing, labels: list[str], classes: tuple[str, ...] | None
) -> None:
    column = [labels[n % len(labels)] for n in range(ROWS)]
    data = table_of({"label": column, "size": SIZES})
    if classes is None:
        with pytest.raises(DatasetInvalid, match="every label is"):
            prepared(data)
    else:
        assert prepared(data).schema.classes == classes


@pytest.mark.parametrize(
    ("labels", "doubt"),
    [
        (["Yes", "yes"], "'Yes' and 'yes' ('label') are read as two classes"),
        (["1", "01", "2"], "'01' and '1' ('label') are read as the same number"),
        (["1", "1.0", "2"], ""),
        (["yes", "no"], ""),
        (["K\u00f6ln", "Ko\u0308ln"], r"'Ko\u0308ln' and 'K\xf6ln' ('label') are read as two"),
        (["cat", "cat\u200b", "dog"], r"'cat' and 'cat\u200b' ('label') are read as two classes"),
        (["True", "False", "1", "0"], "('0', '1', 'False', …)"),
        (["Y", "N", "yes", "no"], "truth values in several spellings, which are read as 4 classes"),
        (["n", "t", "x", "f"], ""),
    ],
)
def test_labels_that_differ_only_in_spelling_are_doubted(
    prepared: Preparing, labels: list[str], doubt: str
) -> None:
    column = [labels[n % len(labels)] for n in range(ROWS)]
    result = prepared(table_of({"label": column, "size": SIZES}))
    assert doubt in result.doubts
    assert bool(doubt) is ("are read as" in result.doubts)


@pytest.mark.parametrize(
    ("labels", "doubt"),
    [
        (["A", "1", "0", "B"], "mixes 100 numbers and 100 texts, such as"),
        (["0", "1", "unknown"], "mixes 134 numbers and 66 texts, such as 'unknown'"),
        (["2025-01-01", "2025-01-02"], "has dates, such as '2025-01-01'"),
        (["2025-01", "rose", "tulip"], ""),
        (["A1", "B2"], ""),
    ],
)
def test_labels_that_may_be_no_classes_are_doubted_until_someone_says_that_they_are(
    prepared: Preparing, labels: list[str], doubt: str
) -> None:
    data = table_of({"label": [labels[n % len(labels)] for n in range(ROWS)], "size": SIZES})
    result = prepared(data)
    assert doubt in result.doubts
    assert bool(doubt) is ("each is read as a class" in result.doubts)
    assert "read as a class" not in prepared(data, task="classification").doubts
    assert "read as a class" not in prepared(data, prior=result.schema).doubts


CLASSES: dict[str, tuple[Callable[[int], object], str]] = {
    "unit": (lambda n: f"{n}.5 kg", "numbers with a unit, such as '0.5 kg', and each is read as a"),
    "thousands": (lambda n: f"0.{n}k", "numbers with a unit"),
    "days": (
        lambda n: f"2025-01-{n + 1:02d}",
        "dates, such as '2025-01-01', and each is read",
    ),
    "days in german": (lambda n: f"{n + 1}. Januar 2025", "dates of a form that is not known"),
    "numpy": (lambda n: f"[{n}.5]", "numbers with other characters around them"),
    "ranks": (lambda n: f"{n + 4}th", ""),
    "sizes": (lambda n: f"size {n}", ""),
    "codes": (lambda n: f"A{n}", ""),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_that_look_like_numbers_or_dates_are_doubted(
    prepared: Preparing, kind: str
) -> None:
    cell, doubt = CLASSES[kind]
    result = prepared(table_of({"label": [cell(n % 9) for n in range(ROWS)], "size": SIZES}))
    assert result.schema.classes is not None
    assert len(result.schema.classes) == 9
    assert doubt in result.doubts
    assert bool(doubt) is ("each is read as" in result.doubts)


def test_a_few_texts_among_numeric_labels_are_refused_rows(prepared: Preparing) -> None:
    labels = ["oops" if n in {7, 107} else n % 2 for n in range(ROWS)]
    result = prepared(table_of({"label": labels, "size": SIZES}))
    assert result.schema.classes == ("0", "1")
    assert [row["line"] for row in result.refused] == [9, 109]


@pytest.mark.parametrize(
    ("cell", "looks"),
    [
        ("user-{n}", "names, identifiers or free text"),
        ("2025-{m:02d}-{d:02d}", "dates, which cannot be predicted"),
        ("{n} kg", "numbers with a unit"),
    ],
)
def test_labels_of_a_row_each_are_refused_with_what_they_look_like(
    prepared: Preparing, cell: str, looks: str
) -> None:
    labels = [cell.format(n=n, m=1 + n // 28, d=1 + n % 28) for n in range(ROWS)]
    with pytest.raises(DatasetInvalid, match="200 distinct values in 200 rows") as refused:
        prepared(table_of({"label": labels, "size": SIZES}))
    assert looks in str(refused.value)


def test_a_test_side_with_classes_that_training_lacks_is_refused_by_name(
    prepared: Preparing,
) -> None:
    rows = {kind: [n for n in range(ROWS) if KINDS[n] == kind] for kind in sorted(set(KINDS))}
    parts = {
        name: table_of({"label": [KINDS[n] for n in chosen], "size": [SIZES[n] for n in chosen]})
        for name, chosen in (
            ("train", rows["setosa"] + rows["versicolor"]),
            ("test", rows["versicolor"][:5] + rows["virginica"]),
        )
    }
    with pytest.raises(
        DatasetInvalid, match="test rows have labels that no training row has: 'virginica'"
    ):
        prepared({f"{name}/a.csv": data for name, data in parts.items()})
