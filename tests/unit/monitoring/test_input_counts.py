"""Counting captured rows in the bins of the training data."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.monitoring.baseline_measures import (
    classification_baseline_of,
    regression_baseline_of,
)
from refit.domain.monitoring.input_counts import (
    Columns,
    InputCounter,
    InputCounts,
    columns_of,
    merged,
    split_by_column,
)
from refit.domain.schema import Feature, Schema
from refit.tabular.profile import profile_of

NAN = float("nan")
SCHEMA = Schema(
    task="classification",
    label="kind",
    features=(
        Feature(name="width", type="number"),
        Feature(name="colour", type="category", values=("red", "blue")),
    ),
    classes=("cat", "dog"),
)


def profile(rows: list[list[float]]) -> dict[str, Any]:
    sample = np.column_stack([np.zeros(len(rows)), np.array(rows)])
    return profile_of(SCHEMA, Counter(train=len(rows)), Counter(), sample)


TRAINING = [[1.0, 0], [2.0, 0], [2.0, 1], [5.0, NAN]]
BASELINE = classification_baseline_of(
    np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([0.6, 0.9, 0.99]), ("cat", "dog"), {}
)


def columns() -> Columns:
    return columns_of(profile(TRAINING), BASELINE)


def counted(
    rows: list[list[float]], predicted: list[float] | None = None, sure: list[float] | None = None
) -> InputCounts:
    counter = InputCounter(columns())
    counter.add(
        np.array(rows).reshape(-1, 2),
        None if predicted is None else np.array(predicted),
        None if sure is None else np.array(sure),
    )
    return counter.counts()


def by_name(counts: InputCounts) -> dict[str, list[int]]:
    return {column.name: slots.tolist() for column, slots in split_by_column(columns(), counts)}


def test_counting_the_training_rows_gives_the_reference() -> None:
    found = split_by_column(columns(), counted(TRAINING))
    features = [(column, slots) for column, slots in found if column.role == "feature"]
    assert [tuple(slots) for _, slots in features] == [c.reference for c, _ in features]


def test_missing_numbers_and_numbers_outside_the_training_range_have_their_own_bins() -> None:
    slots = by_name(counted([[0.999, 0], [1.0, 0], [5.0, 0], [5.001, 0], [np.inf, 0], [NAN, 0]]))
    assert slots["width"] == [1, 1, 0, 1, 2, 1]


def test_an_unknown_category_code_is_counted_separately_from_a_missing_value() -> None:
    slots = by_name(counted([[1, 0], [1, 1], [1, 1], [1, 2], [1, -1], [1, 0.5], [1, NAN]]))
    assert slots["colour"] == [1, 2, 3, 1]


def test_predictions_and_scores_are_counted_with_the_features() -> None:
    slots = by_name(counted([[1, 0]] * 3, [1, 1, NAN], [1.0, 0.04, NAN]))
    assert slots["prediction"] == [0, 2, 0, 1]
    assert (slots["score"][0], slots["score"][19], slots["score"][20]) == (1, 1, 1)
    assert sum(slots["score"]) == 3


def test_predictions_of_a_regression_are_counted_in_the_bins_of_the_held_out_ones() -> None:
    labels = np.arange(10, dtype=float)
    baseline = regression_baseline_of(labels, labels, {})
    counter = InputCounter(columns_of(profile(TRAINING), baseline))
    counter.add(np.array([[1.0, 0]] * 3), np.array([-7.0, 9.0, NAN]))
    slots = split_by_column(columns_of(profile(TRAINING), baseline), counter.counts())[2][1]
    assert (slots[0], slots[-2], slots[-1], slots.sum()) == (1, 1, 1, 3)


def test_a_column_that_was_always_missing_is_still_counted() -> None:
    empty = columns_of(profile([[NAN, 0], [NAN, 1]]), BASELINE)
    counter = InputCounter(empty)
    counter.add(np.array([[3.0, 0], [NAN, 0]]))
    assert split_by_column(empty, counter.counts())[0][1].tolist() == [1, 1]


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="2 features"):
        InputCounter(columns()).add(np.zeros((3, 5)))


def test_counts_of_another_run_are_refused() -> None:
    other = InputCounter(columns_of(profile([[7.0, 0], [8.0, 1]]), BASELINE)).counts()
    with pytest.raises(ValueError, match="cannot add counts of different runs"):
        merged([other, counted([[1, 0]])])
    with pytest.raises(ValueError, match="another run"):
        split_by_column(columns(), other)


def test_the_same_rows_give_the_same_bytes_and_they_are_read_back() -> None:
    content = counted(TRAINING, [0, 1, 0, 1]).to_bytes()
    assert content == counted(TRAINING, [0, 1, 0, 1]).to_bytes()
    back = InputCounts.from_bytes(content)
    assert (back.rows, back.layout) == (4, columns().layout)
    assert by_name(back) == by_name(counted(TRAINING, [0, 1, 0, 1]))


def test_merging_no_counts_returns_none() -> None:
    assert merged([]) is None


values = st.one_of(st.just(NAN), st.integers(-1, 7).map(float))


@given(
    rows=st.lists(st.tuples(values, values), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    order=st.randoms(use_true_random=False),
)
def test_counts_of_separate_files_add_up_in_any_order(
    rows: list[tuple[float, float]], cuts: list[int], order: Any
) -> None:
    places = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [counted([list(row) for row in rows[begin:end]]) for begin, end in pairwise(places)]
    order.shuffle(parts)
    total = merged([InputCounts.from_bytes(part.to_bytes()) for part in parts])
    assert total is not None
    assert total.rows == len(rows)
    assert by_name(total) == by_name(counted([list(row) for row in rows]))
