"""A prediction request and its answer: bytes of JSON or CSV in, plain values out.

Accepted bodies:
    application/json    {"instances": [[5.1, 3.5], …]}, {"instances": [{"width": 5.1, …}, …]}, or
                        the bare list of instances
    text/csv            one row a line in column order, comma-separated, no header, no label
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from email.message import Message
from typing import TYPE_CHECKING, Any, NoReturn

from refit.domain.csv_dialect import SAMPLE_LINES, is_header
from refit.domain.csv_rows import CsvFormat, CsvLineInvalid, read_text
from refit.domain.errors import AnswerMalformed, PayloadInvalid, PayloadTooLarge
from refit.domain.schema import Schema, csv_line, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAMBDA_BYTES = 6 * 1024 * 1024
"""The most that Lambda takes and returns in one synchronous call. API Gateway takes 10 MB."""

ENDPOINT_BYTES = 6 * 1024 * 1024
"""The most that InvokeEndpoint and XGBoost's container take in one request."""

_JSON, _CSV = "application/json", "text/csv"
_SPARE_BYTES = 4096  # status, headers and the head of the answer
_LONGEST_NUMBER = 24  # characters of a float: -1.7976931348623157e+308
_LONGEST_ID = 40  # 32 hexadecimal digits, a hyphen and a row number


def body_bytes(body: str | None, is_base64: bool) -> bytes:
    """Return the body of an API Gateway event.

    Raises:
        PayloadInvalid: when it is empty, or not base64 where it is said to be.
        PayloadTooLarge: when it is over 6 MB.
    """
    if not body:
        raise PayloadInvalid('the body is empty: send {"instances": [[…], …]} or rows of text/csv')
    if is_base64:
        try:
            content = base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise PayloadInvalid(f"the body is not base64: {error}") from None
    else:
        content = body.encode(errors="surrogatepass")
    if len(content) > LAMBDA_BYTES:
        raise PayloadTooLarge(
            f"the body has {len(content):,} bytes; Lambda takes 6 MB ({LAMBDA_BYTES:,} bytes) in "
            "one request (API Gateway: 10 MB): send the rows in several requests"
        )
    return content


def body_text(content: bytes) -> str:
    """Decode a body, without its byte-order mark. Raises PayloadInvalid when it is not UTF-8."""
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise PayloadInvalid(f"the body is not UTF-8 text: {error}") from None


def instances_of(content: bytes, content_type: str | None) -> list[Any]:
    """Return the rows of a body, unchecked but for the form around them.

    Args:
        content: the body, UTF-8, with or without byte-order mark.
        content_type: the header's value with its parameters; None means JSON.

    Raises:
        PayloadInvalid: when the type is not known, the text does not parse (with its position), or
            there is no row.
    """
    kind = _media_type(content_type)
    text = body_text(content)
    instances = _json_instances(text) if kind == _JSON else csv_instances(text)
    if not instances:
        raise PayloadInvalid("there is no instance to predict: send at least one row")
    return instances


def _media_type(header: str | None) -> str:
    message = Message()
    message["content-type"] = header or _JSON
    kind, charset = message.get_content_type(), (message.get_content_charset() or "utf-8").lower()
    if kind not in {_JSON, _CSV}:
        raise PayloadInvalid(f"content type {shown(header)} is not read; send {_JSON} or {_CSV}")
    if charset not in {"utf-8", "utf8", "us-ascii", "ascii"}:
        raise PayloadInvalid(f"charset {shown(charset)} is not read; send UTF-8")
    return kind


def parsed_json(text: str, what: str = "the body") -> Any:
    """Parse JSON and nothing more lenient.

    Args:
        text: one document.
        what: names it in a message.

    Raises:
        PayloadInvalid: when it is not JSON (NaN and Infinity are not), is nested too deeply, or
            holds a whole number that Python does not convert.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise PayloadInvalid(f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise PayloadInvalid(f"{what} is nested too deeply") from None
    except ValueError:  # a whole number of more digits than Python converts
        raise PayloadInvalid(f"{what} has a whole number of thousands of digits") from None


def _json_instances(text: str) -> list[Any]:
    value = parsed_json(text)
    if isinstance(value, dict):
        if unknown := [key for key in value if key != "instances"]:
            raise PayloadInvalid(f'unknown key {shown(unknown[0])}; allowed is only "instances"')
        value = value.get("instances")
    if not isinstance(value, list):
        raise PayloadInvalid(f'"instances" must be a list of instances, not {shown(value)}')
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise PayloadInvalid(f"{name} is not JSON, and no value: send null where a value is missing")


def csv_instances(text: str) -> list[list[str]]:
    """Return the cells of comma-separated rows. Raises PayloadInvalid for the first bad line."""
    try:
        return read_text(text, CsvFormat())
    except CsvLineInvalid as error:
        raise PayloadInvalid(str(error)) from None


def encoded_lines(instances: Sequence[Any], schema: Schema) -> list[str]:
    """Encode instances as the CSV lines that the endpoint reads: no line end, no label.

    Raises:
        PayloadInvalid: naming the instance (counted from 1) and the column that does not fit.
        PayloadTooLarge: when one row alone is more than an endpoint takes.
    """
    names = [feature.name for feature in schema.features]
    if instances[0] == names:
        raise PayloadInvalid("the first row holds the columns' names: send the rows only")
    lines = []
    for number, instance in enumerate(instances, 1):
        try:
            values = schema.encode_instance(instance)
        except PayloadInvalid as error:
            if number == 1 and _first_is_header(instances, names):
                raise PayloadInvalid(
                    f"the first row seems to be a header, {shown(instance)}: send the rows only"
                ) from None
            raise PayloadInvalid(f"instance {number}: {error}") from None
        # An empty line would be no row at all; XGBoost's container reads "nan" as missing too.
        lines.append(csv_line(values) or "nan")
        if len(lines[-1]) >= ENDPOINT_BYTES:
            raise PayloadTooLarge(
                f"instance {number} alone has {len(lines[-1]):,} bytes; an endpoint takes "
                f"{ENDPOINT_BYTES:,} in one request"
            )
    return lines


def _first_is_header(instances: Sequence[Any], names: Sequence[str]) -> bool:
    """Return whether a first row that cannot be encoded holds the columns' names."""
    first, *rest = instances[:SAMPLE_LINES]
    if not _is_texts(first):
        return False
    rows = [row for row in rest if _is_texts(row) and len(row) == len(first)]
    return is_header(first, rows, names, lone_record_is_header=False)


def _is_texts(row: Any) -> bool:
    return bool(row) and isinstance(row, list) and all(isinstance(cell, str) for cell in row)


def check_answer_fits(rows: int, schema: Schema) -> None:
    """Refuse a request whose answer could not be returned.

    Raises:
        PayloadTooLarge: saying how many rows fit.
    """
    probabilities = dict.fromkeys(schema.classes or (), 0)
    longest = {
        "inferenceId": "x" * _LONGEST_ID,
        "prediction": max(schema.classes or ("",), key=lambda text: len(json.dumps(text))),
        "probabilities": probabilities,
    }
    # Twice JSON: Lambda returns the body as a text inside JSON, every quote escaped.
    row_bytes = len(json.dumps(json.dumps(longest))) + _LONGEST_NUMBER * (len(probabilities) + 1)
    most = (LAMBDA_BYTES - _SPARE_BYTES) // row_bytes
    if rows > most:
        raise PayloadTooLarge(
            f"the answer to {rows:,} rows could exceed the 6 MB ({LAMBDA_BYTES:,} bytes) that "
            f"Lambda returns: send at most {most:,} rows of this model in one request"
        )


def endpoint_bodies(lines: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """Yield the rows in as few endpoint requests as the limit allows, in order.

    Args:
        lines: ASCII, each shorter than the limit.

    Yields:
        how many rows, and the body that holds them.
    """
    start = size = 0
    for end, line in enumerate(lines):
        if size + len(line) + 1 > ENDPOINT_BYTES:
            yield end - start, "\n".join(lines[start:end]).encode("ascii")
            start, size = end, 0
        size += len(line) + 1
    yield len(lines) - start, "\n".join(lines[start:]).encode("ascii")


def decoded_predictions(
    answer: bytes, schema: Schema, inference_ids: Sequence[str]
) -> list[dict[str, Any]]:
    """Turn an endpoint's text/csv answer into the API's predictions, in the order of the rows.

    Args:
        answer: a line per row: a number, or the classes' probabilities.
        schema: of the version that answered.
        inference_ids: one per row asked.

    Raises:
        AnswerMalformed: when lines and rows, or values and classes, do not match.
    """
    lines = [line for line in answer.splitlines() if line.strip()]
    if len(lines) != len(inference_ids):
        raise AnswerMalformed(
            f"the endpoint gave {len(lines)} answers to {len(inference_ids)} rows"
        )
    return [
        {"inferenceId": inference_id, **_decoded(line, schema)}
        for inference_id, line in zip(inference_ids, lines, strict=True)
    ]


def answer_values(line: bytes, schema: Schema) -> list[float]:
    """Return what an endpoint answered to one row: a number, or each class's probability.

    A model of two classes answers the second one's; the first one's is the rest.

    Raises:
        AnswerMalformed: when the values are not finite, or not as many as the classes.
    """
    try:
        values = [float(cell) for cell in line.split(b",")]
    except ValueError:
        raise _malformed(line, schema) from None
    if not all(map(math.isfinite, values)):
        raise _malformed(line, schema)
    if schema.classes is not None and len(values) == 1 and len(schema.classes) == 2:
        values = [1 - values[0], values[0]]
    if len(values) != (1 if schema.classes is None else len(schema.classes)):
        raise _malformed(line, schema)
    return values


def _decoded(line: bytes, schema: Schema) -> dict[str, Any]:
    values = answer_values(line, schema)
    if schema.classes is None:
        return {"prediction": values[0]}
    best = max(range(len(values)), key=values.__getitem__)
    return {
        "prediction": schema.classes[best],
        "probabilities": dict(zip(schema.classes, values, strict=True)),
    }


def _malformed(line: bytes, schema: Schema) -> AnswerMalformed:
    wanted = f"{len(schema.classes)} probabilities" if schema.classes else "one number"
    return AnswerMalformed(
        f"the endpoint answered {shown(line.decode(errors='replace'))}, not {wanted}"
    )
