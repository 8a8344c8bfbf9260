"""Captured lines of the predict API and of endpoints, read back row by row."""

from __future__ import annotations

import base64
import json
import math
import struct
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit.domain.inferences.capture_reader import (
    CaptureKey,
    CaptureUnreadable,
    capture_key_of,
    inputs_of,
    read_event,
    values_of,
)
from refit.domain.inferences.capture_writer import EndpointCall, capture_line, new_capture_key
from refit.domain.inferences.captured_rows import BadRow, CapturedRow, captured_rows
from refit.domain.inferences.inference import Source
from refit.domain.inferences.payload import decoded_predictions
from refit.domain.schema import Feature, Schema, csv_line
from refit_local.sagemaker.endpoints.data_capture import CapturedInvocation, DataCapture

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WIDTH, HEIGHT = Feature(name="width", type="number"), Feature(name="height", type="number")
KINDS = Schema(
    task="classification", label="kind", features=(WIDTH, HEIGHT), classes=("iris", "rose", "tulip")
)
PAIR = Schema(
    task="classification", label="kind", features=(WIDTH, HEIGHT), classes=("iris", "rose")
)
PRICES = Schema(task="regression", label="price", features=(WIDTH, HEIGHT))
KEY = "zoo/capture/refit-zoo/v3/2026/11/20/12/00-05-120-0d4c7f52.jsonl"
unhurried = settings(deadline=None)  # a slow machine must not fail the test

Side = dict[str, Any] | None


def side(data: str, encoding: str = "CSV", content_type: str | None = "text/csv") -> dict[str, Any]:
    known = {"observedContentType": content_type} if content_type else {}
    return {"mode": "INPUT", "data": data, "encoding": encoding, **known}


def as_json(value: Any, encoding: str = "JSON") -> dict[str, Any]:
    text = json.dumps(value)
    data = base64.b64encode(text.encode()).decode() if encoding == "BASE64" else text
    return side(data, encoding, "application/json")


def in_base64(text: str, content_type: str | None = "text/csv; charset=utf-8") -> dict[str, Any]:
    return side(base64.b64encode(text.encode()).decode(), "BASE64", content_type)


def line(asked: Side, answered: Side, **metadata: Any) -> bytes:
    sides = {"endpointInput": asked, "endpointOutput": answered}
    given = {
        "eventId": "e1",
        "inferenceId": "order-000123",
        "inferenceTime": "2026-11-20T12:00:00Z",
    }
    given = {name: value for name, value in (given | metadata).items() if value is not None}
    value = {
        "captureData": {name: value for name, value in sides.items() if value is not None},
        "eventMetadata": given,
        "eventVersion": "0",
    }
    return json.dumps(value).encode()


def rows(captured: bytes, schema: Schema) -> list[CapturedRow]:
    found = list(captured_rows(read_event(captured), KEY, 7, 3, schema))
    assert all(isinstance(row, CapturedRow) for row in found), found
    return [row for row in found if isinstance(row, CapturedRow)]


def why_not(captured: bytes, schema: Schema = PAIR) -> str:
    try:
        event = read_event(captured)
    except CaptureUnreadable as reason:
        return str(reason)
    (bad,) = [row for row in captured_rows(event, KEY, 0, 3, schema) if isinstance(row, BadRow)]
    return bad.reason


ASKED = {
    "csv": side("1,2.5\n,-3"),
    "csv with an end": side("1,2.5\r\n,-3\r\n"),
    "csv that says nan": side("1,2.5\nnan,-3\n"),
    "csv in base64": in_base64("1,2.5\n,-3\n"),
    "csv of the container's short name": in_base64("1,2.5\n,-3\n", "csv"),
    "json": as_json({"instances": [[1, 2.5], [None, -3]]}),
    "json with features": as_json(
        {"instances": [{"features": [1, 2.5]}, {"features": [math.nan, -3]}]}
    ),
    "json in base64": as_json({"instances": [[1, "2.5"], [None, -3]]}, "BASE64"),
    "a bare list": as_json([[1, 2.5], [None, -3]]),
    "json lines": in_base64('{"features": [1, 2.5]}\n[null, -3]\n', "application/jsonlines"),
}
ANSWERED = {
    "csv": side("0.25\n0.75\n", content_type="text/csv; charset=utf-8"),
    "csv in base64": in_base64("0.25\n0.75\n"),
    "json": as_json({"predictions": [{"score": 0.25}, {"score": 0.75}]}),
    "json in base64": as_json({"predictions": [{"score": 0.25}, {"score": 0.75}]}, "BASE64"),
    "all probabilities": as_json(
        {
            "predictions": [
                {"predicted_label": 0, "probabilities": [0.75, 0.25]},
                {"predicted_label": 1, "probabilities": [0.25, 0.75]},
            ]
        }
    ),
    "json lines": side('{"score": 0.25}\n{"score": 0.75}\n', "JSON", "application/jsonlines"),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("answered", ANSWERED.values(), ids=ANSWERED)
def test_every_encoding_of_either_side_gives_the_same_rows(asked: Side, answered: Side) -> None:
    first, second = rows(line(asked, answered), PAIR)
    assert first.values == [1, 2.5]
    assert math.isnan(second.values[0])
    assert second.values[1] == -3
    assert [row.prediction.text for row in (first, second)] == ["iris", "rose"]
    assert [row.answer for row in (first, second)] == [0, 1]
    assert [row.prediction.confidence for row in (first, second)] == [0.75, 0.75]


def test_a_row_has_its_event_its_source_and_its_probabilities() -> None:
    first, second = rows(line(side("1,2\n3,4"), side("0.1,0.2,0.7\n0.5,0.25,0.25")), KINDS)
    assert [first.inference_id, second.inference_id] == ["order-000123-0", "order-000123-1"]
    made = second.prediction
    assert made.source == Source(KEY, 7, 1)
    assert (made.version, made.rows, made.at) == (3, 2, NOON)
    assert made.probabilities == struct.pack("<3f", 0.5, 0.25, 0.25)


def test_the_row_of_an_event_with_one_row_has_the_id_of_the_event() -> None:
    (row,) = rows(line(side("1,2"), side("0.9")), PAIR)
    assert row.inference_id == "order-000123"


@pytest.mark.parametrize("absent", [None, ""])
def test_an_event_without_inference_id_uses_its_event_id(absent: str | None) -> None:
    (row,) = rows(line(side("1,2"), side("0.9"), inferenceId=absent), PAIR)
    assert row.inference_id == "e1"


@pytest.mark.parametrize(
    ("answer", "text"), [("5.0", "5"), ("-0.7193003296852112", "-0.7193003296852112"), ("0", "0")]
)
def test_a_predicted_number_is_stored_in_its_canonical_spelling(answer: str, text: str) -> None:
    (row,) = rows(line(side("1,2"), side(answer)), PRICES)
    assert row.prediction.text == text
    assert row.answer == float(answer)
    assert row.prediction.confidence is None
    assert row.prediction.probabilities is None


def test_nan_in_other_members_of_a_regressions_answer_is_ignored() -> None:
    answered = as_json({"predictions": [{"predicted_score": 1.5, "probabilities": math.nan}]})
    (row,) = rows(line(side("1,2"), answered), PRICES)
    assert row.prediction.text == "1.5"


def test_the_probabilities_of_more_than_200_classes_are_not_stored() -> None:
    many = KINDS.model_copy(update={"classes": tuple(f"c{index}" for index in range(201))})
    answered = side(",".join(["0"] * 200 + ["1"]))
    (row,) = rows(line(side("1,2"), answered), many)
    assert row.prediction.probabilities is None
    assert (row.prediction.text, row.prediction.confidence) == ("c200", 1)


def test_another_version_input_or_answer_gives_another_digest() -> None:
    def digests(version: int, asked: str, answered: str) -> str:
        event = read_event(line(side(asked), side(answered)))
        (row,) = captured_rows(event, KEY, 0, version, PAIR)
        assert isinstance(row, CapturedRow)
        return row.prediction.digest

    given = [(3, "1,2", "0.5"), (4, "1,2", "0.5"), (3, "1,3", "0.5"), (3, "1,2", "0.6")]
    assert len({digests(*one) for one in given}) == 4
    assert digests(3, "1,2", "0.5") == digests(3, "1,2\n", "0.5\n")


CELLS = st.one_of(st.none(), st.integers(-(10**20), 10**20), st.floats(allow_nan=False))


@given(asked=st.lists(CELLS, min_size=2, max_size=2).filter(any), answered=st.floats(0, 1))
@unhurried
def test_a_prediction_is_the_same_when_captured_as_csv_and_as_json(
    asked: list[float | None], answered: float
) -> None:
    text = ",".join("" if cell is None else str(cell) for cell in asked)
    from_csv = rows(line(side(text), side(str(answered))), PAIR)
    from_json = rows(
        line(as_json({"instances": [asked]}), as_json({"predictions": [{"score": answered}]})), PAIR
    )
    assert [row.prediction for row in from_json] == [row.prediction for row in from_csv]
    assert repr(from_json[0].values) == repr(from_csv[0].values)


def test_the_digest_of_a_prediction_never_changes() -> None:
    """A file that is delivered again after an update of Refit must not make ids ambiguous."""
    captured = rows(line(side("1,2.5\n,-3.0"), side("0.25\n0.75")), PAIR)
    digests = [row.prediction.digest for row in captured]
    assert digests == ["370284bd516f2908", "12fa286238f299b7"]


GOOD = line(side("1,2"), side("0.9"))
BAD = {
    "nothing": (b"{}", "captureData: Field required"),
    "no object": (b"[1]", "object"),
    "truncated": (GOOD[:-20], "Invalid JSON: EOF"),
    "no UTF-8": (b"\xff\xfe", "Invalid JSON"),
    "nested": (b"[" * 100_000, "Invalid JSON"),
    "no input": (line(None, side("0.9")), "endpointInput is missing: capture both sides"),
    "no output": (line(side("1,2"), None), "endpointOutput is missing"),
    "no id": (line(side("1,2"), side("0.9"), inferenceId=None, eventId=None), "there is no id"),
    "bad id": (
        line(side("1,2"), side("0.9"), inferenceId=" x"),
        "not begin with a space: ' x'",
    ),
    "long id": (line(side("1,2"), side("0.9"), inferenceId="x" * 81), "1 to 80 printable"),
    "no time": (line(side("1,2"), side("0.9"), inferenceTime=None), "inferenceTime: Field requ"),
    "local time": (
        line(side("1,2"), side("0.9"), inferenceTime="2026-11-20T12:00:00"),
        "eventMetadata.inferenceTime: Input should have timezone info",
    ),
    "time before time": (
        line(side("1,2"), side("0.9"), inferenceTime="0001-01-01T00:00:00+23:00"),
        "is not a time in UTC",
    ),
    "another form": (GOOD.replace(b'"eventVersion": "0"', b'"eventVersion": "1"'), "eventVersion"),
    "another encoding": (line(side("1,2", "XML"), side("0.9")), "endpointInput.encoding"),
    "too many answers": (line(side("1,2"), side("0.9\n0.8")), "there are 1 rows and 2 answers"),
    "no rows": (line(side("\n"), side("")), "there are no rows"),
    "no base64": (line(side("é", "BASE64"), side("0.9")), "the input is not BASE64"),
    "base64 of no text": (
        line(side(base64.b64encode(b"\xff").decode(), "BASE64"), side("0.9")),
        "the input is not BASE64 of UTF-8",
    ),
    "base64 of what": (line(in_base64("1,2", None), side("0.9")), "the input is of type None"),
    "recordio": (line(in_base64("1", "application/x-recordio-protobuf"), side("0.9")), "text/csv"),
    "no JSON": (line(side("{", "JSON"), side("0.9")), "the input is not JSON"),
    "deep JSON": (line(side("[" * 100_000, "JSON"), side("0.9")), "the input is not JSON"),
    "no list": (line(as_json({"rows": []}), side("0.9")), 'no list of "instances"'),
    "no predictions": (line(side("1,2"), as_json({"x": 1})), 'no list of "predictions"'),
    "a row that is text": (
        line(as_json(["1,2"]), side("0.9")),
        "a row that is not a list of numbers",
    ),
    "a list in a cell": (line(as_json([[[1], 2]]), side("0.9")), "a row that is not a list of n"),
    "true": (line(as_json([[True, 2]]), side("0.9")), "a row that is not a list of numbers"),
    "no score": (line(side("1,2"), as_json([{"label": 1}])), "a row that is not a list of numbers"),
    "text in a cell": (line(side("1,wide"), side("0.9")), "has 'wide' where a number is expected"),
    "too short": (line(side("1"), side("0.9")), "has 1 values, but the version reads 2"),
    "another delimiter": (line(side("1;2"), side("0.9")), "has '1;2' where a number is expected"),
    "nan": (line(side("1,2"), side("NaN")), "returned 'NaN', not 2 probabilities"),
    "three classes": (line(side("1,2"), side("0.1,0.2,0.7")), "not 2 probabilities"),
    "a margin": (line(side("1,2"), side("7.5")), "but a probability is from 0 to 1"),
}


@pytest.mark.parametrize(("captured", "reason"), BAD.values(), ids=BAD)
def test_a_line_that_cannot_be_used_is_rejected_with_the_reason(
    captured: bytes, reason: str
) -> None:
    reported = why_not(captured)
    assert reason in reported
    assert len(reported) < 300


def test_a_bad_row_of_an_event_does_not_affect_the_others() -> None:
    event = read_event(line(side("1,2\n1,x\n3,4"), side("0.9\n0.9\n0.1")))
    first, bad, last = captured_rows(event, KEY, 0, 3, PAIR)
    assert isinstance(first, CapturedRow)
    assert isinstance(bad, BadRow)
    assert isinstance(last, CapturedRow)
    assert last.inference_id == "order-000123-2"


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (KEY, CaptureKey("zoo", "refit-zoo", "v3")),
        ("zoo/capture/other/AllTraffic/2026/x.jsonl", CaptureKey("zoo", "other", "AllTraffic")),
        ("zoo/capture/x.jsonl", None),
        ("zoo/quarantine/capture/0123.jsonl", None),
        ("_refused/capture/processing-failed/2026/11/20/x.jsonl", None),
        ("Zoo/capture/refit-zoo/v3/2026/x.jsonl", None),
        ("zoo/capture/refit-zoo/v3/2026/x.csv", None),
    ],
)
def test_the_key_of_a_capture_file_states_model_endpoint_and_variant(
    key: str, found: CaptureKey | None
) -> None:
    assert capture_key_of(key) == found


@pytest.mark.parametrize("variant", ["AllTraffic", "v", "v0", "v-1", "3", "v03", "v 3", "vv3"])
def test_a_variant_that_refit_did_not_name_has_no_version(variant: str) -> None:
    with pytest.raises(CaptureUnreadable, match="is not the name of a version"):
        _ = CaptureKey("zoo", "refit-zoo", variant).version


FLOATS = st.one_of(st.none(), st.floats(width=32, allow_nan=False, allow_infinity=False))
ANSWERS = st.floats(0, 1)


@given(
    exchanged=st.lists(st.tuples(FLOATS, FLOATS, ANSWERS), min_size=1, max_size=20),
    at=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
@unhurried
def test_the_reader_reads_the_lines_of_the_writer(
    exchanged: list[tuple[float | None, float | None, float]], at: datetime
) -> None:
    asked = [list(row[:2]) for row in exchanged]
    body = "\n".join(csv_line(row) or "," for row in asked).encode()
    answer = "".join(f"{row[2]!r}\n" for row in exchanged).encode()
    call = EndpointCall(
        id="a" * 32,
        rows=len(exchanged),
        body=body,
        answer=answer,
        content_type="text/csv; charset=utf-8",
        variant="v3",
        at=at,
    )
    written = capture_line("zoo", "refit-zoo", call)
    assert written.count(b"\n") == 1
    found = rows(written, PAIR)
    returned = decoded_predictions(answer, PAIR, call.inference_ids)
    assert [row.inference_id for row in found] == [row["inferenceId"] for row in returned]
    assert [row.prediction.text for row in found] == [row["prediction"] for row in returned]
    assert [row.prediction.at for row in found] == [
        at.replace(microsecond=at.microsecond // 1000 * 1000)
    ] * len(exchanged)
    assert inputs_of(written) == asked
    index = capture_key_of(new_capture_key("zoo", "refit-zoo", "v3", at))
    assert index == CaptureKey("zoo", "refit-zoo", "v3")


@given(st.binary())
@unhurried
def test_arbitrary_bytes_are_read_or_refused(captured: bytes) -> None:
    with suppress(CaptureUnreadable):
        read_event(captured)


JSONS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["instances", "predictions", "features", "score", "x"]), inner
        ),
    ),
    max_leaves=12,
)
TEXTS = st.one_of(st.text(max_size=30), st.text("0123456789.,-\nen", max_size=20))
SIDES = st.builds(
    side,
    st.one_of(TEXTS, JSONS.map(json.dumps), TEXTS.map(lambda t: in_base64(t)["data"])),
    st.sampled_from(["CSV", "JSON", "BASE64"]),
    st.sampled_from([None, "text/csv", "application/json", "application/jsonlines", "x"]),
)


@given(asked=SIDES, answered=SIDES, schema=st.sampled_from([PAIR, KINDS, PRICES]))
@unhurried
def test_arbitrary_sides_are_read_or_refused(asked: Side, answered: Side, schema: Schema) -> None:
    captured = line(asked, answered)
    with suppress(CaptureUnreadable):
        for row in captured_rows(read_event(captured), KEY, 0, 3, schema):
            assert isinstance(row, BadRow) or len(row.values) == 2


@given(st.text("0123456789.,- nae+", max_size=30))
@unhurried
def test_arbitrary_cells_are_numbers_or_refused(row: str) -> None:
    with suppress(CaptureUnreadable):
        assert len(values_of(row)) == row.count(",") + 1


class Bucket:
    """Collects the files that a local endpoint captures."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, content: bytes, uri: str, _: str) -> None:
        self.files[uri.removeprefix("s3://captures/")] = content


@pytest.mark.parametrize("known", [[], ["text/csv"]], ids=["base64", "csv"])
@pytest.mark.parametrize("given_id", [None, "order-000123"])
def test_what_a_local_endpoint_captures_is_read(known: list[str], given_id: str | None) -> None:
    bucket = Bucket()
    config = {
        "EnableCapture": True,
        "DestinationS3Uri": "s3://captures/zoo/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": known} if known else {},
    }
    endpoint = DataCapture(lambda _: bucket, MagicMock())  # type: ignore[arg-type, return-value]
    endpoint.add(
        CapturedInvocation(
            endpoint="refit-zoo",
            variant="v3",
            role_arn="role",
            config=config,
            request_type="text/csv",
            request_body=b"1,2\n3,4",
            response_type="text/csv; charset=utf-8",
            response_body=b"0.25\n0.75\n",
            inference_id=given_id,
            custom_attributes=None,
            at=NOON,
        )
    )
    endpoint.flush()
    ((key, content),) = bucket.files.items()
    assert capture_key_of(key) == CaptureKey("zoo", "refit-zoo", "v3")
    first, second = rows(content, PAIR)
    assert [row.prediction.text for row in (first, second)] == ["iris", "rose"]
    assert first.inference_id.endswith("-0")
    assert given_id is None or first.inference_id == "order-000123-0"
