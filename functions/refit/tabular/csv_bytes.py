"""Find the good lines in a whole block of CSV at once, without parsing numbers.

NumPy checks the bytes of the block against the grammar of a number. A line that may be bad is
*doubtful*: for example, it has another width, a letter, a blank around a cell, or an exponent that
might overflow. `row_reader` checks the doubtful lines and states why a row is refused. This module
never refuses a row, so the result is the same as that of `row_reader` for all lines.

Refit has its own CSV engine because every row must be checked, and none may be changed silently.
DuckDB 1.4 was measured as an alternative (`read_csv` with `store_rejects`, 15.7 MB of 200 columns).
It reports the line, column and reason of a bad row, but it takes 4.4 to 6.0 s and 210 to 258 MB.
This engine takes 0.7 s and 118 MB. DuckDB also reads `1e20` and `inf` without an error.
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
ByteClasses: TypeAlias = npt.NDArray[np.uint8]

_NEWLINE = ord("\n")
_DIGITS = b"0123456789"
READ_DIGITS = 19
"""Number of digits that XGBoost's CSV reader keeps before (64 bits) and after the decimal point."""

# A number of at most this many characters and without a positive exponent is finite in float32.
_SAFE_LENGTH = 38
_WORD = 8
_LAST_ASCII = 127
_DIGIT, _SEPARATOR, _DOT, _SIGN, _EXPONENT = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class BlockLayout:
    """The columns of a table.

    Attributes:
        count: number of cells in a line.
        delimiter: delimiter, one byte.
        label: index of the label.
        features: indexes of the features.
        texts: indexes of the columns whose cells need not be numbers; all others hold numbers.
        unread: indexes of the columns that are left out.
    """

    count: int
    delimiter: bytes
    label: int
    features: frozenset[int]
    texts: frozenset[int]
    unread: frozenset[int] = frozenset()


class BlockView:
    """A block of whole lines, split into cells.

    Attributes:
        lines: number of lines.
        doubtful: (lines,) whether the row reader must check the line.
    """

    def __init__(self, block: bytes, layout: BlockLayout) -> None:
        self._layout = layout
        # The block is padded by a word, so that the last cells can be read as whole words.
        self._padded = block + bytes(_WORD)
        self._data = np.frombuffer(self._padded, dtype=np.uint8)[: len(block)]
        # These are all bytes that are not digits: separators, and bytes that must be checked.
        marks = np.flatnonzero((self._data - np.uint8(ord("0"))) > 9)
        marked = self._data[marks]
        newline = marked == _NEWLINE
        separates = newline | (marked == layout.delimiter[0])
        plain = bool(separates.all())
        self._separators = marks if plain else marks[separates]
        last_cells = np.flatnonzero(newline if plain else newline[separates])
        self.lines = len(last_cells)
        self._first_cells = np.concatenate([_ZERO, last_cells[:-1] + 1])
        self.doubtful: Flags = (last_cells - self._first_cells) != layout.count - 1
        self._regular = not self.doubtful.any()
        self._gaps = self._separators.copy()  # the length of each cell, plus 1
        self._gaps[0] += 1
        self._gaps[1:] -= self._separators[:-1]
        self._blank = np.flatnonzero(self._gaps == 1) if int(self._gaps.min()) == 1 else _NONE
        self._check_blanks()
        other = _NONE if plain else np.flatnonzero(~separates)
        cells = _NONE if plain else np.cumsum(separates)[other]
        self._check_unread(marks[other], cells)
        # A short text is compared as a number, in which zero bytes at its end would be lost.
        self._doubt(cells[self._data[marks[other]] == 0])
        self._check_numbers(marks[other], cells, self._flags())

    @property
    def count(self) -> int:
        """Number of cells in a line."""
        return self._layout.count

    def _lines_of(self, cells: Offsets) -> Offsets:
        if self._regular:
            return cells // self._layout.count
        return np.searchsorted(self._first_cells, cells, side="right") - 1

    def _doubt(self, cells: Offsets) -> None:
        self.doubtful[self._lines_of(cells)] = True

    def _numeric(self, cells: Offsets) -> Flags:
        """Return (n_cells,) whether the column of each cell holds numbers."""
        columns = cells - self._first_cells[self._lines_of(cells)]
        return np.isin(columns, list(self._layout.texts), invert=True)

    def _check_blanks(self) -> None:
        """Mark the lines without a label or without any feature as doubtful."""
        if len(self._blank):
            line = self._lines_of(self._blank)
            columns = self._blank - self._first_cells[line]
            is_feature = np.isin(columns, list(self._layout.features))
            blanks = np.bincount(line[is_feature], minlength=self.lines)
            self.doubtful |= blanks >= len(self._layout.features)
            self.doubtful[line[columns == self._layout.label]] = True

    def _check_unread(self, marks: Offsets, cells: Offsets) -> None:
        """Mark lines as doubtful whose left-out cells may be invalid UTF-8."""
        if not self._layout.unread:
            return
        cells = cells[self._data[marks] > _LAST_ASCII]
        if len(cells):
            columns = cells - self._first_cells[self._lines_of(cells)]
            self._doubt(cells[np.isin(columns, list(self._layout.unread))])

    def blanks(self) -> npt.NDArray[np.intp]:
        """Return (n_columns,) the number of blank cells in lines that are not doubtful."""
        line = self._lines_of(self._blank)
        columns = (self._blank - self._first_cells[line])[~self.doubtful[line]]
        return np.bincount(columns, minlength=self._layout.count)

    def _flags(self) -> ByteClasses:
        """Return (256,) the class of each byte value; 0 for bytes that no number contains."""
        flags = np.zeros(256, dtype=np.uint8)
        flags[list(_DIGITS)] = _DIGIT
        flags[list(b".")] = _DOT
        flags[list(b"+-")] = _SIGN
        flags[list(b"eE")] = _EXPONENT
        flags[list(self._layout.delimiter + b"\n")] = _SEPARATOR
        return flags

    def _check_numbers(self, at: Offsets, cell: Offsets, flags: ByteClasses) -> None:
        """Mark lines as doubtful whose cells are not plain digits and may not be numbers.

        Args:
            at: (n,) positions of the bytes that are neither digit nor separator.
            cell: (n,) index of the cell that each of them is in.
            flags: (256,) the class of each byte value.
        """
        if len(at) and self._layout.texts:
            number = self._numeric(cell)
            at, cell = at[number], cell[number]
        kind = flags[self._data[at]]
        if int(self._gaps.max()) > READ_DIGITS + 1:
            self._check_long(at, cell, kind)
        if not len(at):
            return
        after = flags[self._data[at + 1]]  # in range, because the block ends with a line feed
        before = np.where(at > 0, flags[self._data[at - 1]], np.uint8(_SEPARATOR))
        good = _fits_neighbours(kind, before, after)
        opens = (kind == _SIGN) & (before == _SEPARATOR)
        good[1:] &= (cell[1:] != cell[:-1]) | _may_follow(kind, opens)
        exponents = np.flatnonzero(kind == _EXPONENT)
        if len(exponents):
            good[exponents] &= self._exponent_is_small(at[exponents], cell[exponents])
        self._doubt(cell[~good])

    def _check_long(self, at: Offsets, cell: Offsets, kind: ByteClasses) -> None:
        """Mark lines as doubtful that have a number with more digits than XGBoost reads."""
        long = np.flatnonzero(self._gaps > READ_DIGITS + 1)
        if self._layout.texts:
            long = long[self._numeric(long)]
        ends = self._separators[long]
        begins = ends - self._gaps[long] + 1
        dot = _first_of(long, at, cell, kind == _DOT, ends)
        mantissa = _first_of(long, at, cell, kind == _EXPONENT, ends)
        safe = (dot - begins <= READ_DIGITS) & (mantissa - dot <= READ_DIGITS + 1)
        self._doubt(long[~(safe & (ends - begins <= _SAFE_LENGTH))])

    def _exponent_is_small(self, at: Offsets, cell: Offsets) -> Flags:
        """Return (n,) whether the number of each exponent is certainly finite in float32."""
        sign = self._data[at + 1]
        signed = ((sign == ord("+")) | (sign == ord("-"))).astype(np.intp)
        first = at + 1 + signed
        digits = self._separators[cell] - first
        last = np.minimum(first + 1, len(self._data) - 1)
        tens = self._data[first].astype(np.intp) - ord("0")
        value = np.where(digits == 2, tens * 10 + self._data[last] - ord("0"), tens)
        fits = (digits <= 2) & (value + self._gaps[cell] - 1 <= _SAFE_LENGTH)
        return np.asarray((sign == ord("-")) | fits)

    def texts(self, column: int, is_good: Callable[[bytes], bool]) -> Counter[bytes]:
        """Count the distinct texts of a column in the lines that are not doubtful.

        If `is_good` returns False for a text, its lines become doubtful and are not counted.
        """
        lines = np.flatnonzero(~self.doubtful)
        cells = self._first_cells[lines] + column
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
            # Short texts are compared as 8-byte numbers.
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
        bad = [index for index, text in enumerate(cells) if text in refused] if refused else []
        return counts, np.array(bad, dtype=np.intp)

    def line_bounds(self, column: int) -> tuple[Offsets, Offsets]:
        """Return (lines,) the positions in the block at which a column begins, and ends.

        The values are meaningless for doubtful lines.
        """
        cells = np.minimum(self._first_cells + column, len(self._separators) - 1)
        ends = self._separators[cells]
        return ends - self._gaps[cells] + 1, ends

    def bounds(self, column: int) -> tuple[Offsets, Offsets]:
        """Return (lines,) the positions in each line at which a column begins, and ends.

        The values are meaningless for doubtful lines.
        """
        begins = self._separators[self._first_cells] - self._gaps[self._first_cells] + 1
        starts, ends = self.line_bounds(column)
        return starts - begins, ends - begins

    def cells(self, column: int, lines: Flags) -> list[bytes]:
        """Return the cells of a column in lines of the expected width.

        Args:
            column: index of the column.
            lines: (lines,) whether a line is selected.
        """
        starts, ends = self._positions(column, lines)
        return [
            self._padded[start:end]
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]

    def is_all(self, column: int, value: bytes, lines: Flags) -> bool:
        """Return whether a column has this value in all lines that `cells` would select."""
        starts, ends = self._positions(column, lines)
        return bool((ends - starts == len(value)).all()) and all(
            bool((self._data[starts + index] == byte).all()) for index, byte in enumerate(value)
        )

    def _positions(self, column: int, lines: Flags) -> tuple[Offsets, Offsets]:
        cells = self._first_cells[lines] + column
        ends = self._separators[cells]
        return ends - self._gaps[cells] + 1, ends


_ZERO = np.zeros(1, dtype=np.intp)
_NONE = np.empty(0, dtype=np.intp)
_TAIL_MASKS = np.array([(1 << (8 * count)) - 1 for count in range(_WORD + 1)], dtype=np.uint64)


def _first_of(
    cells: Offsets, at: Offsets, cell: Offsets, selected: Flags, default: Offsets
) -> Offsets:
    """Return (n,) the position of the first selected byte in each of the cells.

    Args:
        cells: (n,) indexes of cells.
        at: (m,) positions of bytes.
        cell: (m,) index of the cell of each byte, ascending.
        selected: (m,) whether a byte is selected.
        default: (n,) the result for cells without a selected byte.
    """
    at, cell = at[selected], cell[selected]
    if not len(at):
        return default
    index = np.minimum(np.searchsorted(cell, cells), len(cell) - 1)
    return np.where(cell[index] == cells, at[index], default)


def _fits_neighbours(kind: ByteClasses, before: ByteClasses, after: ByteClasses) -> Flags:
    """Return (n,) whether each byte is allowed between its neighbours in a number."""
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


def _may_follow(kind: ByteClasses, opens: Flags) -> Flags:
    """Return (n - 1,) whether each byte but the first may follow the previous one in a number.

    The allowed order is a sign at the beginning, one dot, one e, and a sign after the e.
    """
    previous, current = kind[:-1], kind[1:]
    return np.asarray(
        (opens[:-1] & ((current & (_DOT | _EXPONENT)) != 0))
        | ((previous == _DOT) & (current == _EXPONENT))
        | ((previous == _EXPONENT) & (current == _SIGN))
    )
