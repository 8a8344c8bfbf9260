"""From tables to training, validation and test rows: read, check, split, shuffle, encode, profile.

Two stages in bounded memory. The first reads every table once, checks each row and spools it to its
side. What a column holds is guessed from the first rows for it, and known for certain at its end;
when the guess was wrong the stage is done again. The second stage encodes the rows by the schema
that follows from all of them, and writes them out.
"""

from __future__ import annotations

import shutil
from collections import Counter
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from refit.domain.errors import DatasetEmpty, DatasetInvalid
from refit.domain.model_settings import DataSettings
from refit.tabular.columns import (
    MAX_AUTO_CLASSES,
    aligned,
    expected_kinds,
    learned_schema,
    reconciled,
    seen_kinds,
)
from refit.tabular.dialect import Dialect, dialect_of
from refit.tabular.encoding import RowEncoder
from refit.tabular.profile import ProfileSample, profile_of
from refit.tabular.readers.lines import LineBlock, line_blocks
from refit.tabular.scan import Scanner
from refit.tabular.split import Fractions, Split
from refit.tabular.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from refit.domain.schema import Schema
    from refit.tabular.columns import Aligned, Reconciled
    from refit.tabular.quarantine import Quarantine
    from refit.tabular.readers.table import Table
    from refit.tabular.rows import Kinds

_SNIFFED_BYTES = 256 * 1024
_SNIFFED_LINES = 20
_JOINED_LINES = 5000
_NEEDED_SIDES: tuple[Split, ...] = ("test", "train")
# How the readers write what is no CSV file itself.
_AS_WRITTEN = DataSettings(header="no", delimiter=",")


class Sink(Protocol):
    """What rows are written to."""

    def write(self, data: bytes, /) -> object:
        """Append bytes."""


class Preparation:
    """One run's preparation of data.

    Attributes:
        schema: of the rows; it extends the live model's where that has the same columns.
        comparable: whether the live model can read the same rows.
        rows: how many good rows each side has.
        labelled: how many of them are labelled predictions.
        fresh: how many of the test rows are labelled predictions that the live model's training
            had not seen.
    """

    def __init__(self, spool: Spool, encoder: RowEncoder, found: Reconciled) -> None:
        self._spool = spool
        self._encoder = encoder
        self.schema = found.schema
        self.comparable = found.comparable
        self.rows: Counter[Split] = spool.rows
        self.labelled: Counter[Split] = spool.labelled
        self.fresh = spool.fresh

    def write_train(self, train: Sink) -> dict[str, Any]:
        """Write the shuffled training rows; return the content of profile.json.

        Raises:
            DatasetInvalid: when the training rows are all of one class.
        """
        sample = ProfileSample(self.rows["train"], 1 + len(self.schema.features))
        labels: Counter[int] = Counter()
        first = True
        for bucket in self._spool.shuffled():
            lines = self._encoder.encode(bucket)
            sample.add(lines)
            if self.schema.classes is not None:
                labels.update(_label_codes(lines, len(self.schema.classes)))
            if first:
                # XGBoost takes the width from the cells that hold something, in any row.
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

    def write_validation(self, validation: Sink) -> None:
        """Write the validation rows, label first."""
        for lines in self._spool.held_out("validation"):
            _write(validation, self._encoder.encode(lines))

    def write_test(self, rows: Sink, features: Sink, labels: Sink) -> None:
        """Write the test rows thrice: whole, their features alone, and their labels alone."""
        for spooled in self._spool.held_out("test"):
            lines = self._encoder.encode(spooled)
            parts = [line.partition(b",") for line in lines]
            _write(rows, lines)
            _write(features, [part[2] for part in parts])
            _write(labels, [part[0] for part in parts])

    def write_fresh(self, features: Sink, labels: Sink) -> None:
        """Write the fresh ones of the test rows once more: their features, and their labels."""
        for spooled in self._spool.fresh_held_out():
            parts = [line.partition(b",") for line in self._encoder.encode(spooled)]
            _write(features, [part[2] for part in parts])
            _write(labels, [part[0] for part in parts])


def prepare(
    tables: Sequence[Table],
    settings: DataSettings,
    prior: Schema | None,
    folder: Path,
    seed: int,
    quarantine: Quarantine,
) -> Preparation:
    """Read, check and split all rows of a drop, and learn their schema.

    Args:
        tables: training tables first.
        settings: `[data]` of model.toml.
        prior: the live model's schema, if there is one.
        folder: an empty one, for the rows on their way; as large as they are.
        seed: the run's own: decides the order of the training rows.
        quarantine: takes the rows that are refused.

    Raises:
        DatasetEmpty: when there is no row.
        DatasetInvalid: when the rows cannot be trained on.
        TooManyBadRows: when more are refused than the settings allow.
        SchemaChanged: when the columns differ from the live model's.
    """
    _keep_freed_memory()
    sniffed = _sniffed(tables, settings, prior)
    found = aligned(sniffed, settings, prior)
    kinds = expected_kinds(found, sniffed[0][1], settings, prior)
    given: frozenset[Split] = frozenset(table.split for table in tables if table.split)
    fractions = Fractions(settings.validation_fraction, settings.test_fraction)
    while True:
        spool = Spool(_fresh(folder), fractions, given, seed)
        quarantine.restart()
        scanner = _scanned(found, kinds, settings, spool, quarantine)
        seen = seen_kinds(found.names, scanner.tally, settings, prior)
        # What is counted does not depend on the guess, so a second time it is right.
        if seen.texts == kinds.texts:
            break
        kinds = seen
    quarantine.check(spool.rows.total(), settings.max_bad_fraction)
    if not spool.rows.total():
        raise DatasetEmpty(f"{tables[0].name} has a header and no row")
    schema = learned_schema(scanner.kinds, scanner.tally, settings, prior)
    outcome = reconciled(schema, prior, settings)
    _check_sides(spool.rows, settings)
    return Preparation(spool, RowEncoder(outcome.schema, scanner.tally.values), outcome)


def _keep_freed_memory() -> None:
    """Make the C library keep what NumPy frees, instead of giving it back for the next block.

    After one large block was freed, glibc takes blocks up to that size from its heap; without
    this, page faults take half of the time. Elsewhere it does nothing.
    """
    bytearray(31 * 1024**2)


def _fresh(folder: Path) -> Path:
    spooled = folder / "rows"
    if spooled.exists():
        shutil.rmtree(spooled)
    spooled.mkdir()
    return spooled


def _scanned(
    found: Aligned, kinds: Kinds, settings: DataSettings, spool: Spool, quarantine: Quarantine
) -> Scanner:
    limit = MAX_AUTO_CLASSES if settings.task == "auto" else None
    scanner = Scanner(kinds, limit, quarantine.refuse)
    with spool:
        for source in found.sources:
            for rows in scanner.scan(source):
                spool.add(rows, source.table.split, source.table.origin)
    return scanner


def _sniffed(
    tables: Sequence[Table], settings: DataSettings, prior: Schema | None
) -> list[tuple[Table, Dialect]]:
    known = (prior.label, *(feature.name for feature in prior.features)) if prior else None
    sniffed: list[tuple[Table, Dialect]] = []
    for table in tables:
        lines = _first_lines(table)
        if table.columns is not None:
            dialect = _own_dialect(table.columns, lines, table.name)
        else:
            if not lines:
                raise DatasetEmpty(f"{table.name} is empty")
            dialect = dialect_of(lines, settings, known, table.name)
            known = dialect.header or known
        sniffed.append((table, dialect))
    return sniffed


def _own_dialect(columns: tuple[str, ...], lines: list[str], name: str) -> Dialect:
    """Return the dialect of what a reader wrote, whose columns the format itself names."""
    if len(columns) < 2:
        raise DatasetInvalid(f"{name} has one column: a label and a feature are wanted at least")
    plain = dialect_of(lines, _AS_WRITTEN, None, name) if lines else None
    rows = tuple(row for row in plain.rows if len(row) == len(columns)) if plain else ()
    return Dialect(",", len(columns), columns, 0, rows)


def _first_lines(table: Table) -> list[str]:
    data = b""
    for block in line_blocks(table.blocks()):
        if isinstance(block, LineBlock):
            data += block.data
            if len(data) > _SNIFFED_BYTES or data.count(b"\n") > _SNIFFED_LINES:
                break
    return data.decode(errors="replace").splitlines(keepends=True)


def _check_sides(rows: Counter[Split], settings: DataSettings) -> None:
    for side in _NEEDED_SIDES:
        if not rows[side]:
            wanted = round(5 / settings.test_fraction)
            raise DatasetInvalid(
                f"of {rows.total()} rows none fell to the {side} side, which each row's hash "
                f"decides: drop more ({wanted} different rows are enough almost surely), or give "
                f"a {side}/ folder"
            )


def _label_codes(lines: list[bytes], classes: int) -> Iterable[int]:
    """Return the label of each encoded row."""
    if classes <= 10:  # one digit: its byte says it, which takes a fifth of the time
        digits = np.fromiter(map(itemgetter(0), lines), dtype=np.uint8, count=len(lines))
        codes: list[int] = (digits - ord("0")).tolist()
        return codes
    return [int(line.partition(b",")[0]) for line in lines]


def _full_width(line: bytes) -> bytes:
    return line + b"nan" if line.endswith(b",") else line


def _write(sink: Sink, lines: list[bytes]) -> None:
    for begin in range(0, len(lines), _JOINED_LINES):
        sink.write(b"\n".join(lines[begin : begin + _JOINED_LINES]) + b"\n")
