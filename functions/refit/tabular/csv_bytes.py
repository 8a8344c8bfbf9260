"""The fast look at CSV: which lines of a block are certainly good, without parsing a number.

The bytes of a whole block are checked at once against the grammar of a number. What this cannot
vouch for (another width, a letter, a blank to take off, an exponent that might overflow) is only
*doubtful*: the slow look (`rows`) decides about it, line by line, and says why. So this module
never refuses a row, and both looks together give what the slow one alone would give.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

Offsets: TypeAlias = npt.NDArray[np.intp]
Flags: TypeAlias = npt.NDArray[np.bool_]
Kinds: TypeAlias = npt.NDArray[np.uint8]

_NEWLINE = ord("\n")
_DIGITS = b"0123456789"
READ_DIGITS = 19
"""XGBoost's reader holds the digits in front of the dot in 64 bits, and as many behind it."""

# A number of fewer characters and with no positive exponent is below 10**38: finite in float32.
_SAFE_LENGTH = 38
_WORD = 8
_DIGIT, _SEPARATOR, _DOT, _SIGN, _EXPONENT = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class Columns:
    """Where things stand in the lines of one table.

    Attributes:
        count: how many cells a line has.
        delimiter: one byte.
        label: the label's place, from 0.
        texts: the places whose cells are taken as texts; all others hold numbers.
    """

    count: int
    delimiter: bytes
    label: int
    texts: frozenset[int]


class BlockView:
    """A block of whole lines, cut into cells.

    Attributes:
        lines: how many lines the block has.
        doubtful: (lines,) the lines that the slow look must decide about.
    """

    def __init__(self, block: bytes, columns: Columns) -> None:
        self._columns = columns
        # A word more, so that the last cells can be read as whole words.
        self._padded = block + bytes(_WORD)
        self._data = np.frombuffer(self._padded, dtype=np.uint8)[: len(block)]
        # What is no digit: the separators between the cells, and all that has to be looked at.
        marks = np.flatnonzero((self._data - np.uint8(ord("0"))) > 9)
        marked = self._data[marks]
        newline = marked == _NEWLINE
        separates = newline | (marked == columns.delimiter[0])
        plain = bool(separates.all())
        self._separators = marks if plain else marks[separates]
        last_cells = np.flatnonzero(newline if plain else newline[separates])
        self.lines = len(last_cells)
        self._first_cells = np.concatenate([_ZERO, last_cells[:-1] + 1])
        self.doubtful: Flags = (last_cells - self._first_cells) != columns.count - 1
        self._regular = not self.doubtful.any()
        self._gaps = self._separators.copy()  # a cell's length, and 1
        self._gaps[0] += 1
        self._gaps[1:] -= self._separators[:-1]
        self._blank = np.flatnonzero(self._gaps == 1) if int(self._gaps.min()) == 1 else _NONE
        self._check_blanks()
        other = _NONE if plain else np.flatnonzero(~separates)
        self._check_numbers(
            marks[other], _NONE if plain else np.cumsum(separates)[other], self._flags()
        )

    def _lines_of(self, cells: Offsets) -> Offsets:
        if self._regular:
            return cells // self._columns.count
        return np.searchsorted(self._first_cells, cells, side="right") - 1

    def _doubt(self, cells: Offsets) -> None:
        self.doubtful[self._lines_of(cells)] = True

    def _numeric(self, cells: Offsets) -> Flags:
        """Say of each cell whether its column holds numbers."""
        places = cells - self._first_cells[self._lines_of(cells)]
        return np.isin(places, list(self._columns.texts), invert=True)

    def _check_blanks(self) -> None:
        """A line needs a label and a feature; what blanks it has beside is fine."""
        if len(self._blank):
            line = self._lines_of(self._blank)
            features = self._columns.count - 1
            self.doubtful |= np.bincount(line, minlength=self.lines) >= features
            places = self._blank - self._first_cells[line]
            self.doubtful[line[places == self._columns.label]] = True

    def blanks(self) -> npt.NDArray[np.intp]:
        """Return (columns,) how many lines that are not doubtful have a blank there."""
        line = self._lines_of(self._blank)
        places = (self._blank - self._first_cells[line])[~self.doubtful[line]]
        return np.bincount(places, minlength=self._columns.count)

    def _flags(self) -> Kinds:
        """Return what each of the 256 bytes is in a number, or between numbers."""
        flags = np.zeros(256, dtype=np.uint8)
        flags[list(_DIGITS)] = _DIGIT
        flags[list(b".")] = _DOT
        flags[list(b"+-")] = _SIGN
        flags[list(b"eE")] = _EXPONENT
        flags[list(self._columns.delimiter + b"\n")] = _SEPARATOR
        return flags

    def _check_numbers(self, at: Offsets, cell: Offsets, flags: Kinds) -> None:
        """Check the cells that are more than a few digits.

        Args:
            at: (n,) the bytes that are neither digit nor separator.
            cell: (n,) in which of the block's cells each of them is.
            flags: (256,) what each byte is.
        """
        if len(at) and self._columns.texts:
            number = self._numeric(cell)
            at, cell = at[number], cell[number]
        kind = flags[self._data[at]]
        if int(self._gaps.max()) > READ_DIGITS + 1:
            self._check_long(at, cell, kind)
        if not len(at):
            return
        after = flags[self._data[at + 1]]  # there is one: a line feed ends the block
        before = np.where(at > 0, flags[self._data[at - 1]], np.uint8(_SEPARATOR))
        good = _fits_neighbours(kind, before, after)
        opens = (kind == _SIGN) & (before == _SEPARATOR)
        good[1:] &= (cell[1:] != cell[:-1]) | _may_follow(kind, opens)
        exponents = np.flatnonzero(kind == _EXPONENT)
        if len(exponents):
            good[exponents] &= self._exponent_is_small(at[exponents], cell[exponents])
        self._doubt(cell[~good])

    def _check_long(self, at: Offsets, cell: Offsets, kind: Kinds) -> None:
        """Doubt numbers of more digits than XGBoost reads, in front of the dot or behind it."""
        long = np.flatnonzero(self._gaps > READ_DIGITS + 1)
        if self._columns.texts:
            long = long[self._numeric(long)]
        ends = self._separators[long]
        begins = ends - self._gaps[long] + 1
        dot = _first_of(long, at, cell, kind == _DOT, ends)
        mantissa = _first_of(long, at, cell, kind == _EXPONENT, ends)
        safe = (dot - begins <= READ_DIGITS) & (mantissa - dot <= READ_DIGITS + 1)
        self._doubt(long[~(safe & (ends - begins <= _SAFE_LENGTH))])

    def _exponent_is_small(self, at: Offsets, cell: Offsets) -> Flags:
        """Say of each e whether its number is finite in float32 for certain."""
        sign = self._data[at + 1]
        signed = ((sign == ord("+")) | (sign == ord("-"))).astype(np.intp)
        first = at + 1 + signed
        digits = self._separators[cell] - first
        last = np.minimum(first + 1, len(self._data) - 1)
        tens = self._data[first].astype(np.intp) - ord("0")
        value = np.where(digits == 2, tens * 10 + self._data[last] - ord("0"), tens)
        fits = (digits <= 2) & (value + self._gaps[cell] - 1 <= _SAFE_LENGTH)
        return np.asarray((sign == ord("-")) | fits)

    def texts(self, place: int, is_good: Callable[[bytes], bool]) -> Counter[bytes]:
        """Count the texts of a column in the lines that are not doubtful.

        Lines whose text there is not certainly good become doubtful and are not counted.

        Args:
            place: the column.
            is_good: says so of a text.
        """
        lines = np.flatnonzero(~self.doubtful)
        cells = self._first_cells[lines] + place
        ends = self._separators[cells]
        starts = ends - self._gaps[cells] + 1
        counts, bad = self._counted(starts, ends, is_good)
        self.doubtful[lines[bad]] = True
        return counts

    def _counted(
        self, starts: Offsets, ends: Offsets, is_good: Callable[[bytes], bool]
    ) -> tuple[Counter[bytes], Offsets]:
        lengths = ends - starts
        if len(lengths) and int(lengths.min()) == int(lengths.max()) == 1:
            numbers = np.bincount(self._data[starts])
            single = Counter(
                {bytes([byte]): int(numbers[byte]) for byte in np.flatnonzero(numbers)}
            )
            if all(map(is_good, single)):
                return single, _NONE
        if len(lengths) and int(lengths.max()) <= _WORD:
            # Short texts are compared as 8-byte numbers, all at once.
            windows: npt.NDArray[np.uint64] = np.ndarray(
                (len(self._data) + 1,), np.dtype("<u8"), self._padded, strides=(1,)
            )
            words = windows[starts] & _TAIL_MASKS[lengths]
            distinct, inverse, counted = np.unique(words, return_inverse=True, return_counts=True)
            texts = [int(word).to_bytes(_WORD, "little").rstrip(b"\0") for word in distinct]
            good = np.array([is_good(text) for text in texts], dtype=bool)
            counts = Counter(
                {
                    text: int(number)
                    for text, number, fine in zip(texts, counted, good, strict=True)
                    if fine
                }
            )
            return counts, np.flatnonzero(~good[inverse])
        cells = [
            self._padded[start:end]
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        counts = Counter(cells)
        refused = {text for text in counts if not is_good(text)}
        for text in refused:
            del counts[text]
        bad = [place for place, text in enumerate(cells) if text in refused] if refused else []
        return counts, np.array(bad, dtype=np.intp)

    def label_bounds(self) -> tuple[Offsets, Offsets]:
        """Return where the label begins and ends within each line: (lines,) each.

        In a doubtful line the two mean nothing.
        """
        cells = np.minimum(self._first_cells + self._columns.label, len(self._separators) - 1)
        begins = self._separators[self._first_cells] - self._gaps[self._first_cells] + 1
        ends = self._separators[cells] - begins
        return ends - self._gaps[cells] + 1, ends


_ZERO = np.zeros(1, dtype=np.intp)
_NONE = np.empty(0, dtype=np.intp)
_TAIL_MASKS = np.array([(1 << (8 * count)) - 1 for count in range(_WORD + 1)], dtype=np.uint64)


def _first_of(
    wanted: Offsets, at: Offsets, cell: Offsets, which: Flags, otherwise: Offsets
) -> Offsets:
    """Return where such a byte stands in each of the wanted cells, or else another place.

    Args:
        wanted: (n,) cells.
        at: (m,) where bytes stand.
        cell: (m,) in which cells, ascending.
        which: (m,) the bytes that are meant.
        otherwise: (n,) the answer for cells without one.
    """
    at, cell = at[which], cell[which]
    if not len(at):
        return otherwise
    found = np.minimum(np.searchsorted(cell, wanted), len(cell) - 1)
    return np.where(cell[found] == wanted, at[found], otherwise)


def _fits_neighbours(kind: Kinds, before: Kinds, after: Kinds) -> Flags:
    """Say of each byte whether it may stand between its neighbours in a number."""
    near_digit = ((before | after) & _DIGIT) != 0
    around_dot = ((before & (_DIGIT | _SEPARATOR | _SIGN)) != 0) & (
        (after & (_DIGIT | _SEPARATOR | _EXPONENT)) != 0
    )
    dot = (kind == _DOT) & near_digit & around_dot
    leading = (before == _SEPARATOR) & ((after & (_DIGIT | _DOT)) != 0)
    of_exponent = (before == _EXPONENT) & (after == _DIGIT)
    sign = (kind == _SIGN) & (leading | of_exponent)
    exponent = (
        (kind == _EXPONENT) & ((before & (_DIGIT | _DOT)) != 0) & ((after & (_DIGIT | _SIGN)) != 0)
    )
    return np.asarray(dot | sign | exponent)


def _may_follow(kind: Kinds, opens: Flags) -> Flags:
    """Say of each such byte but the first whether it may follow the one before in one number.

    In order: a sign in front, one dot, one e, a sign behind it.
    """
    was, now = kind[:-1], kind[1:]
    return np.asarray(
        (opens[:-1] & ((now & (_DOT | _EXPONENT)) != 0))
        | ((was == _DOT) & (now == _EXPONENT))
        | ((was == _EXPONENT) & (now == _SIGN))
    )
