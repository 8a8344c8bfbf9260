"""Divide the training rows into folds: by their hash, or by their time.

**By hash.** A hash of the features (or of the group) with a seed puts each row into one of
some thousand bins, so equal rows, and rows of one group, are in one bin. The bins are then dealt to
the folds, the fullest first, each to the fold that has least of its classes so far. So every class
is spread evenly, as far as the groups allow. Memory depends on the bins and the classes only.

**By time.** The rows are cut into one block more than there are folds, oldest first. A fold holds
out one block, from the second on, and trains on all blocks before it; nothing is predicted from the
future. Rows without a time (labelled predictions) are in no fold. The times take 8 bytes of memory
each while they are cut, the classes 4.

Source: scikit-learn's StratifiedGroupKFold and TimeSeriesSplit, whose results these resemble.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from refit.domain.errors import DatasetInvalid
from refit.tabular.scatter import reseeded, row_hashes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.tabular.spooled import SpooledLines

_BIN_BITS = 14
_FEWEST_BIN_BITS = 8
_CELLS = 1 << 24
"""Bins times classes: 64 MB of counts."""

Codes: TypeAlias = npt.NDArray[np.int64]
_Blocks: TypeAlias = npt.NDArray[np.int8]
_Flags: TypeAlias = npt.NDArray[np.bool_]
_Floats: TypeAlias = npt.NDArray[np.float64]


class Folds(Protocol):
    """Learns the training rows in a first pass, and divides them in a second one.

    Attributes:
        count: number of folds.
    """

    count: int

    def add(self, rows: SpooledLines, codes: Codes | None) -> None:
        """Learn some rows; `codes` are their class indexes, None for a regression."""

    def divide(self) -> None:
        """Divide what was learned.

        Raises:
            DatasetInvalid: if there are too few rows for so many folds.
        """

    def blocks_of(self, rows: SpooledLines) -> _Blocks:
        """Return (n_rows,) the block of each row; -1 for a row in no fold."""

    def is_held_out(self, fold: int, blocks: _Blocks) -> _Flags:
        """Return (n_rows,) whether a fold holds out the rows of these blocks."""

    def is_trained_on(self, fold: int, blocks: _Blocks) -> _Flags:
        """Return (n_rows,) whether the model of a fold is trained on the rows of these blocks."""


class HashFolds:
    """Folds by the hash of the features or of the group."""

    def __init__(
        self, count: int, seed: int, classes: Sequence[str] | None, group: str | None
    ) -> None:
        """Begin without rows.

        Args:
            count: number of folds.
            seed: makes the bins independent of the hashes that split the rows.
            classes: texts of the classes; None for a regression.
            group: name of the column `[data] group`; None without it.
        """
        self.count = count
        self._seed = seed
        self._classes = classes
        self._group = group
        columns = len(classes) if classes else 1
        self._bits = _BIN_BITS
        while (columns << self._bits) > _CELLS and self._bits > _FEWEST_BIN_BITS:
            self._bits -= 1
        self._counts = np.zeros((1 << self._bits, columns), dtype=np.int32)
        self._fold_of_bin: _Blocks = np.zeros(1 << self._bits, dtype=np.int8)

    def add(self, rows: SpooledLines, codes: Codes | None) -> None:
        bins = self._bins(rows)
        columns = np.zeros_like(bins) if codes is None else codes
        np.add.at(self._counts.reshape(-1), bins * self._counts.shape[1] + columns, 1)

    def divide(self) -> None:
        self._check()
        counts = self._counts
        totals = np.maximum(1, counts.sum(axis=0))
        rows = counts.sum(axis=1)
        filled = np.flatnonzero(rows)
        fullest = np.array([(counts[number] / totals).max() for number in filled])
        loads = np.zeros((self.count, counts.shape[1] + 1))
        for number in filled[np.argsort(-fullest, kind="stable")]:
            share = np.append(counts[number] / totals, rows[number] / rows.sum())
            fold = int(np.argmin(loads @ share))
            loads[fold] += share
            self._fold_of_bin[number] = fold

    def _check(self) -> None:
        """Check that each class, and without classes all rows, can be in every fold."""
        of_class = np.count_nonzero(self._counts, axis=0)
        fewest = int(np.argmin(np.where(of_class > 0, of_class, np.iinfo(np.int64).max)))
        most = int(of_class[fewest])
        if most >= self.count:
            return
        what = "different rows" if self._group is None else f"groups ({self._group!r})"
        where = f" of the class {self._classes[fewest]!r}" if self._classes else ""
        raise _too_many(
            self.count, most, f"only {most:,} {what}{where}, and every fold must hold one"
        )

    def blocks_of(self, rows: SpooledLines) -> _Blocks:
        return self._fold_of_bin[self._bins(rows)]

    def is_held_out(self, fold: int, blocks: _Blocks) -> _Flags:
        flags: _Flags = blocks == fold
        return flags

    def is_trained_on(self, fold: int, blocks: _Blocks) -> _Flags:
        flags: _Flags = blocks != fold
        return flags

    def _bins(self, rows: SpooledLines) -> npt.NDArray[np.intp]:
        if self._group is not None:
            hashes = np.fromiter(map(int, rows.units), dtype=np.uint64, count=len(rows.units))
        else:
            hashes = row_hashes([line.partition(b",")[2] for line in rows.lines])
        return (reseeded(hashes, self._seed) >> np.uint64(64 - self._bits)).astype(np.intp)


class TimeFolds:
    """Folds by time: each is held out from a model that is trained on older rows only."""

    def __init__(self, count: int, time: str, classes: Sequence[str] | None) -> None:
        """Begin without rows.

        Args:
            count: number of folds.
            time: name of the column `[data] time`.
            classes: texts of the classes; None for a regression.
        """
        self.count = count
        self._time = time
        self._classes = classes
        self._times = array("d")
        self._codes = array("i")
        self._cuts: _Floats = np.empty(0)

    def add(self, rows: SpooledLines, codes: Codes | None) -> None:
        times = _times(rows)
        known = ~np.isnan(times)
        self._times.frombytes(times[known].tobytes())
        if codes is not None:
            self._codes.frombytes(codes[known].astype(np.int32).tobytes())

    def divide(self) -> None:
        times = np.frombuffer(self._times)
        distinct, counts = np.unique(times, return_counts=True)
        if len(distinct) < self.count + 1:
            raise _too_many(
                self.count,
                len(distinct) - 1,
                f"only {len(distinct):,} different times ([data] time = {self._time!r}), and one "
                "more than the folds are needed",
            )
        self._cuts = distinct[_cut_indexes(np.cumsum(counts), self.count)]
        self._check_classes(times)
        self._times, self._codes = array("d"), array("i")

    def _check_classes(self, times: _Floats) -> None:
        if self._classes is None:
            return
        oldest = np.frombuffer(self._codes, dtype=np.int32)[times <= self._cuts[0]]
        if (oldest == oldest[0]).all():
            text = self._classes[int(oldest[0])]
            raise DatasetInvalid(
                f"[training] folds = {self.count}: the first fold is trained on the oldest "
                f"{len(oldest):,} rows ([data] time = {self._time!r}), which are all of the class "
                f"{text!r}",
                advice="Set fewer folds, which are longer, or 0 for none",
            )

    def blocks_of(self, rows: SpooledLines) -> _Blocks:
        times = _times(rows)
        blocks = np.searchsorted(self._cuts, times).astype(np.int8)
        blocks[np.isnan(times)] = -1
        return blocks

    def is_held_out(self, fold: int, blocks: _Blocks) -> _Flags:
        flags: _Flags = blocks == fold + 1
        return flags

    def is_trained_on(self, fold: int, blocks: _Blocks) -> _Flags:
        flags: _Flags = (blocks >= 0) & (blocks <= fold)
        return flags


def _times(rows: SpooledLines) -> _Floats:
    return np.array([float(time) if time else np.nan for time in rows.times])


def _cut_indexes(older: npt.NDArray[np.int64], folds: int) -> list[int]:
    """Return the indexes of the newest time of each block but the last.

    Args:
        older: (n_times,) number of rows up to and including each time.
        folds: number of blocks, less one.
    """
    indexes: list[int] = []
    for number in range(1, folds + 1):
        closest = int(np.argmin(np.abs(older - older[-1] * number / (folds + 1))))
        first = indexes[-1] + 1 if indexes else 0
        last = len(older) - 2 - (folds - number)
        indexes.append(min(max(closest, first), last))
    return indexes


def _too_many(count: int, most: int, reason: str) -> DatasetInvalid:
    advice = "Set [training] folds = 0, or drop more rows"
    if most >= 2:
        advice = f"Set [training] folds to at most {most}"
    return DatasetInvalid(
        f"[training] folds = {count}: the training rows have {reason}", advice=advice
    )
