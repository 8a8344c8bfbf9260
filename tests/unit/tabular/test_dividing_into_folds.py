"""The training rows are divided into folds: by their hash, by their group or by their time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit.domain.errors import DatasetInvalid
from refit.tabular.folds import HashFolds, TimeFolds
from refit.tabular.spooled import SpooledLines

from tests.support.preparing import numbers_csv, scattered, table_of

if TYPE_CHECKING:
    from tests.support.preparing import PreparedFold, Preparing


def rows_of(fold: PreparedFold) -> Counter[bytes]:
    return Counter(fold.train.splitlines()) + Counter(fold.held_out)


def feature(line: bytes, column: int) -> float:
    return float(line.split(b",")[column])


def table(rows: int, **columns: list[object]) -> bytes:
    numbers = {f"f{c}": [scattered(r + 97 * c) for r in range(rows)] for c in range(3)}
    return table_of({"label": [r % 2 for r in range(rows)], **numbers, **columns})


def test_every_training_row_is_held_out_by_exactly_one_fold(prepared: Preparing) -> None:
    drop = prepared(numbers_csv(600), folds=5)
    train = Counter(drop.train.splitlines())
    assert sum((Counter(fold.held_out) for fold in drop.folds), Counter()) == train
    assert all(rows_of(fold) == train for fold in drop.folds)


def test_held_out_and_validation_rows_of_the_run_are_in_no_fold(prepared: Preparing) -> None:
    without = prepared(numbers_csv(600), label=0)
    drop = prepared(numbers_csv(600), label=0, folds=5)
    assert (drop.train, drop.validation, drop.test) == (
        without.train,
        without.validation,
        without.test,
    )
    others = {*drop.validation.splitlines(), *drop.test.splitlines()}
    assert not any(others & rows_of(fold).keys() for fold in drop.folds)


def test_every_class_is_spread_evenly(prepared: Preparing) -> None:
    lines = numbers_csv(900, classes=3).splitlines()
    rare = [b"9" + line[1:] for line in lines[:40]]
    drop = prepared(b"\n".join(lines[40:] + rare), folds=4, label=0)
    counts = [Counter(fold.labels.splitlines()) for fold in drop.folds]
    for code in range(4):
        of_class = [count[str(code).encode()] for count in counts]
        assert max(of_class) - min(of_class) <= 1, of_class


def test_the_numbers_of_a_regression_are_divided_into_equal_folds(prepared: Preparing) -> None:
    drop = prepared(numbers_csv(500, classes=400), folds=3, task="regression", label=0)
    sizes = [len(fold.held_out) for fold in drop.folds]
    assert max(sizes) - min(sizes) <= 1


def test_equal_rows_are_in_one_fold_whatever_their_label(prepared: Preparing) -> None:
    lines = numbers_csv(200, classes=2).splitlines()
    corrected = [str(1 - int(line[:1])).encode() + line[1:] for line in lines[:60]]
    drop = prepared(b"\n".join(lines + lines[:80] + corrected), folds=4, label=0)
    features = [set(fold.features.splitlines()) for fold in drop.folds]
    assert sum(map(len, features)) == len(set.union(*features))


def test_all_rows_of_a_group_are_in_one_fold(prepared: Preparing) -> None:
    groups = [f"g{r // 6}" for r in range(600)]
    numbers = [r // 6 for r in range(600)]
    drop = prepared(table(600, who=groups, number=numbers), label="label", group="who", folds=5)
    of_folds = [{feature(line, 4) for line in fold.held_out} for fold in drop.folds]
    assert sum(map(len, of_folds)) == len(set.union(*of_folds))
    sizes = [len(fold.held_out) for fold in drop.folds]
    assert max(sizes) - min(sizes) <= 6


def test_folds_of_time_are_predicted_by_models_of_older_rows_only(prepared: Preparing) -> None:
    days = [r // 4 for r in range(600)]
    drop = prepared(
        table(600, day=days), label="label", time="day", columns={"day": "number"}, folds=4
    )
    newest = -1.0
    for fold in drop.folds:
        trained = {feature(line, 4) for line in fold.train.splitlines()}
        held_out = {feature(line, 4) for line in fold.held_out}
        assert max(trained) < min(held_out)
        assert min(held_out) > newest, "every fold is newer than the one before"
        newest = max(held_out)
    sizes = [len(fold.held_out) for fold in drop.folds]
    assert max(sizes) - min(sizes) <= 8
    last = drop.folds[-1]
    assert rows_of(last) == Counter(drop.train.splitlines())


def test_weights_go_with_their_rows(prepared: Preparing) -> None:
    drop = prepared(
        table(300, w=[1 + r % 3 for r in range(300)]), label="label", weight="w", folds=3
    )
    for fold in drop.folds:
        assert len(fold.weights.splitlines()) == len(fold.held_out)
        weighted = Counter(
            (weight, line)
            for weight, line in zip(fold.weights.splitlines(), fold.held_out, strict=True)
        )
        trained = Counter(
            (line.split(b",")[1], b",".join([line[:1], *line.split(b",")[2:]]))
            for line in fold.train.splitlines()
        )
        whole = Counter(
            (line.split(b",")[1], b",".join([line[:1], *line.split(b",")[2:]]))
            for line in drop.train.splitlines()
        )
        assert weighted + trained == whole


def test_the_seed_decides_and_the_same_seed_gives_the_same_folds(
    prepared: Preparing,
) -> None:
    first, again, other = (
        [set(fold.held_out) for fold in prepared(numbers_csv(400), folds=4, seed=seed).folds]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("folds", [10, 20])
def test_more_folds_than_rows_of_a_class_are_refused_with_the_largest_number(
    prepared: Preparing, folds: int
) -> None:
    lines = numbers_csv(600, classes=2).splitlines()
    rare = [b"rare" + line[1:] for line in lines[:9]]
    drop = b"\n".join(lines[9:] + rare)
    most = prepared(drop, label=0, task="classification").profile["label"]["classes"]["rare"]
    with pytest.raises(DatasetInvalid) as refused:
        prepared(drop, label=0, task="classification", folds=folds)
    text = str(refused.value)
    assert f"[training] folds = {folds}" in text
    assert f"only {most} different rows of the class 'rare'" in text
    assert text.endswith(f"Set [training] folds to at most {most}")
    assert len(prepared(drop, label=0, task="classification", folds=most).folds) == most


def test_a_class_of_one_row_allows_no_folds(prepared: Preparing) -> None:
    lines = numbers_csv(400, classes=2).splitlines()
    for place in range(len(lines)):
        drop = b"\n".join([*lines[:place], b"rare" + lines[place][1:], *lines[place + 1 :]])
        if (
            prepared(drop, label=0, task="classification").profile["label"]["classes"].get("rare")
            == 1
        ):
            break
    with pytest.raises(DatasetInvalid, match="Set \\[training\\] folds = 0, or drop more rows"):
        prepared(drop, label=0, task="classification", folds=2)


def test_fewer_groups_than_folds_are_refused(prepared: Preparing) -> None:
    groups = [f"g{r // 30}" for r in range(600)]
    with pytest.raises(DatasetInvalid, match=r"groups \('who'\)") as refused:
        prepared(table(600, who=groups), label="label", group="who", folds=20)
    assert "at most" in str(refused.value)


def test_fewer_times_than_blocks_are_refused(prepared: Preparing) -> None:
    days = [r // 100 for r in range(600)]
    with pytest.raises(DatasetInvalid, match="at most 3") as refused:
        prepared(table(600, day=days), label="label", time="day", folds=5)
    assert "only 4 different times ([data] time = 'day')" in str(refused.value)


def test_an_oldest_block_of_one_class_is_refused(prepared: Preparing) -> None:
    labels = ["a"] * 300 + ["a", "b"] * 150
    file = table_of(
        {
            "label": labels,
            "f": [scattered(r) for r in range(600)],
            "day": list(range(600)),
        }
    )
    with pytest.raises(DatasetInvalid, match="which are all of the class 'a'"):
        prepared(file, label="label", time="day", folds=3)


def test_rows_without_a_time_are_in_no_fold_of_time() -> None:
    times = [b"", *(b"%d" % day for day in range(9)), b""]
    rows = SpooledLines([b"%d,1" % (row % 2) for row in range(11)], [], times)
    plan = TimeFolds(2, "day", None)
    plan.add(rows, None)
    plan.divide()
    blocks = plan.blocks_of(rows)
    assert blocks.tolist() == [-1, 0, 0, 0, 1, 1, 1, 2, 2, 2, -1]
    for fold in range(2):
        for rows_of_fold in (plan.is_held_out(fold, blocks), plan.is_trained_on(fold, blocks)):
            assert not rows_of_fold[[0, -1]].any()


def spooled(numbers: list[int], labels: list[int]) -> SpooledLines:
    lines = [b"%d,%d" % pair for pair in zip(labels, numbers, strict=True)]
    return SpooledLines(lines, [], [])


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=40, max_size=400),
    folds=st.integers(2, 6),
    seed=st.integers(0, 2**64 - 1),
    block=st.integers(1, 50),
)
def test_distinct_rows_are_dealt_evenly_by_class_and_in_all(
    labels: list[int], folds: int, seed: int, block: int
) -> None:
    labels = [*list(range(4)) * folds, *labels]
    plan = HashFolds(folds, seed, ["a", "b", "c", "d"], None)
    codes = np.array(labels)
    numbers = list(range(len(labels)))
    try:
        for start in range(0, len(labels), block):
            part = slice(start, start + block)
            plan.add(spooled(numbers[part], labels[part]), codes[part])
        plan.divide()
    except DatasetInvalid:  # two rows of a class of so few rows are in one bin
        return
    blocks = plan.blocks_of(spooled(numbers, labels))
    for code in range(4):
        of_class = np.bincount(blocks[codes == code], minlength=folds)
        assert of_class.max() - of_class.min() <= 3
    in_all = np.bincount(blocks, minlength=folds)
    assert in_all.max() - in_all.min() <= 6
