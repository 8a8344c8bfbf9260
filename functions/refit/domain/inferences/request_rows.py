"""Find the rows in the body of a prediction request.

Accepted bodies:
    application/json      {"instances": [row, …]}, {"features": row or [row, …]}, a list of rows, or
                          one row. A row is a list of values in the order of the columns, or an
                          object of values by column name
    application/x-ndjson  a row on each line
    text/csv, text/plain  rows separated by a comma, semicolon, | or tab, without the label. A first
                          line with the names of the columns defines their order

Cells are read as data preparation reads them (`refit.domain.csv_rows`, `refit.domain.schema`).
"""

from __future__ import annotations

import json
from collections import Counter
from email.message import Message
from itertools import dropwhile, islice
from typing import TYPE_CHECKING, Any, NoReturn

from refit.domain.cells import shown
from refit.domain.column_reading import name_key, similar_name
from refit.domain.csv_dialect import DELIMITERS, column_names
from refit.domain.csv_rows import BLANKS, CsvFormat, CsvLineInvalid, read_text, split_line
from refit.domain.errors import PayloadInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.schema import Schema

_JSON, _CSV, _LINES = "application/json", "text/csv", "application/x-ndjson"
_KINDS = {
    _JSON: _JSON,
    _CSV: _CSV,
    "application/csv": _CSV,
    "text/plain": _CSV,
    "text/tab-separated-values": _CSV,
    _LINES: _LINES,
    "application/ndjson": _LINES,
    "application/jsonl": _LINES,
    "application/jsonlines": _LINES,
    "application/x-jsonlines": _LINES,
}
_WRAPPERS = ("instances", "features")
_MOST_QUOTED_LINES = 100
"""Number of lines in which the quote of the first record is expected to close."""

_FEWEST_NAMED_NUMBERS = 5
"""A record of numbers that equal the names of their columns is a header if it has so many."""


def instances_of(content: bytes, content_type: str | None, schema: Schema) -> list[Any]:
    """Return the rows of a prediction request, with unchecked values.

    Args:
        content: the body, UTF-8, with or without byte-order mark.
        content_type: value of the header with its parameters; None means JSON.
        schema: schema of the version that receives the request.

    Raises:
        PayloadInvalid: when the type is not supported, the body cannot be parsed, or there are no
            rows. The text states the position of a parse error.
    """
    kind = _media_type(content_type)
    text = body_text(content)
    if kind == _JSON:
        instances = _json_instances(parsed_json(text), schema)
    elif kind == _LINES:
        instances = _line_instances(text)
    else:
        instances = csv_instances(text, schema)
    if not instances:
        raise PayloadInvalid("there is no instance to predict: send at least one row")
    return instances


def _media_type(header: str | None) -> str:
    message = Message()
    message["content-type"] = header or _JSON
    kind, charset = message.get_content_type(), (message.get_content_charset() or "utf-8").lower()
    # The class Message takes a malformed header for text/plain.
    if kind not in _KINDS or not (header or _JSON).strip().lower().startswith(kind):
        raise PayloadInvalid(
            f"content type {shown(header)} is not supported: send {_JSON}, {_LINES} or {_CSV}"
        )
    if charset not in {"utf-8", "utf8", "us-ascii", "ascii"}:
        raise PayloadInvalid(f"charset {shown(charset)} is not supported: send UTF-8")
    return _KINDS[kind]


def body_text(content: bytes) -> str:
    """Decode a body and remove its byte-order mark. Raises PayloadInvalid if it is not UTF-8."""
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise PayloadInvalid(f"the body is not UTF-8 text: {error}") from None


def parsed_json(text: str, what: str = "the body") -> Any:
    """Parse strict JSON.

    Args:
        text: one document.
        what: name of the document in an error message.

    Raises:
        PayloadInvalid: when the text is not JSON (NaN and Infinity are not allowed), is nested too
            deeply, has an integer with too many digits for Python, or an object has a key twice.
    """
    try:
        return json.loads(
            text, parse_constant=_refuse_constant, object_pairs_hook=object_with_distinct_keys
        )
    except KeyRepeated as error:
        raise PayloadInvalid(f"{what} has {error}") from None
    except json.JSONDecodeError as error:
        raise PayloadInvalid(f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise PayloadInvalid(f"{what} is nested too deeply") from None
    except ValueError:  # an integer with more digits than Python converts
        raise PayloadInvalid(f"{what} has an integer of thousands of digits") from None


class KeyRepeated(ValueError):
    """Raised when a JSON object has a key twice; the text names the key."""


def object_with_distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dictionary; a hook of `json`, which else keeps the last value.

    Raises:
        KeyRepeated: if a key occurs twice.
    """
    value = dict(pairs)
    if len(value) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        raise KeyRepeated(f"the key {shown(counts.most_common(1)[0][0])} twice in one object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise PayloadInvalid(f"{name} is not JSON: send null where a value is missing")


def _json_instances(value: Any, schema: Schema) -> list[Any]:
    if isinstance(value, dict):
        wrapper = _wrapper_of(value, schema)
        if wrapper is None:
            return [value]
        if unknown := [key for key in value if key != wrapper]:
            raise PayloadInvalid(
                f"unknown key {shown(unknown[0])} beside {shown(wrapper)}, which holds the rows"
            )
        value = value[wrapper]
        if isinstance(value, dict):
            return [value]
        if not isinstance(value, list):
            raise PayloadInvalid(f"{shown(wrapper)} must be a list of rows, not {shown(value)}")
    if not isinstance(value, list):
        raise PayloadInvalid(
            f'"instances" must be a list of instances, not {shown(value)}: send '
            '{"instances": [[…], …]}'
        )
    if _is_row(value, schema):
        return [value]
    if value and _are_names(value[0], schema):
        raise PayloadInvalid("the first row has the names of the columns: send only the rows")
    return value


def _are_names(row: Any, schema: Schema) -> bool:
    if not isinstance(row, list) or not all(isinstance(cell, str) for cell in row):
        return False
    return [name_key(cell) for cell in row] == [name_key(name) for name in schema.all_columns]


def _wrapper_of(value: dict[str, Any], schema: Schema) -> str | None:
    """Return the key that holds the rows; None if the object is itself a row."""
    columns = set(map(name_key, schema.all_columns))
    for key in _WRAPPERS:
        held = value.get(key)
        if key in value and (isinstance(held, list | dict) or key not in columns):
            return key
    if not value:
        raise PayloadInvalid('"instances" must be a list of instances: the body is empty')
    return None


def _is_row(values: list[Any], schema: Schema) -> bool:
    """Return whether a list holds the values of one row, and not rows.

    Several values for a model with one column can be one row that is too long, or several rows.
    """
    is_flat = bool(values) and not any(isinstance(value, list | dict) for value in values)
    if is_flat and len(values) > 1 and len(schema.all_columns) == 1:
        raise PayloadInvalid(
            f"{len(values)} values can be one row or {len(values)} rows: send a list for each row, "
            "such as [[1], [2]]"
        )
    return is_flat


def _line_instances(text: str) -> list[Any]:
    instances: list[Any] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            value = parsed_json(line, f"line {number}")
            if isinstance(value, dict) and list(value) == ["features"]:
                value = value["features"]
            instances.append(value)
    return instances


def csv_instances(text: str, schema: Schema) -> list[list[Any]]:
    """Return the rows of CSV in the order of the file's columns (`Schema.all_columns`).

    Raises:
        PayloadInvalid: for the first bad line, or if the names in a header do not fit the model.
    """
    if "\n" not in text:  # the line ends of old Macintosh programs
        text = text.replace("\r", "\n")
    try:
        records = read_text(text, _format(text, schema))
    except CsvLineInvalid as error:
        raise PayloadInvalid(str(error)) from None
    if not records or not names_columns(records[0], schema):
        return list(records)
    header, *rows = records
    order = _order_of(header, schema)
    instances = []
    for number, row in enumerate(rows, 1):
        if row == header:
            continue  # files were joined with their headers
        if len(row) != len(header):
            raise PayloadInvalid(
                f"row {number} below the header has {len(row)} cells, and the header {len(header)}"
            )
        instances.append([None if index is None else row[index] for index in order])
    return instances


def _format(text: str, schema: Schema) -> CsvFormat:
    """Return the format under which the first record has the names or the width of the model."""
    first = _first_record(text).encode(errors="replace")
    cells: dict[str, list[str]] = {}
    for delimiter in (*DELIMITERS, BLANKS):
        try:
            split = split_line(first, CsvFormat(delimiter))
        except CsvLineInvalid:
            continue
        cells[delimiter] = [cell.strip() for cell in split]
    headers = [mark for mark, row in cells.items() if names_columns(row, schema)]
    if headers:
        return CsvFormat(max(headers, key=lambda mark: len(cells[mark])))
    fitting = [mark for mark, row in cells.items() if len(row) == len(schema.all_columns)]
    if len(fitting) > 1:
        fitting = [max(fitting, key=lambda mark: _known_values(cells[mark], schema))]
    several = [mark for mark, row in cells.items() if len(row) > 1]
    if not fitting and several:
        fitting = [max(several, key=lambda mark: len(cells[mark]))]
    mark = fitting[0] if fitting else ","
    return _with_single_quotes(mark, first, schema) or CsvFormat(mark)


def _first_record(text: str) -> str:
    """Return the first line, and those after it that end a quoted cell."""
    lines = dropwhile(lambda line: not line.strip(), text.split("\n"))
    first: list[str] = []
    for line in islice(lines, _MOST_QUOTED_LINES):
        first.append(line)
        if sum(part.count('"') for part in first) % 2 == 0:
            break
    return "\n".join(first)


def _with_single_quotes(delimiter: str, first: bytes, schema: Schema) -> CsvFormat | None:
    """Return the format if single quotes are the quotes of a first line, else None."""
    if b"'" not in first:
        return None
    csv_format = CsvFormat(delimiter, "'")
    try:
        single = [cell.strip() for cell in split_line(first, csv_format)]
        double = [cell.strip() for cell in split_line(first, CsvFormat(delimiter))]
    except CsvLineInvalid:
        return None
    is_better = _has_known_values(single, schema) and not _has_known_values(double, schema)
    return csv_format if is_better or names_columns(single, schema) else None


def _known_values(row: Sequence[str], schema: Schema) -> int:
    """Return how many cells of a row are numbers, or texts that the model knows."""
    try:
        return sum(value is not None for value in schema.encode_instance(row))
    except PayloadInvalid:
        return 0


def names_columns(record: Sequence[str], schema: Schema) -> bool:
    """Return whether a record holds names of the model's columns, and not a row.

    At least half of its cells are such names. Cells that are also values of their columns are a
    row, unless they are many numbers (columns that are called 0, 1, 2, …).
    """
    known = {*map(name_key, schema.all_columns), name_key(schema.label)}
    named = sum(name_key(cell) in known for cell in column_names(record))
    if not named or 2 * named < len(record):
        return False
    if len(record) != len(schema.all_columns) or not _has_known_values(record, schema):
        return True
    return len(record) >= _FEWEST_NAMED_NUMBERS and all(
        feature.type != "category" for feature in schema.features
    )


def _has_known_values(row: Sequence[str], schema: Schema) -> bool:
    try:
        return None not in schema.encode_instance(row)
    except PayloadInvalid:
        return False


def _order_of(header: Sequence[str], schema: Schema) -> list[int | None]:
    """Return the index of the cell of each of the model's columns; None for one that is absent.

    Raises:
        PayloadInvalid: if a name is repeated, unknown, or the label's, or a feature is absent.
    """
    repeated = [key for key, count in Counter(map(name_key, header)).items() if count > 1 and key]
    if repeated:
        raise PayloadInvalid(f"the header has two columns {shown(repeated[0])}")
    indexes = {name_key(name): index for index, name in enumerate(column_names(header))}
    known = set(map(name_key, schema.all_columns))
    features = {name_key(feature.name) for feature in schema.features}
    names = [feature.name for feature in schema.features]
    for key, index in indexes.items():
        if key == name_key(schema.label) and key not in known:
            raise PayloadInvalid(
                f"the header has the column {shown(header[index])}, which is the label and is "
                "predicted: leave it out"
            )
        if header[index] and key not in known:
            similar = similar_name(header[index], schema.all_columns)
            raise PayloadInvalid(
                f"the header has an unknown column {shown(header[index])}; the model has "
                f"{listed(names)}",
                advice=None if similar is None else f"Rename it to {similar!r}",
            )
    if absent := [name for name in names if name_key(name) not in indexes]:
        raise PayloadInvalid(f"the header lacks the column {listed(absent)}")
    return [
        indexes.get(name_key(name)) if name_key(name) in features else None
        for name in schema.all_columns
    ]


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Return the first names as an error message shows them."""
    shown_names = ", ".join(repr(name) for name in names[:limit])
    return shown_names if len(names) <= limit else f"{shown_names}, … ({len(names)} in all)"
