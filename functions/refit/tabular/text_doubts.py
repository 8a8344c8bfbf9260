"""Texts that may be something else: numbers or dates of an unknown form, or truth values."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from refit.domain.cells import ASKED_TRUTH_VALUES, shown
from refit.domain.number_forms import is_number_like

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from refit.tabular.column_evidence import ColumnEvidence

_FEWEST_TEXTS = 5
_MOST_UNITS = 5
_NEARLY_ALL = 0.9
_YEAR = re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}(?![0-9])")
_DAY = re.compile(r"(?<![0-9])[0-9]{1,3}(?![0-9])")
_DAY_AND_MONTH = re.compile(r"[0-3]?[0-9]\.\s?[01]?[0-9]\.\Z")
_WORDS = re.compile(r"[^\W\d_]+")
_MONTHS = frozenset(
    "jan january januar janvier janv enero ene gennaio janeiro "
    "feb february februar février fevrier févr fev febrero febbraio fevereiro "
    "mar march märz mrz mars marzo março apr april avril avr abril abr aprile "
    "may mai mayo maggio maio jun june juni juin junio giugno giu junho "
    "jul july juli juillet juil julio luglio lug julho aug august août aout agosto "
    "sep sept september septembre septiembre settembre setembro "
    "oct october okt oktober octobre octubre ottobre ott outubro "
    "nov november novembre noviembre novembro "
    "dec december dez dezember déc décembre decembre dic diciembre dicembre dezembro".split()
)
_AROUND = re.compile(r"([^0-9]*)([0-9](?:[0-9.,'’\s]*[0-9])?)([^0-9]*)\Z")


class TextKind(NamedTuple):
    """What the texts of a column seem to be.

    Attributes:
        noun: a word for them, such as "numbers with a unit".
        advice: what to do to use them as such.
    """

    noun: str
    advice: str


WITH_UNIT = TextKind("numbers with a unit", "remove the unit from the cells to use them as numbers")
WITH_CHARACTERS = TextKind(
    "numbers with other characters around them",
    "remove these from the cells to use them as numbers",
)
UNKNOWN_DATES = TextKind(
    "dates of a form that is not known", "write them as 2025-12-31 (ISO 8601) to use them as dates"
)


def text_kind(evidence: ColumnEvidence) -> TextKind | None:
    """Return what the texts of a column seem to be; None if they are texts."""
    if are_dates(evidence):
        return None
    if _are_unknown_dates(evidence):
        return UNKNOWN_DATES
    if evidence.cells("unit") * 2 > evidence.texts + evidence.numbers:
        return WITH_UNIT
    return WITH_CHARACTERS if _have_one_affix(evidence) else None


def distinct_kind(evidence: ColumnEvidence) -> TextKind | None:
    """Return the kind of texts that are nearly all distinct; None if they are texts.

    Identifiers such as `2700ab` look like numbers with a unit, but with another one in each cell.
    """
    kind = text_kind(evidence)
    units = {text.lstrip("+-0123456789., ") for text in evidence.odd}
    return None if kind == WITH_UNIT and len(units) > _MOST_UNITS else kind


def text_doubts(name: str, evidence: ColumnEvidence) -> Iterator[str]:
    """Yield what a person should check about a column of texts."""
    texts, numbers = evidence.texts, evidence.numbers
    kind = text_kind(evidence)
    if kind is not None:
        yield (
            f"column {name!r} has {kind.noun}, such as {example_of(evidence)}, and is read as "
            f"texts: {kind.advice}"
        )
    elif numbers and texts and evidence.is_whole:
        yield (
            f"column {name!r} mixes {numbers:,} numbers and {texts:,} texts, such as "
            f"{example_of(evidence)}: it is read as texts. If these mean a missing value, set "
            "[data] missing"
        )


def class_doubts(name: str, evidence: ColumnEvidence) -> Iterator[str]:
    """Yield what a person should check about labels that are read as classes by their texts."""
    kind, example = text_kind(evidence), example_of(evidence)
    texts, numbers = evidence.texts, evidence.numbers
    has, advice = "", ""
    if kind == UNKNOWN_DATES or are_dates(evidence):
        noun = UNKNOWN_DATES.noun if kind == UNKNOWN_DATES else "dates"
        has, advice = f"has {noun}", "choose another label (--label)"
    elif kind is not None:
        has, advice = f"has {kind.noun}", kind.advice
    elif texts and numbers:
        has = f"mixes {numbers:,} numbers and {texts:,} texts"
        advice = "if the texts mean a missing label, set [data] missing"
    if has:
        yield (
            f"label {name!r} {has}, such as {example}, and each is read as a class: {advice}. If "
            'these are classes, set [data] task = "classification"'
        )


def are_dates(evidence: ColumnEvidence) -> bool:
    """Return whether most texts of a column are dates of a known form."""
    return evidence.cells("date") * 2 > evidence.texts


def are_mixed_truth_values(texts: Collection[str]) -> bool:
    """Return whether distinct texts are truth values of more than one spelling: `True`, `1`."""
    meant = [ASKED_TRUTH_VALUES.get(text.lower()) for text in texts]
    return len(meant) > len({*meant}) == 2 and None not in meant


def example_of(evidence: ColumnEvidence) -> str:
    """Return a cell of a column as a message shows it."""
    return next((shown(text) for text in [*evidence.odd, *evidence.first]), "''")


def spelling_key(text: str) -> str:
    """Return a text without what the eye hardly sees: case, blanks, and Unicode's other forms."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", visible).lower().split())


def _are_unknown_dates(evidence: ColumnEvidence) -> bool:
    texts = list(evidence.odd)
    dates = sum(map(_may_be_date, texts))
    return len(texts) >= _FEWEST_TEXTS and dates >= _NEARLY_ALL * (len(texts) + evidence.numbers)


def _may_be_date(text: str) -> bool:
    """Return whether a text has two of year, month and day: `2025-W01`, `1 janv.`, `Mai 2025`."""
    if _DAY_AND_MONTH.match(text):
        return True
    has_month = not _MONTHS.isdisjoint(_WORDS.findall(text.lower()))
    has_year = _YEAR.search(text) is not None
    has_day = _DAY.search(_YEAR.sub(" ", text, count=1)) is not None
    return has_year + has_month + has_day > 1 and (has_year or has_month)


def _have_one_affix(evidence: ColumnEvidence) -> bool:
    """Return whether nearly all texts are a number with the same characters around it.

    Codes such as `A12` are texts: one of the numbers has decimals, or there is a currency.
    """
    texts = list(evidence.odd)
    found = [match.groups() for text in texts if (match := _AROUND.match(text))]
    around = Counter((before, after) for before, number, after in found if is_number_like(number))
    if len(texts) < _FEWEST_TEXTS or not around:
        return False
    (before, after), count = around.most_common(1)[0]
    has_decimals = any(not number.isdigit() for _, number, _ in found)
    has_currency = any(unicodedata.category(character) == "Sc" for character in before + after)
    return (
        bool((before + after).strip(" +-"))
        and (has_decimals or has_currency)
        and count >= _NEARLY_ALL * (len(texts) + evidence.numbers)
    )
