"""What the predict API sends to the delivery stream, and what it does when that takes nothing."""

from __future__ import annotations

import json
import subprocess
from shutil import which
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from refit.domain.inferences.captured import capture_key_of, event_of
from refit.handlers import predict
from refit.stores import clients, firehose
from refit.stores import run_artifacts as versions

from tests.integration.pipeline.test_predicting import (
    RUNS,
    TWO_ROWS,
    ask,
    deployed,
    live,
    watched,
    will_answer,
)
from tests.support.aws_stack import REGION, Stack
from tests.support.events import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["deployed", "live"]


class Stream:
    """The delivery stream, by what it will answer."""

    def __init__(self, stubber: Stubber) -> None:
        self._stubber = stubber
        self.sent: list[list[bytes]] = []
        clients.client("firehose").meta.events.register(
            "provide-client-params.firehose.PutRecordBatch", self._note
        )

    def _note(self, params: dict[str, Any], **_: Any) -> None:
        assert params["DeliveryStreamName"] == "captures"
        self.sent.append([record["Data"] for record in params["Records"]])

    def takes(self, *taken: bool) -> None:
        outcomes = [
            {"RecordId": "1"}
            if one
            else {"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."}
            for one in taken
        ]
        answer = {"FailedPutCount": taken.count(False), "RequestResponses": outcomes}
        expected = {"DeliveryStreamName": "captures", "Records": ANY}
        self._stubber.add_response("put_record_batch", answer, expected)

    def fails(self, code: str, status: int) -> None:
        self._stubber.add_client_error("put_record_batch", code, http_status_code=status)


@pytest.fixture
def stream(deployed: Stack) -> Iterator[Stream]:
    watched(deployed, 3, capture="api")
    with Stubber(clients.client("firehose")) as stubber:
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
    event = event_of(line)
    assert [f"{event.event_id}-{row}" for row in (0, 1)] == told


def test_the_stream_finds_in_the_line_where_its_file_belongs(live: Stubber, stream: Stream) -> None:
    will_answer(live, "0.25\n0.75\n")
    stream.takes(True)
    ask(sample("predict"))
    ((line,),) = stream.sent
    where = {"model": "flowers", "endpoint": "refit-flowers", "variant": "v3"}
    assert json.loads(line)["refit"] == where


def test_each_call_of_a_request_is_a_line_of_its_own(
    live: Stubber, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict.payload, "ENDPOINT_BYTES", 16)
    will_answer(live, "0.25\n")
    will_answer(live, "0.75\n")
    stream.takes(True, True)
    _, body = ask(sample("predict"))
    (lines,) = stream.sent
    assert [event_of(line).event_id for line in lines] == [
        row["inferenceId"] for row in body["predictions"]
    ]


@pytest.mark.parametrize("capture", ["off", "endpoint"])
def test_nothing_is_sent_when_the_endpoint_captures_by_itself_or_nobody_does(
    deployed: Stack, live: Stubber, stream: Stream, capture: str
) -> None:
    watched(deployed, 3, capture=capture)
    will_answer(live, "0.25\n0.75\n")
    assert ask(sample("predict"))[0] == 200
    assert stream.sent == []
    assert written(deployed) == []


def test_the_version_that_answered_says_whether_it_is_captured(
    deployed: Stack, live: Stubber, stream: Stream
) -> None:
    watched(deployed, 4, capture="off")
    will_answer(live, "0.1,0.2,0.7\n0.8,0.1,0.1\n", variant="v4")
    assert ask(sample("predict"))[0] == 200
    assert stream.sent == []


def test_a_request_that_is_asked_again_is_captured_once(
    live: Stubber, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict.payload, "ENDPOINT_BYTES", 16)
    for variant in ("v3", "v4", "v3", "v3"):
        will_answer(live, "0.25\n", variant=variant)
    stream.takes(True, True)
    ask(sample("predict"))
    (lines,) = stream.sent
    assert len(lines) == 2


def test_a_share_of_the_invocations_is_captured(
    deployed: Stack, live: Stubber, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched(deployed, 3, capture="api", capture_percent=30)
    drawn = iter([0.299, 0.301])
    monkeypatch.setattr("refit.usecases.capture_predictions.random.random", lambda: next(drawn))
    stream.takes(True)
    for _ in range(2):
        will_answer(live, "0.25\n0.75\n")
        ask(sample("predict"))
    assert len(stream.sent) == 1


def test_what_the_stream_does_not_take_is_sent_once_more_and_then_written_by_itself(
    deployed: Stack, live: Stubber, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict.payload, "ENDPOINT_BYTES", 16)
    will_answer(live, "0.25\n")
    will_answer(live, "0.75\n")
    stream.takes(True, False)
    stream.takes(False)
    status, body = ask(sample("predict"))
    assert status == 200
    first, again = stream.sent
    assert again == first[1:]
    assert written(deployed) == again
    (key,) = deployed.keys("flowers/capture/")
    place = capture_key_of(key)
    assert place is not None
    assert (place.model, place.endpoint, place.version) == ("flowers", "refit-flowers", 3)
    assert event_of(again[0]).event_id == body["predictions"][1]["inferenceId"]


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
    deployed: Stack, live: Stubber, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[1, 2, "red"]] * 10_000
    will_answer(live, "0.25\n" * len(rows))
    event = sample("predict") | {"body": json.dumps({"instances": rows})}
    monkeypatch.setattr(firehose, "RECORD_BYTES", 100_000)
    assert ask(event)[0] == 200
    assert stream.sent == []
    (line,) = written(deployed)
    assert len(event_of(line).inputs) == 10_000


def test_an_answer_is_given_even_when_nothing_takes_its_capture(
    live: Stubber, stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    for read in (versions.schema_of, versions.monitoring_of):  # before the bucket fails
        read("flowers", RUNS[3])
    will_answer(live, "0.25\n0.75\n")
    stream.fails("ServiceUnavailableException", 503)
    with Stubber(clients.client("s3")) as bucket:
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
