"""Split rows into temporary files and shuffle the training rows, in bounded memory.

Each training row is written to one of 64 buckets, which is chosen at random. Later each bucket is
shuffled in memory. The random numbers come from a fixed sequence, so equal rows in equal order give
the same bytes, in the same run and in another one.

Rows that are split by their time are first written to one file, because the cut is only known when
all of them have been read. Their times take 8 bytes of memory each.
"""

from __future__ import annotations

from array import array
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from refit.domain.errors import DatasetInvalid
from refit.tabular.group_sides import GroupSides
from refit.tabular.readers.gunzip import MAX_UNPACKED_BYTES
from refit.tabular.row_reader import NormalRows
from refit.tabular.scatter import random_numbers, row_hashes, splits_of
from refit.tabular.split import SPLITS, Fractions, Split, mix
from refit.tabular.spooled import (
    ASIDE,
    BUCKET_BITS,
    BUCKETS,
    SpooledRows,
    lines_of,
    reordered,
)
from refit.tabular.time_cuts import TimeCuts, Times, cuts_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from refit.domain.data_settings import RowRole
    from refit.tabular.readers.table import RowOrigin
    from refit.tabular.row_roles import RowRoles

# Rows are sorted into buckets in batches of this size, so that writes are not too small.
_BATCH_BYTES = 4 * 1024 * 1024
_TRAIN, _TEST = SPLITS.index("train"), SPLITS.index("test")

_SplitIndexes = npt.NDArray[np.uint8]


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
        roles: Collection[RowRole] = (),
        keeps_units: bool = False,
    ) -> None:
        """Open the files.

        Args:
            folder: an empty folder.
            fractions: shares of rows that are held out.
            given: splits that the drop defines. No other dropped rows are added to them by hash.
            seed: seed of the order of the training rows, 64 bits.
            by_occurrence: whether the hash of a row also covers how many equal rows came before it.
                Then equal rows can be in different splits. For drops with few distinct rows.
            roles: what the columns of the rows say about them: `weight`, `group` or `time`.
            keeps_units: whether the hash of each row's group is kept, for folds.
        """
        self._occurrences: Counter[bytes] | None = Counter() if by_occurrence else None
        self._fractions = fractions
        self._fixed = [split in given for split in SPLITS]
        self._bucket_seed = mix(seed)
        paths = [folder / f"bucket-{number:02d}" for number in range(BUCKETS)]
        paths += [folder / name for name in (*SPLITS[1:], "fresh")]
        self._open = ExitStack()
        self._files = [self._open.enter_context(path.open("wb")) for path in paths]
        self._batch = NormalRows([], [])
        self._batch_kind: tuple[Split | None, RowOrigin] = (None, "dropped")
        self._batch_bytes = self._written_bytes = 0
        self._unsplit = folder / "unsplit"
        self._times = array("d")
        self.spooled = SpooledRows(
            paths,
            mix(seed + 1),
            is_weighted="weight" in roles,
            is_timed="time" in roles,
            keeps_units=keeps_units and "group" in roles,
            groups=GroupSides() if "group" in roles else None,
        )
        if self.spooled.is_timed:
            self._unsplit_file = self._open.enter_context(self._unsplit.open("wb"))

    def close(self) -> None:
        """Write the buffered rows, split the rows with a time, and close the files."""
        with self._open:
            self._write_batch()
            if self._times:
                self._split_by_time()

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
        self._batch.roles.extend(rows.roles)
        self._batch_bytes += sum(map(len, rows.lines))
        if self._batch_bytes > _BATCH_BYTES:
            self._write_batch()

    def _write_batch(self) -> None:
        rows, (given, origin) = self._batch, self._batch_kind
        self._batch, self._batch_bytes = NormalRows([], []), 0
        if not rows.lines:
            return
        lines = self._with_asides(rows)
        if self.spooled.is_timed and origin == "dropped":
            self._times.extend(map(_time, rows.roles))
            self._written_bytes += self._unsplit_file.write(b"\n".join(lines) + b"\n")
            self._check_size()
            return
        splits = self._splits(rows, given, origin)
        if self.spooled.groups is not None and origin == "dropped":
            self.spooled.groups.add([role.group for role in rows.roles], splits)
        self._write(lines, splits, origin)

    def _with_asides(self, rows: NormalRows) -> list[bytes]:
        """Return the lines with the weight, and the time or the group, of each row at its end."""
        spooled = self.spooled
        if not (spooled.is_weighted or spooled.is_timed or spooled.keeps_units):
            return rows.lines
        lines = [
            ASIDE.join([line, *self._asides(role)])
            for line, role in zip(rows.lines, rows.roles, strict=True)
        ]
        if not spooled.keeps_units:
            return lines
        units = row_hashes(self._hashed(rows)).tolist()
        return [b"%s%s%d" % (line, ASIDE, unit) for line, unit in zip(lines, units, strict=True)]

    def _asides(self, role: RowRoles) -> list[bytes]:
        asides = [role.weight] if self.spooled.is_weighted else []
        if self.spooled.is_timed:
            asides.append(b"" if role.time is None else repr(role.time).encode())
        return asides

    def _split_by_time(self) -> None:
        """Write the rows that wait for the cut to their splits; to training if there is none."""
        self._written_bytes -= self._unsplit_file.tell()
        self._unsplit_file.close()
        times: Times = np.frombuffer(self._times)
        cuts = cuts_of(times, self._fractions)
        self.spooled.cuts = cuts
        first = 0
        for lines in lines_of(self._unsplit):
            piece = times[first : first + len(lines)]
            first += len(lines)
            self._write(lines, _newest_held_out(piece, cuts), "dropped")
        self._unsplit.unlink()

    def _write(self, lines: list[bytes], splits: _SplitIndexes, origin: RowOrigin) -> None:
        """Write lines to the files of their splits."""
        if self.spooled.is_weighted:
            self._weigh(lines, splits)
        targets = self._targets(splits, origin)
        lines = reordered(lines, np.argsort(targets, kind="stable"))
        begin = 0
        for target, count in enumerate(np.bincount(targets).tolist()):
            if count:
                piece = b"\n".join(lines[begin : begin + count]) + b"\n"
                self._files[target].write(piece)
                self._written_bytes += len(piece)
                begin += count
        self._check_size()

    def _check_size(self) -> None:
        if self._written_bytes > MAX_UNPACKED_BYTES:
            raise DatasetInvalid(
                f"the drop holds more than {MAX_UNPACKED_BYTES // 1024**3} GiB of rows: "
                "drop it in parts"
            )

    def _splits(self, rows: NormalRows, given: Split | None, origin: RowOrigin) -> _SplitIndexes:
        """Return (n_rows,) the index of each row's split."""
        if given in SPLITS[1:]:
            return np.full(len(rows.lines), SPLITS.index(given), dtype=np.uint8)
        splits = splits_of(row_hashes(self._hashed(rows)), self._fractions)
        for index in range(1, len(SPLITS)) if origin == "dropped" else ():
            if self._fixed[index]:
                splits[splits == index] = _TRAIN
        return splits

    def _targets(self, splits: _SplitIndexes, origin: RowOrigin) -> _SplitIndexes:
        """Return (n_rows,) the index of each row's file: a bucket or a held-out split."""
        self._count(splits, origin)
        first = sum(self.spooled.bucket_rows)
        training = np.flatnonzero(splits == _TRAIN)
        draws = random_numbers(self._bucket_seed, first, len(training))
        buckets = (draws >> np.uint64(64 - BUCKET_BITS)).astype(np.uint8)
        for bucket, number in enumerate(np.bincount(buckets, minlength=BUCKETS).tolist()):
            self.spooled.bucket_rows[bucket] += number
        # NumPy sorts 8-bit integers fastest.
        targets: _SplitIndexes = splits + np.uint8(BUCKETS - 1)
        targets[training] = buckets
        if origin == "fresh":
            targets[splits == _TEST] += 1
        return targets

    def _hashed(self, rows: NormalRows) -> list[bytes]:
        """Return (n_rows,) the bytes that decide the split of each row."""
        if self.spooled.groups is not None:
            return [
                role.group or features
                for role, features in zip(rows.roles, rows.features, strict=True)
            ]
        occurrences = self._occurrences
        if occurrences is None:
            return rows.features
        hashed = []
        for features in rows.features:
            before = occurrences[features]
            hashed.append(features + b"\x1f%d" % before if before else features)
            occurrences[features] += 1
        return hashed

    def _count(self, splits: _SplitIndexes, origin: RowOrigin) -> None:
        numbers = np.bincount(splits, minlength=len(SPLITS))
        for split, number in zip(SPLITS, numbers, strict=True):
            self.spooled.rows[split] += int(number)
            if origin != "dropped":
                self.spooled.labelled[split] += int(number)
        if origin == "fresh":
            self.spooled.fresh += int(np.count_nonzero(splits == _TEST))

    def _weigh(self, lines: list[bytes], splits: _SplitIndexes) -> None:
        weights = [float(line.split(ASIDE)[1]) for line in lines]
        sums = np.bincount(splits, weights=weights, minlength=len(SPLITS))
        for split, weight in zip(SPLITS, sums.tolist(), strict=True):
            self.spooled.weights[split] += weight


def _time(role: RowRoles) -> float:
    assert role.time is not None  # a dropped row without a time is refused
    return role.time


def _newest_held_out(times: Times, cuts: TimeCuts | None) -> _SplitIndexes:
    if cuts is None:
        return np.full(len(times), _TRAIN, dtype=np.uint8)
    return cuts.splits_of(times)
