"""Many rows at once: their hashes, their sides, and an order that looks random and never changes.

The same numbers as in `split`, a thousand rows at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from zlib import crc32

import numpy as np
import numpy.typing as npt

from refit.tabular.split import GOLDEN, MASK64, SPLITS, Fractions

if TYPE_CHECKING:
    from collections.abc import Sequence

Hashes: TypeAlias = npt.NDArray[np.uint64]


def row_hashes(features: Sequence[bytes]) -> Hashes:
    """Return (n_rows,) the hash of each row's feature cells, as `split.row_hash` gives it."""
    sums = np.fromiter(map(crc32, features), dtype=np.uint64, count=len(features))
    return _mix(sums + np.uint64(GOLDEN))


def splits_of(hashes: Hashes, fractions: Fractions) -> npt.NDArray[np.uint8]:
    """Return (n_rows,) each row's side as its place in `SPLITS`, as `split.split_of` gives it."""
    test, held_out = fractions.bounds
    sides = np.zeros(len(hashes), dtype=np.uint8)
    sides[hashes < np.uint64(held_out)] = SPLITS.index("validation")
    sides[hashes < np.uint64(test)] = SPLITS.index("test")
    return sides


def random_numbers(seed: int, start: int, count: int) -> Hashes:
    """Return places `start` to `start + count` of a fixed random sequence: (count,) 64-bit.

    Unlike a generator's stream it can be entered at any place, so it does not matter in which
    blocks the rows come; and no release of NumPy changes it.
    """
    places = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    return _mix(places * np.uint64(GOLDEN) + np.uint64(seed & MASK64))


def _mix(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
