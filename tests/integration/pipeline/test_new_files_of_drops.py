"""Ingest: which files a run takes, and when, whatever their times and the order of their events."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from moto.sqs.models import sqs_backends
from refit.domain.errors import DropTooLarge
from refit.domain.pipeline import drop_limits
from refit.handlers import ingest
from refit.usecases.ingest_drop import DropMessage, ingest_drop
from refit.usecases.prepare_data import prepare_data

from tests.support.aws_clients import FailingClient, client_error
from tests.support.aws_stack import CONTEXT, Stack, forget_services
from tests.support.events import sample

if TYPE_CHECKING:
    from collections.abc import Iterable

RAW = "digits/raw/"


def after(minutes: float) -> datetime:
    """Return the time in some minutes; negative for a time before."""
    return datetime.now(UTC) + timedelta(minutes=minutes)


def handle(stack: Stack, at: datetime, *files: tuple[str, str], run: str | None = None) -> None:
    """Handle the events of files at a time, in a process that remembers nothing."""
    messages = [DropMessage(file=(RAW + name, version)) for name, version in files]
    ingest_drop(stack.at(at), "digits", messages or [DropMessage(run=run)])


def end_active_run(stack: Stack) -> None:
    stack.services.models.release_run("digits", active_run(stack))


def active_run(stack: Stack) -> str:
    return stack.services.models.state("digits").active_run or ""


def runs(stack: Stack) -> list[list[str]]:
    """Return the names of the files of each run, in the order of the runs."""
    begun = sorted(stack.services.models.runs("digits"), key=lambda run: run.started_at)
    return [names(stack, run.run) for run in begun]


def names(stack: Stack, run: str) -> list[str]:
    files = stack.get(f"digits/runs/{run}/drop.json")["files"]
    return [file["key"].removeprefix(RAW) for file in files]


def checks(stack: Stack) -> list[dict[str, Any]]:
    """Return the messages to Ingest since the last call, also those that are still delayed."""
    queue = sqs_backends["123456789012"]["us-east-1"].get_queue("ingest")
    sent = [json.loads(message.body) for message in queue._messages]
    queue._messages.clear()
    return sent


def test_a_large_file_that_is_completed_after_the_run_of_a_small_one_is_trained_on(
    stack: Stack,
) -> None:
    small = stack.put(f"{RAW}small.csv")
    handle(stack, after(1), ("small.csv", small))
    end_active_run(stack)
    large = stack.put_in_parts(f"{RAW}large.csv", after(-10))
    handle(stack, after(3), ("large.csv", large))
    assert runs(stack) == [["small.csv"], ["large.csv"]]


def test_a_large_file_beside_small_ones_is_in_the_same_run(stack: Stack) -> None:
    files = {name: stack.put(RAW + name) for name in ("a.csv", "b.csv")}
    files["large.csv"] = stack.put_in_parts(f"{RAW}large.csv", after(-10))
    handle(stack, after(1), *files.items())
    assert runs(stack) == [["a.csv", "b.csv", "large.csv"]]


def test_a_large_file_is_not_taken_before_its_own_event_has_waited(stack: Stack) -> None:
    small = stack.put(f"{RAW}small.csv")
    stack.put_in_parts(f"{RAW}large.csv", after(-10))
    handle(stack, after(1), ("small.csv", small))
    assert runs(stack) == []
    [check] = checks(stack)
    third = stack.put_in_parts(f"{RAW}third.csv", after(-5))
    handle(stack, after(2), run=check["run"])
    assert runs(stack) == []
    [check] = checks(stack)
    handle(stack, after(3), run=check["run"])
    assert runs(stack) == [["large.csv", "small.csv", "third.csv"]]
    handle(stack, after(3), ("third.csv", third))
    handle(stack, after(3), run=check["run"])
    assert len(runs(stack)) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_events_in_any_order_in_any_process_start_one_run_with_all_files(
    stack: Stack, order: Iterable[int]
) -> None:
    files = [
        ("a.csv", stack.put(f"{RAW}a.csv")),
        ("b.csv", stack.put_in_parts(f"{RAW}b.csv", after(-10))),
        ("c.csv", stack.put_in_parts(f"{RAW}c.csv", after(0.5))),
    ]
    for index in order:
        handle(stack, after(5), files[index])
    for check in checks(stack):
        handle(stack, after(6), run=check["run"])
    assert runs(stack) == [["a.csv", "b.csv", "c.csv"]]
    end_active_run(stack)
    for file in files:
        handle(stack, after(7), file)
    assert len(runs(stack)) == 1


def test_a_file_overwritten_with_the_same_bytes_is_new(stack: Stack) -> None:
    for minute in range(2):
        version = stack.put(f"{RAW}a.csv", b"1,2\n")
        handle(stack, after(minute), ("a.csv", version))
        end_active_run(stack)
    assert runs(stack) == [["a.csv"], ["a.csv"]]


def test_a_version_that_comes_back_because_the_newer_one_was_deleted_is_not_new(
    stack: Stack,
) -> None:
    for minute in range(2):
        version = stack.put(f"{RAW}a.csv", b"1,2\n")
        handle(stack, after(minute), ("a.csv", version))
        end_active_run(stack)
    stack.delete(f"{RAW}a.csv", version)
    other = stack.put(f"{RAW}b.csv")
    handle(stack, after(3), ("b.csv", other))
    assert runs(stack)[2] == ["b.csv"]


def test_a_deleted_file_is_no_part_of_the_drop(stack: Stack) -> None:
    deleted, kept = stack.put(f"{RAW}a.csv"), stack.put(f"{RAW}b.csv")
    stack.delete(f"{RAW}a.csv")
    handle(stack, after(1), ("a.csv", deleted), ("b.csv", kept))
    assert runs(stack) == [["b.csv"]]


def test_with_scope_all_a_late_large_file_starts_a_run_with_the_whole_folder(stack: Stack) -> None:
    stack.put("digits/model.toml", '[data]\nscope = "all"')
    small = stack.put(f"{RAW}small.csv")
    handle(stack, after(1), ("small.csv", small))
    end_active_run(stack)
    large = stack.put_in_parts(f"{RAW}large.csv", after(-10))
    handle(stack, after(3), ("large.csv", large))
    assert runs(stack) == [["small.csv"], ["large.csv", "small.csv"]]


def test_files_written_before_versioning_are_trained_on_once(stack: Stack) -> None:
    s3 = stack.services.client("s3")
    s3.put_bucket_versioning(Bucket=stack.bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=stack.bucket, Key=f"{RAW}a.csv", Body=b"1,2\n")
    for minute in (1, 2):
        handle(stack, after(minute))
    assert runs(stack) == [["a.csv"]]
    assert active_run(stack)


def test_processes_that_look_at_the_same_time_start_one_run_for_each_file(stack: Stack) -> None:
    """The first listing of each process is older than the runs of the others."""
    first = stack.put(f"{RAW}a.csv")
    outdated = stack.at(after(2))
    state = outdated.models.state("digits")
    handle(stack, after(1), ("a.csv", first))
    end_active_run(stack)
    second = stack.put(f"{RAW}b.csv")
    states = iter([state])
    read = outdated.models.state
    outdated.models.state = lambda model: next(states, None) or read(model)  # type: ignore[method-assign]
    ingest_drop(outdated, "digits", [DropMessage(file=(f"{RAW}b.csv", second))])
    assert runs(stack) == [["a.csv"], ["b.csv"]]


def test_many_processes_at_once_take_every_file_once(stack: Stack) -> None:
    versions = {f"{n}.csv": stack.put(f"{RAW}{n}.csv") for n in range(6)}
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda file: handle(stack, after(1), file), versions.items()))
    assert runs(stack) == [sorted(versions)]


def test_a_hundred_thousand_consumed_files_leave_the_state_small(stack: Stack) -> None:
    from refit.domain.pipeline.drop import ConsumedFiles

    end = stack.put(f"{RAW}a.csv")
    handle(stack, after(1), ("a.csv", end))
    run = active_run(stack)
    many = ConsumedFiles(frozenset(f"{n:032x}" for n in range(100_000)))
    known = ConsumedFiles.parse(stack.read(f"digits/runs/{run}/consumed.txt").decode())
    all_of_them = ConsumedFiles(many.digests | known.digests)
    stack.put(f"digits/runs/{run}/consumed.txt", all_of_them.text())
    end_active_run(stack)
    forget_services()
    version = stack.put(f"{RAW}b.csv")
    handle(stack, after(2), ("b.csv", version))
    assert runs(stack) == [["a.csv"], ["b.csv"]]
    state = stack.services.models.state("digits")
    assert len(state.model_dump_json()) < 1000
    assert len(stack.read(f"digits/runs/{state.consumed_by}/consumed.txt")) == 100_002 * 33


class CountedLists:
    """An S3 client that counts the pages of listings."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.pages = 0

    def get_paginator(self, operation: str) -> Any:
        paginate = self._client.get_paginator(operation).paginate
        counted = self

        class Paginator:
            def paginate(self, **request: Any) -> Any:
                for page in paginate(**request):
                    counted.pages += 1
                    yield page

        return Paginator()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def batches(stack: Stack, versions: dict[str, str], size: int) -> list[dict[str, Any]]:
    """Return the events of files in batches, as SQS delivers them."""
    records = []
    for name, version in versions.items():
        record = sample("ingest")["Records"][0]
        event = json.loads(record["body"])
        event["detail"]["object"] |= {"key": RAW + name, "version-id": version}
        records.append(record | {"messageId": name, "body": json.dumps(event)})
    return [{"Records": records[at : at + size]} for at in range(0, len(records), size)]


@pytest.mark.parametrize("in_parts", [False, True])
def test_the_folder_is_not_listed_for_each_of_many_files(stack: Stack, *, in_parts: bool) -> None:
    if in_parts:
        versions = {f"{n}.csv": stack.put_in_parts(f"{RAW}{n}.csv", after(0)) for n in range(60)}
    else:
        versions = {f"{n}.csv": stack.put(f"{RAW}{n}.csv") for n in range(60)}
    counted = CountedLists(stack.services.client("s3"))
    stack.replace_clients(s3=counted)
    for batch in batches(stack, versions, 10):
        ingest.handler(batch, CONTEXT)
    for check in checks(stack):
        handle(stack, after(5), run=check["run"])
    assert runs(stack) == [sorted(versions)]
    assert counted.pages <= 3


def test_a_batch_whose_check_could_not_be_sent_is_handled_again(stack: Stack) -> None:
    versions = {name: stack.put_in_parts(RAW + name, after(-1)) for name in ("a", "b")}
    [batch, _] = batches(stack, versions, 1)
    throttled = client_error("ThrottlingException", "SendMessage")
    sqs = stack.services.client("sqs")
    client, failing = stack.services.client, {"sqs": FailingClient(sqs, send_message=throttled)}
    stack.services.client = lambda name: failing.get(name) or client(name)
    with pytest.raises(BatchProcessingError):
        ingest.handler(batch, CONTEXT)
    failing.clear()
    assert ingest.handler(batch, CONTEXT) == {"batchItemFailures": []}
    assert len(checks(stack)) == 1


def test_a_message_that_cannot_be_read_fails_alone(stack: Stack) -> None:
    versions = {"a.csv": stack.put(f"{RAW}a.csv")}
    [batch] = batches(stack, versions, 1)
    broken = batch["Records"][0] | {"messageId": "broken", "body": "{"}
    answer = ingest.handler({"Records": [broken, *batch["Records"]]}, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "broken"}]}
    assert runs(stack) == [["a.csv"]]


def test_all_messages_about_a_model_that_fails_are_delivered_again(stack: Stack) -> None:
    versions = {name: stack.put(RAW + name) for name in ("a.csv", "b.csv")}
    [batch] = batches(stack, versions, 2)
    other = batch["Records"][0] | {"messageId": "other", "body": '{"model": "letters"}'}
    machines = stack.services.client("stepfunctions")
    throttled = client_error("ThrottlingException", "StartExecution")
    stack.replace_clients(stepfunctions=FailingClient(machines, start_execution=throttled))
    answer = ingest.handler({"Records": [*batch["Records"], other]}, CONTEXT)
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert failed == ["a.csv", "b.csv"]
    forget_services()
    ingest.handler(batch, CONTEXT)
    assert len(stack.executions()) == 1


def test_a_drop_that_is_too_large_fails_at_once_and_says_which_files(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drop_limits, "MAX_DROP_BYTES", 5)
    files = [(name, stack.put(RAW + name)) for name in ("a.csv", "b.csv")]
    handle(stack, after(1), *files)
    [run] = stack.services.models.runs("digits")
    assert (run.status, run.error) == ("FAILED", "DropTooLarge")
    assert "a.csv (0.0 MiB), b.csv (0.0 MiB)" in (run.message or "")
    assert stack.executions() == []
    assert active_run(stack) == ""
    assert len(stack.messages(stack.notices_queue)) == 1
    handle(stack, after(2), *files)
    assert len(runs(stack)) == 1


def test_a_drop_that_is_too_large_is_refused_by_prepare_too(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle(stack, after(1), ("a.csv", stack.put(f"{RAW}a.csv")))
    monkeypatch.setattr(drop_limits, "MAX_DROP_BYTES", 3)
    with pytest.raises(DropTooLarge):
        prepare_data(stack.services, "digits", active_run(stack))
