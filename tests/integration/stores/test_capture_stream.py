"""CaptureStream: lines go to Firehose in batches, or to the bucket when Firehose fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from refit.stores.capture_stream import (
    BATCH_BYTES,
    BATCH_RECORDS,
    RECORD_BYTES,
    CapturedLine,
    CaptureStream,
)

from tests.support.aws_clients import FailingClient, client_error

if TYPE_CHECKING:
    from refit.stores.bucket import Bucket

    from tests.support.aws_stack import Stack


class FakeFirehose:
    """A client that refuses records with given contents a given number of times."""

    def __init__(self, refusals: dict[bytes, int] | None = None) -> None:
        self._refusals = refusals or {}
        self.batches: list[list[bytes]] = []

    def put_record_batch(
        self, DeliveryStreamName: str, Records: list[dict[str, bytes]]
    ) -> dict[str, Any]:
        assert DeliveryStreamName == "captures"
        self.batches.append([record["Data"] for record in Records])
        return {"RequestResponses": [self._response(record["Data"]) for record in Records]}

    def _response(self, data: bytes) -> dict[str, str]:
        if self._refusals.get(data, 0) == 0:
            return {"RecordId": "1"}
        self._refusals[data] -= 1
        return {"ErrorCode": "ServiceUnavailableException"}


@pytest.fixture
def bucket(stack: Stack) -> Bucket:
    return stack.services.bucket


def captured(*contents: bytes) -> list[CapturedLine]:
    return [CapturedLine(f"capture/{number}", data) for number, data in enumerate(contents)]


def test_lines_are_sent_in_one_batch(bucket: Bucket) -> None:
    firehose = FakeFirehose()
    assert CaptureStream(firehose, "captures", bucket).deliver(captured(b"a\n", b"b\n")) == []
    assert firehose.batches == [[b"a\n", b"b\n"]]
    assert bucket.list("") == []


def test_a_batch_has_no_more_records_than_firehose_accepts(bucket: Bucket) -> None:
    firehose = FakeFirehose()
    lines = captured(*[b"a\n"] * (BATCH_RECORDS + 1))
    assert CaptureStream(firehose, "captures", bucket).deliver(lines) == []
    assert [len(batch) for batch in firehose.batches] == [BATCH_RECORDS, 1]


def test_a_batch_has_no_more_bytes_than_firehose_accepts(bucket: Bucket) -> None:
    firehose = FakeFirehose()
    lines = captured(*[b"a" * RECORD_BYTES] * 5)
    assert CaptureStream(firehose, "captures", bucket).deliver(lines) == []
    assert [len(batch) for batch in firehose.batches] == [4, 1]
    assert all(sum(map(len, batch)) <= BATCH_BYTES for batch in firehose.batches)


def test_refused_records_are_sent_once_more(bucket: Bucket) -> None:
    firehose = FakeFirehose({b"b\n": 1})
    assert CaptureStream(firehose, "captures", bucket).deliver(captured(b"a\n", b"b\n")) == []
    assert firehose.batches == [[b"a\n", b"b\n"], [b"b\n"]]
    assert bucket.list("") == []


def test_records_that_are_refused_again_are_written_to_the_bucket(bucket: Bucket) -> None:
    firehose = FakeFirehose({b"b\n": 2})
    assert CaptureStream(firehose, "captures", bucket).deliver(captured(b"a\n", b"b\n")) == []
    assert [entry.key for entry in bucket.list("")] == ["capture/1"]
    assert bucket.read("capture/1") == b"b\n"


def test_a_line_that_is_too_large_for_firehose_is_written_to_the_bucket(bucket: Bucket) -> None:
    firehose = FakeFirehose()
    stream = CaptureStream(firehose, "captures", bucket, record_bytes=4)
    assert stream.deliver(captured(b"12345", b"1234")) == []
    assert firehose.batches == [[b"1234"]]
    assert bucket.read("capture/0") == b"12345"


@pytest.mark.parametrize("code", ["ThrottlingException", "ResourceNotFoundException"])
def test_when_firehose_fails_all_lines_are_written_to_the_bucket(bucket: Bucket, code: str) -> None:
    failing = FailingClient(None, put_record_batch=client_error(code))
    assert CaptureStream(failing, "captures", bucket).deliver(captured(b"a\n", b"b\n")) == []
    assert [entry.key for entry in bucket.list("")] == ["capture/0", "capture/1"]


@pytest.mark.parametrize("code", ["SlowDown", "AccessDenied"])
def test_lines_that_neither_firehose_nor_the_bucket_accepts_are_returned(
    stack: Stack, code: str
) -> None:
    error = client_error(code)
    failing = FailingClient(None, put_record_batch=error, put_object=error)
    services = stack.with_clients(s3=failing)
    lines = captured(b"a\n")
    assert CaptureStream(failing, "captures", services.bucket).deliver(lines) == lines


def test_without_lines_nothing_is_sent(bucket: Bucket) -> None:
    firehose = FakeFirehose()
    assert CaptureStream(firehose, "captures", bucket).deliver([]) == []
    assert firehose.batches == []
