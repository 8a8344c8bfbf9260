"""A column of row weights is written for training and evaluation, and is no feature."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from refit.domain.errors import DatasetInvalid, SettingsInvalid, TooManyBadRows
from refit.domain.model_settings import parse_settings

from tests.support.role_drops import RoleDrops, key

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def drops(tmp_path: Path) -> RoleDrops:
    return RoleDrops(tmp_path)


def weight_of(a: int) -> str:
    return f"{a % 7 + 0.5:g}"


def table(rows: range, weight: str = "w", names: str = "") -> str:
    """Return rows whose weight follows from their feature `a`."""
    lines = [names or f"label,a,{weight},b"]
    lines += [f"{n % 2},{key(n)},{weight_of(key(n))},{n * 37 % 101}" for n in rows]
    return "\n".join(lines) + "\n"


def test_the_weight_is_the_second_cell_of_training_and_validation_rows(drops: RoleDrops) -> None:
    done = drops(table(range(400)), weight="w")
    assert [feature.name for feature in done.schema.features] == ["a", "b"]
    assert done.train
    assert done.validation
    for row in done.train + done.validation:
        _, weight, a, _ = row.split(",")
        assert weight == weight_of(int(a))


def test_the_weights_of_test_rows_are_written_in_the_order_of_their_labels(
    drops: RoleDrops,
) -> None:
    done = drops(table(range(400)), weight="w")
    assert len(done.weights) == len(done.labels) == len(done.test) > 20
    assert done.weights == [weight_of(int(a)) for a in done.column("test", "a")]
    assert all(len(row.split(",")) == 3 for row in done.test)  # the label and two features
    assert all(len(row.split(",")) == 2 for row in done.features)


def test_rows_are_in_the_same_split_with_and_without_their_weight(drops: RoleDrops) -> None:
    weighted = drops(table(range(400)), weight="w")
    plain = drops(table(range(400)), ignore=["w"])
    assert weighted.test == plain.test
    assert Counter(weighted.column("train", "a")) == Counter(plain.column("train", "a"))


def test_the_weight_is_left_out_with_its_reason_and_may_be_absent_from_requests(
    drops: RoleDrops,
) -> None:
    done = drops(table(range(400)), weight="w")
    assert done.schema.left_out == {"w": "it is the row weight ([data] weight)"}
    [column] = [column for column in done.learned.columns if column.name == "w"]
    assert (column.type, column.reason) == ("ignored", "it is the row weight ([data] weight)")
    assert done.schema.encode_instance({"a": 1, "b": 2}) == [1, 2]
    assert done.schema.encode_instance({"a": 1, "b": 2, "w": 9}) == [1, 2]
    assert done.schema.encode_instance(["1", "9", "2"]) == [1, 2]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "the weight ('w') is missing"),
        ("NA", "the weight ('w') is missing"),
        ("-2", "the weight ('w') is -2: a weight is 0 or more"),
        ("heavy", "column 'w': 'heavy' is text where numbers are expected"),
        ("inf", "column 'w': 'inf' is not finite"),
        ("1e39", "column 'w': '1e39' is not finite"),
    ],
)
def test_a_row_whose_weight_cannot_be_used_is_refused_with_the_reason(
    drops: RoleDrops, cell: str, reason: str
) -> None:
    done = drops(table(range(400)) + f"1,20000,{cell},7\n", weight="w")
    assert [(entry["line"], entry["reason"]) for entry in done.refused] == [(402, reason)]
    assert "20000" not in done.column("train", "a") + done.column("test", "a")


def test_many_unusable_weights_fail_the_drop(drops: RoleDrops) -> None:
    bad = "".join(f"1,{key(n)},,7\n" for n in range(9000, 9020))
    with pytest.raises(TooManyBadRows, match=r"20 of 420 rows were refused.*'w'\) is missing"):
        drops(table(range(400)) + bad, weight="w")


@pytest.mark.parametrize("quote", ["", '"'])
def test_weights_are_read_alike_in_blocks_and_row_by_row(drops: RoleDrops, quote: str) -> None:
    # The row reader reads a block with a quote, and the line with blanks around a feature.
    data = table(range(400)) + f"1,{quote}20001{quote}, 4.50 ,7\n0,20002,1e2,8\n1, 20003 ,+3,9\n"
    done = drops(data, weight="w")
    written = dict(row.split(",")[2:0:-1] for row in done.train + done.validation)
    written |= dict(zip(done.column("test", "a"), done.weights, strict=True))
    assert len(written) == 403
    assert [written["20001"], written["20002"], written["20003"]] == ["4.5", "100", "3"]


def test_weights_with_a_decimal_comma_are_read_as_numbers(drops: RoleDrops) -> None:
    lines = [f"{n % 2};{key(n)};{key(n) % 7},5" for n in range(300)]
    done = drops("\n".join(["label;a;w", *lines]) + "\n", weight="w")
    weights = dict(
        zip(done.column("train", "a"), (r.split(",")[1] for r in done.train), strict=True)
    )
    assert set(weights) == set(done.column("train", "a"))
    assert all(float(weight) == int(a) % 7 + 0.5 for a, weight in weights.items())
    assert done.refused == []


def test_a_weight_of_zero_is_allowed_but_not_for_all_test_rows(drops: RoleDrops) -> None:
    rows = [f"{n % 2},{key(n)},{int(n % 3 > 0)}" for n in range(300)]
    assert "0" in drops("\n".join(["label,a,w", *rows]) + "\n", weight="w").weights
    zeros = [f"{n % 2},{key(n)},0" for n in range(300)]
    with pytest.raises(DatasetInvalid, match=r"rows have the weight 0 \(\[data\] weight = 'w'\)"):
        drops("\n".join(["label,a,w", *zeros]) + "\n", weight="w")


def test_labelled_predictions_count_as_one_which_is_said(drops: RoleDrops) -> None:
    labelled = ["label,a,b", *(f"{n % 2},{n},3" for n in range(30_000, 30_100))]
    done = drops(table(range(400)), labelled=labelled, weight="w")
    for row in done.train + done.validation:
        _, weight, a, _ = row.split(",")
        assert weight == ("1" if int(a) >= 30_000 else weight_of(int(a)))
    late = [
        w for w, a in zip(done.weights, done.column("test", "a"), strict=True) if int(a) >= 30_000
    ]
    assert late
    assert set(late) == {"1"}
    assert "100 labelled predictions have no weight and count as 1" in done.learned.notes


def test_three_drops_in_a_row_keep_the_weight_out_and_each_row_in_its_split(
    drops: RoleDrops,
) -> None:
    first = drops(table(range(400)), weight="w")
    second = drops(table(range(700)), prior=first.schema, weight=" w")
    third = drops(table(range(1000)), prior=second.schema, weight="w")
    assert second.comparable
    assert third.comparable
    assert third.schema.left_out == first.schema.left_out
    held_out = set(first.column("test", "a"))
    assert held_out <= set(second.column("test", "a")) <= set(third.column("test", "a"))


def test_a_weight_stays_left_out_when_the_setting_is_removed(drops: RoleDrops) -> None:
    first = drops(table(range(400)), weight="w")
    second = drops(table(range(400)), prior=first.schema)
    assert second.comparable
    assert second.weights == []
    assert all(len(row.split(",")) == 3 for row in second.train)
    assert second.schema.left_out == first.schema.left_out


def test_a_column_that_does_not_exist_is_named_with_those_that_do(drops: RoleDrops) -> None:
    with pytest.raises(
        DatasetInvalid,
        match=r"\[data\] weight names a column 'gewicht' that the drop does not have; it has "
        "'label', 'a', 'w', 'b'",
    ):
        drops(table(range(400)), weight="gewicht")


def test_each_file_must_have_the_weight(drops: RoleDrops) -> None:
    files = {
        "1.csv": table(range(200)),
        "2.csv": "label,a,b\n" + "".join(f"{n % 2},{key(n)},3\n" for n in range(200, 400)),
    }
    with pytest.raises(
        DatasetInvalid, match=r"2\.csv does not have the column 'w' that \[data\] weight names"
    ):
        drops(files, weight="w")


def test_the_weight_cannot_be_the_label_or_a_column_of_texts(drops: RoleDrops) -> None:
    with pytest.raises(DatasetInvalid, match=r"\[data\] weight names 'label', which is the label"):
        drops(table(range(400)), weight="label")
    texts = [f"{n % 2},{key(n)},heavy" for n in range(300)]
    with pytest.raises(
        DatasetInvalid,
        match=r"\[data\] weight names column 'w', whose cells are texts such as 'heavy'; allowed: "
        "numbers of 0 or more",
    ):
        drops("\n".join(["label,a,w", *texts]) + "\n", weight="w")


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        (
            "weight = 'w'\nlabel = 'w'",
            r"\[data\] weight = 'w': .*label = 'w' names the same column",
        ),
        (
            "weight = 'w'\ngroup = 'w'",
            r"\[data\] group = 'w': .*weight = 'w' names the same column",
        ),
        (
            "weight = 'w'\ntime = ' w'",
            r"\[data\] time = ' w': .*weight = 'w' names the same column",
        ),
        ("weight = 'w'\nignore = ['w']", r"\[data\] weight = 'w': .*also ignores this column"),
        (
            "weight = 'w'\ncolumns = {w = 'number'}",
            r"\[data\] weight = 'w': .*a feature \(number\)",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused_by_name(toml: str, text: str) -> None:
    with pytest.raises(SettingsInvalid, match=text):
        parse_settings(f"[data]\n{toml}\n")
