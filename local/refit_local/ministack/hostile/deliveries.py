"""Messages, events, stream batches and Firehose records that come twice, late or in another order.

AWS        delivers at least once, late and in any order; a shard of a stream keeps its order
MiniStack  delivers once, at once and in order
Source     SQS Developer Guide, "Amazon SQS standard queues" (at-least-once delivery, best-effort
           ordering); EventBridge User Guide, "EventBridge quotas" and "How EventBridge retries
           delivering events" (at least once); S3 User Guide, "Amazon S3 Event Notifications" (at
           least once, no order); Lambda API Reference, Invoke ("your function may receive the same
           event multiple times, even if no error occurs"); Lambda Developer Guide, "Using AWS
           Lambda with Amazon DynamoDB" (at least once); botocore's model of PutRecordBatch
           ("can result in data duplicates")
"""

from __future__ import annotations

import contextvars
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hostile.faults import Faults, Kind
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

MESSAGE_DELAY_S = 3.0
EVENT_DELAY_S = 3.0
BATCH_DELAY_S = 2.0
_SEEN = "refit_seen"


def install(faults: Faults) -> None:
    """Install these patches into MiniStack."""
    Hook.COLLECT_MESSAGES.wrap(partial(_collect, faults))
    Hook.RECEIVE_FOR_FUNCTION.wrap(partial(_receive, faults))
    Hook.EVENT_TARGET.wrap(partial(_deliver, faults))
    Hook.INVOKE_ASYNC.wrap(partial(_invoke, faults))
    Hook.EXECUTE_FUNCTION.wrap(partial(_execute, faults))
    Hook.STREAM_RECORDS.wrap(partial(_records_since, faults, {}))
    Hook.DELIVER_RECORD.wrap(partial(_deliver_record, faults))


def _collect(
    faults: Faults, original: Callable[..., list[Document]], queue: Document, *limits: Any
) -> list[Document]:
    """Make some new messages wait, and receive from the queue in another order."""
    if queue["is_fifo"]:
        return original(queue, *limits)
    messages = list(queue["messages"])
    now = time.time()
    for message in messages:
        if message.setdefault(_SEEN, False):
            continue
        message[_SEEN] = True
        if faults.strikes(Kind.LATE_MESSAGE):
            late = now + faults.delay_s(Kind.LATE_MESSAGE, MESSAGE_DELAY_S)
            message["visible_at"] = max(message["visible_at"], late)
    if len(messages) > 1 and faults.strikes(Kind.REORDERED_QUEUE):
        faults.shuffle(Kind.REORDERED_QUEUE, messages)
    # The list of the queue itself stays as it is, because other threads read it.
    return original({**queue, "messages": messages}, *limits)


def _receive(
    faults: Faults, original: Callable[..., list[Document]], url: str, number: int
) -> list[Document]:
    """Leave a copy of some messages in the queue, as a server does that missed the receipt."""
    received = original(url, number)
    queue = Hook.QUEUES.get().get(url)
    for message in received:
        if queue is None or queue["is_fifo"] or not faults.strikes(Kind.REPEATED_MESSAGE):
            continue
        again = time.time() + faults.delay_s(Kind.REPEATED_MESSAGE, MESSAGE_DELAY_S)
        count = message["receive_count"] - 1
        copy = {"receipt_handle": None, "visible_at": again, "receive_count": count}
        queue["messages"].append({**message, **copy})
    return received


def _deliver(faults: Faults, original: Callable[..., None], *delivery: Any) -> None:
    if faults.strikes(Kind.REPEATED_EVENT):
        _later(faults.delay_s(Kind.REPEATED_EVENT, EVENT_DELAY_S), original, *delivery)
    if faults.strikes(Kind.LATE_EVENT):
        _later(faults.delay_s(Kind.LATE_EVENT, EVENT_DELAY_S), original, *delivery)
    else:
        original(*delivery)


def _invoke(faults: Faults, original: Callable[..., None], *invocation: Any) -> None:
    original(*invocation)
    if faults.strikes(Kind.REPEATED_INVOCATION):
        _later(faults.delay_s(Kind.REPEATED_INVOCATION, EVENT_DELAY_S), original, *invocation)


def _later(delay_s: float, call: Callable[..., None], *arguments: Any) -> None:
    """Call a function of MiniStack after a delay, for the same account and region."""
    context = contextvars.copy_context()
    timer = threading.Timer(delay_s, context.run, (call, *arguments))
    timer.daemon = True
    timer.start()


def _execute(
    faults: Faults,
    original: Callable[..., Document],
    function: Document,
    event: Any,
    *rest: Any,
    **more: Any,
) -> Document:
    """Run a function a second time with the same batch of a stream."""
    outcome = original(function, event, *rest, **more)
    records = event.get("Records") if isinstance(event, dict) else None
    if not records or outcome.get("error") or records[0].get("eventSource") != "aws:dynamodb":
        return outcome
    if faults.strikes(Kind.REPEATED_BATCH):
        return original(function, event, *rest, **more)
    return outcome


def _records_since(
    faults: Faults,
    waits: dict[str, tuple[int, float]],
    original: Callable[..., list[Document]],
    table: str,
    position: int,
    *rest: Any,
    **more: Any,
) -> list[Document]:
    """Let some batches of a stream wait. The order of the records stays."""
    records = original(table, position, *rest, **more)
    if not records:
        return records
    decided, until = waits.get(table, (-1, 0.0))
    if decided != position:
        until = time.monotonic()
        if faults.strikes(Kind.LATE_BATCH):
            until += faults.delay_s(Kind.LATE_BATCH, BATCH_DELAY_S)
        waits[table] = (position, until)
    return records if time.monotonic() >= until else []


def _deliver_record(faults: Faults, original: Callable[..., None], *delivery: Any) -> None:
    original(*delivery)
    if faults.strikes(Kind.REPEATED_RECORD):
        original(*delivery)
