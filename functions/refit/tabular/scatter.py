"""Hash and split many rows at once with NumPy, and draw reproducible random numbers.

The results are the same as those of `split`, which handles one row at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

import numpy as np
import numpy.typing as npt

from refit.tabular.split import GOLDEN, MASK64, SPLITS, Fractions, mix

if TYPE_CHECKING:
    from collections.abc import Sequence

Hashes: TypeAlias = npt.NDArray[np.uint64]


def row_hashes(features: Sequence[bytes]) -> Hashes:
    """Return (n_rows,) the hash of each row's feature cells; see `split.row_hash`."""
    sums = np.fromiter(map(crc32, features), dtype=np.uint64, count=len(features))
    return _mix(sums + np.uint64(GOLDEN))


def splits_of(hashes: Hashes, fractions: Fractions) -> npt.NDArray[np.uint8]:
    """Return (n_rows,) the index of each row's split in `SPLITS`; see `split.split_of`."""
    test, held_out = fractions.bounds
    splits = np.zeros(len(hashes), dtype=np.uint8)
    splits[hashes < np.uint64(held_out)] = SPLITS.index("validation")
    splits[hashes < np.uint64(test)] = SPLITS.index("test")
    return splits


def reseeded(hashes: Hashes, seed: int) -> Hashes:
    """Return (n_rows,) other hashes, which depend on a seed; equal ones stay equal."""
    return _mix(hashes + np.uint64(mix(seed)))


def random_numbers(seed: int, start: int, count: int) -> Hashes:
    """Return (count,) 64-bit numbers from the index `start` of a fixed random sequence.

    Unlike the sequence of a NumPy generator, this one can be read from any index, so the result
    does not depend on the blocks in which rows arrive. It is also the same in all NumPy releases.
    """
    indexes = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    return _mix(indexes * np.uint64(GOLDEN) + np.uint64(seed & MASK64))


def _mix(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
