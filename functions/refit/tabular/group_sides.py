"""Count the groups of a drop, and those that occur in more than one split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refit.tabular.split import SPLITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.tabular.split import Split

_Hashes = npt.NDArray[np.int64]
_FEWEST_MERGED = 10_000


class GroupSides:
    """The groups of each split, by a hash of 64 bits: 8 bytes for each group.

    Attributes:
        ungrouped: number of rows without a group.
    """

    def __init__(self) -> None:
        self.ungrouped = 0
        self._groups: dict[int, _Hashes] = {}
        self._new: dict[int, list[_Hashes]] = {}

    def add(self, groups: Sequence[bytes], splits: npt.NDArray[np.uint8]) -> None:
        """Add the groups of rows; a blank group is none."""
        hashes = np.fromiter(map(hash, groups), dtype=np.int64, count=len(groups))
        has_group = np.fromiter(map(bool, groups), dtype=bool, count=len(groups))
        self.ungrouped += int(len(groups) - has_group.sum())
        for split in range(len(SPLITS)):
            self._new.setdefault(split, []).append(np.unique(hashes[has_group & (splits == split)]))
            known = self._groups.get(split, ())
            if sum(map(len, self._new[split])) > max(len(known), _FEWEST_MERGED):
                self._merge(split)

    def count(self, split: Split) -> int:
        """Return the number of groups in a split."""
        return len(self._merge(SPLITS.index(split)))

    @property
    def total(self) -> int:
        """Number of groups of all rows."""
        return len(np.unique(self._all()))

    @property
    def shared(self) -> int:
        """Number of groups that occur in more than one split."""
        _, counts = np.unique(self._all(), return_counts=True)
        return int(np.count_nonzero(counts > 1))

    def _all(self) -> _Hashes:
        return np.concatenate([self._merge(split) for split in range(len(SPLITS))])

    def _merge(self, split: int) -> _Hashes:
        pieces = [self._groups.get(split, np.empty(0, dtype=np.int64)), *self._new.pop(split, [])]
        self._groups[split] = np.unique(np.concatenate(pieces))
        return self._groups[split]
