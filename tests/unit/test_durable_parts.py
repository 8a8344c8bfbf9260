"""The parts of the stored state, without a server."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from refit_local.ministack.durability import metric_points, object_repair
from refit_local.ministack.durability.encoding import LARGE_BYTES, Blobs, decoded, encoded
from refit_local.ministack.durability.log_events import LogEvents
from refit_local.ministack.durability.queue_messages import Messages
from refit_local.ministack.durability.requests import may_change
from refit_local.ministack.names import Hook
from refit_local.state.database import Database, connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_800_000_000.0
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = connect(tmp_path)
    yield database
    database.close()


@pytest.mark.parametrize(
    ("service", "method", "path", "headers", "body", "changes"),
    [
        ("sqs", "POST", "/", {"x-amz-target": "AmazonSQS.CreateQueue"}, b"", True),
        ("sqs", "POST", "/", {"x-amz-target": "AmazonSQS.SendMessage"}, b"", False),
        ("states", "POST", "/", {"x-amz-target": "AWSStepFunctions.DescribeExecution"}, b"", False),
        ("iam", "POST", "/", FORM, b"Action=CreateRole", True),
        ("iam", "POST", "/", FORM, b"Action=GetRole", False),
        ("monitoring", "POST", "/service/G/operation/PutMetricAlarm", {}, b"", True),
        ("monitoring", "POST", "/service/G/operation/PutMetricData", {}, b"", False),
        ("s3", "PUT", "/bucket", {}, b"", True),
        ("s3", "PUT", "/bucket/key", {}, b"", False),
        ("s3", "GET", "/bucket", {}, b"", False),
        ("lambda", "POST", "/2015-03-31/functions", {}, b"", True),
        ("lambda", "POST", "/2015-03-31/functions/f/invocations", {}, b"", False),
        ("lambda", "DELETE", "/2015-03-31/functions/f", {}, b"", True),
        ("apigateway", "PATCH", "/apikeys/k", {}, b"", True),
        ("dynamodb", "POST", "/", {"x-amz-target": "DynamoDB.CreateTable"}, b"", False),
    ],
)  # fmt: skip
def test_only_a_request_that_may_change_its_service_stores_it(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes, changes: bool
) -> None:
    assert may_change(service, method, path, headers, body, {}) is changes


def test_equal_code_is_stored_once_and_loaded_as_one_object(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    code = b"x" * LARGE_BYTES
    payload = encoded({"a": code, "b": bytes(bytearray(code)), "small": b"s"}, blobs)
    assert len(payload) < 1000
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / "of-a-deleted-function").touch()
    again = Blobs(tmp_path)
    state = decoded(payload, again)
    assert state == {"a": code, "b": code, "small": b"s"}
    assert state["a"] is state["b"]
    again.keep_only_read()
    assert len(list(tmp_path.iterdir())) == 1


def stored_messages(database: Database) -> list[Any]:
    with database.reading() as connection:
        rows = connection.execute("SELECT message FROM queue_messages ORDER BY row").fetchall()
    return [json.loads(text)["id"] for (text,) in rows]


def message(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "sent_at": 0.0, "receipt_handle": None, **more}


def test_a_message_is_stored_as_long_as_it_is_in_the_queue(database: Database) -> None:
    Messages.prepare(database)
    messages = Messages("queue", database)
    for name in "abcd":
        messages.append(message(name))
    assert stored_messages(database) == ["a", "b", "c", "d"]
    messages.remove(messages[0])
    messages.replace([m for m in messages if m["id"] != "c"])
    assert stored_messages(database) == [m["id"] for m in messages] == ["b", "d"]
    messages.clear()
    assert stored_messages(database) == []


def test_a_message_that_moves_to_another_queue_is_stored_for_that_one(database: Database) -> None:
    Messages.prepare(database)
    source, target = Messages("source", database), Messages("target", database)
    source.append(message("moved"))
    target.append(dict(source[0]))
    source.replace([])
    assert stored_messages(database) == ["moved"]
    with database.reading() as connection:
        assert connection.execute("SELECT queue FROM queue_messages").fetchall() == [("target",)]


def test_a_message_that_is_sent_while_others_are_deleted_stays(database: Database) -> None:
    Messages.prepare(database)
    messages = Messages("queue", database)
    messages.append(message("deleted", receipt_handle="r"))
    kept: list[dict[str, Any]] = []  # made before the next message was sent
    messages.append(message("sent", sent_at=2e10))
    messages.replace(kept)
    assert [m["id"] for m in messages] == ["sent"]
    assert stored_messages(database) == ["sent"]


def point(age_s: float, value: float, **more: Any) -> dict[str, Any]:
    return {"Timestamp": NOW - age_s, "Value": value, "Unit": "Count", "Dimensions": {}, **more}


def test_old_data_points_become_one_a_minute_with_the_same_statistics() -> None:
    old = [point(3610 + number * 0.1, float(number), Count=2.0) for number in range(100)]
    recent = [point(5, 7.0), point(4, 8.0)]
    ancient = [point(metric_points.KEPT_S + 1, 1.0)]
    points = [*ancient, *old, *recent]
    before = Hook.METRIC_STATISTICS.get()(old)
    assert metric_points.shorten(points, NOW) == 100
    assert points[-2:] == recent
    assert len(points) == 3
    assert Hook.METRIC_STATISTICS.get()(points[:-2]) == before
    assert metric_points.shorten(points, NOW + 60, since=NOW - metric_points.SINGLE_S) == 0


def test_data_points_are_there_after_the_next_start(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ("000000000000", "us-east-1", ("Refit", "Predictions", (("Model", "digits"),)))
    points = [point(NOW - time.time() + age, float(age), Count=1.0) for age in range(1200, 0, -1)]
    recent = points[-899:]
    for known in ([], points):  # the second start finds what the first one has stored
        metrics = Hook.SCOPED.get()()
        metrics._data[key] = list(known)
        monkeypatch.setattr("ministack.services.cloudwatch._metrics", metrics)
        stored = metric_points.MetricPoints(database)
        if not known:
            stored.install()
            metrics._data[key].extend(points)
            stored.store()
        else:
            metrics._data.clear()
            stored.install()
            loaded = metrics._data[key]
    assert len(loaded) < 899 + 10
    assert loaded[-890:] == recent[-890:]
    assert Hook.METRIC_STATISTICS.get()(loaded)["Sum"] == sum(p["Value"] for p in points)


def test_the_oldest_log_lines_are_dropped_beyond_the_limit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = {"events": [], "creationTime": 1}
    monkeypatch.setattr(
        "refit_local.ministack.durability.log_events._streams",
        lambda: iter([("group", "stream", stream)]),
    )
    append = Hook.APPEND_LOG.get()
    logs = LogEvents(database, most_bytes=100_000)
    logs.install()
    try:
        stream |= {name: None for name in ("firstEventTimestamp", "lastEventTimestamp")}
        for number in range(300):
            line = {"timestamp": number, "message": "x" * 100, "ingestionTime": number}
            Hook.APPEND_LOG.get()(stream, [line])
            logs.store()
    finally:
        Hook.APPEND_LOG.put(append)
    times = [event["timestamp"] for event in stream["events"]]
    assert 100 < len(times) < 250
    assert times == list(range(times[0], 300))
    with database.reading() as connection:
        [(oldest,)] = connection.execute("SELECT min(newest_ms) FROM log_events")
    assert oldest == times[0]


def written(path: Path, content: str, description: dict[str, Any] | None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if description is not None:
        path.with_name(f"{path.name}.meta.json").write_text(json.dumps(description))
    return path


def test_a_write_that_was_cut_in_two_is_taken_back(tmp_path: Path) -> None:
    bucket, versions = tmp_path / "000000000000/b", tmp_path / ".versions/000000000000/b"
    cut = written(bucket / "p/cut", "new", {"version_id": "v1"})
    written(versions / "v1/p/cut", "old", None)
    whole = written(bucket / "whole", "new", {"version_id": "v2"})
    written(versions / "v1/whole", "old", None)
    first = written(bucket / "first", "never answered", None)
    draft = written(bucket / "whole.tmp", "half", None)
    deleted = written(bucket / "deleted", "1", {"version_id": "v1", "is_delete_marker": True})
    object_repair.repair(tmp_path)
    assert (cut.read_text(), whole.read_text(), deleted.read_text()) == ("old", "new", "1")
    assert not first.exists()
    assert not draft.exists()
