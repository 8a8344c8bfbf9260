"""Find the times at which the newest rows of a drop are cut off as test and validation rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refit.tabular.split import SPLITS

if TYPE_CHECKING:
    from refit.tabular.split import Fractions

_TRAIN, _VALIDATION, _TEST = (SPLITS.index(split) for split in ("train", "validation", "test"))

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TimeCuts:
    """The newest times before the held-out rows.

    Attributes:
        validation: newest time of a training row.
        test: newest time of a training or validation row. Test rows are newer.
    """

    validation: float
    test: float

    def splits_of(self, times: Times) -> npt.NDArray[np.uint8]:
        """Return (n_rows,) the index of each row's split in `SPLITS`."""
        splits = np.full(len(times), _TRAIN, dtype=np.uint8)
        splits[times > self.validation] = _VALIDATION
        splits[times > self.test] = _TEST
        return splits


def cuts_of(times: Times, fractions: Fractions) -> TimeCuts | None:
    """Return the cuts whose splits are closest to the shares that are asked for.

    Rows of the same time are in the same split. There is always a test row and a training row. The
    validation rows are as close to their share as the remaining times allow, so there may be none.

    Args:
        times: (n_rows,) in any order, finite.
        fractions: shares of all rows.

    Returns:
        None if all rows have the same time.
    """
    distinct, counts = np.unique(times, return_counts=True)
    if len(distinct) < 2:
        return None
    older = np.cumsum(counts)  # rows up to and including each time
    rows = len(times)
    test = _closest(rows - older[:-1], fractions.test * rows)
    validation = _closest(older[test] - older[: test + 1], fractions.validation * rows)
    return TimeCuts(validation=float(distinct[validation]), test=float(distinct[test]))


def _closest(held_out: npt.NDArray[np.int64], wanted: float) -> int:
    """Return the index of the number that is closest; of equally close ones the larger number."""
    return int(np.argmin(np.abs(held_out - wanted)))
