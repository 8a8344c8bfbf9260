"""Detect the dialect of a CSV file: its delimiter, its width and whether it has a header.

Data preparation and the command line call `detect_dialect` on the first lines of a file, so both
read the file in the same way. `csv_delimiter` finds the delimiter, and `csv_header` decides about
the header. This module finds what is above them: comments, the line `sep=;` of Excel, and titles.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from refit.domain.cells import is_missing
from refit.domain.column_reading import name_key
from refit.domain.csv_delimiter import DELIMITERS, likely_format
from refit.domain.csv_header import (
    Verdict,
    column_names,
    is_header,
    is_name,
    is_repeated_header,
    judged,
)
from refit.domain.csv_rows import CsvFormat, CsvRecord, read_records

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "DELIMITERS",
    "SAMPLE_BYTES",
    "SAMPLE_LINES",
    "CsvDialect",
    "HeaderSetting",
    "column_names",
    "detect_dialect",
    "is_header",
    "is_repeated_header",
]

HeaderSetting: TypeAlias = Literal["auto", "yes", "no"]

SAMPLE_LINES = 200
SAMPLE_BYTES = 256 * 1024
"""How much of a file is read to detect its dialect: whichever limit is reached first."""

# A header is detected from about this many cells, and from at least this many records.
_SAMPLE_CELLS = 5000
_MIN_SAMPLE_RECORDS = 20
_MAX_TITLES = 10
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;|\t]*', re.IGNORECASE)


@dataclass(frozen=True)
class CsvDialect:
    """The dialect of one CSV file.

    Attributes:
        csv_format: how cells are separated and quoted.
        width: the most frequent number of cells in a record; 0 if there is no record.
        header: the column names in the header; None if the first record is a row.
        header_lines: number of lines before the first row.
        rows: the first rows, if they have this width.
        header_cells: cells of the header as they are in the file, for `is_repeated_header`.
        nameless: indexes of the columns that the header gives no name.
        header_is_unclear: whether the first record can be names as well as a row. It is then read
            as a row, and a caller must not rely on that.
        other_names: cells of the first record if they can be names, but the rows have another
            number of cells. It is then read as a row.
        skipped: what stands above the header or the first row and is not read, and how the header
            was completed; a sentence each.
    """

    csv_format: CsvFormat
    width: int
    header: tuple[str, ...] | None
    header_lines: int
    rows: tuple[tuple[str, ...], ...]
    header_cells: tuple[str, ...] = ()
    nameless: tuple[int, ...] = ()
    header_is_unclear: bool = False
    other_names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def detect_dialect(
    lines: Sequence[bytes],
    *,
    delimiter: str = "auto",
    header: HeaderSetting = "auto",
    label: str | None = None,
    known_names: Sequence[str] | None = None,
    lone_record_is_header: bool = True,
) -> CsvDialect:
    """Return the dialect of a file.

    Args:
        lines: the first lines of the file; bytes that are not UTF-8 are replaced.
        delimiter: one character, or `auto` for the likeliest one.
        header: `auto` decides by the rows.
        label: name of the label column, if it is selected by name. If the first record has this
            cell, it is a header.
        known_names: names of the columns, if known from another source.
        lone_record_is_header: whether the only record of a file is a header if all of its cells
            are texts.
    """
    sample = [line.decode(errors="replace").encode() for line in lines[:SAMPLE_LINES]]
    above = _lines_above(sample)
    body = sample[above.line_count :]
    if delimiter == "auto":
        csv_format = CsvFormat(above.delimiter) if above.delimiter else likely_format(body)
    else:
        csv_format = CsvFormat(delimiter)
    records = _records(body, above.line_count + 1, csv_format)
    if not records:
        return CsvDialect(csv_format, 0, None, 0, ())
    if _is_in_single_quotes(records[0]):
        csv_format = CsvFormat(csv_format.delimiter, "'")
        records = _records(body, above.line_count + 1, csv_format)
    width = _usual_width(records)
    records = records[: max(_MIN_SAMPLE_RECORDS, _SAMPLE_CELLS // width) + _MAX_TITLES]
    detection = _HeaderDetection(header, label, known_names, lone_record_is_header, width)
    comment = _commented_names(above.comments, csv_format, width)
    found = detection.find(records, comment)
    if comment is not None and found.comment_is_header:
        above = above._replace(comments=above.comments[:-1])
    return _dialect(csv_format, width, records, found, above)


def _is_in_single_quotes(record: CsvRecord) -> bool:
    """Return whether all cells of the header are in single quotes, so that these are the quotes."""
    return len(record.cells) > 1 and all(
        len(cell) > 1 and cell[0] == cell[-1] == "'" for cell in record.cells
    )


class _Above(NamedTuple):
    """The lines above the first record.

    Attributes:
        line_count: number of lines.
        delimiter: the delimiter that the line `sep=…` names.
        comments: the lines that begin with `#`.
    """

    line_count: int
    delimiter: str | None
    comments: tuple[str, ...]


class _Found(NamedTuple):
    """The header of a file.

    Attributes:
        cells: cells of the header as written; None without a header.
        names: these cells, one for each column.
        titles: number of records above the header.
        rows_from: index of the record of the first row.
        is_unclear: whether the first record can be names as well as a row.
        comment_is_header: whether the header is the last comment.
        note: how the header was completed.
    """

    cells: tuple[str, ...] | None
    names: tuple[str, ...]
    titles: int
    rows_from: int
    is_unclear: bool = False
    comment_is_header: bool = False
    note: str | None = None


def _dialect(
    csv_format: CsvFormat,
    width: int,
    records: Sequence[CsvRecord],
    found: _Found,
    above: _Above,
) -> CsvDialect:
    rows = tuple(
        tuple(record.cells) for record in records[found.rows_from :] if len(record.cells) == width
    )
    has_header = found.cells is not None
    skipped = _sentences(above, records[: found.titles], "header" if has_header else "first row")
    if found.note:
        skipped += (found.note,)
    if found.rows_from and not found.comment_is_header:
        last = records[found.rows_from - 1]
        header_lines = last.line - 1 + last.lines
    else:
        header_lines = above.line_count
    return CsvDialect(
        csv_format=csv_format,
        width=width,
        header=column_names(found.names) if has_header else None,
        header_lines=header_lines,
        rows=rows,
        header_cells=found.cells or (),
        nameless=tuple(index for index, name in enumerate(found.names) if has_header and not name),
        header_is_unclear=found.is_unclear,
        other_names=() if has_header else _other_names(records[0], width),
        skipped=skipped,
    )


def _other_names(first: CsvRecord, width: int) -> tuple[str, ...]:
    """Return the cells of a record if they are names, but not as many as the rows have cells."""
    cells = tuple(first.cells)
    return cells if 1 < len(cells) != width and all(map(is_name, cells)) else ()


def _sentences(above: _Above, titles: Sequence[CsvRecord], where: str) -> tuple[str, ...]:
    sentences = []
    if above.delimiter:
        sentences.append(f"the line sep={above.delimiter} above the {where}")
    for count, kind in ((len(above.comments), "comment"), (len(titles), "title")):
        if count:
            sentences.append(f"{count} {kind} line{'s' if count > 1 else ''} above the {where}")
    return tuple(sentences)


def _lines_above(lines: Sequence[bytes]) -> _Above:
    """Find blank lines, the line `sep=…` and comments at the beginning."""
    delimiter: str | None = None
    comments: list[str] = []
    count = 0
    for index, line in enumerate(lines):
        text = line.decode().strip()
        separator = _SEPARATOR_LINE.fullmatch(text)
        if separator and not comments and delimiter is None:
            delimiter = separator[1]
        elif text.startswith("#"):
            comments.append(text)
        elif text:
            break
        count = index + 1
    rest = lines[count:]
    if comments and (not any(map(bytes.strip, rest)) or _are_cells(comments, rest)):
        count = next(index for index, line in enumerate(lines) if line.lstrip()[:1] == b"#")
        comments = []
    return _Above(count if delimiter or comments else 0, delimiter, tuple(comments))


def _are_cells(comments: Sequence[str], rest: Sequence[bytes]) -> bool:
    """Return whether lines that begin with `#` are records, as of a column of colours or `#id`."""
    csv_format = likely_format([comment.encode() for comment in comments] + list(rest))
    widths = Counter(len(record.cells) for record in _records(rest, 1, csv_format))
    width = widths.most_common(1)[0][0]
    return all(
        not comment.startswith("# ") and len(_cells(comment, csv_format)) == width > 1
        for comment in comments
    )


def _cells(line: str, csv_format: CsvFormat) -> tuple[str, ...]:
    records = _records([line.encode()], 1, csv_format)
    return tuple(records[0].cells) if records else ()


def _commented_names(
    comments: Sequence[str], csv_format: CsvFormat, width: int
) -> tuple[str, ...] | None:
    """Return the cells of the last comment if they may be names, as `numpy.savetxt` writes them."""
    cells = _cells(comments[-1].lstrip("#").lstrip(), csv_format) if comments else ()
    return cells if len(cells) == width else None


class _HeaderDetection(NamedTuple):
    """How to find the header of a file with this usual number of cells in a record."""

    setting: HeaderSetting
    label: str | None
    known_names: Sequence[str] | None
    lone_record_is_header: bool
    width: int

    def find(self, records: Sequence[CsvRecord], comment: tuple[str, ...] | None) -> _Found:
        """Find the header among the first records, or in the last comment above them."""
        cells = [tuple(record.cells) for record in records]
        if self.setting == "no":
            return _Found(None, (), 0, 0)
        for index, names in enumerate(cells[:_MAX_TITLES]):
            completed, note = self._completed(cells, index)
            # A title is only skipped if the names are surely below it.
            below = cells[index + 1 :]
            if (below or not index) and self._verdict(completed, below) == "yes":
                return _Found(names, completed, index, index + 1, note=note)
            if len(names) == self.width and self._is_filled(names):
                break
        if comment is not None:
            of_comment = self._verdict(comment, cells)
            if of_comment == "yes":
                return _Found(comment, comment, 0, 0, comment_is_header=True)
        if self.setting == "yes":
            titles = self._titles(cells)
            names, note = self._completed(cells, titles)
            return _Found(cells[titles], names, titles, titles + 1, note=note)
        names, _ = self._completed(cells, 0)
        verdict = self._verdict(names, cells[1:])
        is_unclear = verdict == "unclear" or (comment is not None and of_comment == "unclear")
        return _Found(None, (), 0, 0, is_unclear=is_unclear)

    def _verdict(self, names: Sequence[str], below: Sequence[Sequence[str]]) -> Verdict:
        if len(names) != self.width:
            return "no"
        if self._has_label(names) and not self._is_title_above_header(names, below):
            return "yes"
        return self._judged(names, below)

    def _has_label(self, cells: Sequence[str]) -> bool:
        return self.label is not None and name_key(self.label) in map(name_key, cells)

    def _is_title_above_header(self, cells: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
        """Return whether a title has the label's name, as a header below it has among others."""
        return any(
            self._has_label(other)
            and _filled(other) > _filled(cells)
            and self._judged(other, below[index + 1 :]) == "yes"
            for index, other in enumerate(below[:_MAX_TITLES])
        )

    def _judged(self, names: Sequence[str], below: Sequence[Sequence[str]]) -> Verdict:
        rows = [cells for cells in below if len(cells) == self.width]
        return judged(names, rows, self.known_names, self.lone_record_is_header)

    def _titles(self, records: Sequence[Sequence[str]]) -> int:
        """Return the number of records above the first one that may be a header."""
        for index, cells in enumerate(records[:_MAX_TITLES]):
            if len(cells) >= self.width - 1 and self._is_filled(cells):
                return index
        return 0

    def _is_filled(self, cells: Sequence[str]) -> bool:
        """Return whether most of the columns have a cell with a value."""
        return 2 * _filled(cells) > self.width

    def _completed(
        self, records: Sequence[tuple[str, ...]], index: int
    ) -> tuple[tuple[str, ...], str | None]:
        """Return a name for each column if a record has one more or one fewer than the rows."""
        names = records[index]
        below = [cells for cells in records[index + 1 :] if len(cells) == self.width]
        if len(names) == self.width + 1 and not names[-1]:
            return names[:-1], "the header ends with a delimiter, and the rows do not"
        if len(names) != self.width - 1 or not below:
            return names, None
        if all(is_missing(cells[-1]) for cells in below):
            return (*names, ""), "the rows end with a delimiter, and the header does not"
        return ("", *names), (
            "the header has one name fewer than the rows have cells, as R writes it: the first "
            "column has no name"
        )


def _filled(cells: Sequence[str]) -> int:
    """Return the number of cells with a value."""
    return sum(not is_missing(cell) for cell in cells)


def _records(lines: Sequence[bytes], first: int, csv_format: CsvFormat) -> list[CsvRecord]:
    records, _ = read_records(lines, first, csv_format)
    return [record for record in records if isinstance(record, CsvRecord)]


def _usual_width(records: Sequence[CsvRecord]) -> int:
    return Counter(len(record.cells) for record in records).most_common(1)[0][0]
