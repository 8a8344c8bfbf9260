"""Read the bodies of API requests, encode their rows for the endpoint, and decode its answers.

`refit.domain.inferences.request_rows` finds the rows in a body.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.cells import shown
from refit.domain.csv_dialect import SAMPLE_LINES, is_header
from refit.domain.decision_rule import DecisionRule, predicted_class
from refit.domain.errors import AnswerMalformed, PayloadInvalid, PayloadTooLarge
from refit.domain.inferences.capture_reader import CaptureUnreadable, answers_in, cells_of
from refit.domain.inferences.request_rows import listed
from refit.domain.schema import Schema, csv_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LAMBDA_BYTES = 6 * 1024 * 1024
"""Largest request and response of a synchronous Lambda invocation. API Gateway accepts 10 MB."""

ENDPOINT_BYTES = 6 * 1024 * 1024
"""Largest request that InvokeEndpoint and XGBoost's container accept."""

EXPECTED_INSTANCES = '{"instances": [[…], …]} or rows of text/csv'

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_ENVELOPE_BYTES = 4096  # status, headers and the beginning of the body
_TOO_LARGE = (
    f"Lambda accepts 6 MB ({LAMBDA_BYTES:,} bytes) in one request (API Gateway: 10 MB): send "
    "several requests"
)
_LONGEST_NUMBER = 24  # characters of a float: -1.7976931348623157e+308
_LONGEST_ID = 40  # 32 hexadecimal digits, a hyphen and a row number


@dataclass(frozen=True)
class RequestBody:
    """The body of an API Gateway event.

    Attributes:
        text: body in the event; None or empty when the request has no body.
        is_base64: whether API Gateway has encoded the text in base64.
        content_type: value of the Content-Type header with its parameters; None without a header.
    """

    text: str | None
    is_base64: bool = False
    content_type: str | None = None


def body_bytes(body: RequestBody, expected: str) -> bytes:
    """Return the content of a body, decompressed if it is gzip.

    API Gateway decompresses a body whose Content-Encoding header says gzip, and passes it on as
    text. Another way to invoke the function can pass gzip in base64.

    Args:
        body: body of a request.
        expected: what to send instead of an empty body, for the error message.

    Raises:
        PayloadInvalid: when the body is empty, is not base64 although the event states that, or is
            gzip that is damaged.
        PayloadTooLarge: when the body is larger than 6 MB, compressed or not.
    """
    if not body.text:
        raise PayloadInvalid(f"the body is empty: send {expected}")
    if body.is_base64:
        try:
            content = base64.b64decode(body.text, validate=True)
        except binascii.Error as error:
            raise PayloadInvalid(f"the body is not base64: {error}") from None
    else:
        content = body.text.encode(errors="surrogatepass")
        if content.startswith(_GZIP_MAGIC[:1]):
            raise PayloadInvalid(
                "the body is gzip that was read as text: send the header Content-Encoding: gzip"
            )
    if content.startswith(_GZIP_MAGIC):
        content = _gunzipped(content)
    if len(content) > LAMBDA_BYTES:
        raise PayloadTooLarge(f"the body has {len(content):,} bytes; {_TOO_LARGE}")
    return content


def _gunzipped(content: bytes) -> bytes:
    """Decompress a body; stop at the limit, whatever its size would be."""
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        unpacked = stream.decompress(content, LAMBDA_BYTES + 1)
    except zlib.error as error:
        raise PayloadInvalid(f"the body is damaged gzip: {error}") from None
    if len(unpacked) > LAMBDA_BYTES:
        raise PayloadTooLarge(f"the body has more bytes once it is decompressed; {_TOO_LARGE}")
    if not stream.eof:
        raise PayloadInvalid("the body is damaged gzip: it ends too early")
    return unpacked


def encoded_lines(
    instances: Sequence[Any], schema: Schema, max_bytes: int = ENDPOINT_BYTES
) -> list[str]:
    """Encode instances as the CSV lines that the endpoint reads, without line ends and labels.

    Args:
        instances: at least one instance.
        schema: schema of the version that receives the request.
        max_bytes: largest request that the endpoint accepts.

    Raises:
        PayloadInvalid: when an instance does not match the schema. The text names the instance,
            counted from 1, and the column.
        PayloadTooLarge: when a single row is larger than an endpoint request.
    """
    names = schema.all_columns
    lines = []
    for number, instance in enumerate(instances, 1):
        try:
            values = schema.encode_instance(instance)
        except PayloadInvalid as error:
            if number == 1 and _first_is_header(instances, names):
                raise PayloadInvalid(
                    f"the first row seems to be a header, {shown(instance)}, but its names are not "
                    f"those of the model's columns: {listed(names)}"
                ) from None
            raise PayloadInvalid(f"instance {number}: {error}") from None
        # An empty line would not be read as a row. XGBoost's container reads "nan" as missing.
        lines.append(csv_line(values) or "nan")
    check_lines_fit(lines, max_bytes)
    return lines


def check_lines_fit(lines: Sequence[str], max_bytes: int) -> None:
    """Check that each line fits into a request to the endpoint.

    Raises:
        PayloadTooLarge: when a single row is larger than an endpoint request.
    """
    for number, line in enumerate(lines, 1):
        if len(line) >= max_bytes:
            raise PayloadTooLarge(
                f"instance {number} alone has {len(line):,} bytes; an endpoint accepts "
                f"{max_bytes:,} in one request"
            )


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
    """Check that the answer to a request cannot be too large to return.

    Raises:
        PayloadTooLarge: when it could be. The text states how many rows are allowed.
    """
    probabilities = dict.fromkeys(schema.classes or (), 0)
    longest = {
        "inferenceId": "x" * _LONGEST_ID,
        "prediction": max(schema.classes or ("",), key=lambda text: len(json.dumps(text))),
        "probabilities": probabilities,
    }
    # The JSON is encoded twice: Lambda returns the body as a JSON string with escaped quotes.
    row_bytes = len(json.dumps(json.dumps(longest))) + _LONGEST_NUMBER * (len(probabilities) + 1)
    most = (LAMBDA_BYTES - _ENVELOPE_BYTES) // row_bytes
    if rows > most:
        raise PayloadTooLarge(
            f"the answer to {rows:,} rows could exceed the 6 MB ({LAMBDA_BYTES:,} bytes) that "
            f"Lambda returns: send at most {most:,} rows of this model in one request"
        )


def endpoint_bodies(
    lines: Sequence[str], max_bytes: int = ENDPOINT_BYTES
) -> Iterator[tuple[int, bytes]]:
    """Yield (number of rows, body) of as few endpoint requests as the limit allows, in order.

    Args:
        lines: lines of ASCII text, each shorter than the limit.
        max_bytes: largest request that the endpoint accepts.
    """
    start = size = 0
    for end, line in enumerate(lines):
        if size + len(line) + 1 > max_bytes:
            yield end - start, "\n".join(lines[start:end]).encode("ascii")
            start, size = end, 0
        size += len(line) + 1
    yield len(lines) - start, "\n".join(lines[start:]).encode("ascii")


def decoded_predictions(
    answer: bytes,
    schema: Schema,
    inference_ids: Sequence[str],
    rule: DecisionRule | None = None,
    content_type: str = "text/csv",
) -> list[dict[str, Any]]:
    """Convert an endpoint's answer to the predictions of the API, in row order.

    Args:
        answer: for each row a number, or the probabilities of the classes.
        schema: schema of the version that answered.
        inference_ids: one inference id per row of the request.
        rule: decision rule of that version; None: it predicts the most probable class.
        content_type: of the answer. Versions of different algorithms can answer in turn, so it says
            more than what was asked for.

    Raises:
        AnswerMalformed: when the answer is not of its content type, the number of its lines differs
            from that of the rows, or the number of values from that of the classes.
    """
    try:
        answers = answers_in(answer, content_type)
    except CaptureUnreadable as error:
        raise AnswerMalformed(f"the endpoint's answer cannot be read: {error}") from None
    if len(answers) != len(inference_ids):
        raise AnswerMalformed(
            f"the endpoint returned {len(answers)} answers for {len(inference_ids)} rows"
        )
    return [
        {"inferenceId": inference_id, **_decoded(cells_of(cells), schema, rule)}
        for inference_id, cells in zip(inference_ids, answers, strict=True)
    ]


def answer_values(cells: Sequence[str | float], schema: Schema) -> list[float]:
    """Return the answer to one row: a number, or the probability of each class.

    A model of two classes may return only the probability of the second class.

    Args:
        cells: cells of the answer, as texts or numbers.
        schema: schema of the version that answered.

    Raises:
        AnswerMalformed: when the values are not finite, or do not match the classes.
    """
    try:
        values = [float(cell) for cell in cells]
    except (ValueError, TypeError, OverflowError):
        raise _malformed(cells, schema) from None
    if not all(map(math.isfinite, values)):
        raise _malformed(cells, schema)
    if schema.classes is not None and len(values) == 1 and len(schema.classes) == 2:
        values = [1 - values[0], values[0]]
    if len(values) != (1 if schema.classes is None else len(schema.classes)):
        raise _malformed(cells, schema)
    return values


def _decoded(
    cells: Sequence[str | float], schema: Schema, rule: DecisionRule | None
) -> dict[str, Any]:
    values = answer_values(cells, schema)
    if schema.classes is None:
        return {"prediction": values[0]}
    return {
        "prediction": schema.classes[predicted_class(values, schema.classes, rule)],
        "probabilities": dict(zip(schema.classes, values, strict=True)),
    }


def _malformed(cells: Sequence[str | float], schema: Schema) -> AnswerMalformed:
    answer = ",".join("" if cell is None else str(cell) for cell in cells)
    expected = f"{len(schema.classes)} probabilities" if schema.classes else "one number"
    return AnswerMalformed(f"the endpoint returned {shown(answer)}, not {expected}")
