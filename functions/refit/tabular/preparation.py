"""Prepare training, validation and test rows: check, split, shuffle, encode and profile them.

Preparation has two stages, both in bounded memory. The first stage reads every table, checks each
row and writes the rows of each split to temporary files. It starts from the kinds of the columns in
the first rows. If all rows together give other kinds, the stage is repeated with these. The second
stage encodes the rows by the schema of all rows.
"""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import closing
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from refit.domain.errors import DatasetEmpty, DatasetInvalid
from refit.tabular.columns import (
    MAX_AUTO_CLASSES,
    aligned,
    expected_kinds,
    kinds_by_tally,
    learned_schema,
    reconciled,
)
from refit.tabular.encoding import RowEncoder
from refit.tabular.profile import SAMPLE_ROWS, ProfileSample, profile_of
from refit.tabular.split import Fractions, Split
from refit.tabular.spool import Spool, SpooledRows
from refit.tabular.table_dialects import table_dialects
from refit.tabular.table_scan import TableScanner

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from refit.domain.model_settings import DataSettings
    from refit.domain.schema import Schema
    from refit.tabular.columns import AlignedTables, ReconciledSchema
    from refit.tabular.quarantine import Quarantine
    from refit.tabular.readers.table import CsvTable
    from refit.tabular.row_reader import ColumnKinds

_JOINED_LINES = 5000
_REQUIRED_SPLITS: tuple[Split, ...] = ("test", "train")


class ByteSink(Protocol):
    """A binary file, or another object with the same `write` method."""

    def write(self, data: bytes, /) -> object:
        """Append bytes."""


class Preparation:
    """The prepared data of a run.

    Attributes:
        schema: schema of the rows. It extends the live model's schema if the columns are the same.
        comparable: whether the live model can read the same rows.
        rows: number of good rows in each split.
        labelled: number of labelled predictions among them.
        fresh: how many of the test rows are labelled predictions that were not in the live model's
            training data.
    """

    def __init__(
        self,
        spooled: SpooledRows,
        encoder: RowEncoder,
        outcome: ReconciledSchema,
        sample_rows: int = SAMPLE_ROWS,
    ) -> None:
        self._spooled = spooled
        self._encoder = encoder
        self._sample_rows = sample_rows
        self.schema = outcome.schema
        self.comparable = outcome.comparable
        self.rows: Counter[Split] = spooled.rows
        self.labelled: Counter[Split] = spooled.labelled
        self.fresh = spooled.fresh

    def write_train(self, train: ByteSink) -> dict[str, Any]:
        """Write the shuffled training rows; return the content of profile.json.

        Raises:
            DatasetInvalid: if the training rows are all of one class.
        """
        sample = ProfileSample(self.rows["train"], 1 + len(self.schema.features), self._sample_rows)
        labels: Counter[int] = Counter()
        first = True
        for bucket in self._spooled.shuffled():
            lines = self._encoder.encode(bucket)
            sample.add(lines)
            if self.schema.classes is not None:
                labels.update(_label_codes(lines, len(self.schema.classes)))
            if first:
                # XGBoost derives the number of columns from the last cell with a value in any row.
                lines[0], first = _full_width(lines[0]), False
            _write(train, lines)
        classes = self._class_counts(labels)
        return profile_of(self.schema, self.rows, classes, sample.matrix())

    def _class_counts(self, labels: Counter[int]) -> Counter[str] | None:
        if self.schema.classes is None:
            return None
        if len(labels) < 2:
            raise DatasetInvalid(
                "the training rows are all of one class: drop more rows of the others"
            )
        return Counter({text: labels[code] for code, text in enumerate(self.schema.classes)})

    def write_validation(self, validation: ByteSink) -> None:
        """Write the validation rows, label first."""
        for lines in self._spooled.held_out("validation"):
            _write(validation, self._encoder.encode(lines))

    def write_validation_apart(self, features: ByteSink, labels: ByteSink) -> None:
        """Write the validation rows twice: only the features, and only the labels."""
        for lines in self._spooled.held_out("validation"):
            _write_apart(features, labels, self._encoder.encode(lines))

    def write_test(self, rows: ByteSink, features: ByteSink, labels: ByteSink) -> None:
        """Write the test rows three times: complete, only the features, and only the labels."""
        for normal_lines in self._spooled.held_out("test"):
            lines = self._encoder.encode(normal_lines)
            _write(rows, lines)
            _write_apart(features, labels, lines)

    def write_fresh(self, features: ByteSink, labels: ByteSink) -> None:
        """Write the fresh test rows twice: only the features, and only the labels."""
        for normal_lines in self._spooled.fresh_held_out():
            _write_apart(features, labels, self._encoder.encode(normal_lines))


def prepare(
    tables: Sequence[CsvTable],
    settings: DataSettings,
    prior: Schema | None,
    folder: Path,
    seed: int,
    quarantine: Quarantine,
    sample_rows: int = SAMPLE_ROWS,
) -> Preparation:
    """Read, check and split all rows of a drop, and determine their schema.

    Args:
        tables: tables of the drop, training tables first.
        settings: `[data]` of model.toml.
        prior: the live model's schema, if there is one.
        folder: an empty folder for temporary files, which take as much space as the rows.
        seed: seed for the order of the training rows.
        quarantine: receives the refused rows.
        sample_rows: maximum number of training rows from which the profile is computed.

    Raises:
        DatasetEmpty: if there is no row.
        DatasetInvalid: if the rows cannot be trained on.
        TooManyBadRows: if more rows are refused than the settings allow.
        SchemaChanged: if the columns differ from the live model's.
    """
    _keep_freed_memory()
    dialects = table_dialects(tables, settings, prior)
    aligned_tables = aligned(tables, dialects, settings, prior)
    kinds = expected_kinds(aligned_tables, dialects[0], settings, prior)
    given: frozenset[Split] = frozenset(table.split for table in tables if table.split)
    fractions = Fractions(settings.validation_fraction, settings.test_fraction)
    while True:
        spool = Spool(_emptied(folder), fractions, given, seed)
        quarantine.restart()
        spooled, scanner = _scanned(aligned_tables, kinds, settings, spool, quarantine)
        actual_kinds = kinds_by_tally(aligned_tables.names, scanner.tally, settings, prior)
        # The tally does not depend on the guessed kinds, so the second guess is correct.
        if actual_kinds.texts == kinds.texts:
            break
        kinds = actual_kinds
    quarantine.check(spooled.rows.total(), settings.max_bad_fraction)
    if not spooled.rows.total():
        raise DatasetEmpty(f"{tables[0].name} has a header but no row")
    schema = learned_schema(scanner.kinds, scanner.tally, settings, prior)
    outcome = reconciled(schema, prior, settings)
    _check_splits(spooled.rows, settings)
    encoder = RowEncoder(outcome.schema, scanner.tally.values)
    return Preparation(spooled, encoder, outcome, sample_rows)


def _keep_freed_memory() -> None:
    """Make the C library keep the memory that NumPy frees, for the next block of rows.

    After a large block was freed once, glibc takes blocks up to that size from its heap. Without
    this call, page faults take half of the time. It has no effect with other C libraries.
    """
    bytearray(31 * 1024**2)


def _emptied(folder: Path) -> Path:
    rows = folder / "rows"
    if rows.exists():
        shutil.rmtree(rows)
    rows.mkdir()
    return rows


def _scanned(
    aligned_tables: AlignedTables,
    kinds: ColumnKinds,
    settings: DataSettings,
    spool: Spool,
    quarantine: Quarantine,
) -> tuple[SpooledRows, TableScanner]:
    limit = MAX_AUTO_CLASSES if settings.task == "auto" else None
    scanner = TableScanner(kinds, limit, quarantine.refuse)
    with closing(spool):
        for source in aligned_tables.sources:
            for rows in scanner.scan(source):
                spool.add(rows, source.table.split, source.table.origin)
    return spool.spooled, scanner


def _check_splits(rows: Counter[Split], settings: DataSettings) -> None:
    for split in _REQUIRED_SPLITS:
        if not rows[split]:
            enough = round(5 / settings.test_fraction)
            raise DatasetInvalid(
                f"none of the {rows.total()} rows is in the {split} split, which a hash of each "
                f"row decides: drop more rows ({enough} different ones are almost always enough), "
                f"or add a {split}/ folder"
            )


def _label_codes(lines: list[bytes], classes: int) -> Iterable[int]:
    """Return the label of each encoded row."""
    if classes <= 10:  # a code is one digit, and reading its byte takes a fifth of the time
        digits = np.fromiter(map(itemgetter(0), lines), dtype=np.uint8, count=len(lines))
        codes: list[int] = (digits - ord("0")).tolist()
        return codes
    return [int(line.partition(b",")[0]) for line in lines]


def _full_width(line: bytes) -> bytes:
    return line + b"nan" if line.endswith(b",") else line


def _write_apart(features: ByteSink, labels: ByteSink, lines: list[bytes]) -> None:
    parts = [line.partition(b",") for line in lines]
    _write(features, [part[2] for part in parts])
    _write(labels, [part[0] for part in parts])


def _write(sink: ByteSink, lines: list[bytes]) -> None:
    for begin in range(0, len(lines), _JOINED_LINES):
        sink.write(b"\n".join(lines[begin : begin + _JOINED_LINES]) + b"\n")
