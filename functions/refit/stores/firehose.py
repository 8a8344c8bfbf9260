"""The way of captured lines into the bucket: by the delivery stream, or past it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from refit.domain.errors import ServiceThrottled
from refit.environment import environment
from refit.stores import s3
from refit.stores.clients import client, passing_troubles_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RECORD_BYTES = 1000 * 1024
"""The most that a record of Firehose holds."""

BATCH_BYTES = 4 * 1024 * 1024
"""The most that Firehose takes in one call; beside 500 records."""

_ATTEMPTS = 2


@dataclass(frozen=True)
class Capture:
    """A line, its end included, and the key under which it stands where the stream is no way."""

    key: str
    line: bytes


def deliver(captures: Sequence[Capture]) -> list[Capture]:
    """Carry lines into the bucket.

    Args:
        captures: any number, of any size.

    Returns:
        Those that are lost: neither the stream nor the bucket took them.
    """
    refused = [one for one in captures if len(one.line) > RECORD_BYTES]
    fitting = [one for one in captures if len(one.line) <= RECORD_BYTES]
    for batch in _batches(fitting):
        refused += _streamed(batch)
    return [one for one in refused if not _is_put(one)]


def _batches(captures: Iterable[Capture]) -> Iterator[list[Capture]]:
    batch: list[Capture] = []
    size = 0
    for one in captures:
        if size + len(one.line) > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one.line)
    if batch:
        yield batch


def _streamed(batch: list[Capture]) -> list[Capture]:
    """Give a batch to the stream, once more what it did not take; return what it refuses."""
    ahead = batch
    for _ in range(_ATTEMPTS):
        try:
            with passing_troubles_named():
                answer = client("firehose").put_record_batch(
                    DeliveryStreamName=environment().capture_stream,
                    Records=[{"Data": one.line} for one in ahead],
                )
        except (ServiceThrottled, ClientError):
            return ahead  # the client has tried again by itself
        outcomes = zip(ahead, answer["RequestResponses"], strict=True)
        ahead = [one for one, outcome in outcomes if "ErrorCode" in outcome]
        if not ahead:
            break
    return ahead


def _is_put(capture: Capture) -> bool:
    try:
        s3.put_bytes(capture.key, capture.line, "application/jsonlines")
    except (ServiceThrottled, ClientError):
        return False
    return True
