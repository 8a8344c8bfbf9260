"""Ingest: dropped files start one run."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from refit.handlers import ingest
from refit.handlers.wiring import services

from tests.support.aws_clients import FailingClient, client_error
from tests.support.aws_stack import CONTEXT, Stack, forget_services
from tests.support.events import sample


def dropped_files(stack: Stack, *keys: str) -> dict[str, Any]:
    """Put files; return the event of SQS that reports them, in the same order."""
    records = []
    for number, key in enumerate(keys):
        record = sample("ingest")["Records"][0]
        event = json.loads(record["body"])
        event["detail"]["object"] |= {"key": key, "version-id": stack.put(key)}
        records.append(record | {"messageId": str(number), "body": json.dumps(event)})
    return {"Records": records}


def pending_drop(model: str) -> dict[str, Any]:
    """Return the event of SQS that a run sends when it ends and new data is pending."""
    event = sample("ingest_pending")
    event["Records"][0]["body"] = json.dumps({"model": model})
    return event


def wait_for_the_next_second() -> None:
    """Wait until an object has another time stamp: those of S3 are whole seconds."""
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.01)


def test_files_dropped_together_start_one_run_with_all_of_them(stack: Stack) -> None:
    event = dropped_files(stack, "digits/raw/a.csv", "digits/raw/b.csv", "digits/raw/test/c.csv")
    assert ingest.handler(event, CONTEXT) == {"batchItemFailures": []}
    assert len(stack.executions()) == 1
    run = stack.executions()[0].removeprefix("digits-")
    drop = stack.get(f"digits/runs/{run}/drop.json")
    assert [file["key"] for file in drop["files"]] == [
        "digits/raw/a.csv",
        "digits/raw/b.csv",
        "digits/raw/test/c.csv",
    ]
    assert services().models.state("digits").active_run == run
    assert [event["detail-type"] for event in stack.messages(stack.bus_queue)] == ["Run Started"]


@pytest.mark.parametrize(
    "marker", ["_SUCCESS", "part-0_$folder$", ".part-0.csv.crc", "sub/", "SHA256SUMS"]
)
def test_a_marker_alone_starts_no_run(stack: Stack, marker: str) -> None:
    assert ingest.handler(dropped_files(stack, f"digits/raw/{marker}"), CONTEXT) == {
        "batchItemFailures": []
    }
    assert stack.executions() == []


@pytest.mark.parametrize(
    "name", ["my file +1 (100%) größe 🌷.csv", "a%2Bb+c.csv", "y=S%C3%A3o/part 0.csv"]
)
def test_a_key_with_any_characters_starts_a_run_with_this_file(stack: Stack, name: str) -> None:
    ingest.handler(dropped_files(stack, f"digits/raw/{name}"), CONTEXT)
    run = stack.executions()[0].removeprefix("digits-")
    drop = stack.get(f"digits/runs/{run}/drop.json")
    assert [file["key"] for file in drop["files"]] == [f"digits/raw/{name}"]


def test_an_event_that_is_delivered_again_starts_no_second_run(stack: Stack) -> None:
    event = dropped_files(stack, "digits/raw/a.csv")
    for _ in range(3):
        ingest.handler(event, CONTEXT)
    run = services().models.state("digits").active_run or ""
    services().models.release_run("digits", run)
    ingest.handler(event, CONTEXT)
    assert len(stack.executions()) == 1
    assert services().models.state("digits").active_run is None


def test_a_drop_during_a_run_is_pending_and_starts_when_the_run_ends(
    stack: Stack, monkeypatch: Any
) -> None:
    monkeypatch.setenv("QUIET_SECONDS", "0")
    ingest.handler(dropped_files(stack, "digits/raw/a.csv"), CONTEXT)
    first = services().models.state("digits").active_run or ""
    wait_for_the_next_second()
    ingest.handler(dropped_files(stack, "digits/raw/a.csv"), CONTEXT)
    assert len(stack.executions()) == 1
    assert services().models.release_run("digits", first)
    ingest.handler(pending_drop("digits"), CONTEXT)
    assert len(stack.executions()) == 2
    assert not services().models.state("digits").pending


def test_each_model_has_its_own_runs(stack: Stack) -> None:
    ingest.handler(dropped_files(stack, "digits/raw/a.csv", "letters/raw/a.csv"), CONTEXT)
    assert {name.split("-")[0] for name in stack.executions()} == {"digits", "letters"}


def test_a_file_with_an_invalid_model_name_is_reported_and_the_other_files_are_ingested(
    stack: Stack,
) -> None:
    names = ("../etc", "My Digits", "x" * 200)
    event = dropped_files(stack, *(f"{name}/raw/a.csv" for name in names), "digits/raw/a.csv")
    assert ingest.handler(event, CONTEXT) == {"batchItemFailures": []}
    refused = [stack.get(key) for key in stack.keys("_refused/")]
    assert len(refused) == 3
    assert all("1 to 24 of a-z" in entry["reason"] for entry in refused)
    assert len(stack.messages(stack.notices_queue)) == 3
    assert len(stack.executions()) == 1


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "null",
        "[]",
        "{}",
        '{"model": 5}',
        '{"model": []}',
        '{"model": {}}',
        '{"model": "digits", "run": {}}',
        '{"detail": {"object": {"key": 5}}}',
        '{"detail-type": "Run Retry Requested", "detail": {"model": "digits"}}',
    ],
)
def test_a_message_that_cannot_be_read_fails_and_the_files_beside_it_start_a_run(
    stack: Stack, body: str
) -> None:
    event = dropped_files(stack, "digits/raw/a.csv")
    event["Records"].insert(0, event["Records"][0] | {"messageId": "unreadable", "body": body})
    assert ingest.handler(event, CONTEXT) == {
        "batchItemFailures": [{"itemIdentifier": "unreadable"}]
    }
    assert len(stack.executions()) == 1


def test_a_file_outside_of_a_drop_folder_starts_no_run(stack: Stack) -> None:
    event = dropped_files(stack, "digits/runs/r/raw/x.csv", "digits/raw/")
    assert ingest.handler(event, CONTEXT) == {"batchItemFailures": []}
    assert stack.executions() == []


@pytest.mark.parametrize(
    "settings",
    [
        b"[data]\nscope = 3",
        b"a = " + b"[" * 3000,
        b"\xff\x00",
        b"#" * 2_000_000,
        b"a = 0x" + b"f" * 9999,
    ],
    ids=["value", "nesting", "bytes", "size", "number"],
)
def test_invalid_settings_do_not_prevent_the_run_that_reports_them(
    stack: Stack, settings: bytes
) -> None:
    stack.put("digits/model.toml", settings)
    ingest.handler(dropped_files(stack, "digits/raw/a.csv"), CONTEXT)
    assert len(stack.executions()) == 1


def test_a_run_uses_the_whole_folder_when_the_scope_is_all(stack: Stack, monkeypatch: Any) -> None:
    monkeypatch.setenv("QUIET_SECONDS", "0")
    stack.put("digits/model.toml", '[data]\nscope = "all"')
    ingest.handler(dropped_files(stack, "digits/raw/a.csv"), CONTEXT)
    first = services().models.state("digits").active_run or ""
    services().models.release_run("digits", first)
    wait_for_the_next_second()
    ingest.handler(dropped_files(stack, "digits/raw/b.csv"), CONTEXT)
    second = services().models.state("digits").active_run
    files = stack.get(f"digits/runs/{second}/drop.json")["files"]
    assert [file["key"] for file in files] == ["digits/raw/a.csv", "digits/raw/b.csv"]


def test_a_run_whose_execution_did_not_start_is_started_by_the_next_delivery(stack: Stack) -> None:
    event = dropped_files(stack, "digits/raw/a.csv")
    throttled = client_error("ThrottlingException", "StartExecution")
    stack.replace_clients(stepfunctions=FailingClient(None, start_execution=throttled))
    with pytest.raises(BatchProcessingError):  # the whole batch failed: SQS delivers it again
        ingest.handler(event, CONTEXT)
    assert stack.executions() == []
    forget_services()
    ingest.handler(event, CONTEXT)
    assert len(stack.executions()) == 1
    assert [event["detail-type"] for event in stack.messages(stack.bus_queue)] == ["Run Started"]
