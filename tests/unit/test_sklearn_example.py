"""The pipeline of examples/sklearn: what it makes of numbers, categories and texts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from types import ModuleType

PATH = Path(__file__).parents[2] / "examples/sklearn/pipeline.py"
NOTES = ("good screen", "bad screen", "good motor", "bad motor")
FEATURES: list[dict[str, Any]] = [
    {"name": "price", "type": "number"},
    {"name": "shop", "type": "category", "values": ["north", "south"]},
    {"name": "note", "type": "category", "values": list(NOTES)},
]
ROWS = np.array([[n % 7, n % 2, n % 4] for n in range(40)], dtype=float)
IS_GOOD = (ROWS[:, 2] % 2 == 0).astype(float)


@pytest.fixture(scope="module")
def example() -> ModuleType:
    specification = importlib.util.spec_from_file_location("sklearn_example", PATH)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def fitted(example: ModuleType, labels: Any, task: str = "classification", **options: str) -> Any:
    given = {"text_columns": "note"} | options
    return example.build(FEATURES, task, given).fit(ROWS, labels)


def test_the_words_of_a_text_say_the_class(example: ModuleType) -> None:
    answers = example.predicted(fitted(example, IS_GOOD, C="10"), ROWS, 2)
    assert answers.shape == (40, 2)
    assert (answers.argmax(axis=1) == IS_GOOD).all()


def test_missing_values_of_each_kind_are_read(example: ModuleType) -> None:
    answers = example.predicted(fitted(example, IS_GOOD), np.full((1, 3), np.nan), 2)
    assert answers.sum() == pytest.approx(1)


def test_a_class_without_a_training_row_has_the_probability_0(example: ModuleType) -> None:
    answers = example.predicted(fitted(example, IS_GOOD * 2), ROWS, 3)
    assert (answers[:, 1] == 0).all()
    assert answers.sum(axis=1) == pytest.approx(np.ones(40))


def test_a_regression_answers_one_number_a_row(example: ModuleType) -> None:
    answers = example.predicted(fitted(example, ROWS[:, 0] * 2, "regression"), ROWS, None)
    assert answers.shape == (40, 1)


def test_a_text_column_that_does_not_exist_is_named(example: ModuleType) -> None:
    with pytest.raises(ValueError, match="text_columns: comment is no column of texts"):
        fitted(example, IS_GOOD, text_columns="comment")
