"""With a time column the newest rows are held out, and each version records its cut."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.errors import DatasetInvalid
from refit.domain.pipeline.split_rule import NotComparable, SplitRule, TimeCut
from refit.tabular.split import SPLITS, Fractions
from refit.tabular.time_cuts import cuts_of

from tests.support.role_drops import ROWS_BY_KEY, RoleDrop, RoleDrops, key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAYS = [date(2024, 1, 1) + timedelta(days=day) for day in range(700)]


@pytest.fixture
def drops(tmp_path: Path) -> RoleDrops:
    return RoleDrops(tmp_path)


def iso(row: int) -> str:
    return DAYS[row].isoformat()


def table(rows: range, cell: Callable[[int], str] = iso, time: str = "day") -> str:
    """Return rows in a shuffled order, of which each has another time."""
    order = np.random.default_rng(3).permutation(np.array(rows)).tolist()
    lines = [f"{n // 7 % 2},{key(n)},{cell(n)},{n * 37 % 101}" for n in order]
    return "\n".join([f"label,a,{time},b", *lines]) + "\n"


def rows_of(done: RoleDrop, split: str) -> list[int]:
    """Return the sorted numbers of the rows of a split, found by the distinct feature `a`."""
    return sorted(ROWS_BY_KEY[int(a)] for a in done.column(split, "a"))


def assert_split(done: RoleDrop, rows: int) -> None:
    """Check that the newest tenth is for the test, and the tenth before it for validation."""
    assert rows_of(done, "test") == list(range(rows - rows // 10, rows))
    assert rows_of(done, "validation") == list(range(rows - rows // 5, rows - rows // 10))
    assert rows_of(done, "train") == list(range(rows - rows // 5))


def test_the_newest_rows_are_held_out(drops: RoleDrops) -> None:
    done = drops(table(range(400)), time="day")
    assert_split(done, 400)
    assert done.split == SplitRule(
        by="time",
        column="day",
        cut=TimeCut(kind="date", number=float((DAYS[359] - date(1970, 1, 1)).days), text=iso(359)),
    )
    assert done.learned.notes[-1] == (
        f"rows are split by 'day': 40 test rows are after {iso(359)}, and 40 validation rows "
        f"before them are after {iso(319)}"
    )


def test_the_times_of_test_rows_are_written_in_the_order_of_their_labels(drops: RoleDrops) -> None:
    done = drops(table(range(400)), time="day")
    expected = [
        float((DAYS[ROWS_BY_KEY[int(a)]] - date(1970, 1, 1)).days) for a in done.column("test", "a")
    ]
    assert [float(time) for time in done.times] == expected
    assert len(done.labels) == 40
    assert all(len(row.split(",")) == 3 for row in done.train + done.validation + done.test)


def at_noon(row: int) -> str:
    return f"{DAYS[row].isoformat()}T12:30:00+02:00"


def german(row: int) -> str:
    return f"{DAYS[row]:%d.%m.%Y}"


def american(row: int) -> str:
    return f"{DAYS[row]:%m/%d/%Y}"


def seconds(row: int) -> str:
    return str(1_700_000_000 + 60 * row)


def compact(row: int) -> str:
    return f"{DAYS[row]:%Y%m%d}"


def hours(row: int) -> str:
    """Return a time that can be read in two ways in the first 288 rows, and in one thereafter."""
    moment = datetime(2024, 1, 1) + timedelta(hours=row)
    return f"{moment:%d/%m/%Y %H:%M}"


@pytest.mark.parametrize("cell", [iso, at_noon, german, american, seconds, compact, hours])
def test_times_of_the_usual_forms_are_read(drops: RoleDrops, cell: Callable[[int], str]) -> None:
    assert_split(drops(table(range(400), cell), time="day"), 400)


@pytest.mark.parametrize("cell", [iso, seconds])
def test_times_are_read_alike_in_blocks_and_row_by_row(
    drops: RoleDrops, cell: Callable[[int], str]
) -> None:
    quick = drops(table(range(400), cell), time="day")
    slow = drops(table(range(400), lambda row: f'"{cell(row)}"'), time="day")
    assert (quick.train, quick.validation, quick.test, quick.times, quick.split) == (
        slow.train, slow.validation, slow.test, slow.times, slow.split,
    )  # fmt: skip


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"])
def test_the_form_of_dates_is_decided_by_all_rows_and_not_by_the_first(
    drops: RoleDrops, form: str
) -> None:
    # In the order of time, the first 288 rows are of days up to the 12th.
    times = [datetime(2024, 1, 1) + timedelta(hours=hour) for hour in range(600)]
    lines = [f"{n // 7 % 2},{key(n)},{times[n]:{form}},{n * 37 % 101}" for n in range(600)]
    done = drops("\n".join(["label,a,day,b", *lines]) + "\n", time="day")
    assert_split(done, 600)
    assert done.refused == []


def test_dates_that_can_be_read_in_two_ways_are_refused(drops: RoleDrops) -> None:
    def unclear(row: int) -> str:
        return f"0{row % 9 + 1}/0{row // 9 % 9 + 1}/{2000 + row // 81}"

    with pytest.raises(
        DatasetInvalid,
        match=r"the dates of column 'day' \(\[data\] time\), such as '.*', can be read as "
        r"%d/%m/%Y or %m/%d/%Y. Write them as 2025-12-31 \(ISO 8601\)",
    ):
        drops(table(range(400), unclear), time="day")


def test_dates_of_two_forms_are_refused_because_the_rest_can_be_either(drops: RoleDrops) -> None:
    def mixed(row: int) -> str:
        return german(row).replace(".", "/") if row % 2 else american(row)

    with pytest.raises(DatasetInvalid, match=r"can be read as %d/%m/%Y or %m/%d/%Y|%m/%d/%Y or %d"):
        drops(table(range(400), mixed), time="day")


def test_rows_of_the_same_time_are_in_one_split(drops: RoleDrops) -> None:
    done = drops(table(range(700), lambda row: iso(row // 30)), time="day")
    days = [{row // 30 for row in rows_of(done, split)} for split in SPLITS]
    assert all(days)
    assert max(days[0]) < min(days[1]) <= max(days[1]) < min(days[2])


def test_a_share_that_ties_make_much_larger_is_a_doubt(drops: RoleDrops) -> None:
    done = drops(table(range(400), lambda row: iso(row // 200)), time="day")
    assert rows_of(done, "test") == list(range(200, 400))
    assert any(
        text.startswith("50.0% of the rows are test rows, not 10.0% ([data] test_fraction), ")
        for text in done.learned.doubts
    )


@given(
    st.lists(st.integers(0, 30), min_size=2, max_size=200),
    st.floats(0, 0.5),
    st.floats(0.01, 0.5),
)
def test_each_cut_separates_older_from_newer_rows(
    times: list[int], validation: float, test: float
) -> None:
    cuts = cuts_of(np.array(times, dtype=float), Fractions(validation, test))
    if len(set(times)) == 1:
        assert cuts is None
        return
    assert cuts is not None
    splits = cuts.splits_of(np.array(times, dtype=float))
    sides = [{t for t, s in zip(times, splits, strict=True) if s == index} for index in range(3)]
    train, middle, newest = sides
    assert train
    assert newest
    assert max(train | middle) < min(newest)
    assert not middle or max(train) < min(middle)
    # No other cut is closer to the share that was asked for.
    share = sum(splits == SPLITS.index("test"))
    others = [sum(t > cut for t in times) for cut in sorted(set(times))[:-1]]
    assert abs(share - test * len(times)) == min(abs(n - test * len(times)) for n in others)


def test_three_drops_in_a_row_never_judge_on_rows_that_may_have_been_trained_on(
    drops: RoleDrops,
) -> None:
    first = drops(table(range(300)), time="day")
    second = drops(table(range(500)), prior=first.schema, time="day")
    third = drops(table(range(250, 600)), prior=second.schema, time="day")
    for champion, challenger in ((first, second), (second, third)):
        assert challenger.comparable
        cut = challenger.split.fair_after(champion.split)
        assert cut is not None
        held_out = dict(zip(champion.column("test", "a"), champion.times, strict=True))
        fair = {a for a, time in held_out.items() if float(time) > cut}
        seen = {*challenger.column("train", "a"), *challenger.column("validation", "a")}
        assert not fair & seen
        assert held_out.keys() & seen  # else this test could not fail
    again = drops(table(range(600)), prior=third.schema, time="day")
    assert again.split.fair_after(third.split) is not None


def test_the_time_is_left_out_with_its_reason_and_can_be_taken_back(drops: RoleDrops) -> None:
    done = drops(table(range(400)), time="day")
    assert done.schema.left_out == {"day": "it is the time by which rows are split ([data] time)"}
    assert done.schema.encode_instance({"a": 1, "b": 2}) == [1, 2]
    assert done.schema.encode_instance({"a": 1, "b": 2, "day": "2030-01-01"}) == [1, 2]
    taken = drops(table(range(400)), time="day", columns={"day": "date"})
    assert [feature.name for feature in taken.schema.features] == ["a", "day", "b"]
    assert_split(taken, 400)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "the time ('day') is missing"),
        ("n/a", "the time ('day') is missing"),
        ("31.12.2024", "column 'day': '31.12.2024' is not a date of the form ISO 8601"),
        ("soon", "column 'day': 'soon' is not a date of the form ISO 8601"),
    ],
)
def test_a_row_whose_time_cannot_be_used_is_refused_with_the_reason(
    drops: RoleDrops, cell: str, reason: str
) -> None:
    done = drops(table(range(400)) + f"1,20000,{cell},7\n", time="day")
    assert [(entry["line"], entry["reason"]) for entry in done.refused] == [(402, reason)]
    assert_split(done, 400)


def test_labelled_predictions_are_split_by_their_features_and_have_no_time(
    drops: RoleDrops,
) -> None:
    labelled = ["label,a,b", *(f"1,{key(n)},5" for n in range(3000, 3300))]
    done = drops(table(range(400)), labelled=labelled, time="day")
    plain = drops(table(range(400)), labelled=labelled, ignore=["day"])
    for split in SPLITS:
        late = [row for row in rows_of(done, split) if row >= 3000]
        assert late == [row for row in rows_of(plain, split) if row >= 3000] != []
        assert len(rows_of(done, split)) - len(late) in {40, 320}
    blank = {
        ROWS_BY_KEY[int(a)]
        for a, time in zip(done.column("test", "a"), done.times, strict=True)
        if not time
    }
    assert blank == {row for row in rows_of(done, "test") if row >= 3000}


def test_the_time_of_labelled_predictions_is_not_read_even_if_it_is_a_feature(
    drops: RoleDrops,
) -> None:
    labelled = ["label,a,day,b", *(f"1,{key(n)},19900,5" for n in range(3000, 3300))]
    done = drops(table(range(400)), labelled=labelled, time="day", columns={"day": "date"})
    late = [row for row in rows_of(done, "test") if row >= 3000]
    assert late
    assert done.times.count("") == len(late)
    assert [row for row in rows_of(done, "test") if row < 3000] == list(range(360, 400))


def test_weights_and_times_stay_with_their_rows(drops: RoleDrops) -> None:
    lines = [f"{n // 7 % 2},{key(n)},{iso(n)},{n + 1}" for n in range(400)]
    done = drops("\n".join(["label,a,day,w", *lines]) + "\n", time="day", weight="w")
    assert [feature.name for feature in done.schema.features] == ["a"]
    for row in done.train + done.validation:
        _, weight, a = row.split(",")
        assert int(weight) == ROWS_BY_KEY[int(a)] + 1
    assert [int(weight) for weight in done.weights] == list(range(361, 401))
    first = (DAYS[360] - date(1970, 1, 1)).days
    assert [float(time) for time in done.times] == list(range(first, first + 40))


@pytest.mark.parametrize("folder", ["test", "validation"])
def test_folders_that_hold_out_rows_are_refused_together_with_a_time(
    drops: RoleDrops, folder: str
) -> None:
    files = {"train/a.csv": table(range(300)), f"{folder}/b.csv": table(range(300, 400))}
    with pytest.raises(
        DatasetInvalid,
        match=rf"the drop has the folder {folder}/, and \[data\] time = 'day' holds out the newest",
    ):
        drops(files, time="day")
    assert_split(drops({"train/a.csv": table(range(400))}, time="day"), 400)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (lambda row: f"Q{row % 4 + 1} of {row}", r"cells are texts such as 'Q\d of \d+'; allowed:"),
        (lambda row: f"{row // 60:02d}:{row % 60:02d}", "times of day without a date, such as"),
        (lambda row: iso(3), r"all 400 dropped rows have the same 'day' \(\[data\] time\)"),
    ],
)
def test_a_column_that_orders_no_rows_is_refused(
    drops: RoleDrops, cell: Callable[[int], str], text: str
) -> None:
    with pytest.raises(DatasetInvalid, match=text):
        drops(table(range(400), cell), time="day")


def test_a_time_that_does_not_exist_or_is_the_label_is_refused(drops: RoleDrops) -> None:
    with pytest.raises(DatasetInvalid, match=r"\[data\] time names a column 'date' that the drop"):
        drops(table(range(300)), time="date")
    with pytest.raises(DatasetInvalid, match=r"\[data\] time names 'label', which is the label"):
        drops(table(range(300)), time="label")


def cut(number: float, kind: str = "date") -> TimeCut:
    return TimeCut.model_validate({"kind": kind, "number": number, "text": str(number)})


def test_rules_that_differ_make_held_out_rows_incomparable() -> None:
    by_time = SplitRule(by="time", column="day", cut=cut(10))
    others = [
        (SplitRule(), r"split by a hash of each row and those of this run by time \('day'\)"),
        (SplitRule(by="group", column="day"), r"split by group \('day'\)"),
        (SplitRule(by="time", column="hour", cut=cut(9)), r"split by time \('hour'\)"),
        (SplitRule(by="time", column="day", cut=cut(9, "number")), "'day' was a number"),
    ]
    for other, text in others:
        with pytest.raises(NotComparable, match=text):
            by_time.fair_after(other)
    assert by_time.fair_after(SplitRule(by="time", column="day ", cut=cut(99))) == 10
    assert SplitRule().fair_after(SplitRule()) is None
    assert by_time.is_older_than(SplitRule(by="time", column="day", cut=cut(99)))
    assert not by_time.is_older_than(SplitRule(by="time", column="day", cut=cut(1)))
