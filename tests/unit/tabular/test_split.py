"""A row's split depends on its features alone, whatever else is in the drop."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.tabular.scatter import random_numbers, row_hashes, splits_of
from refit.tabular.split import SPLITS, Fractions, row_hash, split_of

from tests.support.preparing import Preparing, numbers_csv

fractions = st.builds(
    Fractions, validation=st.floats(0, 0.5), test=st.floats(0, 0.5, exclude_min=True)
)


@given(st.lists(st.binary(max_size=60)), fractions)
def test_one_row_and_many_rows_get_the_same_hash_and_split(
    rows: list[bytes], shares: Fractions
) -> None:
    hashes = row_hashes(rows)
    assert hashes.tolist() == [row_hash(row) for row in rows]
    splits = [SPLITS[index] for index in splits_of(hashes, shares)]
    assert splits == [split_of(row_hash(row), shares) for row in rows]


def test_the_hash_never_changes() -> None:
    # Later runs, and captured rows, are put into the split of the first run by these numbers.
    assert row_hash(b"") == 0xE220A8397B1DCDAF
    assert row_hash(b"0,12,255") == 0xEE25AACAEA79B404
    assert random_numbers(7, 3, 2).tolist() == random_numbers(7, 0, 5)[3:].tolist()


def test_the_splits_have_the_requested_shares() -> None:
    rows = [f"{n},{n * n},0".encode() for n in range(40_000)]
    counts = Counter(splits_of(row_hashes(rows), Fractions(0.1, 0.2)).tolist())
    assert abs(counts[SPLITS.index("validation")] / len(rows) - 0.1) < 0.01
    assert abs(counts[SPLITS.index("test")] / len(rows) - 0.2) < 0.01


def test_another_validation_share_moves_no_test_row() -> None:
    hashes = [row_hash(str(n).encode()) for n in range(5000)]
    for before, after in ((0.1, 0.3), (0.0, 0.5)):
        tested = {h for h in hashes if split_of(h, Fractions(before, 0.1)) == "test"}
        assert tested == {h for h in hashes if split_of(h, Fractions(after, 0.1)) == "test"}


def test_a_row_stays_in_its_split_when_more_rows_come(prepared: Preparing) -> None:
    less, more = prepared(numbers_csv(300)), prepared(numbers_csv(600))
    for split in ("train", "validation", "test"):
        before, after = (set(getattr(result, split).splitlines()) for result in (less, more))
        assert before
        assert before <= after


def test_duplicates_are_in_one_split_even_with_other_labels(prepared: Preparing) -> None:
    rows = numbers_csv(300).decode().splitlines()
    relabelled = [f"{(int(row[0]) + 1) % 3}{row[1:]}" for row in rows]
    result = prepared("\n".join([*rows, *relabelled]).encode())
    splits = [
        {row.partition(b",")[2] for row in split.splitlines()}
        for split in (result.train, result.validation, result.test)
    ]
    assert sum(map(len, splits)) == len(set.union(*splits)) == 300


def test_training_rows_are_shuffled_and_a_repeated_run_writes_the_same_bytes(
    prepared: Preparing,
) -> None:
    data = numbers_csv(2000, classes=2)
    first, again, other = prepared(data), prepared(data), prepared(data, seed=8)
    assert (first.train, first.test, first.validation, first.profile) == (
        again.train, again.test, again.validation, again.profile,
    )  # fmt: skip
    assert first.train != other.train
    assert sorted(first.train.splitlines()) == sorted(other.train.splitlines())
    assert first.test == other.test
    order = [data.splitlines().index(row) for row in first.train.splitlines()]
    rising = sum(after > before for before, after in itertools.pairwise(order)) / len(order)
    assert abs(rising - 0.5) < 0.05


@pytest.mark.parametrize("size", [101, 997, 4096])
def test_the_order_does_not_depend_on_the_blocks_of_the_stream(
    prepared: Preparing, size: int
) -> None:
    data = numbers_csv(1000)
    assert prepared(data, read_bytes=size).train == prepared(data).train
