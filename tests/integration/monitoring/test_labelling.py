"""Labels over the API and as files: what a sender is told, what is stored, and what is counted."""

from __future__ import annotations

import gzip
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from refit import labelling
from refit.aws import clients, labels, store, transactions
from refit.domain.ground_truth_records import LabelRecord
from refit.domain.inference import Inference, item_id
from refit.domain.schema import Feature, Schema
from refit.handlers import ingest_ground_truth, record_ground_truth
from refit.settings import settings

from tests.integration.monitoring.traffic import add_version
from tests.integration.pipeline.conftest import CONTEXT, Stack, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WIDTH = (Feature(name="width", type="number"),)
CLASSES = {3: ("iris", "rose"), 4: ("iris", "rose", "tulip")}
HELD_S, MAX_AGE_S = 3600, 90_000
DAY = timedelta(days=1)
FIRST, SECOND = "0f8fad5bd9cb469fa165708677289501-0", "0f8fad5bd9cb469fa165708677289501-1"


def now() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def ago(seconds: float) -> str:
    return (now() - timedelta(seconds=seconds)).isoformat()


def promoted(version: int) -> None:
    store.promote(
        "flowers",
        store.Champion(
            version=version,
            run=f"run{version}",
            package_arn=f"arn:package/{version}",
            endpoint="refit-flowers",
            endpoint_config=f"refit-flowers-v{version}-01234567",
            variant=f"v{version}",
            promoted_at=store.now(),
        ),
    )
    labelling._terms.cache_clear()


@pytest.fixture(autouse=True)
def _flowers(stack: Stack) -> Iterator[None]:
    """Model `flowers`: version 4 is live, and version 3, which knows a class less, was."""
    for version, classes in CLASSES.items():
        schema = Schema(task="classification", label="kind", features=WIDTH, classes=classes)
        watched = {"held_label_s": HELD_S, "max_label_age_s": MAX_AGE_S}
        add_version("flowers", version, schema, label_age_s=1, cohort_s=1, **watched)
    promoted(4)
    yield
    for remembered in (labelling._terms, labelling._schema, labelling._schema_of):
        remembered.cache_clear()


def predicted(inference_id: str, version: int = 4, rows: int = 1, ambiguous: bool = False) -> None:
    """Let a capture come, as it is written: it joins a label that is held."""
    values = {
        "model": "flowers",
        "inference_id": inference_id,
        "digest": "d",
        "prediction": "iris",
        "version": version,
        "predicted_at": ago(60),
        "source_key": "flowers/capture/a.jsonl",
        "source_line": 0,
        "source_row": 0,
        "rows": rows,
        "expires_at": 1,
    }
    values |= {"ambiguous": True} if ambiguous else {}
    clients.client("dynamodb").update_item(
        TableName=settings().inference_table,
        Key={"id": {"S": item_id("flowers", inference_id)}},
        UpdateExpression="SET "
        + ", ".join(f"#{name} = :{name}" for name in values)
        + ", seq = if_not_exists(seq, :none) + :more REMOVE held_model, held_until",
        ExpressionAttributeNames={f"#{name}": name for name in values},
        ExpressionAttributeValues={
            f":{name}": TypeSerializer().serialize(value)
            for name, value in (values | {"none": 1, "more": int(ambiguous)}).items()
        },
    )


def item(inference_id: str) -> dict[str, Any]:
    found = clients.client("dynamodb").get_item(
        TableName=settings().inference_table,
        Key={"id": {"S": item_id("flowers", inference_id)}},
    )
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in found.get("Item", {}).items()}


def inference(inference_id: str) -> Inference:
    return Inference.from_item(item(inference_id))


def holds(inference_id: str) -> str | None:
    label = inference(inference_id).label
    return label.label if label else None


def counters() -> dict[str, Any]:
    found = clients.client("dynamodb").get_item(
        TableName=settings().model_table,
        Key={"pk": {"S": "MODEL#flowers"}, "sk": {"S": "LABELS"}},
    )
    read = TypeDeserializer().deserialize
    values = {name: read(value) for name, value in found.get("Item", {}).items()}
    return {name: value for name, value in values.items() if name not in ("pk", "sk") and value}


def counted() -> dict[str, Any]:
    return {name: value for name, value in counters().items() if name != "last_label_at"}


def post(*records: dict[str, Any], **changes: Any) -> tuple[int, Any]:
    event = sample("record_ground_truth") | changes
    if records:
        event["body"] = json.dumps({"labels": records})
    response = record_ground_truth.handler(event, CONTEXT)
    assert response["headers"]["Content-Type"] == "application/json"
    return response["statusCode"], json.loads(response["body"])


def told(*records: dict[str, Any]) -> list[str]:
    status, body = post(*records)
    assert status == 202, body
    return [result["status"] for result in body["results"]]


def record(inference_id: str, label: Any, seconds_ago: float | None = None) -> dict[str, Any]:
    at = {} if seconds_ago is None else {"observedAt": ago(seconds_ago)}
    return {"inferenceId": inference_id, "label": label, **at}


def published(printed: str) -> list[tuple[str, float]]:
    """The metrics of model flowers, one for each line of the log that has one."""
    found = []
    for line in printed.splitlines():
        entry = json.loads(line)
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            assert entry["Model"] == "flowers"
            found += [(it["Name"], entry[it["Name"]][0]) for it in directive["Metrics"]]
    return sorted(found)


def quarantined(stack: Stack) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for key in stack.keys("flowers/quarantine/ground-truth/"):
        body = boto3.client("s3").get_object(Bucket=stack.bucket, Key=key)["Body"].read()
        lines += [json.loads(line) for line in body.splitlines()]
    return lines


def rejections_told(stack: Stack) -> list[dict[str, Any]]:
    events = stack.messages(stack.bus_queue)
    return [it["detail"] for it in events if it["detail-type"] == "Ground Truth Rejected"]


# ---- Over the API


@pytest.mark.parametrize("name", ["record_ground_truth", "record_ground_truth_base64"])
def test_a_call_is_answered_with_a_status_per_record(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 11, 20, 12, tzinfo=UTC)

    monkeypatch.setattr(labelling, "datetime", Then)
    predicted(FIRST)
    response = record_ground_truth.handler(sample(name), CONTEXT)
    assert response["statusCode"] == 202
    assert json.loads(response["body"]) == {
        "model": "flowers",
        "results": [
            {"inferenceId": FIRST, "status": "new"},
            {"inferenceId": SECOND, "status": "held"},
        ],
        "counts": {"new": 1, "repeat": 0, "corrected": 0, "held": 1, "rejected": 0},
    }
    assert inference(SECOND).labels[0].observed_at == datetime(2026, 11, 20, 10, tzinfo=UTC)


def test_each_record_has_its_own_outcome_and_every_kind_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("a", "b", "c"):
        predicted(name)
    assert told(record("a", "rose", 50), record("b", "rose", 50)) == ["new", "new"]
    capsys.readouterr()
    status, body = post(
        record("a", "rose", 50),
        record("h", "rose"),
        record("b", "iris", 40),
        record("c", "mauve"),
        record(" c", "rose"),
        record("c", "tulip"),
        record("a", "iris", 60),
    )
    assert status == 202
    assert [result["status"] for result in body["results"]] == [
        *("repeat", "held", "corrected", "rejected", "rejected", "new", "repeat")
    ]
    assert body["counts"] == {"new": 1, "repeat": 2, "corrected": 1, "held": 1, "rejected": 2}
    reasons = [result.get("reason") for result in body["results"]]
    assert reasons[3] == "unknown class 'mauve'; known: 'iris', 'rose', 'tulip'"
    assert "a newer label is known: 'rose'" in reasons[6]
    assert reasons[:3] == [None] * 3
    assert published(capsys.readouterr().out) == [
        *[("LabelsCorrected", 1), ("LabelsHeld", 1), ("LabelsNew", 1)],
        *[("LabelsRejected", 2), ("LabelsRepeated", 2)],
    ]
    assert counted() == {
        **{"new": 3, "repeat": 2, "corrected": 1, "rejected": 2},
        **{"held": 1, "held_total": 1},
    }


def test_a_label_that_is_stored_waits_to_be_counted_and_says_when_labels_came() -> None:
    predicted("a")
    before = now()
    told(record("a", "rose"))
    assert item("a")["uncounted"] == 1
    assert inference("a").seq == 2
    assert before <= datetime.fromisoformat(counters()["last_label_at"]) <= now()


def test_what_is_known_writes_nothing() -> None:
    predicted("a")
    told(record("a", "rose", 50), record("h", "rose", 50))
    before = item("a"), item("h"), counters()["last_label_at"]
    again = record("a", "rose", 50) | {"observedAt": item("a")["labels"][0]["observed_at"]}
    held = record("h", "rose", 55)
    assert told(again, held) == ["repeat", "repeat"]
    assert (item("a"), item("h"), counters()["last_label_at"]) == before
    assert counted() == {"new": 1, "repeat": 2, "held": 1, "held_total": 1}


def test_records_of_one_inference_take_effect_in_their_order() -> None:
    predicted("a")
    sent = [record("a", "rose", 50), record("a", "iris", 40), record("a", "tulip", 45)]
    assert told(*sent) == ["new", "corrected", "repeat"]
    assert [label.label for label in inference("a").labels] == ["rose", "iris", "tulip"]
    assert (holds("a"), inference("a").seq) == ("iris", 4)
    assert counted() == {"new": 1, "corrected": 1, "repeat": 1}


def test_a_held_label_can_be_found_and_waits_as_long_as_the_settings_say() -> None:
    before = now()
    told(record("h", "rose"))
    found = item("h")
    until = datetime.fromisoformat(found["held_until"])
    assert found["held_model"] == "flowers"
    assert before <= until - timedelta(seconds=HELD_S) <= now()
    assert found["expires_at"] == int((until + 30 * DAY).timestamp())
    assert (found["model"], found["inference_id"], found["seq"]) == ("flowers", "h", 1)
    assert inference("h").prediction is None


def test_another_label_for_a_held_one_is_held_with_it_and_counted_as_one_that_waits() -> None:
    assert told(record("h", "rose", 50), record("h", "iris", 40)) == ["held", "held"]
    assert told(record("h", "tulip", 30)) == ["held"]
    assert (holds("h"), len(inference("h").labels)) == ("tulip", 3)
    assert counted() == {"held": 1, "held_total": 3}


def test_a_label_whose_prediction_came_meanwhile_is_compared_with_the_held_one() -> None:
    told(record("h", "rose", 50))
    predicted("h")
    assert told(record("h", "iris", 40)) == ["corrected"]


def test_a_label_is_judged_by_the_version_that_predicted() -> None:
    predicted("old", version=3)
    predicted("new", version=4)
    status, body = post(record("old", "tulip"), record("new", "tulip"), record("none", "tulip"))
    assert status == 202
    assert [result["status"] for result in body["results"]] == ["rejected", "new", "held"]
    assert body["results"][0]["reason"] == "unknown class 'tulip'; known: 'iris', 'rose'"


def test_an_ambiguous_id_takes_no_label() -> None:
    predicted("a", ambiguous=True)
    status, body = post(record("a", "rose"))
    assert status == 202
    assert body["results"][0]["status"] == "rejected"
    assert "two different predictions" in body["results"][0]["reason"]
    assert "labels" not in item("a")


def test_the_settings_say_what_is_too_old() -> None:
    predicted("a")
    assert told(record("a", "rose", MAX_AGE_S + 9), record("a", "rose", MAX_AGE_S - 9)) == [
        *("rejected", "new")
    ]


def test_what_is_rejected_is_kept_and_told_once_with_a_count_by_reason(stack: Stack) -> None:
    half = record("a", "\ud800")
    post(record("a", "mauve"), record("", "rose"), half, record("b", "rose"), record("a", [1]))
    lines = quarantined(stack)
    assert [line["record"] for line in lines] == [
        {"inferenceId": "a", "label": "mauve"},
        {"inferenceId": "", "label": "rose"},
        {"inferenceId": "a", "label": "\ud800"},
        {"inferenceId": "a", "label": "[1]"},
    ]
    assert "unknown class 'mauve'" in lines[0]["reason"]
    (detail,) = rejections_told(stack)
    assert (detail["model"], detail["file"], detail["rejected"]) == ("flowers", None, 4)
    assert detail["reasons"] == {
        **{"unknown class": 2, "inferenceId malformed": 1, "label is no value": 1}
    }
    assert stack.keys(detail["quarantine"]) == [detail["quarantine"]]
    assert f"/{now():%Y-%m-%d}/" in detail["quarantine"]


def test_where_nothing_is_rejected_nothing_is_told(stack: Stack) -> None:
    told(record("a", "rose"))
    assert (quarantined(stack), rejections_told(stack)) == ([], [])


def test_a_malformed_body_is_refused_whole(stack: Stack) -> None:
    refused = [
        sample("record_ground_truth_unknown_key"),
        *[sample("record_ground_truth") | {"body": body} for body in (None, "", "{", "[]")],
        sample("record_ground_truth") | {"body": json.dumps({"labels": [record("a", 1)] * 501})},
    ]
    for event in refused:
        response = record_ground_truth.handler(event, CONTEXT)
        assert response["statusCode"] == 400
        assert json.loads(response["body"])["error"]["code"] == "PayloadInvalid"
    assert (counted(), quarantined(stack), item("a")) == ({}, [], {})


def test_an_empty_body_says_what_to_send() -> None:
    assert 'send {"labels": [' in post(body=None)[1]["error"]["message"]


def test_more_labels_than_one_transaction_holds_are_taken_in_one_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labels, "MOST_CHANGES", 2)
    for n in range(3):
        predicted(f"id-{n}")
    assert told(*[record(f"id-{n}", "rose") for n in range(5)]) == ["new"] * 3 + ["held"] * 2
    assert [holds(f"id-{n}") for n in range(5)] == ["rose"] * 5
    assert counted() == {"new": 3, "held": 2, "held_total": 2}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"pathParameters": {"model": "trees"}}, 404, "ModelNotFound"),
        ({"pathParameters": {"model": "Flowers"}}, 400, "ModelNameInvalid"),
        ({"pathParameters": None}, 404, "RouteNotFound"),
        ({"httpMethod": "GET"}, 405, "MethodNotAllowed"),
        ({"body": "1" * 7_000_000}, 413, "PayloadTooLarge"),
    ],
)
def test_what_cannot_be_answered_is_an_error_in_the_apis_form(
    changes: dict[str, Any], status: int, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    got, body = post(**changes)
    assert (got, body["error"]["code"]) == (status, code)
    assert published(capsys.readouterr().out) == []


# ---- While others write


@contextmanager
def meanwhile(act: Callable[[], object], times: int = 1) -> Iterator[None]:
    """Let something happen between the reading and the writing of a transaction."""
    left = [times]

    def before(**_: Any) -> None:
        if left[0]:
            left[0] -= 1
            act()

    events = clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", before)
    try:
        yield
    finally:
        events.unregister("before-call.dynamodb.TransactWriteItems", before)
    assert left == [0]


def test_of_two_who_label_at_once_both_are_kept_and_the_second_corrects() -> None:
    predicted("a")
    other = LabelRecord("a", "rose", ago(50))
    with meanwhile(lambda: labelling.record_labels("flowers", [other])):
        assert told(record("a", "iris", 40), record("b", "iris")) == ["corrected", "held"]
    assert [label.label for label in inference("a").labels] == ["rose", "iris"]
    assert inference("a").seq == 3
    assert counted() == {"new": 1, "corrected": 1, "held": 1, "held_total": 1}


def test_of_two_who_hold_a_label_at_once_one_waits() -> None:
    other = LabelRecord("a", "rose", ago(50))
    with meanwhile(lambda: labelling.record_labels("flowers", [other])):
        assert told(record("a", "rose", 60)) == ["repeat"]
    assert counted() == {"held": 1, "held_total": 1, "repeat": 1}


def test_a_capture_that_comes_between_makes_the_label_new() -> None:
    with meanwhile(lambda: predicted("a")):
        assert told(record("a", "rose")) == ["new"]
    assert holds("a") == "rose"
    assert counted() == {"new": 1}


def test_a_capture_that_joins_a_held_label_meanwhile_is_noticed() -> None:
    told(record("a", "rose", 50))
    with meanwhile(lambda: predicted("a")):
        assert told(record("a", "iris", 40)) == ["corrected"]
    assert "held_model" not in item("a")


def test_an_id_that_becomes_ambiguous_meanwhile_takes_no_label() -> None:
    predicted("a")
    with meanwhile(lambda: predicted("a", ambiguous=True)):
        assert told(record("a", "rose")) == ["rejected"]


def test_an_inference_that_never_stands_still_is_left_to_another_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(labelling, "_ROUNDS", 3)
    predicted("a")
    with meanwhile(lambda: changed("a"), times=3):
        status, body = post(record("a", "rose"))
    assert (status, body["error"]["code"]) == (503, "ServiceThrottled")


def changed(inference_id: str) -> None:
    clients.client("dynamodb").update_item(
        TableName=settings().inference_table,
        Key={"id": {"S": item_id("flowers", inference_id)}},
        UpdateExpression="ADD seq :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def cancelled(code: str, times: int) -> Any:
    """Refuse so many transactions with a reason."""
    left = [times]

    def refuse(**_: Any) -> Any:
        if not left[0]:
            return None
        left[0] -= 1
        raise clients.client("dynamodb").exceptions.TransactionCanceledException(
            {
                "Error": {"Code": "TransactionCanceledException", "Message": code},
                "CancellationReasons": [{"Code": "None"}, {"Code": code}],
            },
            "TransactWriteItems",
        )

    return refuse


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError"])
def test_a_transaction_that_meets_another_is_tried_again(code: str) -> None:
    events = clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", cancelled(code, 2))
    assert told(record("a", "rose")) == ["held"]
    assert counted() == {"held": 1, "held_total": 1}


def test_where_all_are_in_each_others_way_the_sender_is_told_to_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transactions.time, "sleep", lambda _: None)
    events = clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", cancelled("TransactionConflict", 99))
    event = sample("record_ground_truth") | {"body": json.dumps({"labels": [record("a", "rose")]})}
    response = record_ground_truth.handler(event, CONTEXT)
    assert response["statusCode"] == 503
    assert int(response["headers"]["Retry-After"]) > 0
    assert counted() == {}


def test_a_defect_is_no_conflict() -> None:
    events = clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb.TransactWriteItems", cancelled("ValidationError", 1))
    with pytest.raises(clients.client("dynamodb").exceptions.TransactionCanceledException):
        post(record("a", "rose"))


# ---- As files


def deliver(stack: Stack, content: str | bytes, key: str = "flowers/ground-truth/a.csv") -> Any:
    return handed_over(key, stack.put(key, content))


def handed_over(key: str, version: str, name: str = "ingest_ground_truth") -> Any:
    event = sample(name)
    message = json.loads(event["Records"][0]["body"])
    message["detail"]["object"] |= {"key": key, "version-id": version}
    event["Records"][0]["body"] = json.dumps(message)
    return ingest_ground_truth.handler(event, CONTEXT)


ALL_TAKEN: dict[str, Any] = {"batchItemFailures": []}


def test_the_labels_of_a_file_are_taken_as_observed_when_it_was_written(stack: Stack) -> None:
    predicted("a")
    assert deliver(stack, f"a,rose\nb,iris,{ago(50)}\n") == ALL_TAKEN
    written_at = boto3.client("s3").head_object(
        Bucket=stack.bucket, Key="flowers/ground-truth/a.csv"
    )["LastModified"]
    assert inference("a").labels[0].observed_at == written_at
    assert inference("b").labels[0].observed_at < written_at
    assert counted() == {"new": 1, "held": 1, "held_total": 1}


def test_a_file_delivered_twice_changes_nothing(stack: Stack) -> None:
    predicted("a")
    key = "flowers/ground-truth/a.csv"
    version = stack.put(key, "inferenceId,label\na,rose\nh,iris\nbroken\n")
    assert handed_over(key, version) == ALL_TAKEN
    before = item("a"), item("h"), quarantined(stack), counters()["last_label_at"]
    assert handed_over(key, version) == ALL_TAKEN
    assert (item("a"), item("h"), quarantined(stack), counters()["last_label_at"]) == before
    assert counted() == {
        **{"new": 1, "held": 1, "held_total": 1, "repeat": 2},
        "rejected": 2,
    }


def test_a_bad_line_is_kept_with_its_number_and_the_rest_is_taken(stack: Stack) -> None:
    predicted("a")
    key = "flowers/ground-truth/a.csv"
    assert deliver(stack, 'x,mauve\n"b,rose\na,rose\n', key) == ALL_TAKEN
    assert holds("a") == "rose"
    lines = quarantined(stack)
    assert [(line["file"], line["line"], line["record"]) for line in lines] == [
        (key, 1, {"inferenceId": "x", "label": "mauve"}),
        (key, 2, '"b,rose'),
    ]
    assert "unknown class" in lines[0]["reason"]
    assert "not CSV" in lines[1]["reason"]
    (detail,) = rejections_told(stack)
    assert (detail["file"], detail["rejected"]) == (key, 2)
    assert detail["reasons"] == {"unknown class": 1, "unreadable record": 1}


def truth(event_id: str, *found: str) -> str:
    return json.dumps(
        {
            "groundTruthData": {"data": ",".join(found), "encoding": "CSV"},
            "eventMetadata": {"eventId": event_id},
            "eventVersion": "0",
        }
    )


def test_sagemakers_records_label_the_rows_of_their_events(stack: Stack) -> None:
    for row in range(2):
        predicted(f"pair-{row}", rows=2)
        predicted(f"other-{row}", rows=2)
    predicted("single")
    content = "\n".join(
        [
            truth("pair", "rose", "iris"),
            truth("single", "tulip"),
            truth("other", "rose", "iris", "rose"),
            truth("single", "rose", "iris"),
            truth("pair", "rose"),
            truth("unborn", "rose", "iris"),
        ]
    )
    deliver(stack, content, "flowers/ground-truth/truth.jsonl")
    assert [holds(name) for name in ("pair-0", "pair-1", "single")] == ["rose", "iris", "tulip"]
    assert [label.of for label in inference("unborn-1").labels] == [2]
    assert [holds(f"other-{row}") for row in range(2)] == [None, None]
    assert [line["line"] for line in quarantined(stack)] == [3, 3, 3, 4, 4, 5]
    assert {line["reason"] for line in quarantined(stack)} == {
        "event 'other' has 2 row(s), and the record lists 3 label(s)",
        "event 'single' has 1 row(s), and the record lists 2 label(s)",
        "event 'pair' has 2 row(s), and the record lists 1 label(s)",
    }


def test_a_packed_file_of_more_than_one_call_is_taken_to_its_end(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ingest_ground_truth, "MAX_RECORDS", 2)
    content = "".join(f"id-{n},rose\n" for n in range(5))
    deliver(stack, gzip.compress(content.encode()), "flowers/ground-truth/a/b.csv.gz")
    assert counted() == {"held": 5, "held_total": 5}
    assert published(capsys.readouterr().out) == [
        *[("LabelsHeld", 1), ("LabelsHeld", 2), ("LabelsHeld", 2)]
    ]


def test_a_file_of_a_bad_name_is_told_and_left(stack: Stack) -> None:
    event = sample("ingest_ground_truth_bad_name")
    assert ingest_ground_truth.handler(event, CONTEXT) == ALL_TAKEN
    (refused,) = [stack.get(key) for key in stack.keys("_refused/")]
    assert refused["key"] == "My Flowers/ground-truth/november.csv"
    assert "'My Flowers' is not allowed" in refused["reason"]


@pytest.mark.parametrize(
    "key", ["flowers/quarantine/ground-truth/2026-11-20/a.jsonl", "flowers/ground-truth/"]
)
def test_what_is_no_file_of_labels_is_left_alone(stack: Stack, key: str) -> None:
    assert deliver(stack, "a,rose\n", key) == ALL_TAKEN
    assert (item("a"), stack.keys("_refused/")) == ({}, [])


def test_a_file_that_is_gone_is_let_go() -> None:
    assert handed_over("flowers/ground-truth/gone.csv", "null") == ALL_TAKEN


def test_only_the_file_of_a_model_that_is_not_live_comes_again(stack: Stack) -> None:
    event = sample("ingest_ground_truth")
    first = event["Records"][0]
    records = []
    for place, key in enumerate(("trees/ground-truth/a.csv", "flowers/ground-truth/a.csv")):
        message = json.loads(first["body"])
        version = stack.put(key, "a,rose\n")
        message["detail"]["object"] |= {"key": key, "version-id": version}
        records.append(first | {"messageId": f"m{place}", "body": json.dumps(message)})
    answer = ingest_ground_truth.handler({"Records": records}, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert holds("a") == "rose"


# ---- Labels whose prediction never comes


def test_held_labels_expire_when_their_time_is_over(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    told(record("h", "rose", 50), record("i", "iris", 40))
    capsys.readouterr()
    assert labelling.expire_held("flowers", now()) == 0
    later = now() + timedelta(seconds=HELD_S + 1)
    assert labelling.expire_held("flowers", later) == 2
    assert (item("h"), item("i")) == ({}, {})
    assert counted() == {"held_total": 2, "expired": 2}
    assert published(capsys.readouterr().out) == [("HeldLabelsExpired", 2)]
    lines = sorted(quarantined(stack), key=lambda line: str(line["record"]))
    assert [line["record"]["inferenceId"] for line in lines] == ["h", "i"]
    assert lines[0]["record"]["label"] == "rose"
    assert "no prediction with this id came within 36" in lines[0]["reason"]
    assert labelling.expire_held("flowers", later) == 0


def test_what_is_given_up_is_told_in_days_where_it_waited_for_days(stack: Stack) -> None:
    told(record("h", "rose"))
    labelling.expire_held("flowers", now() + 7 * DAY)
    assert quarantined(stack)[0]["reason"].endswith("came within 7 days")


def test_a_label_that_was_joined_is_not_given_up(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(record("h", "rose"), record("i", "rose"))
    monkeypatch.setattr(labels, "overdue", lambda *_: iter(["h", "i"]))  # as the index was
    predicted("h")
    later = now() + timedelta(seconds=HELD_S + 1)
    with meanwhile(lambda: predicted("i")):
        assert labelling.expire_held("flowers", later) == 0
    assert (holds("h"), holds("i")) == ("rose", "rose")
    assert "h" not in [line["record"]["inferenceId"] for line in quarantined(stack)]


def test_a_label_that_was_said_again_meanwhile_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told(record("h", "rose"))
    monkeypatch.setattr(labels, "overdue", lambda *_: iter(["h"]))  # as the index was
    assert labelling.expire_held("flowers", now() + timedelta(seconds=HELD_S - 60)) == 0
    assert counted() == {"held": 1, "held_total": 1}


def test_more_than_one_transaction_holds_are_given_up_and_other_models_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told(*[record(f"id-{n}", "rose") for n in range(5)])
    monkeypatch.setattr(labels, "MOST_CHANGES", 2)
    later = now() + timedelta(seconds=HELD_S + 1)
    assert labelling.expire_held("trees", later) == 0
    assert labelling.expire_held("flowers", later) == 5
    assert counted() == {"held_total": 5, "expired": 5}
