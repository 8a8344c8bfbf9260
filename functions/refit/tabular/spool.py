"""Split rows into temporary files and shuffle the training rows, in bounded memory.

Each training row is written to one of 64 buckets, which is chosen at random. Later each bucket is
shuffled in memory. The random numbers come from a fixed sequence for the run's seed, so a repeated
run writes the same bytes.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refit.domain.errors import DatasetInvalid
from refit.tabular.readers.gunzip import MAX_UNPACKED_BYTES
from refit.tabular.scatter import random_numbers, row_hashes, splits_of
from refit.tabular.split import SPLITS, Fractions, Split, mix
from refit.tabular.table_scan import NormalRows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refit.tabular.readers.table import RowOrigin

_BUCKET_BITS = 6
_BUCKETS = 1 << _BUCKET_BITS
# Rows are sorted into buckets in batches of this size, so that writes are not too small.
_BATCH_BYTES = 4 * 1024 * 1024
_READ_BYTES = 1024 * 1024
_TRAIN, _TEST = SPLITS.index("train"), SPLITS.index("test")


@dataclass
class SpooledRows:
    """Rows in temporary files, by split.

    Attributes:
        paths: files of the buckets of training rows, of the held-out splits, and of the fresh test
            rows.
        order_seed: seed for the order within the buckets.
        rows: number of rows in each split.
        labelled: number of labelled predictions among them.
        fresh: number of fresh rows among the test rows.
        bucket_rows: (64,) number of rows in each bucket.
    """

    paths: list[Path]
    order_seed: int
    rows: Counter[Split] = field(default_factory=Counter)
    labelled: Counter[Split] = field(default_factory=Counter)
    fresh: int = 0
    bucket_rows: list[int] = field(default_factory=lambda: [0] * _BUCKETS)

    def shuffled(self) -> Iterator[list[bytes]]:
        """Yield the training rows in random order, one bucket at a time."""
        first = 0
        for path, count in zip(self.paths, self.bucket_rows, strict=False):
            if count:
                lines = path.read_bytes().split(b"\n")
                lines.pop()
                ranks = random_numbers(self.order_seed, first, count)
                yield _reordered(lines, np.argsort(ranks, kind="stable"))
                first += count

    def held_out(self, split: Split) -> Iterator[list[bytes]]:
        """Yield the rows of a held-out split in the order of arrival, fresh rows last."""
        yield from _lines_of(self.paths[_BUCKETS + SPLITS.index(split) - 1])
        if split == "test":
            yield from self.fresh_held_out()

    def held_out_labels(self, split: Split) -> Counter[bytes]:
        """Count the labels of a held-out split."""
        counts: Counter[bytes] = Counter()
        for lines in self.held_out(split):
            counts.update(line.partition(b",")[0] for line in lines)
        return counts

    def fresh_held_out(self) -> Iterator[list[bytes]]:
        """Yield the fresh test rows."""
        yield from _lines_of(self.paths[-1])


class Spool:
    """Writes rows to temporary files by split.

    Attributes:
        spooled: the written rows, which can be read after `close`.
    """

    def __init__(
        self,
        folder: Path,
        fractions: Fractions,
        given: frozenset[Split],
        seed: int,
        *,
        by_occurrence: bool = False,
    ) -> None:
        """Open the files.

        Args:
            folder: an empty folder.
            fractions: shares of rows that are held out by hash.
            given: splits that the drop defines. No other dropped rows are added to them by hash.
            seed: seed of the run, 64 bits.
            by_occurrence: whether the hash of a row also covers how many equal rows came before it.
                Then equal rows can be in different splits. For drops with few distinct rows.
        """
        self._occurrences: Counter[bytes] | None = Counter() if by_occurrence else None
        self._fractions = fractions
        self._fixed = [split in given for split in SPLITS]
        self._bucket_seed = mix(seed)
        paths = [folder / f"bucket-{number:02d}" for number in range(_BUCKETS)]
        paths += [folder / name for name in (*SPLITS[1:], "fresh")]
        self._open = ExitStack()
        self._files = [self._open.enter_context(path.open("wb")) for path in paths]
        self._batch = NormalRows([], [])
        self._batch_kind: tuple[Split | None, RowOrigin] = (None, "dropped")
        self._batch_bytes = self._written_bytes = 0
        self.spooled = SpooledRows(paths, mix(seed + 1))

    def close(self) -> None:
        """Write the buffered rows, and close the files."""
        with self._open:
            self._write_batch()

    def add(self, rows: NormalRows, given: Split | None, origin: RowOrigin = "dropped") -> None:
        """Write rows to their splits.

        Args:
            rows: rows in their normal form.
            given: split for which the file was dropped. Training rows and rows without a given
                split are divided by hash between the splits that the drop does not define.
            origin: origin of the rows; rows that were not dropped are always split by hash.

        Raises:
            DatasetInvalid: if there are more rows than a drop may hold.
        """
        if (given, origin) != self._batch_kind:
            self._write_batch()
            self._batch_kind = given, origin
        self._batch.lines.extend(rows.lines)
        self._batch.features.extend(rows.features)
        self._batch_bytes += sum(map(len, rows.lines))
        if self._batch_bytes > _BATCH_BYTES:
            self._write_batch()

    def _write_batch(self) -> None:
        rows, (given, origin) = self._batch, self._batch_kind
        self._batch, self._batch_bytes = NormalRows([], []), 0
        if not rows.lines:
            return
        targets = self._targets(rows, given, origin)
        lines = _reordered(rows.lines, np.argsort(targets, kind="stable"))
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

    def _targets(
        self, rows: NormalRows, given: Split | None, origin: RowOrigin
    ) -> npt.NDArray[np.uint8]:
        """Return (n_rows,) the index of each row's file: a bucket or a held-out split."""
        count = len(rows.lines)
        if given in SPLITS[1:]:
            splits: npt.NDArray[np.uint8] = np.full(count, SPLITS.index(given), dtype=np.uint8)
        else:
            splits = splits_of(row_hashes(self._hashed(rows)), self._fractions)
            for index in range(1, len(SPLITS)) if origin == "dropped" else ():
                if self._fixed[index]:
                    splits[splits == index] = _TRAIN
        self._count(splits, origin)
        first = sum(self.spooled.bucket_rows)
        training = np.flatnonzero(splits == _TRAIN)
        draws = random_numbers(self._bucket_seed, first, len(training))
        buckets = (draws >> np.uint64(64 - _BUCKET_BITS)).astype(np.uint8)
        for bucket, number in enumerate(np.bincount(buckets, minlength=_BUCKETS).tolist()):
            self.spooled.bucket_rows[bucket] += number
        targets = splits + np.uint8(_BUCKETS - 1)  # NumPy sorts 8-bit integers fastest
        targets[training] = buckets
        if origin == "fresh":
            targets[splits == _TEST] += 1
        return targets

    def _hashed(self, rows: NormalRows) -> list[bytes]:
        """Return (n_rows,) the bytes that decide the split of each row."""
        occurrences = self._occurrences
        if occurrences is None:
            return rows.features
        hashed = []
        for features in rows.features:
            before = occurrences[features]
            hashed.append(features + b"\x1f%d" % before if before else features)
            occurrences[features] += 1
        return hashed

    def _count(self, splits: npt.NDArray[np.uint8], origin: RowOrigin) -> None:
        numbers = np.bincount(splits, minlength=len(SPLITS))
        for split, number in zip(SPLITS, numbers, strict=True):
            self.spooled.rows[split] += int(number)
            if origin != "dropped":
                self.spooled.labelled[split] += int(number)
        if origin == "fresh":
            self.spooled.fresh += int(np.count_nonzero(splits == _TEST))


def _lines_of(path: Path) -> Iterator[list[bytes]]:
    with path.open("rb") as file:
        while lines := file.readlines(_READ_BYTES):
            yield [line[:-1] for line in lines]


def _reordered(lines: list[bytes], order: npt.NDArray[np.intp]) -> list[bytes]:
    if len(lines) == 1:
        return lines
    return list(itemgetter(*order.tolist())(lines))
