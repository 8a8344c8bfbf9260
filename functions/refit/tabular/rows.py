"""The slow look at a row: whether it can be trained on, why not, and its one normal form.

In the normal form cells are joined by commas, label first, features in the order of the schema;
blanks around a cell are taken off and a missing value is empty. A comma or a line break within a
text is written as a control character, so that every normal row is one line of plain cells.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refit.domain.schema import FLOAT32_MAX, is_missing, number_of, number_text, shown
from refit.tabular.csv_bytes import READ_DIGITS
from refit.tabular.readers.lines import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_TEXTS = 1000
"""More distinct texts in a column are an identifier or free text, and no category."""

_ESCAPES = {",": "\x1c", "\n": "\x1d", "\r": "\x1e"}
_ESCAPED = str.maketrans(_ESCAPES)
_UNESCAPED = str.maketrans({mark: character for character, mark in _ESCAPES.items()})
LABEL = 0
"""The label's place in a normal row; features have the places from 1."""


def unescaped(cell: bytes) -> str:
    """Return the text of a normal row's cell as it was dropped."""
    return cell.decode().translate(_UNESCAPED)


@dataclass(frozen=True)
class Row:
    """A good row in its normal form."""

    label: bytes
    features: bytes

    @property
    def line(self) -> bytes:
        return self.label + b"," + self.features


@dataclass(frozen=True)
class Refusal:
    """A row that cannot be trained on.

    Attributes:
        line: where it begins in its file, from 1.
        reason: why, for a person.
        text: how it begins.
    """

    line: int
    reason: str
    text: bytes


@dataclass(frozen=True)
class Kinds:
    """What is expected in each place of a normal row.

    Attributes:
        names: of the columns; the label first.
        texts: the places that hold texts; all others hold numbers.
        open_label: whether the label's distinct values are still collected, since they may yet
            turn out to be classes.
    """

    names: tuple[str, ...]
    texts: frozenset[int]
    open_label: bool

    @property
    def collected(self) -> frozenset[int]:
        """The places whose distinct cells are counted."""
        return self.texts | {LABEL} if self.open_label else self.texts


@dataclass
class Tally:
    """What was seen in each place, over all rows of the right width.

    Attributes:
        numbers: how many cells hold a number.
        texts: how many hold a text.
        values: the distinct cells of the places collected, in good rows, and how often.
    """

    numbers: Counter[int] = field(default_factory=Counter)
    texts: Counter[int] = field(default_factory=Counter)
    values: dict[int, Counter[bytes]] = field(default_factory=dict)

    def collect(self, place: int, cells: Counter[bytes]) -> None:
        """Count the distinct cells of a column; far too many are not all kept."""
        known = self.values.setdefault(place, Counter())
        if len(known) <= MAX_TEXTS:
            known.update(cells)


def plain_number(cell: str) -> str:
    """Return a number's text as XGBoost reads it at its value: as it is, unless it is very long.

    XGBoost's CSV reader takes `100000000000000000000` for 7766279631452241920, without a word.
    """
    if len(cell) <= READ_DIGITS:
        return cell
    mantissa = cell.lower().partition("e")[0].lstrip("+-")
    whole, _, fraction = mantissa.partition(".")
    tiny = not whole.strip("0") and fraction.startswith("0" * (READ_DIGITS // 2))
    if len(whole.lstrip("0")) > READ_DIGITS or (len(fraction) > READ_DIGITS and tiny):
        return number_text(float(cell))
    return cell


class _RowRefused(Exception):
    """A row cannot be trained on; the text says why."""


class RowReader:
    """Reads the rows of one table, one by one."""

    def __init__(
        self, kinds: Kinds, picks: Sequence[int], delimiter: str, width: int, tally: Tally
    ) -> None:
        """Prepare to read.

        Args:
            kinds: what is expected.
            picks: for each place of a normal row, the place in this table's lines.
            delimiter: between the cells.
            width: how many cells a line has.
            tally: where to count what is seen.
        """
        self.kinds = kinds
        self._picks = tuple(picks)
        self._delimiter = delimiter
        self._width = width
        self._tally = tally

    def one(self, line: bytes, number: int) -> Row | Refusal | None:
        """Read a line without quotes; None for an empty one."""
        try:
            text = _decoded(line)
            return self._row(text.split(self._delimiter)) if text.strip() else None
        except _RowRefused as refused:
            return Refusal(number, str(refused), line)

    def quoted(self, data: bytes, first: int, is_last: bool) -> tuple[list[Row | Refusal], int]:
        """Read lines among which are quotes, which may run over several of them.

        Args:
            data: whole lines.
            first: the number of the first line.
            is_last: whether no more lines follow these.

        Returns:
            The rows, and how many of the bytes they are: a record that is not complete yet is left
            for the next block.
        """
        # At line feeds alone: a carriage return by itself is part of a line.
        lines = [line + b"\n" for line in data.split(b"\n")[:-1]]
        found: list[Row | Refusal] = []
        place = read = 0
        while place < len(lines):
            used, outcome = self._record(lines, place, first + place)
            if used == 0:  # the quote is not closed within these lines
                if not is_last and len(data) - read <= MAX_LINE_BYTES:
                    break
                used, outcome = 1, self._refused(lines, place, first, "a quote is never closed")
            if outcome is not None:
                found.append(outcome)
            read += sum(map(len, lines[place : place + used]))
            place += used
        return found, read

    def _refused(self, lines: list[bytes], place: int, first: int, reason: str) -> Refusal:
        return Refusal(first + place, reason, lines[place].rstrip(b"\n"))

    def _record(
        self, lines: list[bytes], place: int, number: int
    ) -> tuple[int, Row | Refusal | None]:
        """Read one record; say how many lines it takes, 0 when it is not complete."""
        first = lines[place].rstrip(b"\n")
        if b'"' not in first:
            return 1, self.one(first, number)
        feed = _Feed(lines, place)
        try:
            cells = next(
                csv.reader(feed, delimiter=self._delimiter, skipinitialspace=True, strict=True)
            )
            return feed.taken, self._row(cells)
        except csv.Error as error:
            if feed.exhausted:
                return 0, None
            # Only the record's first line is given up: the next one may well be a row.
            return 1, Refusal(number, f"quotes are not in order ({error})", first)
        except _RowRefused as refused:
            return max(1, feed.taken), Refusal(number, str(refused), first)

    def _row(self, cells: list[str]) -> Row:
        if len(cells) != self._width:
            raise _RowRefused(f"{len(cells)} cells, not {self._width}")
        normal: list[str] = []
        troubles: list[str] = []
        for place, pick in enumerate(self._picks):
            cell = cells[pick].strip()
            if is_missing(cell):
                normal.append("")
                continue
            trouble = self._seen(place, cell)
            if trouble:
                troubles.append(trouble)
            normal.append(cell if trouble or place in self.kinds.texts else plain_number(cell))
        if not normal[LABEL]:
            troubles.insert(0, f"the label {self.kinds.names[LABEL]!r} is missing")
        elif not any(normal[1:]):
            troubles.append("no feature has a value")
        if troubles:
            raise _RowRefused(troubles[0])
        return self._good(normal)

    def _seen(self, place: int, cell: str) -> str | None:
        """Count a cell that has a value; return what is wrong with it, if anything."""
        is_number = number_of(cell) is not None
        (self._tally.numbers if is_number else self._tally.texts)[place] += 1
        name = self.kinds.names[place]
        if place in self.kinds.texts:
            if all(character.isprintable() or character in "\t\n\r" for character in cell):
                return None
            return f"column {name!r} has control characters: {shown(cell)}"
        if is_number:
            return None
        what = "is not finite" if _is_infinite(cell) else "is text where numbers are expected"
        return f"column {name!r}: {shown(cell)} {what}"

    def _good(self, normal: list[str]) -> Row:
        escaped = [cell.translate(_ESCAPED).encode() for cell in normal]
        for place in self.kinds.collected:
            if escaped[place]:
                self._tally.collect(place, Counter([escaped[place]]))
        return Row(escaped[LABEL], b",".join(escaped[1:]))


class _Feed:
    """Gives lines to the CSV reader, and knows how far it went."""

    def __init__(self, lines: list[bytes], place: int) -> None:
        self._lines = lines
        self._begin = self._place = place
        self.exhausted = False

    @property
    def taken(self) -> int:
        return self._place - self._begin

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._place == len(self._lines):
            self.exhausted = True
            raise StopIteration
        line = self._lines[self._place]
        self._place += 1
        return _decoded(line)


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise _RowRefused("not UTF-8 text: save the file as UTF-8") from error


def _is_infinite(cell: str) -> bool:
    try:
        return not abs(float(cell)) <= FLOAT32_MAX
    except ValueError:
        return False
