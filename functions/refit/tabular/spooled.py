"""Rows in temporary files, which a spool has split and shuffled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refit.tabular.scatter import random_numbers
from refit.tabular.split import SPLITS, Split

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refit.tabular.group_sides import GroupSides
    from refit.tabular.time_cuts import TimeCuts

BUCKET_BITS = 6
BUCKETS = 1 << BUCKET_BITS
ASIDE = b"\x1f"
"""Separates a row from its weight and its time. No cell of a normal row contains it."""

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class SpooledLines:
    """Some rows of a split.

    Attributes:
        lines: (n_rows,) rows in their normal form.
        weights: (n_rows,) weight of each row; empty if rows have no weights.
        times: (n_rows,) time of each row, blank if it is not known; empty if rows have no times.
        units: (n_rows,) hash of each row's group as a decimal number; empty if it is not kept.
    """

    lines: list[bytes]
    weights: list[bytes]
    times: list[bytes]
    units: list[bytes] = field(default_factory=list)


@dataclass
class SpooledRows:
    """Rows in temporary files, by split.

    Attributes:
        paths: files of the buckets of training rows, of the held-out splits, and of the fresh test
            rows.
        order_seed: seed for the order within the buckets.
        is_weighted: whether the rows have weights.
        is_timed: whether the rows have times.
        keeps_units: whether the hash of each row's group is kept.
        rows: number of rows in each split.
        labelled: number of labelled predictions among them.
        weights: sum of the weights in each split.
        fresh: number of fresh rows among the test rows.
        bucket_rows: (64,) number of rows in each bucket.
        groups: the groups of the dropped rows; None if rows are not split by group.
        cuts: where the newest rows begin; None unless rows are split by time.
    """

    paths: list[Path]
    order_seed: int
    is_weighted: bool = False
    is_timed: bool = False
    keeps_units: bool = False
    rows: Counter[Split] = field(default_factory=Counter)
    labelled: Counter[Split] = field(default_factory=Counter)
    weights: dict[Split, float] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0.0))
    fresh: int = 0
    bucket_rows: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    groups: GroupSides | None = None
    cuts: TimeCuts | None = None

    def shuffled(self) -> Iterator[SpooledLines]:
        """Yield the training rows in random order, one bucket at a time."""
        first = 0
        for path, count in zip(self.paths, self.bucket_rows, strict=False):
            if count:
                lines = path.read_bytes().split(b"\n")
                lines.pop()
                ranks = random_numbers(self.order_seed, first, count)
                yield self._apart(reordered(lines, np.argsort(ranks, kind="stable")))
                first += count

    def held_out(self, split: Split) -> Iterator[list[bytes]]:
        """Yield the rows of a held-out split in the order of arrival, fresh rows last."""
        for rows in self.held_out_rows(split):
            yield rows.lines

    def held_out_rows(self, split: Split) -> Iterator[SpooledLines]:
        """Yield the same rows with their weights and times."""
        yield from self._rows_of(self.paths[BUCKETS + SPLITS.index(split) - 1])
        if split == "test":
            yield from self.fresh_rows()

    def held_out_labels(self, split: Split) -> Counter[bytes]:
        """Count the labels of a held-out split."""
        counts: Counter[bytes] = Counter()
        for lines in self.held_out(split):
            counts.update(line.partition(b",")[0] for line in lines)
        return counts

    def fresh_rows(self) -> Iterator[SpooledLines]:
        """Yield the fresh test rows with their weights and times."""
        yield from self._rows_of(self.paths[-1])

    def _rows_of(self, path: Path) -> Iterator[SpooledLines]:
        for lines in lines_of(path):
            yield self._apart(lines)

    def _apart(self, lines: list[bytes]) -> SpooledLines:
        if not lines or not (self.is_weighted or self.is_timed or self.keeps_units):
            return SpooledLines(lines, [], [])
        columns = [list(column) for column in zip(*(x.split(ASIDE) for x in lines), strict=True)]
        return SpooledLines(
            columns[0],
            columns[1] if self.is_weighted else [],
            columns[-1] if self.is_timed else [],  # rows with a time have no group
            columns[-1] if self.keeps_units else [],
        )


def lines_of(path: Path) -> Iterator[list[bytes]]:
    """Yield the lines of a file without line ends, about a megabyte at a time."""
    with path.open("rb") as file:
        while lines := file.readlines(_READ_BYTES):
            yield [line[:-1] for line in lines]


def reordered(lines: list[bytes], order: npt.NDArray[np.intp]) -> list[bytes]:
    """Return the lines in another order."""
    if len(lines) == 1:
        return lines
    return list(itemgetter(*order.tolist())(lines))
