"""Capture files in, inferences and their counters out: each prediction once, whatever happens."""

from __future__ import annotations

import base64
import json
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError, ConnectionClosedError
from refit import consuming
from refit.aws import cohorts, labels
from refit.aws.clients import client
from refit.domain.capture_line import Invocation, capture_line
from refit.domain.captured import VERIFICATION_ID
from refit.domain.ground_truth import Change, Outcome, Status
from refit.domain.inference import NOTHING_COUNTED, Inference, Label
from refit.domain.input_counts import InputCounter, InputCounts, columns_of, merged
from refit.domain.schema import Feature, Schema
from refit.handlers import capture

from tests.integration.monitoring.live_model import BASELINE, PROFILE, SCHEMA, go_live
from tests.integration.pipeline.conftest import CONTEXT, REGION, Stack, sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOW = datetime.now(UTC).replace(microsecond=0)
AT = NOW - timedelta(minutes=10)
FOLDER = "digits/capture/refit-digits/v1/2026/11/20/12/"
SETTINGS = {"monitoring": {"cohort_s": 86_400 * 7, "label_age_s": 60}}


@pytest.fixture
def live(stack: Stack) -> Iterator[Stack]:
    """Model `digits`, whose version 1 reads one number and answers cat or dog."""
    go_live(1, SETTINGS)
    yield stack
    consuming._terms.cache_clear()


def line(
    call: str, asked: str = "0.5", answered: str = "0.25", at: datetime = AT, variant: str = "v1"
) -> bytes:
    made = Invocation(call, asked.encode(), answered.encode(), "text/csv", variant, at)
    return capture_line("digits", "refit-digits", made)


def delivered(*keys: str) -> list[str]:
    """Hand messages over; return the ids of those that failed."""
    (record,) = sample("capture")["Records"]
    body = json.loads(record["body"])
    records = []
    for key in keys:
        body["detail"]["object"] = {"key": key, "size": 1}
        records.append(record | {"messageId": key, "body": json.dumps(body)})
    try:
        answer = capture.handler({"Records": records}, CONTEXT)
    except BatchProcessingError:
        return list(keys)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def captured(stack: Stack, *lines: bytes, name: str = "a.jsonl", folder: str = FOLDER) -> None:
    stack.put(folder + name, b"".join(lines))
    assert delivered(folder + name) == []


def items(stack: Stack) -> dict[str, dict[str, Any]]:
    read = TypeDeserializer().deserialize
    pages = boto3.client("dynamodb", REGION).get_paginator("scan")
    found: dict[str, dict[str, Any]] = {}
    for page in pages.paginate(TableName=stack.inference_table):
        for item in page["Items"]:
            found[item["id"]["S"]] = {name: read(value) for name, value in item.items()}
    return found


def counters(stack: Stack) -> dict[str, Any]:
    answer = boto3.client("dynamodb", REGION).get_item(
        TableName=stack.table, Key={"pk": {"S": "MODEL#digits"}, "sk": {"S": "LABELS"}}
    )
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in answer.get("Item", {}).items()}


def predictions() -> list[int]:
    return [cohort.predictions for cohort in cohorts.load("digits", 1)]


def quarantined(stack: Stack, folder: str = "capture") -> list[dict[str, Any]]:
    s3 = boto3.client("s3", REGION)
    return [
        json.loads(entry)
        for key in stack.keys(f"digits/quarantine/{folder}/")
        for entry in s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read().splitlines()
    ]


def input_counts(stack: Stack) -> InputCounts:
    s3 = boto3.client("s3", REGION)
    parts = [
        InputCounts.from_bytes(s3.get_object(Bucket=stack.bucket, Key=key)["Body"].read())
        for key in stack.keys("digits/monitoring/v1/")
    ]
    found = merged(parts)
    assert found is not None
    return found


def counted_plainly(values: Sequence[float], p_dog: Sequence[float]) -> InputCounts:
    counter = InputCounter(columns_of(PROFILE, BASELINE))
    shares = np.array(p_dog)
    counter.add(
        np.array(values).reshape(-1, 1),
        (shares > 0.5).astype(np.float64),
        np.maximum(shares, 1 - shares),
    )
    return counter.counts()


def label(inference_id: str, text: str = "dog", of: int | None = None) -> None:
    """Let a label come for an inference of which nothing is known."""
    said = Label(text, NOW, NOW, of)
    after = Inference("digits", inference_id, 1, None, False, (said,), NOTHING_COUNTED)
    change = Change(inference_id, None, after, (Outcome(Status.HELD),))
    _, lost = labels.write("digits", [change], timedelta(days=1))
    assert lost == []


def published(printed: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in map(json.loads, printed.splitlines()):
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            assert entry["Model"] == "digits"
            found |= {metric["Name"]: entry[metric["Name"]][0] for metric in directive["Metrics"]}
    return found


# One prediction


def test_a_captured_row_becomes_an_inference(live: Stack) -> None:
    captured(live, b"\n", line("call", "0.5", "0.25"))
    (item,) = items(live).values()
    packed = item.pop("probabilities").value
    assert struct.unpack("<2f", packed) == (0.75, 0.25)
    assert len(item.pop("digest")) == 16
    assert item == {
        "id": "digits#call",
        "model": "digits",
        "inference_id": "call",
        "seq": 1,
        "prediction": "cat",
        "confidence": Decimal("0.75"),
        "version": 1,
        "predicted_at": AT.isoformat(timespec="milliseconds"),
        "source_key": f"{FOLDER}a.jsonl",
        "source_line": 1,
        "source_row": 0,
        "rows": 1,
        "expires_at": int((AT + timedelta(seconds=7_776_000)).timestamp()),
    }


def test_it_is_read_as_what_the_label_side_knows(live: Stack) -> None:
    captured(live, line("call"))
    inference = labels.load("digits", ["call"])["call"]
    assert inference.prediction is not None
    assert (inference.prediction.text, inference.prediction.at) == ("cat", AT)
    assert inference.labels == ()


def test_each_row_of_an_event_is_an_inference_of_its_own(live: Stack) -> None:
    captured(live, line("call", "0.1\n0.2\n0.3", "0.1\n0.9\n0.1"))
    found = items(live)
    assert sorted(found) == ["digits#call-0", "digits#call-1", "digits#call-2"]
    assert [found[key]["prediction"] for key in sorted(found)] == ["cat", "dog", "cat"]
    assert [found[key]["source_row"] for key in sorted(found)] == [0, 1, 2]
    assert {item["rows"] for item in found.values()} == {3}


def test_its_cohort_counts_it_and_knows_its_file(live: Stack) -> None:
    captured(live, line("a"), line("b"), name="a.jsonl")
    captured(live, line("c"), name="b.jsonl")
    (cohort,) = cohorts.load("digits", 1)
    assert (cohort.predictions, cohort.seconds, len(cohort.files)) == (3, 86_400 * 7, 2)
    assert cohort.start <= AT < cohort.end


def test_cohorts_are_as_long_as_the_version_says(live: Stack) -> None:
    consuming._terms.cache_clear()
    go_live(1, {"monitoring": {"cohort_s": 60}})
    captured(live, *(line(f"c{place}", at=AT + timedelta(minutes=place)) for place in range(5)))
    assert predictions() == [1] * 5
    assert len(live.keys("digits/monitoring/v1/")) == 5


def test_the_newest_capture_is_remembered_whatever_comes_after_it(live: Stack) -> None:
    newest = (AT + timedelta(seconds=5)).isoformat(timespec="milliseconds")
    captured(live, line("a", at=AT), line("b", at=AT + timedelta(seconds=5)), line("c", at=AT))
    assert counters(live)["last_capture_at"] == newest
    captured(live, line("d", at=AT - timedelta(hours=1)), name="b.jsonl")
    assert counters(live)["last_capture_at"] == newest


def test_a_regression_has_its_number_and_nothing_of_probabilities(live: Stack) -> None:
    prices = Schema(task="regression", label="price", features=(Feature(name="f0", type="number"),))
    live.put("digits/runs/run1/schema.json", prices.as_json())
    boto3.client("s3", REGION).delete_object(
        Bucket=live.bucket, Key="digits/runs/run1/baseline.json"
    )
    captured(live, line("call", "0.5", "12.50"))
    (item,) = items(live).values()
    assert item["prediction"] == "12.5"
    assert not {"confidence", "probabilities"} & item.keys()


def test_what_an_endpoint_captures_by_itself_is_taken_as_well(live: Stack) -> None:
    def side(data: str, content_type: str) -> dict[str, str]:
        encoded = base64.b64encode(data.encode()).decode()
        return {"observedContentType": content_type, "data": encoded, "encoding": "BASE64"}

    record = {
        "captureData": {
            "endpointInput": side("0.5", "text/csv"),
            "endpointOutput": side('{"predictions": [{"score": 0.9}]}', "application/json"),
        },
        "eventMetadata": {"eventId": "e1", "inferenceTime": AT.strftime("%Y-%m-%dT%H:%M:%SZ")},
        "eventVersion": "0",
    }
    captured(live, json.dumps(record).encode())
    assert items(live)["digits#e1"]["prediction"] == "dog"


def test_the_held_out_rows_that_prove_a_deployment_are_no_live_predictions(live: Stack) -> None:
    captured(live, line(VERIFICATION_ID, "0.1\n0.2", "0.1\n0.2"), line("call"))
    assert sorted(items(live)) == ["digits#call"]
    assert quarantined(live) == []


# Many predictions, delivered as it comes


def test_a_file_of_many_rows_is_written_in_transactions_that_dynamodb_takes(live: Stack) -> None:
    sizes: list[int] = []
    client("dynamodb").meta.events.register(
        "provide-client-params.dynamodb.TransactWriteItems",
        lambda params, **_: sizes.append(len(params["TransactItems"])),
    )
    captured(live, *(line(f"c{number}") for number in range(250)))
    assert len(items(live)) == 250
    assert predictions() == [250]
    assert max(sizes) <= 100
    assert len(sizes) == 3


def test_a_file_delivered_again_changes_nothing(
    live: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line(f"c{number}", "0.1\n0.9", "0.2\n0.7") for number in range(60)]
    captured(live, *lines, b'{"cut')
    before = items(live), predictions(), input_counts(live), quarantined(live)
    objects = live.keys("digits/")
    capsys.readouterr()
    captured(live, *lines, b'{"cut')
    after = items(live), predictions(), input_counts(live), quarantined(live)
    assert before[0] == after[0]
    assert before[1] == after[1] == [120]
    assert before[2].slots.tolist() == after[2].slots.tolist()
    assert before[3] == after[3]
    assert live.keys("digits/") == objects
    assert published(capsys.readouterr().out) == {"CapturesQuarantined": 1}


def test_a_line_that_is_delivered_in_two_files_counts_in_the_first(live: Stack) -> None:
    captured(live, line("a", "0.1"), line("b", "0.9"))
    captured(live, line("b", "0.9"), line("c", "0.4"), name="b.jsonl")
    assert predictions() == [3]
    assert items(live)["digits#b"]["source_key"] == f"{FOLDER}a.jsonl"
    expected = counted_plainly([0.1, 0.9, 0.4], [0.25] * 3)
    assert input_counts(live).slots.tolist() == expected.slots.tolist()


def test_ten_thousand_replays_of_one_prediction_are_one(live: Stack) -> None:
    captured(live, *[line("a")] * 10_000)
    assert predictions() == [1]
    assert input_counts(live).rows == 1


def test_the_inputs_and_answers_of_a_cohort_are_counted(live: Stack) -> None:
    values, p_dog = [0.01, 0.5, 7, float("nan")], [0.1, 0.2, 0.7, 0.99]
    captured(live, line("a", "\n".join(map(str, values)), "\n".join(map(str, p_dog))))
    expected = counted_plainly(values, p_dog)
    found = input_counts(live)
    assert (found.layout, found.rows) == (expected.layout, 4)
    assert found.slots.tolist() == expected.slots.tolist()


def test_two_deliveries_that_cross_count_once(live: Stack) -> None:
    lines = [line(f"c{number}") for number in range(150)]
    live.put(f"{FOLDER}a.jsonl", b"".join(lines))
    crossed: list[str] = []

    def cross(**_: Any) -> None:
        if not crossed:
            crossed.append("once")
            assert delivered(f"{FOLDER}a.jsonl") == []

    client("dynamodb").meta.events.register("before-call.dynamodb.TransactWriteItems", cross)
    assert delivered(f"{FOLDER}a.jsonl") == []
    assert predictions() == [150]
    assert input_counts(live).rows == 150


@pytest.mark.parametrize("when", ["before-call", "after-call"])
def test_a_file_that_breaks_off_is_taken_up_where_it_broke(live: Stack, when: str) -> None:
    live.put(f"{FOLDER}a.jsonl", b"".join(line(f"c{number}") for number in range(250)))
    calls = 0

    def break_off(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("the function has timed out")

    events = client("dynamodb").meta.events
    events.register(f"{when}.dynamodb.TransactWriteItems", break_off)
    assert delivered(f"{FOLDER}a.jsonl") == [f"{FOLDER}a.jsonl"]
    assert items(live)
    assert delivered(f"{FOLDER}a.jsonl") == []
    assert len(items(live)) == 250
    assert predictions() == [250]
    assert input_counts(live).rows == 250


def test_a_transaction_whose_answer_is_lost_counts_once(live: Stack) -> None:
    calls = 0

    def lose(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionClosedError(endpoint_url="https://dynamodb")

    client("dynamodb").meta.events.register("after-call.dynamodb.TransactWriteItems", lose)
    captured(live, *(line(f"c{number}") for number in range(50)))
    assert predictions() == [50]
    assert input_counts(live).rows == 50


def test_transactions_that_meet_others_are_tried_again(live: Stack) -> None:
    calls = 0

    def conflict(model: Any, **_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls <= 12:
            reasons = {"CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}]}
            code = {"Error": {"Code": "TransactionCanceledException"}}
            raise ClientError(code | reasons, model.name)

    client("dynamodb").meta.events.register("before-call.dynamodb.TransactWriteItems", conflict)
    captured(live, line("a"))
    assert calls == 13
    assert predictions() == [1]


def test_a_message_that_fails_does_not_cost_the_others(live: Stack) -> None:
    live.put(f"{FOLDER}a.jsonl", line("a"))
    live.put(f"{FOLDER}c.jsonl", line("c"))
    gone = f"{FOLDER}b.jsonl"
    assert delivered(f"{FOLDER}a.jsonl", gone, f"{FOLDER}c.jsonl") == [gone]
    assert sorted(items(live)) == ["digits#a", "digits#c"]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_befalls_the_files_each_inference_counts_once(live: Stack, seed: int) -> None:
    random = Random(seed)
    ids = [f"i{number}" for number in range(30)]
    came: dict[str, set[str]] = {}
    files = [f"{FOLDER}{number}.jsonl" for number in range(4)]
    for key in files:
        rows = [(random.choice(ids), random.choice(["0.1", "0.1", "0.2"])) for _ in range(40)]
        live.put(key, b"".join(line(call, asked) for call, asked in rows))
        for call, asked in rows:
            came.setdefault(call, set()).add(asked)
    waiting = ids[:10]
    troubled = True

    def before(model: Any, **_: Any) -> None:
        kind = random.random() if troubled else 1
        if kind < 0.2:
            reasons = {"CancellationReasons": [{"Code": "TransactionConflict"}]}
            code = {"Error": {"Code": "TransactionCanceledException"}}
            raise ClientError(code | reasons, model.name)
        if kind < 0.35 and waiting:
            label_unless_predicted(waiting.pop())
        elif kind < 0.5:
            break_off()

    def break_off(**_: Any) -> None:
        kind = random.random() if troubled else 1
        if kind < 0.1:
            raise RuntimeError("the function has timed out")
        if kind < 0.2:
            raise ConnectionClosedError(endpoint_url="https://dynamodb")

    events = client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", before)
    events.register("after-call.dynamodb.TransactWriteItems", break_off)
    for _ in range(6):
        delivered(*random.choices(files, k=2))
    troubled = False
    assert delivered(*random.sample(files, len(files))) == []

    found = items(live)
    assert {key.partition("#")[2] for key in found if "digest" in found[key]} == came.keys()
    assert predictions() == [len(came)]
    assert input_counts(live).rows == len(came)
    contradicted = {call for call, asked in came.items() if len(asked) > 1}
    assert {it["inference_id"] for it in found.values() if it.get("ambiguous")} == contradicted
    held = sum("held_model" in item for item in found.values())
    assert counters(live).get("held", 0) == held
    assert not [it for it in found.values() if {"digest", "held_model"} <= it.keys()]


def label_unless_predicted(inference_id: str) -> None:
    if inference_id not in labels.load("digits", [inference_id]):
        label(inference_id)


# Labels that came first


def test_a_label_that_was_held_is_joined(live: Stack) -> None:
    label("call")
    assert counters(live)["held"] == 1
    captured(live, line("call"))
    item = items(live)["digits#call"]
    assert (item["prediction"], item["labels"][0]["label"]) == ("cat", "dog")
    assert not {"held_model", "held_until"} & item.keys()
    assert counters(live)["held"] == 0
    assert predictions() == [1]
    assert item["uncounted"] == 1, "compare is told by that"
    assert item["expires_at"] == int((AT + timedelta(seconds=7_776_000)).timestamp())
    assert list(labels.overdue("digits", NOW + timedelta(days=30))) == []


def test_labels_of_a_whole_event_are_joined_with_its_rows(live: Stack) -> None:
    label("call-0", "cat", of=2)
    label("call-1", "dog", of=2)
    captured(live, line("call", "0.1\n0.2", "0.1\n0.2"))
    found = items(live)
    assert [found[f"digits#call-{row}"]["labels"][0]["label"] for row in (0, 1)] == ["cat", "dog"]
    assert counters(live)["held"] == 0


def test_labels_of_an_event_with_another_number_of_rows_are_not_joined(
    live: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    label("call-0", "cat", of=3)
    captured(live, line("call", "0.1\n0.2", "0.1\n0.2"))
    item = items(live)["digits#call-0"]
    assert item["prediction"] == "cat"
    assert not {"labels", "uncounted", "held_model"} & item.keys()
    (entry,) = quarantined(live, "ground-truth")
    assert entry["reason"] == "3 labels were listed for its event, and it has 2 rows"
    assert entry["record"]["inferenceId"] == "call-0"
    assert entry["record"]["label"] == "cat"
    assert (counters(live)["held"], counters(live)["rejected"]) == (0, 1)
    assert published(capsys.readouterr().out)["LabelsRejected"] == 1


def test_a_label_that_comes_while_its_prediction_is_written_is_joined(live: Stack) -> None:
    came: list[str] = []

    def come(**_: Any) -> None:
        if not came:
            came.append("once")
            label("b")

    client("dynamodb").meta.events.register("before-call.dynamodb.TransactWriteItems", come)
    captured(live, line("a"), line("b"), line("c"))
    item = items(live)["digits#b"]
    assert (item["prediction"], len(item["labels"])) == ("cat", 1)
    assert predictions() == [3]
    assert counters(live)["held"] == 0


# Ids used twice


@pytest.mark.parametrize("in_one_file", [True, False])
def test_a_second_prediction_under_an_id_makes_it_ambiguous_and_overwrites_nothing(
    live: Stack, in_one_file: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = (line("call", asked) for asked in ("0.1", "0.2", "0.3"))
    if in_one_file:
        captured(live, first, second, third)
    else:
        captured(live, first, name="a.jsonl")
        captured(live, second, name="b.jsonl")
        captured(live, third, name="c.jsonl")
    (item,) = items(live).values()
    assert (item["ambiguous"], item["seq"], item["uncounted"]) == (True, 2, 1)
    assert (item["source_key"], item["source_line"]) == (f"{FOLDER}a.jsonl", 0)
    assert predictions() == [1]
    assert published(capsys.readouterr().out)["AmbiguousInferences"] == 1
    expected = counted_plainly([0.1], [0.25])
    assert input_counts(live).slots.tolist() == expected.slots.tolist()
    captured(live, first, name="d.jsonl")
    assert items(live)["digits#call"] == item


def test_the_same_input_answered_by_another_version_is_another_prediction(live: Stack) -> None:
    go_live(2, SETTINGS)
    captured(live, line("call"))
    folder = FOLDER.replace("/v1/", "/v2/")
    captured(live, line("call", variant="v2"), folder=folder)
    assert items(live)["digits#call"]["ambiguous"] is True


# What cannot be used


def test_a_bad_line_goes_to_quarantine_and_the_rest_is_taken(
    live: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    captured(
        live,
        line("a"),
        b"no json\n",
        line("b", "0.1\n0.2", "0.1"),
        line("c", "0.1,0.2", "0.1"),
        line("d", answered="0.1,0.2,0.7"),
        line("e", at=NOW - timedelta(days=91)),
        line("f", at=NOW + timedelta(hours=1)),
        line("g"),
        line("h")[:-40],
    )
    assert sorted(items(live)) == ["digits#a", "digits#g"]
    found = quarantined(live)
    assert [entry["line"] for entry in found] == [2, 3, 4, 5, 6, 7, 9]
    assert {entry["file"] for entry in found} == {f"{FOLDER}a.jsonl"}
    assert found[0]["record"] == "no json"
    reasons = [
        "Invalid JSON",
        "2 rows were asked and 1 answered",
        "a row has 2 values and the version reads 1",
        "not 2 probabilities",
        "a prediction is remembered for 7776000 s",
        "predicted at",
        "Invalid JSON: EOF",
    ]
    assert all(reason in it["reason"] for reason, it in zip(reasons, found, strict=True))
    metrics = published(capsys.readouterr().out)
    assert metrics["CapturesQuarantined"] == 7
    assert metrics["Captured"] == 2
    assert 590 < metrics["CaptureLagSeconds"] < 900


@pytest.mark.parametrize(
    ("variant", "reason"),
    [
        ("AllTraffic", "variant 'AllTraffic' names no version"),
        ("v9", "version 9 of digits is not registered"),
    ],
)
def test_a_file_of_no_known_version_goes_to_quarantine_line_by_line(
    live: Stack, variant: str, reason: str
) -> None:
    captured(live, line("a"), line("b"), folder=FOLDER.replace("/v1/", f"/{variant}/"))
    assert items(live) == {}
    assert [(entry["line"], reason in entry["reason"]) for entry in quarantined(live)] == [
        (1, True),
        (2, True),
    ]


@pytest.mark.parametrize("name", ["capture_no_model", "capture_foreign_variant"])
def test_what_is_no_capture_file_of_ours_makes_no_inference(live: Stack, name: str) -> None:
    event = sample(name)
    key = json.loads(event["Records"][0]["body"])["detail"]["object"]["key"]
    live.put(key, line("a"))
    body = json.loads(event["Records"][0]["body"])
    del body["detail"]["object"]["version-id"]
    event["Records"][0]["body"] = json.dumps(body)
    assert capture.handler(event, CONTEXT) == {"batchItemFailures": []}
    assert items(live) == {}


def test_a_line_beyond_any_invocation_is_not_held_and_the_rest_is_taken(
    live: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refit.capture_files.MAX_LINE_BYTES", 2_000_000)
    captured(live, line("a"), b"x" * 3_000_000 + b"\n", line("b"))
    assert sorted(items(live)) == ["digits#a", "digits#b"]
    assert items(live)["digits#b"]["source_line"] == 2
    (entry,) = quarantined(live)
    assert entry["reason"] == "the line has 3,000,000 bytes; 2,000,000 are read"
    assert len(entry["record"]) == 1000


def test_a_line_of_twelve_megabytes_is_taken(live: Stack) -> None:
    asked = "\n".join([f"0.{'1' * 150_000}"] * 40)
    captured(live, line("a", asked, "\n".join([f"0.{'1' * 150_000}"] * 40)))
    assert len(items(live)) == 40
    assert predictions() == [40]


def test_the_schema_is_that_of_the_version_and_not_of_the_live_one(live: Stack) -> None:
    go_live(2, SETTINGS)
    wider = SCHEMA.model_copy(update={"classes": ("cat", "dog", "owl")})
    live.put("digits/runs/run2/schema.json", wider.as_json())
    captured(live, line("old", answered="0.9"))
    folder = FOLDER.replace("/v1/", "/v2/")
    captured(live, line("new", answered="0.1,0.2,0.7", variant="v2"), folder=folder)
    assert items(live)["digits#old"]["prediction"] == "dog"
    assert items(live)["digits#new"]["prediction"] == "owl"
