"""Closed days of the ledger are written into one object."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.errors import ServiceThrottled
from refit.domain.naming import ModelKeys, RunKeys
from refit.handlers import compact_ledger as handler_module
from refit.usecases.compact_ledger import compact_ledger
from refit.usecases.retrain import slices_to_read

from tests.integration.monitoring.live_model import MODEL, go_live
from tests.support.aws_clients import FailingClient, RequestLog, client_error
from tests.support.aws_stack import CONTEXT
from tests.support.events import sample

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

KEYS = ModelKeys(MODEL)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def line(name: str) -> bytes:
    return json.dumps({"inferenceId": name}).encode() + b"\n"


def put_slices(stack: Stack, day: str, *names: str) -> None:
    for name in names:
        stack.put(KEYS.labelled_slice(day, name), line(f"{day}-{name}"))


def compact(stack: Stack, at: datetime = NOW) -> int:
    return compact_ledger(stack.at(at), MODEL)


def days(stack: Stack) -> list[str]:
    return [key.rpartition("/")[2] for key in stack.keys(KEYS.labelled_days)]


def versions(stack: Stack) -> list[tuple[str, str]]:
    return [(each.key, each.version) for each in stack.services.bucket.list(KEYS.labelled)]


def test_a_closed_day_becomes_one_object_with_all_of_its_lines(stack: Stack) -> None:
    put_slices(stack, "2026-11-18", "a", "b")
    put_slices(stack, "2026-11-19", "c")
    put_slices(stack, "2026-11-20", "d")
    before = versions(stack)
    assert compact(stack) == 2
    assert days(stack) == ["2026-11-18.jsonl", "2026-11-19.jsonl"]
    assert stack.read(KEYS.labelled_day("2026-11-18")) == line("2026-11-18-a") + line(
        "2026-11-18-b"
    )
    assert set(before) <= set(versions(stack)), "training sets refer to the slices"


def test_compacting_again_changes_nothing(stack: Stack) -> None:
    put_slices(stack, "2026-11-18", "a", "b")
    compact(stack)
    before = versions(stack)
    with RequestLog(stack.services.client("s3"), "s3", "GetObject", "PutObject") as log:
        assert compact(stack) == 0
    assert log.requests == []
    assert versions(stack) == before


def test_days_before_the_last_compacted_one_are_not_listed_again(stack: Stack) -> None:
    put_slices(stack, "2026-11-17", "a")
    compact(stack)
    put_slices(stack, "2026-11-18", "b")
    with RequestLog(stack.services.client("s3"), "s3", "ListObjectVersions") as log:
        assert compact(stack) == 1
    assert [request.get("KeyMarker") for request in log.requests] == [
        None,
        KEYS.labelled_slices_of("2026-11-17"),
    ]


def test_a_day_that_is_interrupted_is_compacted_later_and_no_part_of_it_remains(
    stack: Stack,
) -> None:
    put_slices(stack, "2026-11-18", "a")
    put_slices(stack, "2026-11-19", "b", "c")
    s3 = stack.services.client("s3")

    class Dying:
        """Fails when the second day is read."""

        def __getattr__(self, name: str) -> Any:
            return getattr(s3, name)

        def get_object(self, **request: Any) -> Any:
            if request["Key"].endswith("/c.jsonl"):
                raise client_error("SlowDown", "GetObject")
            return s3.get_object(**request)

    dying = stack.with_clients(s3=Dying())
    dying.clock = lambda: NOW
    with pytest.raises(ServiceThrottled):
        compact_ledger(dying, MODEL)
    assert days(stack) == ["2026-11-18.jsonl"]
    assert compact(stack) == 1
    assert stack.read(KEYS.labelled_day("2026-11-19")).count(b"\n") == 2


def test_a_day_that_cannot_be_written_fails_and_leaves_nothing(stack: Stack) -> None:
    put_slices(stack, "2026-11-18", "a")
    failing = FailingClient(
        stack.services.client("s3"), put_object=client_error("SlowDown", "PutObject")
    )
    services = stack.with_clients(s3=failing)
    services.clock = lambda: NOW
    with pytest.raises(ServiceThrottled):
        compact_ledger(services, MODEL)
    assert days(stack) == []


def test_the_ledger_of_a_model_that_is_being_removed_is_not_compacted(stack: Stack) -> None:
    put_slices(stack, "2026-11-18", "a")
    stack.services.models.begin_removal(MODEL, NOW + timedelta(minutes=5))
    assert compact(stack) == 0
    assert days(stack) == []


def test_the_handler_compacts_the_ledgers_of_all_models(stack: Stack) -> None:
    go_live(1)
    put_slices(stack, "2025-11-18", "a")
    assert handler_module.handler(sample("compact_ledger"), CONTEXT) == {"days": 1}


def named(stack: Stack) -> list[tuple[str, bool]]:
    manifest = stack.services.artifacts.manifest(MODEL, "run1")
    return [
        (each.key.removeprefix(KEYS.labelled), each.fresh)
        for each in slices_to_read(stack.services, MODEL, manifest.slices)
    ]


def test_a_retraining_reads_compacted_days_and_the_slices_after_them(stack: Stack) -> None:
    go_live(1)
    put_slices(stack, "2026-11-18", "a", "b")
    put_slices(stack, "2026-11-20", "c")
    compact(stack)
    assert RunKeys(MODEL, "run1").manifest in stack.keys(f"{MODEL}/runs/")
    assert named(stack) == [("days/2026-11-18.jsonl", True), ("dt=2026-11-20/c.jsonl", True)]


def test_the_slices_of_a_compacted_day_are_read_one_by_one_if_the_champion_knows_some(
    stack: Stack,
) -> None:
    put_slices(stack, "2026-11-18", "a")
    go_live(1)
    used = slices_to_read(stack.services, MODEL, ())
    put_slices(stack, "2026-11-18", "b")
    compact(stack)
    again = slices_to_read(stack.services, MODEL, used)
    assert [(each.key[-7:], each.fresh) for each in again] == [
        ("a.jsonl", False),
        ("b.jsonl", True),
    ]
    assert [each.version for each in again[:1]] == [each.version for each in used]
    (day,) = slices_to_read(stack.services, MODEL, again)
    assert (day.key, day.fresh) == (KEYS.labelled_day("2026-11-18"), False)
