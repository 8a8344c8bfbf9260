"""Deliver captured lines to the bucket by the Firehose stream, or directly when that fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from refit.domain.errors import ServiceThrottled
from refit.stores.clients import translate_transient_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from refit.stores.bucket import Bucket

RECORD_BYTES = 1000 * 1024
"""Largest record that Firehose accepts."""

BATCH_BYTES = 4 * 1024 * 1024
"""Largest total size of the records that Firehose accepts in one call."""

BATCH_RECORDS = 500
"""Largest number of records that Firehose accepts in one call."""

_ATTEMPTS = 2


@dataclass(frozen=True)
class CapturedLine:
    """A line with its line end, and the key of its object if the stream does not accept it."""

    key: str
    line: bytes


class CaptureStream:
    """Delivers captured lines to the bucket. A failure is returned, not raised."""

    def __init__(
        self, client: Any, stream: str, bucket: Bucket, record_bytes: int = RECORD_BYTES
    ) -> None:
        self._client = client
        self._stream = stream
        self._bucket = bucket
        self._record_bytes = record_bytes

    def deliver(self, lines: Sequence[CapturedLine]) -> list[CapturedLine]:
        """Deliver lines of any number and size; return those that could not be delivered."""
        undelivered = [line for line in lines if len(line.line) > self._record_bytes]
        for batch in _batches(line for line in lines if len(line.line) <= self._record_bytes):
            undelivered += self._send(batch)
        return [line for line in undelivered if not self._is_put(line)]

    def _send(self, batch: list[CapturedLine]) -> list[CapturedLine]:
        """Send a batch, and retry rejected lines once; return the lines that remain rejected."""
        pending = batch
        for _ in range(_ATTEMPTS):
            try:
                with translate_transient_errors():
                    answer = self._client.put_record_batch(
                        DeliveryStreamName=self._stream,
                        Records=[{"Data": line.line} for line in pending],
                    )
            except (ServiceThrottled, ClientError):
                return pending  # botocore has already retried
            outcomes = zip(pending, answer["RequestResponses"], strict=True)
            pending = [line for line, outcome in outcomes if "ErrorCode" in outcome]
            if not pending:
                break
        return pending

    def _is_put(self, line: CapturedLine) -> bool:
        try:
            self._bucket.put(line.key, line.line, "application/jsonlines")
        except (ServiceThrottled, ClientError):
            return False
        return True


def _batches(lines: Iterable[CapturedLine]) -> Iterator[list[CapturedLine]]:
    batch: list[CapturedLine] = []
    size_bytes = 0
    for line in lines:
        if size_bytes + len(line.line) > BATCH_BYTES or len(batch) == BATCH_RECORDS:
            yield batch
            batch, size_bytes = [], 0
        batch.append(line)
        size_bytes += len(line.line)
    if batch:
        yield batch
