"""Numbers as people write them: decimal commas, thousands separators, currencies and percent.

A column has one form. `shape_of` names the shape of a cell without deciding what it means, because
`1,234` can be 1234 or 1.234. `choose_form` decides for the whole column, or says that it cannot.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from pydantic import BaseModel, ConfigDict

from refit.domain.cells import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Decimal: TypeAlias = Literal[".", ","]

CURRENCIES = (
    "$ € £ ¥ ₹ ₩ ₽ ₺ ₴ ₫ ₪ ₱ ฿ ₦ US$ R$ A$ AU$ C$ CA$ HK$ NZ$ S$ NT$ MX$ kr kr. zł Kč Ft lei Fr. "
    "SFr. Rs Rs. руб руб. Euro euro EUR USD GBP CHF JPY CNY INR CAD AUD SEK NOK DKK PLN CZK HUF "
    "RON BGN TRY RUB UAH BRL MXN ZAR KRW SGD HKD TWD NZD ILS THB".split()
)
_AFFIXES = ("%", *sorted(CURRENCIES, key=len, reverse=True))
_EXACT_DIGITS = 15
_SIGNS = r"[\s+\-\u2212]*"
_MAYBE_NUMBER = re.compile(
    rf"{_SIGNS}\(?{_SIGNS}(?:{'|'.join(map(re.escape, _AFFIXES))})?{_SIGNS}\(?\s*[.,]?[0-9]"
)
"""Each number begins like this. Few texts do, and only these are looked at more closely."""

_NO_CENTS = re.compile(r"(?<=[0-9])([.,])\s?[-\u2013\u2014\u2212]{1,2}\Z")
"""A price without cents, as in `486,-` and `486.–`. Its dash is no sign."""

_DIGITS = frozenset("0123456789")
_BLANKS = re.compile("[\u00a0\u2007\u2009\u202f]")

_WHOLE = re.compile(r"[0-9]+\Z")
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("comma3", re.compile(r"[1-9][0-9]{0,2},[0-9]{3}\Z")),
    ("dot3", re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}\Z")),
    ("comma", re.compile(r"(?:[0-9]+,[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")),
    ("group_comma", re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?\Z")),
    ("group_comma", re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?\Z")),
    ("group_dot", re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]+)?\Z")),
    ("group_blank", re.compile(r"[1-9][0-9]{0,2}(?: [0-9]{3})+\Z")),
    ("group_blank_dot", re.compile(r"[1-9][0-9]{0,2}(?: [0-9]{3})+\.[0-9]+\Z")),
    ("group_blank_comma", re.compile(r"[1-9][0-9]{0,2}(?: [0-9]{3})+,[0-9]+\Z")),
    ("group_quote", re.compile(r"[1-9][0-9]{0,2}(?:['’][0-9]{3})+\Z")),
    ("group_quote_dot", re.compile(r"[1-9][0-9]{0,2}(?:['’][0-9]{3})+\.[0-9]+\Z")),
    ("group_quote_comma", re.compile(r"[1-9][0-9]{0,2}(?:['’][0-9]{3})+,[0-9]+\Z")),
)

# Which (decimal, thousands) a shape can have. A shape that is not listed has no form.
_ANY = frozenset((decimal, group) for decimal in ".," for group in ("", ",", ".", " ", "'"))
_FITS: Mapping[str, frozenset[tuple[str, str]]] = {
    "plain": _ANY,
    "long": _ANY,
    "dot": frozenset(pair for pair in _ANY if pair[0] == "." and pair[1] != "."),
    "dot3": frozenset(pair for pair in _ANY if pair[0] == "." or pair == (",", ".")),
    "comma": frozenset(pair for pair in _ANY if pair[0] == "," and pair[1] != ","),
    "comma3": frozenset(pair for pair in _ANY if pair[0] == "," or pair == (".", ",")),
    "group_comma": frozenset([(".", ",")]),
    "group_dot": frozenset([(",", ".")]),
    "group_blank": frozenset([(".", " "), (",", " ")]),
    "group_blank_dot": frozenset([(".", " ")]),
    "group_blank_comma": frozenset([(",", " ")]),
    "group_quote": frozenset([(".", "'"), (",", "'")]),
    "group_quote_dot": frozenset([(".", "'")]),
    "group_quote_comma": frozenset([(",", "'")]),
}
# Of the forms that read equally many cells, the first one is taken.
_PREFERRED: tuple[tuple[Decimal, str], ...] = (
    (".", ""),
    (",", ""),
    (".", ","),
    (",", "."),
    (".", " "),
    (",", " "),
    (".", "'"),
    (",", "'"),
)


_PLAIN = frozenset(["plain", "long", "dot", "dot3"])


class NumberShape(NamedTuple):
    """How a number is written.

    Attributes:
        digits: a key of the table of shapes: `plain`, `dot`, `comma3`, …; `long` for a whole
            number with more digits than a 64-bit float keeps.
        affix: the percent sign or currency before or after it; empty without one.
        has_odd_sign: whether its sign is not a plain one, as in `(5)`, `− 5` or `- 5`, or a dash
            stands for its cents, as in `5.–`.
    """

    digits: str
    affix: str = ""
    has_odd_sign: bool = False


_PLAIN_SHAPE = NumberShape("plain")
_LONGEST_KEPT = 64
"""Longer cells are not kept in memory. They hardly ever repeat."""


class NumberForm(BaseModel):
    """How the numbers of a column are written.

    Attributes:
        decimal: the decimal separator.
        thousands: the separator of groups of three digits; empty if there is none. A blank stands
            for every kind of blank, an apostrophe for both kinds of it.
        affix: the percent sign or currency that a cell may have; empty if there is none.
        odd_signs: whether negative numbers may be written as `(5)`, with a long minus sign, or with
            a blank after the sign, and prices as `5.–`. Always so in a form that differs from a
            plain number in another way.
    """

    model_config = ConfigDict(frozen=True)

    decimal: Decimal = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    affix: str = ""
    odd_signs: bool = False

    @cached_property
    def is_plain(self) -> bool:
        return self == PLAIN

    def plain(self, cell: str) -> str | None:
        """Return a cell as a plain number with a decimal point; None if it has another form.

        A percentage keeps its figure: `12.5 %` is 12.5.
        """
        if self.is_plain:
            text = cell.strip()
            return None if number_of(text) is None else text
        shape, sign, digits = _dissected(cell)
        if shape is None or shape.affix not in {"", self.affix}:
            return None
        if (self.decimal, self.thousands) not in _FITS[shape.digits]:
            return None
        if self.thousands:
            digits = digits.replace("’", "'").replace(self.thousands, "")
        text = sign + digits.replace(self.decimal, ".")
        return None if number_of(text) is None else text

    @cached_property
    def described(self) -> str:
        """The form in words, such as `decimal comma, thousands '.', in €`; empty if it is plain."""
        parts = ["decimal comma"] if self.decimal == "," else []
        if self.thousands:
            parts.append(f"thousands separated by {self.thousands!r}")
        if self.affix:
            parts.append("in percent" if self.affix == "%" else f"in {self.affix}")
        if self.odd_signs:
            parts.append("negative numbers as (5) or −5, prices as 5.–")
        return ", ".join(parts)


PLAIN = NumberForm()


class FormChoice(NamedTuple):
    """The form of a column of numbers.

    Attributes:
        form: the form that reads most cells.
        alternative: a form that reads as many cells, but gives other numbers; None if there is
            none.
    """

    form: NumberForm
    alternative: NumberForm | None = None


def shape_of(cell: str) -> NumberShape | None:
    """Return the shape of a number; None if the cell is not written like a number."""
    if len(cell) <= _EXACT_DIGITS and cell.isascii() and cell.isdigit():
        return _PLAIN_SHAPE
    if len(cell) > _LONGEST_KEPT:
        return _shape(cell)
    return _kept_shape(cell)


@lru_cache(maxsize=65_536)
def _kept_shape(cell: str) -> NumberShape | None:
    return _shape(cell)


def _shape(cell: str) -> NumberShape | None:
    return _dissected(cell)[0] if _MAYBE_NUMBER.match(cell) else None


def is_number_like(cell: str) -> bool:
    """Return whether a person would read the cell as a number."""
    return shape_of(cell) is not None


def choose_form(shapes: Mapping[NumberShape, int], decimal: Decimal | None) -> FormChoice:
    """Choose the form of a column.

    Args:
        shapes: number of cells of each shape.
        decimal: the decimal separator of the file, if it is known from the settings or from
            another column.
    """
    if decimal != "," and all(
        not shape.affix and not shape.has_odd_sign and shape.digits in _PLAIN for shape in shapes
    ):
        return FormChoice(PLAIN)
    affixes = Counter[str]()
    for shape, count in shapes.items():
        affixes[shape.affix] += count
    del affixes[""]
    affix = affixes.most_common(1)[0][0] if affixes else ""
    odd_signs = any(shape.has_odd_sign for shape in shapes)

    def cells(pair: tuple[str, str]) -> int:
        return sum(count for shape, count in shapes.items() if pair in _FITS[shape.digits])

    possible = [pair for pair in _PREFERRED if decimal in {None, pair[0]}]
    best = max(map(cells, possible))
    pairs = [pair for pair in possible if cells(pair) == best]
    first = pairs[0]
    other = _other_reading(first, pairs, shapes)
    return FormChoice(_form(first, affix, odd_signs), other and _form(other, affix, odd_signs))


def fits(form: NumberForm, shapes: Mapping[NumberShape, int]) -> int:
    """Return how many cells a form reads."""
    pair = (form.decimal, form.thousands)
    return sum(
        count
        for shape, count in shapes.items()
        if pair in _FITS[shape.digits]
        and shape.affix in {"", form.affix}
        and not (form.is_plain and shape.has_odd_sign)
    )


def _form(pair: tuple[Decimal, str], affix: str, odd_signs: bool) -> NumberForm:
    return NumberForm.model_validate(
        {"decimal": pair[0], "thousands": pair[1], "affix": affix, "odd_signs": odd_signs}
    )


def _other_reading(
    pair: tuple[Decimal, str],
    pairs: list[tuple[Decimal, str]],
    shapes: Mapping[NumberShape, int],
) -> tuple[Decimal, str] | None:
    """Return another pair under which `1,234` is another number, if the column has such cells."""
    digits = {shape.digits for shape in shapes}
    if "comma3" in digits and pair == (",", "") and (".", ",") in pairs:
        return (".", ",")
    return None


def _dissected(cell: str) -> tuple[NumberShape | None, str, str]:
    """Return the shape of a cell, its sign, and its digits with their separators."""
    text = _BLANKS.sub(" ", cell).strip()
    sign = ""
    if text.startswith("(") and text.endswith(")"):
        sign, text = "-", text[1:-1].strip()
    text = text.replace("−", "-", 1) if text.startswith("−") else text
    affix = ""
    for _ in range(2):  # `-$5` and `$-5`
        if text[:1] in {"+", "-"} and not sign:
            sign, text = text[0], text[1:].lstrip()
        if not affix:
            affix, text = _without_affix(text)
    if affix and not sign and text.startswith("(") and text.endswith(")"):  # `$(5)`
        sign, text = "-", text[1:-1].strip()
    has_dash = _NO_CENTS.search(text) is not None
    if has_dash:
        text = _NO_CENTS.sub(r"\g<1>0", text)
    if not sign and text.endswith("-"):  # `5-`, as SAP writes it
        sign, text = "-", text[:-1].rstrip()
    digits = _digits_shape(text)
    if digits is None:
        return None, "", ""
    is_marked = (bool(sign) or has_dash) and not affix and digits in _PLAIN
    is_odd = is_marked and number_of(cell.strip()) is None
    return NumberShape(digits, affix, is_odd), sign.replace("+", ""), text


def _without_affix(text: str) -> tuple[str, str]:
    if text[:1] in _DIGITS and text[-1:] in _DIGITS:
        return "", text
    for affix in _AFFIXES:
        if text.startswith(affix):
            return affix, text.removeprefix(affix).lstrip()
        if text.endswith(affix):
            return affix, text.removesuffix(affix).rstrip()
    return "", text


def _digits_shape(text: str) -> str | None:
    if _WHOLE.match(text):
        if number_of(text) is None:
            return None
        return "plain" if len(text) <= _EXACT_DIGITS else "long"
    for name, pattern in _PATTERNS:
        if pattern.match(text):
            is_huge = name == "comma" and number_of(text.replace(",", ".")) is None  # `1,5e99`
            return None if is_huge else name
    if number_of(text) is None or text[:1] in {"+", "-"}:
        return None
    return "dot" if "." in text else "plain"
