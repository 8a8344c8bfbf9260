"""XGBoost's CSV reader reads the numbers and missing values that data preparation wrote."""

from __future__ import annotations

import random
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xgboost as xgb

from tests.support.preparing import Preparing, scattered

if TYPE_CHECKING:
    from pathlib import Path

NUMBER_FORMATS = [
    "{:d}",
    "{:+d}",
    "{:.1f}",
    "{:.18e}",
    "{:.3e}",
    "{:.25f}",
    "{!r}",
    "{:050.0f}",
    "{:.0f}.",
]


def matrix(folder: Path, data: bytes) -> xgb.DMatrix:
    channel = folder / "channel"
    channel.mkdir()
    (channel / "train.csv").write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XGBoost deprecates its text reader, which the image uses
        return xgb.DMatrix(f"{channel}?format=csv&label_column=0&delimiter=,")


def number(generator: random.Random) -> str:
    form = generator.choice(NUMBER_FORMATS)
    value = (
        generator.choice([0.0, 1.0, -1.0]) * generator.random() * 10.0 ** generator.randint(-12, 30)
    )
    return form.format(int(value)) if "d}" in form else form.format(value)


def test_every_prepared_number_keeps_its_value(tmp_path: Path) -> None:
    generator = random.Random(20)
    lines = [f"{n % 2},{number(generator)},{number(generator)},{scattered(n)}" for n in range(4000)]
    result = Preparing(tmp_path)("\n".join(lines).encode())
    assert result.refused == []
    read = matrix(tmp_path, result.train).get_data().toarray()
    expected = {
        float(line.split(",")[3]): [float(cell) for cell in line.split(",")[1:]] for line in lines
    }
    for row in read:
        np.testing.assert_allclose(row, expected[float(row[2])], rtol=2e-6, atol=1e-18)


def test_blank_cells_are_missing_values_and_an_empty_last_column_is_counted(
    tmp_path: Path,
) -> None:
    values = [scattered(n) for n in range(300)]
    lines = [
        f"{n % 2},{value},{value if value % 2 else ''},{'NA' if n % 3 else '?'}"
        for n, value in enumerate(values)
    ]
    settings = {"columns": {"f2": "number"}}  # a column without any value is left out otherwise
    result = Preparing(tmp_path)("\n".join(lines).encode(), **settings)
    read = matrix(tmp_path, result.train)
    assert read.num_col() == 3
    assert read.num_row() == result.rows["train"]
    filled = sum(int(row.split(b",")[1]) % 2 for row in result.train.splitlines())
    assert read.num_nonmissing() == read.num_row() + filled


@pytest.mark.parametrize("label", ["cat", "7.0"])
def test_labels_are_the_indexes_of_the_classes(tmp_path: Path, label: str) -> None:
    lines = [f"{label if n % 3 else '99'},{n},{n * n}" for n in range(300)]
    result = Preparing(tmp_path)("\n".join(lines).encode(), task="classification")
    read = matrix(tmp_path, result.train)
    classes = result.schema.classes or ()
    labels = [classes[int(code)] for code in read.get_label()]
    share = sum(text != "99" for text in labels) / len(labels)
    assert abs(share - 2 / 3) < 0.1
