"""A row's side depends on its features alone, whatever else is in the drop."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.tabular import dataset
from refit.tabular.scatter import random_numbers, row_hashes, splits_of
from refit.tabular.split import SPLITS, Fractions, row_hash, split_of

from tests.unit.tabular.conftest import Preparing, numbers_csv

fractions = st.builds(
    Fractions, validation=st.floats(0, 0.5), test=st.floats(0, 0.5, exclude_min=True)
)


@given(st.lists(st.binary(max_size=60)), fractions)
def test_one_row_and_many_rows_get_the_same_hash_and_side(
    rows: list[bytes], shares: Fractions
) -> None:
    hashes = row_hashes(rows)
    assert hashes.tolist() == [row_hash(row) for row in rows]
    sides = [SPLITS[side] for side in splits_of(hashes, shares)]
    assert sides == [split_of(row_hash(row), shares) for row in rows]


def test_the_hash_never_changes() -> None:
    # Later runs, and captured rows, are put on the side of the first run by these very numbers.
    assert row_hash(b"") == 0xE220A8397B1DCDAF
    assert row_hash(b"0,12,255") == 0xEE25AACAEA79B404
    assert random_numbers(7, 3, 2).tolist() == random_numbers(7, 0, 5)[3:].tolist()


def test_the_sides_have_the_shares_that_are_wished_for() -> None:
    rows = [f"{n},{n * n},0".encode() for n in range(40_000)]
    counts = Counter(splits_of(row_hashes(rows), Fractions(0.1, 0.2)).tolist())
    assert abs(counts[SPLITS.index("validation")] / len(rows) - 0.1) < 0.01
    assert abs(counts[SPLITS.index("test")] / len(rows) - 0.2) < 0.01


def test_another_validation_share_moves_no_test_row() -> None:
    hashes = [row_hash(str(n).encode()) for n in range(5000)]
    for one, other in ((0.1, 0.3), (0.0, 0.5)):
        was = {h for h in hashes if split_of(h, Fractions(one, 0.1)) == "test"}
        assert was == {h for h in hashes if split_of(h, Fractions(other, 0.1)) == "test"}


def test_a_row_stays_on_its_side_when_more_rows_come(prepared: Preparing) -> None:
    less, more = prepared(numbers_csv(300)), prepared(numbers_csv(600))
    for side in ("train", "validation", "test"):
        was, now = (set(getattr(result, side).splitlines()) for result in (less, more))
        assert was
        assert was <= now


def test_duplicates_never_straddle_not_even_with_other_labels(prepared: Preparing) -> None:
    rows = numbers_csv(300).decode().splitlines()
    again = [f"{(int(row[0]) + 1) % 3}{row[1:]}" for row in rows]
    result = prepared("\n".join([*rows, *again]).encode())
    sides = [
        {row.partition(b",")[2] for row in side.splitlines()}
        for side in (result.train, result.validation, result.test)
    ]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 300


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
    rising = sum(now > was for was, now in itertools.pairwise(order)) / len(order)
    assert abs(rising - 0.5) < 0.05


@pytest.mark.parametrize("size", [101, 997, 4096])
def test_the_order_does_not_depend_on_how_the_stream_is_cut(
    prepared: Preparing, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    data = numbers_csv(1000)
    whole = prepared(data)
    monkeypatch.setattr(dataset, "READ_BYTES", size)
    assert prepared(data).train == whole.train
