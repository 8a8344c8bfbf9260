"""Encode the rows of a file as the model reads them, and refuse those that it cannot read."""

from __future__ import annotations

import random
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from refit.domain.csv_rows import CsvFault
from refit.domain.errors import EvaluationIncomplete, PayloadInvalid
from refit.domain.schema import csv_line
from refit.tabular.predicted_rows import records_of
from refit.tabular.row_reader import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from refit.domain.schema import Schema
    from refit.tabular.predicted_rows import Layout
    from refit.tabular.quarantine import Quarantine
    from refit.tabular.readers.table import CsvTable


class EncodedRow(NamedTuple):
    """A row that the model can read.

    Attributes:
        number: of the row in the file, from 1; refused rows count, too.
        row_id: cell of the column that identifies the row; None if there is none.
        line: the encoded features as CSV without line end.
    """

    number: int
    row_id: str | None
    line: str


def encoded_rows(
    tables: Iterable[tuple[CsvTable, Layout]], schema: Schema, quarantine: Quarantine
) -> Iterator[EncodedRow]:
    """Yield the rows of the tables of a file in their order; refused rows are in quarantine."""
    number = 0
    for table, layout in tables:
        encode = schema.encode_features if layout.is_by_name else schema.encode_instance
        width, picks, row_id = layout.width, layout.picks, layout.row_id
        for record in records_of(table, layout):
            number += 1
            if isinstance(record, CsvFault):
                quarantine.refuse(table.name, Refusal(record.line, record.reason, record.text))
                continue
            cells = record.cells
            if len(cells) != width:
                reason = f"{len(cells)} cells, not {width}"
                quarantine.refuse(table.name, Refusal(record.line, reason, record.text))
                continue
            try:
                values = encode([cells[pick] for pick in picks])
            except PayloadInvalid as error:
                quarantine.refuse(table.name, Refusal(record.line, str(error), record.text))
                continue
            # An empty line would not be read as a row. XGBoost's container reads "nan" as missing.
            line = csv_line(values) or "nan"
            yield EncodedRow(number, None if row_id is None else cells[row_id], line)


def with_answers(rows: Iterable[EncodedRow], cells: Iterator[bytes]) -> Iterator[EncodedRow]:
    """Yield the rows with the cells that another model adds to each.

    Raises:
        EvaluationIncomplete: when there is not one answer for each row.
    """
    for row in rows:
        more = next(cells, None)
        if more is None:
            raise EvaluationIncomplete("[data] features_from: there are fewer answers than rows")
        yield row._replace(line=row.line + more.decode("ascii"))
    if next(cells, None) is not None:
        raise EvaluationIncomplete("[data] features_from: there are more answers than rows")


class RandomRows:
    """A random sample of the rows that pass, with equal chances; the same seed gives the same.

    Source: Vitter (1985), "Random Sampling with a Reservoir", algorithm R.
    """

    def __init__(self, size: int, seed: int) -> None:
        """Sample up to `size` rows."""
        self._size = size
        self._random = random.Random(seed).random
        self._seen = 0
        self._sample: list[EncodedRow] = []

    def add(self, row: EncodedRow) -> None:
        """Let a row pass."""
        self._seen += 1
        if len(self._sample) < self._size:
            self._sample.append(row)
            return
        place = int(self._random() * self._seen)
        if place < self._size:
            self._sample[place] = row

    def rows(self) -> list[EncodedRow]:
        """Return the sample in the order of the file."""
        return sorted(self._sample, key=itemgetter(0))
