"""Dates and times as people write them.

A column of dates is left out of training by default, because every future date lies outside of what
a model has seen. A column that the settings call a date becomes one number: the days since
1970-01-01, with the time of day as a fraction. A time of day alone becomes a fraction of a day.
Times without a zone are read as UTC, in training and in requests alike.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ISO = "ISO 8601"
TIME = "time of day"
QUARTER = "quarter of a year"
COMPACT = "%Y%m%d"
_DAY_S = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}(?::?[0-9]{2}){0,2}.*)?\Z")
_COMPACT = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])\Z")
_FEWEST_COMPACT = 10
_UNIX_TIME = re.compile(r"[12][0-9]{9}(?:(?:[0-9]{3}){0,3}(?:\.[0-9]+)?)\Z")
_TIME_NAME = re.compile(r"time|date|epoch|(?:^|_)ts(?:$|_)|(?:^|_)at$")
_QUARTER = re.compile(r"(?:([0-9]{4})[- ]?Q([1-4])|Q([1-4])[- ]([0-9]{4}))\Z")
_ISO_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}\Z")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?\Z")
_MAYBE_DATE = re.compile(r"(?=.*[0-9])(?:[0-9]{1,4}|[A-Za-z]{3,9},?)[-/. ].*\Z")
_DAY_MONTH_YEAR = re.compile(r"[0-9]{1,2}[A-Za-z]{3}[0-9]{4}(?:[ T].*)?\Z")
_LONGEST = 40

_DAYS = (
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%d.%m.%y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%m-%y",
    "%m-%d-%y",
    "%y-%m-%d",
    "%d %b %Y",
    "%d %B %Y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d-%B-%Y",
    "%b-%y",
    "%d%b%Y",
    "%b-%d-%Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%b %d %Y",
    "%B %d %Y",
    "%a %b %d %Y",
    "%a, %d %b %Y",
    "%b %Y",
    "%B %Y",
    "%m/%Y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", "T%H:%M:%S")
_STRPTIME = tuple(day + clock for day in _DAYS for clock in _TIMES)
FORMS: tuple[str, ...] = (ISO, TIME, QUARTER, COMPACT, *_STRPTIME)

_LETTERS = re.compile(r"[A-Za-z]+")
_DATE_WORDS = frozenset(
    "jan feb mar apr may jun jul aug sep oct nov dec mon tue wed thu fri sat sun am pm t".split()
)
_WORDS = re.compile(r"%[A-Za-z]|[A-Za-z0-9]+")


def forms_of(cell: str) -> frozenset[str]:
    """Return the forms under which a cell is a date or a time; empty if it is neither."""
    return frozenset() if len(cell) > _LONGEST else _forms(cell.strip())


@lru_cache(maxsize=65_536)
def _forms(text: str) -> frozenset[str]:
    if _TIME.match(text):
        return frozenset([TIME]) if _moment(text, TIME) is not None else frozenset()
    if _moment(text, ISO) is not None:
        return frozenset([ISO])
    if _QUARTER.match(text):
        return frozenset([QUARTER])
    if not _MAYBE_DATE.match(text) and not _DAY_MONTH_YEAR.match(text):
        return frozenset()
    has_other_words = any(word[:3].lower() not in _DATE_WORDS for word in _LETTERS.findall(text))
    possible = () if has_other_words else _forms_by_separators().get(_separators(text), ())
    return frozenset(form for form in possible if _moment(text, form) is not None)


def is_date_like(cell: str) -> bool:
    """Return whether a cell is a date or a time in one of the forms."""
    return bool(forms_of(cell))


def is_compact_dates(cells: Sequence[str]) -> bool:
    """Return whether the cells are dates of eight digits, such as 20251231, and no quantity."""
    return len(cells) >= _FEWEST_COMPACT and all(map(_COMPACT.match, cells))


def is_unix_time(name: str, cells: Sequence[str]) -> bool:
    """Return whether the cells of a column that is named like a time are seconds since 1970.

    They may also be milliseconds, microseconds or nanoseconds, from September 2001 on.
    """
    return (
        len(cells) >= _FEWEST_COMPACT
        and _TIME_NAME.search(name.lower()) is not None
        and all(map(_UNIX_TIME.match, cells))
    )


def date_number(cell: str, form: str) -> float | None:
    """Return the days since 1970-01-01; None if the cell has another form.

    The result is rounded to whole milliseconds.
    """
    moment = _moment(cell.strip(), form)
    if moment is None:
        return None
    return round((moment - _EPOCH).total_seconds(), 3) / _DAY_S


def date_text(number: float, form: str) -> str:
    """Return the cell that a number of `date_number` was read from, in its form."""
    moment = datetime.fromtimestamp(round(number * _DAY_S, 3), tz=UTC)
    if form == TIME:
        return moment.time().isoformat()
    if form == QUARTER:
        return f"{moment.year}Q{(moment.month + 2) // 3}"
    if form == ISO:
        return moment.replace(tzinfo=None).isoformat()
    return moment.strftime(form)


def _separators(text: str) -> str:
    """Return what remains without words and numbers; `T` before a time counts as a word."""
    return _WORDS.sub("", text)


@cache
def _forms_by_separators() -> dict[str, list[str]]:
    forms: dict[str, list[str]] = {}
    for form in _STRPTIME:
        forms.setdefault(_separators(form), []).append(form)
    return forms


def _quarter(text: str) -> datetime | None:
    match = _QUARTER.match(text)
    if not match:
        return None
    year, quarter = match[1] or match[4], match[2] or match[3]
    return datetime(int(year), 3 * int(quarter) - 2, 1, tzinfo=UTC)


def _moment(text: str, form: str) -> datetime | None:
    try:
        if form == TIME:
            clock = time.fromisoformat(text if text.index(":") > 1 else f"0{text}")
            return datetime.combine(date(1970, 1, 1), clock, tzinfo=UTC)
        if form == QUARTER:
            return _quarter(text)
        if form == ISO:
            if _ISO_MONTH.match(text):
                text = f"{text}-01"
            elif not _ISO_DATE.match(text):
                return None
            moment = datetime.fromisoformat(text.removesuffix(" UTC").replace(" +", "+"))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
