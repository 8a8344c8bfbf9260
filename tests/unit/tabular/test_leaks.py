"""A column that alone gives the label is said, and no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from refit.domain.schema import Feature, Schema
from refit.tabular.leaks import leaking_columns

from tests.support.preparing import Preparing, table_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

SIZES = [1000, 3000, 30_000]


def leaks(labels: Numbers, values: Numbers, *, is_classification: bool) -> bool:
    """Return whether a column of these values is reported."""
    count = len(np.unique(labels))
    schema = Schema(
        task="classification" if is_classification else "regression",
        label="y",
        features=(Feature(name="x", type="number"),),
        classes=tuple(map(str, range(count))) if is_classification else None,
    )
    return leaking_columns(schema, np.column_stack([labels, values])) == ["x"]


def classes(chance: np.random.Generator, rows: int, count: int = 3) -> Numbers:
    return chance.integers(0, count, rows).astype(float)


CLASS_LEAKS: dict[str, Callable[[np.random.Generator, int], tuple[Numbers, Numbers]]] = {
    "the label itself": lambda chance, rows: (y := classes(chance, rows), y),
    "the label in another order": lambda chance, rows: (y := classes(chance, rows), (y + 1) % 3),
    "several codes of each class": lambda chance, rows: (
        y := classes(chance, rows),
        y + 3 * chance.integers(0, 5, rows),
    ),
    "many classes": lambda chance, rows: (y := classes(chance, rows, 12), 100 - y),
    "a score above a limit": lambda chance, rows: (
        (x := chance.normal(size=rows)) > chance.normal() / 2,
        x,
    ),
    "a score between two limits": lambda chance, rows: (
        np.digitize(x := chance.random(rows) * 100, [31.7, 58.4]),
        x,
    ),
    "a value that only one class has": lambda chance, rows: (
        y := classes(chance, rows, 2),
        np.where(y == 1, chance.random(rows) * 90 + 1, np.nan),
    ),
    "an amount that is zero for one class": lambda chance, rows: (
        y := classes(chance, rows, 2),
        np.where(y == 1, chance.random(rows) + 0.01, 0),
    ),
    "one row in a thousand wrong": lambda chance, rows: (
        y := classes(chance, rows, 2),
        np.where(chance.random(rows) < 0.0005, 1 - y, y),
    ),
    "a rare class": lambda chance, rows: (y := (chance.random(rows) < 0.1) * 1.0, y * 7),
}
CLASS_OTHERS: dict[str, Callable[[np.random.Generator, int], tuple[Numbers, Numbers]]] = {
    "noise": lambda chance, rows: (classes(chance, rows), chance.normal(size=rows)),
    "coded noise": lambda chance, rows: (classes(chance, rows), chance.integers(0, 9, rows) * 1.0),
    "a good feature": lambda chance, rows: (
        y := classes(chance, rows),
        y + chance.normal(size=rows) / 4,
    ),
    "3 percent wrong": lambda chance, rows: (
        y := classes(chance, rows, 2),
        np.where(np.arange(rows) % 33 == 7, 1 - y, y),
    ),
    "a rare class that the column misses": lambda chance, rows: (
        (chance.random(rows) < 0.003) * 1.0,
        chance.normal(size=rows),
    ),
    "missing at random": lambda chance, rows: (
        classes(chance, rows),
        np.where(chance.random(rows) < 0.5, np.nan, 1.0),
    ),
    "one value": lambda chance, rows: (classes(chance, rows), np.ones(rows)),
    "no value": lambda chance, rows: (classes(chance, rows), np.full(rows, np.nan)),
    "another number in each row": lambda chance, rows: (
        classes(chance, rows),
        chance.permutation(rows) * 1.0,
    ),
    "infinite precision": lambda chance, rows: (
        classes(chance, rows),
        1e30 + chance.normal(size=rows) * 1e20,
    ),
}
NUMBER_LEAKS: dict[str, Callable[[np.random.Generator, int], tuple[Numbers, Numbers]]] = {
    "the label itself": lambda chance, rows: (y := chance.normal(size=rows), y),
    "another unit": lambda chance, rows: (y := chance.normal(size=rows), 32 + 1.8 * y),
    "a falling curve": lambda chance, rows: (y := chance.random(rows) + 0.1, 1 / y),
    "a code of each value": lambda chance, rows: (
        y := chance.integers(0, 9, rows) * 1.5,
        (y * 7) % 10,
    ),
    "rounded": lambda chance, rows: (y := chance.random(rows) * 100, np.round(y)),
}
NUMBER_OTHERS: dict[str, Callable[[np.random.Generator, int], tuple[Numbers, Numbers]]] = {
    "noise": lambda chance, rows: (chance.normal(size=rows), chance.normal(size=rows)),
    "a good feature": lambda chance, rows: (
        y := chance.normal(size=rows),
        y + chance.normal(size=rows) / 4,
    ),
    "half of the label": lambda chance, rows: (
        (x := chance.normal(size=rows)) + chance.normal(size=rows),
        x,
    ),
    "present in few rows": lambda chance, rows: (
        y := chance.normal(size=rows),
        np.where(chance.random(rows) < 0.5, np.nan, y),
    ),
    "no value": lambda chance, rows: (chance.normal(size=rows), np.full(rows, np.nan)),
    "one value": lambda chance, rows: (chance.normal(size=rows), np.ones(rows)),
}


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("kind", CLASS_LEAKS)
def test_a_column_that_gives_the_class_is_reported(kind: str, rows: int) -> None:
    for seed in range(10):
        labels, values = CLASS_LEAKS[kind](np.random.default_rng(seed), rows)
        assert leaks(labels * 1.0, values, is_classification=True), seed


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("kind", CLASS_OTHERS)
def test_a_column_that_does_not_give_the_class_is_not_reported(kind: str, rows: int) -> None:
    for seed in range(10):
        labels, values = CLASS_OTHERS[kind](np.random.default_rng(seed), rows)
        assert not leaks(labels, values, is_classification=True), seed


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("kind", NUMBER_LEAKS)
def test_a_column_that_gives_the_number_is_reported(kind: str, rows: int) -> None:
    for seed in range(10):
        labels, values = NUMBER_LEAKS[kind](np.random.default_rng(seed), rows)
        assert leaks(labels, values, is_classification=False), seed


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("kind", NUMBER_OTHERS)
def test_a_column_that_does_not_give_the_number_is_not_reported(kind: str, rows: int) -> None:
    for seed in range(10):
        labels, values = NUMBER_OTHERS[kind](np.random.default_rng(seed), rows)
        assert not leaks(labels, values, is_classification=False), seed


def test_a_leak_is_said_in_the_record_with_what_to_do(prepared: Preparing) -> None:
    chance = np.random.default_rng(4)
    survived = chance.integers(0, 2, 400)
    columns = {
        "label": survived,
        "alive": np.where(survived == 1, "yes", "no"),
        "fare": chance.random(400).round(3),
        "boat": np.where(survived == 1, chance.integers(1, 20, 400).astype(str), ""),
    }
    result = prepared(table_of(columns))
    assert result.learned.leaks == ("alive", "boat")
    for name in ("alive", "boat"):
        assert f"column {name!r} alone gives the label 'label'" in result.doubts
    assert "leave it out with [data] ignore" in result.doubts
    honest = prepared(table_of(columns), ignore=["alive", "boat"])
    assert honest.learned.leaks == ()
    assert honest.doubts == ""


def test_few_rows_or_very_many_columns_are_not_judged() -> None:
    chance = np.random.default_rng(4)
    labels = classes(chance, 39, 2)
    assert not leaks(labels, labels, is_classification=True)
    wide = Schema(
        task="classification",
        label="y",
        features=tuple(Feature(name=f"x{index}", type="number") for index in range(301)),
        classes=("a", "b"),
    )
    labels = classes(chance, 100, 2)
    assert leaking_columns(wide, np.column_stack([labels] * 302)) == []
