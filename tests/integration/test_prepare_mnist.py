"""The real MNIST files are prepared, in both formats in which they are published."""

from __future__ import annotations

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.support.preparing import Preparing

MNIST = Path(__file__).parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not (MNIST / "mnist.pkl.gz").exists(), reason="the MNIST files are not installed"
)


def test_the_pickle_defines_the_three_splits_and_keeps_its_units(tmp_path: Path) -> None:
    result = Preparing(tmp_path)({"mnist.pkl.gz": lambda: (MNIST / "mnist.pkl.gz").open("rb")})
    assert result.rows == {"train": 50_000, "validation": 10_000, "test": 10_000}
    assert result.schema.classes == tuple("0123456789")
    assert len(result.schema.features) == 784
    assert result.refused == []
    with gzip.open(MNIST / "mnist.pkl.gz") as file:
        _, _, (x, y) = pickle.load(file, encoding="latin1")
    row = np.array(result.features.splitlines()[123].split(b","), dtype=np.float32)
    assert np.array_equal(row, x[123])
    assert np.array_equal(np.array(result.labels.split(), dtype=np.int64), y)


def test_the_names_of_the_idx_pairs_define_the_test_split(tmp_path: Path) -> None:
    names = [path.name for path in MNIST.glob("t10k-*")]
    files = {name: (MNIST / name).read_bytes() for name in names}
    train = {name.replace("t10k", "train"): data for name, data in files.items()}
    result = Preparing(tmp_path)(files | train)
    assert result.rows["test"] == 10_000
    assert result.rows["train"] + result.rows["validation"] == 10_000
    assert max(map(int, result.test.splitlines()[0].split(b","))) > 9
