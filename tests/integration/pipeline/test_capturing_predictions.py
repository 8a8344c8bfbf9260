"""What the predict API sends to the delivery stream, and what it does when that takes nothing."""

from __future__ import annotations

import json
import random
import subprocess
from shutil import which
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from refit.domain.inferences.capture_reader import capture_key_of, read_event
from refit.handlers.wiring import services
from refit.stores.capture_stream import RECORD_BYTES

from tests.support.aws_stack import REGION, Stack
from tests.support.deployed_flowers import (
    RUNS,
    TWO_ROWS,
    ask,
    ask_in_small_calls,
    deployed,
    live,
    will_answer,
)
from tests.support.events import sample
from tests.support.versions import put_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["deployed", "live"]


class Stream:
    """The delivery stream, by what it will answer."""

    def __init__(self, stubber: Stubber) -> None:
        self._stubber = stubber
        self.sent: list[list[bytes]] = []
        services().client("firehose").meta.events.register(
            "provide-client-params.firehose.PutRecordBatch", self._note
        )

    def _note(self, params: dict[str, Any], **_: Any) -> None:
        assert params["DeliveryStreamName"] == "captures"
        self.sent.append([record["Data"] for record in params["Records"]])

    def takes(self, *taken: bool) -> None:
        outcomes = [
            {"RecordId": "1"}
            if is_taken
            else {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}
            for is_taken in taken
        ]
        answer = {"FailedPutCount": taken.count(False), "RequestResponses": outcomes}
        expected = {"DeliveryStreamName": "captures", "Records": ANY}
        self._stubber.add_response("put_record_batch", answer, expected)

    def fails(self, code: str, status: int) -> None:
        self._stubber.add_client_error("put_record_batch", code, http_status_code=status)


@pytest.fixture
def stream(deployed: Stack) -> Iterator[Stream]:
    put_manifest("flowers", 3, {"capture": "api"})
    with Stubber(services().client("firehose")) as stubber:
        yield Stream(stubber)
        stubber.assert_no_pending_responses()


def written(stack: Stack) -> list[bytes]:
    """The capture files that were written past the stream."""
    s3 = boto3.client("s3", REGION)
    return [
        s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read()
        for key in stack.keys("flowers/capture/")
    ]


def test_a_captured_line_holds_what_was_asked_and_answered_and_the_ids_that_were_told(
    live: Stubber, stream: Stream
) -> None:
    will_answer(live, "0.25\n0.75\n")
    stream.takes(True)
    _, body = ask(sample("predict"))
    ((line,),) = stream.sent
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    told = [row["inferenceId"] for row in body["predictions"]]
    value = json.loads(line)
    assert value["captureData"] == {
        "endpointInput": {
            "observedContentType": "text/csv",
            "mode": "INPUT",
            "data": TWO_ROWS.decode(),
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "text/csv; charset=utf-8",
            "mode": "OUTPUT",
            "data": "0.25\n0.75\n",
            "encoding": "CSV",
        },
    }
    assert value["eventVersion"] == "0"
    event = read_event(line)
    assert [f"{event.event_id}-{row}" for row in (0, 1)] == told


def test_the_stream_finds_in_the_line_where_its_file_belongs(live: Stubber, stream: Stream) -> None:
    will_answer(live, "0.25\n0.75\n")
    stream.takes(True)
    ask(sample("predict"))
    ((line,),) = stream.sent
    where = {"model": "flowers", "endpoint": "refit-flowers", "variant": "v3"}
    assert json.loads(line)["refit"] == where


def test_each_call_of_a_request_is_a_line_of_its_own(live: Stubber, stream: Stream) -> None:
    will_answer(live, "0.25\n")
    will_answer(live, "0.75\n")
    stream.takes(True, True)
    predictions = ask_in_small_calls()
    (lines,) = stream.sent
    assert [read_event(line).event_id for line in lines] == [
        row["inferenceId"] for row in predictions.rows
    ]


@pytest.mark.parametrize("capture", ["off", "endpoint"])
def test_nothing_is_sent_when_the_endpoint_captures_by_itself_or_nobody_does(
    deployed: Stack, live: Stubber, stream: Stream, capture: str
) -> None:
    put_manifest("flowers", 3, {"capture": capture})
    will_answer(live, "0.25\n0.75\n")
    assert ask(sample("predict"))[0] == 200
    assert stream.sent == []
    assert written(deployed) == []


def test_the_version_that_answered_says_whether_it_is_captured(
    deployed: Stack, live: Stubber, stream: Stream
) -> None:
    put_manifest("flowers", 4, {"capture": "off"})
    will_answer(live, "0.1,0.2,0.7\n0.8,0.1,0.1\n", variant="v4")
    assert ask(sample("predict"))[0] == 200
    assert stream.sent == []


def test_a_request_that_is_sent_again_is_captured_once(live: Stubber, stream: Stream) -> None:
    for variant in ("v3", "v4", "v3", "v3"):
        will_answer(live, "0.25\n", variant=variant)
    stream.takes(True, True)
    ask_in_small_calls()
    (lines,) = stream.sent
    assert len(lines) == 2


def test_a_share_of_the_invocations_is_captured(live: Stubber, stream: Stream) -> None:
    put_manifest("flowers", 3, {"capture": "api", "capture_percent": 14})
    random.seed(1)  # the first numbers are 0.134 and 0.847
    stream.takes(True)
    for _ in range(2):
        will_answer(live, "0.25\n0.75\n")
        ask(sample("predict"))
    assert len(stream.sent) == 1


def test_what_the_stream_does_not_take_is_sent_once_more_and_then_written_by_itself(
    deployed: Stack, live: Stubber, stream: Stream
) -> None:
    will_answer(live, "0.25\n")
    will_answer(live, "0.75\n")
    stream.takes(True, False)
    stream.takes(False)
    predictions = ask_in_small_calls()
    first, again = stream.sent
    assert again == first[1:]
    assert written(deployed) == again
    (key,) = deployed.keys("flowers/capture/")
    captured = capture_key_of(key)
    assert captured is not None
    assert (captured.model, captured.endpoint, captured.version) == ("flowers", "refit-flowers", 3)
    assert read_event(again[0]).event_id == predictions.rows[1]["inferenceId"]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ServiceUnavailableException", 503),
        ("AccessDeniedException", 400),
        ("ResourceNotFoundException", 400),
    ],
)
def test_a_stream_that_fails_costs_neither_the_answer_nor_the_capture(
    deployed: Stack, live: Stubber, stream: Stream, code: str, status: int
) -> None:
    will_answer(live, "0.25\n0.75\n")
    stream.fails(code, status)
    assert ask(sample("predict"))[0] == 200
    ((sent,),) = stream.sent
    assert written(deployed) == [sent]


def test_a_line_too_long_for_the_stream_is_written_by_itself(
    deployed: Stack, live: Stubber, stream: Stream
) -> None:
    rows = [[1.0000000000000002, -2.2250738585072014e-30, "red"]] * 20_000
    will_answer(live, "0.25000000000000000000\n" * len(rows))
    event = sample("predict") | {"body": json.dumps({"instances": rows})}
    assert ask(event)[0] == 200
    assert stream.sent == []
    (line,) = written(deployed)
    assert len(line) > RECORD_BYTES
    assert len(read_event(line).inputs) == len(rows)


def test_an_answer_is_given_even_when_nothing_takes_its_capture(
    live: Stubber, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    for read in (services().artifacts.schema, services().artifacts.settings):
        read("flowers", RUNS[3])  # before the bucket fails
    will_answer(live, "0.25\n0.75\n")
    stream.fails("ServiceUnavailableException", 503)
    with Stubber(services().client("s3")) as bucket:
        bucket.add_client_error("put_object", "AccessDenied", http_status_code=403)
        assert ask(sample("predict"))[0] == 200
    (error,) = [entry for entry in caplog.records if entry.levelname == "ERROR"]
    assert error.message == "not captured"
    assert error.files[0].startswith("flowers/capture/refit-flowers/v3/")


@pytest.mark.skipif(which("jq") is None, reason="jq is not installed")
def test_the_streams_own_query_finds_the_partition_keys(live: Stubber, stream: Stream) -> None:
    will_answer(live, "0.25\n0.75\n")
    stream.takes(True)
    ask(sample("predict"))
    ((line,),) = stream.sent
    query = "{model: .refit.model, endpoint: .refit.endpoint, variant: .refit.variant}"
    found = subprocess.run(["jq", query], input=line, capture_output=True, check=True).stdout
    assert json.loads(found) == {
        "model": "flowers",
        "endpoint": "refit-flowers",
        "variant": "v3",
    }
