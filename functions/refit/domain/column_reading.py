"""How the cells of a column are read, in training, in files to predict and in requests alike."""

from __future__ import annotations

import re
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from refit.domain.cells import (
    ASKED_TRUTH_VALUES,
    FLOAT32_MAX,
    MISSING_EVERYWHERE,
    is_missing,
    number_of,
    number_text,
    shown,
)
from refit.domain.date_forms import date_number
from refit.domain.number_forms import PLAIN, NumberForm

if TYPE_CHECKING:
    from collections.abc import Iterable

_BETWEEN_WORDS = re.compile(r"[\s_-]+")
ColumnType: TypeAlias = Literal["number", "category", "boolean", "date"]

TRUE, FALSE = "true", "false"
TRUTH_TEXTS = (FALSE, TRUE)
"""The texts of truth values in normal rows and as classes, by code."""


class CellRefused(Exception):
    """Raised when a cell has a value that its column cannot hold; the text is the reason.

    Attributes:
        fault: what is wrong with the value, such as "is not finite".
        kind: the reason without the value.
    """

    def __init__(self, column: str, value: str, fault: str) -> None:
        super().__init__(f"column {column!r}: {shown(value)} {fault}")
        self.fault = fault
        self.kind = f"column {column!r}: a value {fault}"


class ColumnReading(BaseModel):
    """How the cells of a column are read.

    Attributes:
        name: name of the column, for messages.
        type: what its cells are.
        form: how its numbers are written; only for numbers.
        date_form: how its dates are written (`refit.domain.date_forms`); only for dates.
        missing: texts that the settings call missing, in addition to those that always are.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    type: ColumnType
    form: NumberForm = PLAIN
    date_form: str | None = None
    missing: frozenset[str] = frozenset()

    def normal(self, cell: str) -> str:
        """Return the normal form of a cell: an empty text if it is missing.

        The normal form of a number is a plain number, that of a truth value `true` or `false`, that
        of a date the days since 1970-01-01, and that of a category its text without surrounding
        blanks.

        Raises:
            CellRefused: if the cell has no such form.
        """
        text = cell.strip()
        if self.is_missing(text):
            return ""
        if self.type == "category":
            return text
        if self.type == "boolean":
            value = ASKED_TRUTH_VALUES.get(text.lower())
            if value is None:
                raise self._refused(text, "is not true or false")
            return TRUTH_TEXTS[value]
        if self.type == "date":
            number = date_number(text, self.date_form or "")
            if number is None:
                raise self._refused(text, f"is not a date of the form {self.date_form}")
            return number_text(number)
        plain = self.form.plain(text)
        if plain is None:
            raise self._not_a_number(text)
        return "" if self.missing_numbers and self.is_named_missing(plain) else plain

    def is_missing(self, text: str) -> bool:
        """Return whether a cell without surrounding blanks has no value."""
        if not text or self.is_named_missing(text):
            return True
        if self.type == "category":
            return text.lower() in MISSING_EVERYWHERE
        return is_missing(text)

    @cached_property
    def missing_numbers(self) -> frozenset[float]:
        """The numbers among the texts that the settings call missing."""
        numbers = map(number_of, self.missing)
        return frozenset(number for number in numbers if number is not None)

    def is_named_missing(self, text: str) -> bool:
        """Return whether the settings call a cell missing: `-999` also means `-999.0`."""
        if text in self.missing:
            return True
        return bool(self.missing_numbers) and number_of(text) in self.missing_numbers

    def _not_a_number(self, text: str) -> CellRefused:
        if _is_infinite(text):
            return self._refused(text, "is not finite")
        if not self.form.is_plain:
            return self._refused(text, f"is not a number of this column ({self.form.described})")
        return self._refused(text, "is text where numbers are expected")

    def _refused(self, text: str, fault: str) -> CellRefused:
        return CellRefused(self.name, text, fault)


def name_key(name: str) -> str:
    """Return a column name as names are compared: in NFC, without surrounding blanks."""
    return unicodedata.normalize("NFC", name.strip())


def similar_name(name: str, known: Iterable[str]) -> str | None:
    """Return the name that differs only by case, blanks, hyphens or underscores, or None."""
    key = _loose_key(name)
    return next((other for other in known if key and _loose_key(other) == key), None)


def _loose_key(name: str) -> str:
    return _BETWEEN_WORDS.sub("", name_key(name)).casefold()


def _is_infinite(cell: str) -> bool:
    try:
        return not abs(float(cell)) <= FLOAT32_MAX
    except ValueError:
        return False
