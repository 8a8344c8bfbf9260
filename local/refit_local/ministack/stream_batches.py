"""Lambda: deliver the records of streams in batches, and deliver failed batches again.

AWS        invokes the function when the batch is full, its payload would exceed 6 MB, or the window
           has passed since the first record. A batch that fails blocks its shard: it is delivered
           again from the first failed record, split if the mapping says so, and discarded after the
           last retry; then the failure destination is told. A throttled function costs no retry
MiniStack  invokes it at once, with any payload; delivers a batch that fails again without end,
           drops records that are reported as failed, and never splits a batch
Source     Lambda Developer Guide, "Batching behavior", "Using AWS Lambda with Amazon DynamoDB",
           section "Error handling", and "Configuring partial batch response with DynamoDB and
           Lambda"; botocore's model, BatchSize ("up to the payload limit for synchronous invocation
           (6 MB)") and MaximumBatchingWindowInSeconds

How long AWS waits before it delivers a batch again is not documented. Here it is half a second.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from refit_local.ministack.hooks import put_metric, set_during
from refit_local.ministack.iam import Permission, role_may
from refit_local.ministack.names import Hook
from refit_local.ministack.stream_failures import (
    Batch,
    Discarded,
    after_failure,
    discarded_batch,
    first_failed,
)

if TYPE_CHECKING:
    from refit_local.ministack.hooks import Document

PAYLOAD_BYTES = 6 * 1024 * 1024
RETRY_AFTER_S = 0.5
_READ_AT_ONCE = 500

log = logging.getLogger("refit.stack.streams")


@dataclass
class _Shard:
    """What a mapping is delivering of its shard.

    Attributes:
        batches: the batches to deliver next, in order; several if a batch was split.
        window_began: when the first record of the batching window was read.
        waits_until: when the next batch is delivered again. Both are monotonic times.
        collected: records that are read, from `collected_from` on; they become the next batch.
        collected_from: their first position.
        sizes: bytes of the records that are collected.
    """

    batches: list[Batch] = field(default_factory=list)
    window_began: float | None = None
    waits_until: float = 0.0
    collected: list[Document] = field(default_factory=list)
    collected_from: int = 0
    sizes: list[int] = field(default_factory=list)

    def take(self, count: int) -> None:
        """Forget the first records: they are the next batch."""
        self.collected_from += count
        del self.collected[:count], self.sizes[:count]

    def collect(self, table: str, start: int, limit: int) -> None:
        """Read the records that are new since the last time, up to a batch of `limit`."""
        if start != self.collected_from:
            self.collected, self.collected_from, self.sizes = [], start, []
        # Not all at once: records of ten thousand large items are more than memory should take.
        while sum(self.sizes) <= PAYLOAD_BYTES:
            missing = min(limit - len(self.collected), _READ_AT_ONCE)
            new = Hook.STREAM_RECORDS.get()(table, start + len(self.collected), missing)
            self.collected += new
            self.sizes += [len(json.dumps(record, default=str)) + 2 for record in new]
            if len(new) < _READ_AT_ONCE:
                break


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.POLL_STREAMS.put(partial(_poll, {}))


def _poll(shards: dict[str, _Shard]) -> bool:
    """Deliver a batch of each mapping that has one; return whether there may be more at once."""
    may_have_more = False
    mappings = list(Hook.MAPPINGS.get()())
    for deleted in shards.keys() - {mapping["UUID"] for _, _, mapping in mappings}:
        del shards[deleted]
    for account, region, mapping in mappings:
        if ":dynamodb:" not in mapping.get("EventSourceArn", "") or not mapping.get(
            "Enabled", True
        ):
            continue
        scopes = Hook.ACCOUNT_SCOPE.get(), Hook.REGION_SCOPE.get()
        with set_during(scopes[0], account), set_during(scopes[1], region):
            shard = shards.setdefault(mapping["UUID"], _Shard())
            may_have_more |= _advance(shard, mapping)
    return may_have_more


def _advance(shard: _Shard, mapping: Document) -> bool:
    function, config, _ = Hook.FUNCTION_RECORD.get()(mapping["FunctionArn"])
    table = _table_of(mapping)
    if function is None or table is None or time.monotonic() < shard.waits_until:
        return False
    start = _position(mapping, table)
    # A stream keeps its records for 24 hours, also those that are delivered again.
    shard.batches = [batch for batch in shard.batches if batch.positions[0] >= start]
    if not shard.batches:
        return _read(shard, mapping, table, start)
    batch = shard.batches[0]
    record = Hook.EXECUTION_RECORD.get()(function, config)
    outcome = Hook.EXECUTE_FUNCTION.get()(record, {"Records": list(batch.records)})
    if outcome.get("throttle"):  # "retries until the records expire"
        shard.waits_until = time.monotonic() + RETRY_AFTER_S
        return False
    failed = first_failed(batch, outcome, mapping)
    if failed is None:
        _continue_with(shard, [], mapping)
        mapping["LastProcessingResult"] = "OK"
        return True
    log.warning("%s failed on a stream batch: %s", mapping["FunctionName"], outcome.get("body"))
    mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
    following = after_failure(batch, failed, mapping, time.time())
    if isinstance(following, Discarded):
        message = discarded_batch(batch, following, outcome, mapping, config["FunctionArn"])
        _send(message, mapping, config)
        following = []
    _continue_with(shard, following, mapping)
    if not following or following[0].retries == 0:
        return True
    shard.waits_until = time.monotonic() + RETRY_AFTER_S
    return False


def _table_of(mapping: Document) -> str | None:
    """Return the table whose stream a mapping reads; None if it has no such stream any more."""
    stream = mapping["EventSourceArn"]
    name = str(stream.split(":table/")[-1].split("/stream/")[0])
    table = Hook.TABLES.get().get(name)
    return name if table and table.get("LatestStreamArn") == stream else None


def _position(mapping: Document, table: str) -> int:
    """Return where a mapping reads its stream: not before the oldest record that is kept."""
    first = mapping.get("StartingPosition", "LATEST")
    Hook.START_READING.get()(mapping["UUID"], mapping["EventSourceArn"], first)
    position = Hook.STREAM_POSITIONS.get()[mapping["UUID"]]
    return max(int(position), int(Hook.STREAM_HORIZON.get()(table)))


def _continue_with(shard: _Shard, instead: list[Batch], mapping: Document) -> None:
    """Replace the batch that was delivered, and move the position to what is delivered next."""
    end = shard.batches[0].end
    shard.batches[:1] = instead
    position = shard.batches[0].positions[0] if shard.batches else end
    with Hook.STREAM_POSITIONS_LOCK.get():
        Hook.STREAM_POSITIONS.get()[mapping["UUID"]] = position


def _read(shard: _Shard, mapping: Document, table: str, start: int) -> bool:
    """Read the next batch, unless its records are still collected; return whether it was read."""
    limit = mapping["BatchSize"]
    shard.collect(table, start, limit)
    if not shard.collected:
        return False
    now = time.monotonic()
    if shard.window_began is None:
        shard.window_began = now
    records = _within_payload(shard.collected, shard.sizes)
    is_full = len(records) == limit or len(records) < len(shard.collected)
    window_s = mapping.get("MaximumBatchingWindowInSeconds") or 0
    if not is_full and now < shard.window_began + window_s:
        return False
    shard.window_began = None
    shard.take(len(records))
    places = {record["dynamodb"]["SequenceNumber"]: start + i for i, record in enumerate(records)}
    kept = Hook.FILTER_RECORDS.get()(records, mapping)
    end = start + len(records)
    if kept:
        positions = [places[record["dynamodb"]["SequenceNumber"]] for record in kept]
        shard.batches = [Batch(kept, positions, end)]
    else:
        with Hook.STREAM_POSITIONS_LOCK.get():
            Hook.STREAM_POSITIONS.get()[mapping["UUID"]] = end
    return True


def _within_payload(records: list[Document], sizes: list[int]) -> list[Document]:
    size = len('{"Records": []}')
    for count, record_size in enumerate(sizes):
        size += record_size
        if size > PAYLOAD_BYTES:
            return records[: max(count, 1)]
    return list(records)


def _send(message: str, mapping: Document, config: Document) -> None:
    """Send the record of a discarded batch to the failure destination, as the function's role."""
    on_failure = (mapping.get("DestinationConfig") or {}).get("OnFailure") or {}
    arn = on_failure.get("Destination")
    if not arn:
        return
    queue = Hook.QUEUE_BY_ARN.get()(arn)
    if queue is not None and role_may(config["Role"], Permission("sqs:SendMessage", arn)):
        request = {"QueueUrl": queue["url"], "MessageBody": message}
        Hook.QUEUE_ACTIONS.get()["SendMessage"](request, queue["url"])
        return
    log.warning(
        "%s cannot send a discarded batch to %s: the destination must be a queue to which the role "
        "%s may send",
        mapping["FunctionName"],
        arn,
        config["Role"],
    )
    dimensions = {"FunctionName": mapping["FunctionName"]}
    put_metric("AWS/Lambda", "DestinationDeliveryFailures", [1.0], "Count", dimensions)
