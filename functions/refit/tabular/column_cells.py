"""Read and count the cells of one column, one by one."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from refit.domain.cell_shapes import MISSING, PLAIN_NUMBER, CellShape, cell_shape
from refit.domain.cells import number_text
from refit.domain.column_reading import CellRefused
from refit.domain.date_forms import forms_of
from refit.domain.number_forms import NumberShape
from refit.tabular.csv_bytes import READ_DIGITS

if TYPE_CHECKING:
    from refit.domain.column_reading import ColumnReading, ColumnType
    from refit.tabular.column_tally import ColumnTally

_DECIMAL = CellShape("number", NumberShape("dot"))
_SHORT = 15
_SHORT_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)\Z")
_MOST_KNOWN = 4096
_MOST_CHARACTERS = 100_000
"""Cells that were read are forgotten when there are so many of them, or so long ones."""


class _Known(NamedTuple):
    """What is known of a text that a column has had before.

    Attributes:
        normal: its normal form.
        fault: what is wrong with it; None if it is not refused.
    """

    normal: str
    shape: CellShape
    fault: str | None


class ColumnCells:
    """Reads the cells of a column, and counts them until `flush`.

    Attributes:
        index: index of the column in the drop.
        pick: index of its cell in a row of the table.
    """

    def __init__(
        self, index: int, pick: int, reading: ColumnReading, written: ColumnType | None
    ) -> None:
        """Prepare to read.

        Args:
            index: index of the column in the drop.
            pick: index of its cell in a row of the table.
            reading: how the cells are read.
            written: type of the column if Refit wrote the cells, None if people did.
        """
        self.index = index
        self.pick = pick
        self._reading = reading
        self._written = written
        self._is_plain = (
            reading.type == "number" and reading.form.is_plain and not reading.missing_numbers
        )
        self._blanks = self._whole = self._decimals = self._characters = 0
        self._known: dict[str, _Known] = {}
        self._counts: dict[str, int] = {}

    def normal(self, cell: str) -> str:
        """Count a cell without surrounding blanks, and return its normal form.

        Raises:
            CellRefused: if the column cannot hold it.
        """
        if self._is_plain:
            if not cell:
                self._blanks += 1
                return cell
            # A number such as 1.234 may have a thousands separator.
            if len(cell) <= _SHORT and cell[-4:-3] != "." and _SHORT_NUMBER.match(cell):
                if "." in cell:
                    self._decimals += 1
                else:
                    self._whole += 1
                return cell
        known = self._known.get(cell)
        if known is None:
            known = self._known[cell] = self._look(cell)
            self._characters += len(cell)
        self._counts[cell] = self._counts.get(cell, 0) + 1
        if known.fault is not None:
            raise CellRefused(self._reading.name, cell, known.fault)
        return known.normal

    def flush(self, tally: ColumnTally) -> None:
        """Add the counts to a tally."""
        for shape, number in (
            (MISSING, self._blanks),
            (PLAIN_NUMBER, self._whole),
            (_DECIMAL, self._decimals),
        ):
            if number:
                tally.count(self.index, shape, "", number, self._written)
        self._blanks = self._whole = self._decimals = 0
        for cell, number in self._counts.items():
            shape = self._known[cell].shape
            tally.count(self.index, shape, cell, number, self._written)
            if self._reading.type == "date" and shape.kind == "date":
                tally.date_forms[self.index][forms_of(cell)] += number
        self._counts.clear()
        if len(self._known) > _MOST_KNOWN or self._characters > _MOST_CHARACTERS:
            self._known.clear()
            self._characters = 0

    def _look(self, cell: str) -> _Known:
        reading = self._reading
        shape = MISSING if reading.is_named_missing(cell) else cell_shape(cell)
        try:
            text = reading.normal(cell)
            if reading.type != "category":
                return _Known(plain_number(text), shape, None)
            if not text.isprintable() and not all(map(_is_allowed, text)):
                raise CellRefused(reading.name, text, "has control characters")
        except CellRefused as error:
            return _Known(cell, shape, error.fault)
        return _Known(text, shape, None)


def plain_number(cell: str) -> str:
    """Return the text of a number in a form that XGBoost's CSV reader reads correctly.

    XGBoost reads `100000000000000000000` as 7766279631452241920, without an error. So a number with
    more digits than it can read is rewritten. Any other number is returned unchanged.
    """
    if len(cell) <= READ_DIGITS:
        return cell
    mantissa = cell.lower().partition("e")[0].lstrip("+-")
    whole, _, fraction = mantissa.partition(".")
    tiny = not whole.strip("0") and fraction.startswith("0" * (READ_DIGITS // 2))
    if len(whole.lstrip("0")) > READ_DIGITS or (len(fraction) > READ_DIGITS and tiny):
        return number_text(float(cell))
    return cell


def _is_allowed(character: str) -> bool:
    """Return whether a text can have a character: also one that joins others, as in emoji.

    A no-break space is one of the blanks (Zs), which `isprintable` does not call printable.
    """
    return (
        character.isprintable()
        or character in "\t\n\r"
        or unicodedata.category(character) in {"Cf", "Zs"}
    )
