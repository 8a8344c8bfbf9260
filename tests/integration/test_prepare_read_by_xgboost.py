"""What preparation writes is what XGBoost's CSV reader takes it for: every number, every gap."""

from __future__ import annotations

import random
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xgboost as xgb

from tests.support.preparing import Preparing

if TYPE_CHECKING:
    from pathlib import Path

FORMS = ["{:d}", "{:+d}", "{:.1f}", "{:.18e}", "{:.3e}", "{:.25f}", "{!r}", "{:050.0f}", "{:.0f}."]


def matrix(folder: Path, data: bytes) -> xgb.DMatrix:
    channel = folder / "channel"
    channel.mkdir()
    (channel / "train.csv").write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the reader of text files is deprecated, and the image's
        return xgb.DMatrix(f"{channel}?format=csv&label_column=0&delimiter=,")


def number(chance: random.Random) -> str:
    form = chance.choice(FORMS)
    value = chance.choice([0.0, 1.0, -1.0]) * chance.random() * 10.0 ** chance.randint(-12, 30)
    return form.format(int(value)) if "d}" in form else form.format(value)


def test_every_number_is_read_at_its_value(tmp_path: Path) -> None:
    chance = random.Random(20)
    lines = [f"{n % 2},{number(chance)},{number(chance)},{n}" for n in range(4000)]
    result = Preparing(tmp_path)("\n".join(lines).encode())
    assert result.refused == []
    read = matrix(tmp_path, result.train).get_data().toarray()
    wanted = {
        float(line.split(",")[3]): [float(cell) for cell in line.split(",")[1:]] for line in lines
    }
    for row in read:
        np.testing.assert_allclose(row, wanted[float(row[2])], rtol=2e-6, atol=1e-18)


def test_gaps_are_missing_and_the_last_column_counts_even_when_it_is_empty(
    tmp_path: Path,
) -> None:
    lines = [f"{n % 2},{n},{n if n % 2 else ''},{'NA' if n % 3 else '?'}" for n in range(300)]
    result = Preparing(tmp_path)("\n".join(lines).encode())
    read = matrix(tmp_path, result.train)
    assert read.num_col() == 3
    assert read.num_row() == result.rows["train"]
    odd = sum(int(row.split(b",")[1]) % 2 for row in result.train.splitlines())
    assert read.num_nonmissing() == read.num_row() + odd


@pytest.mark.parametrize("label", ["cat", "7.0"])
def test_labels_are_the_codes_of_the_classes(tmp_path: Path, label: str) -> None:
    lines = [f"{label if n % 3 else '99'},{n},{n * n}" for n in range(300)]
    result = Preparing(tmp_path)("\n".join(lines).encode(), task="classification")
    read = matrix(tmp_path, result.train)
    classes = result.schema.classes or ()
    other = [classes[int(code)] for code in read.get_label()]
    share = sum(text != "99" for text in other) / len(other)
    assert abs(share - 2 / 3) < 0.1
