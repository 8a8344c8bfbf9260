"""Rows on their way to their sides, and the shuffle of the training rows, in bounded memory.

A training row goes into one of 64 buckets by lot; later each bucket is shuffled by itself. Both
lots are drawn from the run's own fixed sequence, so a run that is repeated writes the same bytes.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refit.domain.errors import DatasetInvalid
from refit.tabular.readers.gunzip import MAX_UNPACKED_BYTES
from refit.tabular.scan import Rows
from refit.tabular.scatter import random_numbers, row_hashes, splits_of
from refit.tabular.split import SPLITS, Fractions, Split, mix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from refit.tabular.readers.table import Origin

_BUCKET_BITS = 6
_BUCKETS = 1 << _BUCKET_BITS
# Rows wait until so many bytes can be sorted at once: a bucket then gets a piece worth writing.
_BATCH_BYTES = 4 * 1024 * 1024
_READ_BYTES = 1024 * 1024
_TRAIN, _TEST = SPLITS.index("train"), SPLITS.index("test")


class Spool:
    """Keeps the rows of each side in files of its own; a context manager.

    Attributes:
        rows: how many rows each side has.
        labelled: how many of them are labelled predictions.
        fresh: how many of the test rows are fresh ones.
    """

    def __init__(
        self, folder: Path, fractions: Fractions, given: frozenset[Split], seed: int
    ) -> None:
        """Open the files.

        Args:
            folder: an empty one.
            fractions: the shares that are held out by hash.
            given: the held-out sides that were dropped as such: nothing that was dropped beside
                them is added to them by hash.
            seed: the run's own, 64 bits.
        """
        self._fractions = fractions
        self._fixed = [side in given for side in SPLITS]
        self._place_seed, self._order_seed = mix(seed), mix(seed + 1)
        self._paths = [folder / f"bucket-{number:02d}" for number in range(_BUCKETS)]
        self._paths += [folder / side for side in (*SPLITS[1:], "fresh")]
        self._open = ExitStack()
        self._files = [self._open.enter_context(path.open("wb")) for path in self._paths]
        self._bucket_rows = [0] * _BUCKETS
        self._waiting = Rows([], [])
        self._waiting_for: tuple[Split | None, Origin] = (None, "dropped")
        self._waiting_bytes = self._written_bytes = 0
        self.rows: Counter[Split] = Counter()
        self.labelled: Counter[Split] = Counter()
        self.fresh = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the writing; only then can the rows be read."""
        self._send()
        self._open.close()

    def add(self, rows: Rows, given: Split | None, origin: Origin = "dropped") -> None:
        """Send rows to their sides.

        Args:
            rows: in their normal form.
            given: the side that the whole file was dropped for; training rows and those of no
                given side are split by hash where the other sides were not given.
            origin: of the rows; those that were not dropped are always split by hash.

        Raises:
            DatasetInvalid: when the rows are more than a drop may hold.
        """
        if (given, origin) != self._waiting_for:
            self._send()
            self._waiting_for = given, origin
        self._waiting.lines.extend(rows.lines)
        self._waiting.features.extend(rows.features)
        self._waiting_bytes += sum(map(len, rows.lines))
        if self._waiting_bytes > _BATCH_BYTES:
            self._send()

    def _send(self) -> None:
        rows, (given, origin) = self._waiting, self._waiting_for
        self._waiting, self._waiting_bytes = Rows([], []), 0
        if not rows.lines:
            return
        targets = self._targets(rows, given, origin)
        lines = _taken(rows.lines, np.argsort(targets, kind="stable"))
        begin = 0
        for target, count in enumerate(np.bincount(targets).tolist()):
            if count:
                piece = b"\n".join(lines[begin : begin + count]) + b"\n"
                self._files[target].write(piece)
                self._written_bytes += len(piece)
                begin += count
        if self._written_bytes > MAX_UNPACKED_BYTES:
            raise DatasetInvalid(
                f"the drop holds more than {MAX_UNPACKED_BYTES // 1024**3} GiB of rows: "
                "drop it in parts"
            )

    def _targets(self, rows: Rows, given: Split | None, origin: Origin) -> npt.NDArray[np.uint8]:
        """Return (n_rows,) the file of each row: a bucket, or behind them a held-out side."""
        count = len(rows.lines)
        if given in SPLITS[1:]:
            sides: npt.NDArray[np.uint8] = np.full(count, SPLITS.index(given), dtype=np.uint8)
        else:
            sides = splits_of(row_hashes(rows.features), self._fractions)
            for side in range(1, len(SPLITS)) if origin == "dropped" else ():
                if self._fixed[side]:
                    sides[sides == side] = _TRAIN
        self._count(sides, origin)
        first = sum(self._bucket_rows)
        training = np.flatnonzero(sides == _TRAIN)
        lots = random_numbers(self._place_seed, first, len(training))
        buckets = (lots >> np.uint64(64 - _BUCKET_BITS)).astype(np.uint8)
        for bucket, number in enumerate(np.bincount(buckets, minlength=_BUCKETS).tolist()):
            self._bucket_rows[bucket] += number
        targets = sides + np.uint8(_BUCKETS - 1)  # bytes are sorted fastest
        targets[training] = buckets
        if origin == "fresh":
            targets[sides == _TEST] += 1
        return targets

    def _count(self, sides: npt.NDArray[np.uint8], origin: Origin) -> None:
        for side, number in zip(SPLITS, np.bincount(sides, minlength=len(SPLITS)), strict=True):
            self.rows[side] += int(number)
            if origin != "dropped":
                self.labelled[side] += int(number)
        if origin == "fresh":
            self.fresh += int(np.count_nonzero(sides == _TEST))

    def shuffled(self) -> Iterator[list[bytes]]:
        """Yield the training rows in random order, a bucket at a time."""
        first = 0
        for path, count in zip(self._paths, self._bucket_rows, strict=False):
            if count:
                lines = path.read_bytes().split(b"\n")
                lines.pop()
                lots = random_numbers(self._order_seed, first, count)
                yield _taken(lines, np.argsort(lots, kind="stable"))
                first += count

    def held_out(self, side: Split) -> Iterator[list[bytes]]:
        """Yield the rows of a held-out side in the order in which they came, fresh ones last."""
        yield from _lines_of(self._paths[_BUCKETS + SPLITS.index(side) - 1])
        if side == "test":
            yield from self.fresh_held_out()

    def fresh_held_out(self) -> Iterator[list[bytes]]:
        """Yield the fresh ones of the test rows."""
        yield from _lines_of(self._paths[-1])


def _lines_of(path: Path) -> Iterator[list[bytes]]:
    with path.open("rb") as file:
        while lines := file.readlines(_READ_BYTES):
            yield [line[:-1] for line in lines]


def _taken(lines: list[bytes], order: npt.NDArray[np.intp]) -> list[bytes]:
    if len(lines) == 1:
        return lines
    return list(itemgetter(*order.tolist())(lines))
