"""Rows of one group are never in two splits, in any drop."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from refit.domain.errors import DatasetInvalid, SettingsInvalid
from refit.domain.model_settings import parse_settings
from refit.tabular.group_sides import GroupSides

from tests.support.role_drops import ROWS_BY_KEY, RoleDrop, RoleDrops, key

if TYPE_CHECKING:
    from pathlib import Path

GROUPS = 60


@pytest.fixture
def drops(tmp_path: Path) -> RoleDrops:
    return RoleDrops(tmp_path)


def table(rows: range, group: str = "customer", form: str = "c{:03d}") -> str:
    """Return rows of which each customer has many."""
    lines = [f"label,a,{group},b"]
    lines += [f"{n // 7 % 2},{key(n)},{form.format(n % GROUPS)},{n * 37 % 101}" for n in rows]
    return "\n".join(lines) + "\n"


def groups_of(done: RoleDrop) -> dict[str, set[int]]:
    """Return the groups of each split, found by the distinct feature `a`."""
    return {
        split: {ROWS_BY_KEY[int(a)] % GROUPS for a in done.column(split, "a")}
        for split in ("train", "validation", "test")
    }


def assert_apart(groups: dict[str, set[int]]) -> None:
    train, validation, test = groups.values()
    assert train
    assert validation
    assert test
    assert not train & test
    assert not train & validation
    assert not validation & test


def test_the_rows_of_a_group_are_in_one_split(drops: RoleDrops) -> None:
    assert_apart(groups_of(drops(table(range(1200)), group="customer")))
    without = groups_of(drops(table(range(1200)), ignore=["customer"]))
    assert without["train"] & without["test"]  # else this test could not fail


def test_the_group_is_left_out_with_its_reason_and_is_said(drops: RoleDrops) -> None:
    done = drops(table(range(1200)), group="customer")
    assert done.schema.left_out == {
        "customer": "it is the group by which rows are split ([data] group)"
    }
    assert done.schema.encode_instance({"a": 1, "b": 2, "customer": "new"}) == [1, 2]
    assert done.schema.encode_instance({"a": 1, "b": 2}) == [1, 2]
    assert "rows are split by 'customer': 60 groups" in done.learned.notes
    assert (done.split.by, done.split.column) == ("group", "customer")


def test_three_drops_in_a_row_never_move_a_group_to_another_split(drops: RoleDrops) -> None:
    first = drops(table(range(400)), group="customer")
    second = drops(table(range(300, 1200)), prior=first.schema, group="customer")
    third = drops(table(range(1500)), prior=second.schema, group="customer")
    before = groups_of(first)
    assert_apart(before)
    for later in (second, third):
        assert later.comparable
        assert groups_of(later) == before


def test_new_groups_do_not_move_the_known_ones(drops: RoleDrops) -> None:
    first = groups_of(drops(table(range(1200)), group="customer"))
    more = table(range(1200)) + "".join(f"1,{key(n)},new{n % 90},3\n" for n in range(2000, 2900))
    second = drops(more, group="customer")
    old = {
        split: {ROWS_BY_KEY[int(a)] % GROUPS for a in second.column(split, "a") if is_old(a)}
        for split in ("train", "validation", "test")
    }
    assert old == first


def is_old(a: str) -> bool:
    return ROWS_BY_KEY[int(a)] < 2000


@pytest.mark.parametrize("form", ["{:d}", "{:d}.0", " {:d} ", '"{:d}"', "{:05d}"])
def test_a_group_has_one_split_however_its_number_is_written(drops: RoleDrops, form: str) -> None:
    plain = groups_of(drops(table(range(1200), form="{:d}"), group="customer"))
    assert groups_of(drops(table(range(1200), form=form), group="customer")) == plain


def test_long_numbers_are_groups_of_their_own(drops: RoleDrops) -> None:
    done = drops(table(range(1200), form="12345678901234567{:03d}"), group="customer")
    assert_apart(groups_of(done))
    assert "rows are split by 'customer': 60 groups" in done.learned.notes


def test_rows_without_a_group_are_split_by_their_features_which_is_said(drops: RoleDrops) -> None:
    lost = "".join(f"1,{key(n)},,{n % 9}\n" for n in range(3000, 3400))
    done = drops(table(range(1200)) + lost, group="customer")
    sides = [
        {a for a in done.column(split, "a") if not is_old(a)}
        for split in ("train", "validation", "test")
    ]
    assert all(sides)
    assert "400 rows have no 'customer' and are split by their features" in done.learned.notes


def test_a_group_can_be_taken_back_as_a_feature_and_still_decides(drops: RoleDrops) -> None:
    settings = {"group": "customer", "columns": {"customer": "category"}}
    done = drops(table(range(1200)), **settings)
    assert [feature.name for feature in done.schema.features] == ["a", "customer", "b"]
    assert_apart(groups_of(done))
    assert groups_of(done) == groups_of(drops(table(range(1200)), group="customer"))


def test_labelled_predictions_follow_their_group_if_it_is_a_feature(drops: RoleDrops) -> None:
    settings = {"group": "customer", "columns": {"customer": "category"}}
    labelled = ["label,a,customer,b"]
    labelled += [f"1,{key(n)},c{n % GROUPS:03d},5" for n in range(3000, 3300)]
    done = drops(table(range(1200)), labelled=labelled, **settings)
    assert_apart(groups_of(done))


def test_a_group_of_dates_that_is_a_feature_is_hashed_as_the_feature(drops: RoleDrops) -> None:
    def day(group: int) -> date:
        return date(2024, 1, 1) + timedelta(days=group)

    lines = [f"{n // 7 % 2},{key(n)},{day(n % GROUPS):%d.%m.%Y},{n % 101}" for n in range(1200)]
    # A captured row holds what the model read: the days since 1970-01-01.
    labelled = ["label,a,customer,b"]
    labelled += [
        f"1,{key(n)},{(day(n % GROUPS) - date(1970, 1, 1)).days},5" for n in range(3000, 3300)
    ]
    done = drops(
        "\n".join(["label,a,customer,b", *lines]) + "\n",
        labelled=labelled,
        group="customer",
        columns={"customer": "date"},
    )
    assert len(done.train) + len(done.held_out) == 1500
    assert_apart(groups_of(done))


def test_labelled_predictions_without_a_group_are_split_by_their_features(
    drops: RoleDrops,
) -> None:
    labelled = ["label,a,b", *(f"1,{key(n)},5" for n in range(3000, 3300))]
    done = drops(table(range(1200)), labelled=labelled, group="customer")
    plain = drops(table(range(1200)), labelled=labelled, ignore=["customer"])
    for split in ("train", "validation", "test"):
        late, expected = (
            {a for a in drop.column(split, "a") if not is_old(a)} for drop in (done, plain)
        )
        assert late == expected != set()


def test_a_group_in_two_given_splits_is_a_doubt_that_counts_them(drops: RoleDrops) -> None:
    files = {"train/a.csv": table(range(1200)), "test/b.csv": table(range(1200, 1203))}
    done = drops(files, group="customer")
    [doubt] = [text for text in done.learned.doubts if "more than one" in text]
    assert doubt.startswith("3 of 60 groups ('customer') occur in more than one of the splits")
    apart = {
        "train/a.csv": table(range(1200)),
        "test/b.csv": table(range(5000, 5400), form="other{}"),
    }
    doubts = drops(apart, group="customer").learned.doubts
    assert not [text for text in doubts if "more than one" in text]


def test_few_groups_and_uneven_groups_are_doubts(drops: RoleDrops) -> None:
    small = table(range(1200), form="c{:03d}").splitlines()
    large = [f"0,{key(n)},c006,3" for n in range(4000, 8000)]
    done = drops("\n".join([*small, *large]) + "\n", group="customer")
    [side] = [split for split, groups in groups_of_codes(done, "c006").items() if groups]
    assert side == "train"  # a property of the hash: c006 is not held out
    far = [text for text in done.learned.doubts if "all rows of one 'customer'" in text]
    assert len(far) == 2
    assert "% of the rows are test rows, not 10.0% ([data] test_fraction)" in far[1]


def groups_of_codes(done: RoleDrop, group: str) -> dict[str, bool]:
    number = int(group[1:])
    return {split: number in groups for split, groups in groups_of(done).items()}


def test_too_few_groups_to_hold_one_out_are_refused_with_what_to_do(drops: RoleDrops) -> None:
    rows = "".join(f"{n % 2},{key(n)},only,3\n" for n in range(300))
    with pytest.raises(
        DatasetInvalid,
        match=r"none of the 300 rows is in the test split, which a hash of each 'customer' decides "
        r"\(\[data\] group\), and there is 1 group: drop rows of more groups \(50 are almost",
    ):
        drops("label,a,customer,b\n" + rows, group="customer")


def test_a_group_that_does_not_exist_or_is_the_label_is_refused(drops: RoleDrops) -> None:
    with pytest.raises(DatasetInvalid, match=r"\[data\] group names a column 'client' that the"):
        drops(table(range(300)), group="client")
    with pytest.raises(DatasetInvalid, match=r"\[data\] group names 'label', which is the label"):
        drops(table(range(300)), group="label")


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ("group = 'c'\ntime = 't'", r"\[data\] time = 't': .*\[data\] group = 'c' is set too"),
        ("group = 'c'\nignore = ['c']", r"\[data\] group = 'c': .*also ignores this column"),
        ("group = 'c'\ncolumns = {c = 'ignore'}", r"\[data\] group = 'c': .*also ignore"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(toml: str, text: str) -> None:
    with pytest.raises(SettingsInvalid, match=text):
        parse_settings(f"[data]\n{toml}\n")
    assert parse_settings("[data]\ngroup = 'c'\ncolumns = {c = 'category'}\n").data.group == "c"


def test_groups_are_counted_once_however_many_batches_they_are_in() -> None:
    sides = GroupSides()
    random = np.random.default_rng(1)
    seen: dict[int, set[bytes]] = {0: set(), 1: set(), 2: set()}
    for _ in range(30):
        groups = [b"%d" % number for number in random.integers(0, 40_000, 3000)]
        splits = random.integers(0, 3, 3000).astype(np.uint8)
        for group, split in zip(groups, splits.tolist(), strict=True):
            seen[split].add(group)
        sides.add([*groups, b""], np.append(splits, np.uint8(0)))
    everything = seen[0] | seen[1] | seen[2]
    once = sum(sum(group in groups for groups in seen.values()) == 1 for group in everything)
    assert sides.total == len(everything)
    assert sides.shared == len(everything) - once
    assert sides.count("test") == len(seen[2])
    assert sides.ungrouped == 30
