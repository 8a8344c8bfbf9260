"""Keep the messages of a batch hidden while their function works, and no longer.

Lambda refuses a queue whose visibility timeout is shorter than the function's timeout, up to 15
minutes, and a message whose function died returns only after it. So a handler shortens it to a
minute when it begins, and extends it while it works: what dies gives its messages back within the
minute. Until the handler has begun, the visibility timeout of the queue applies.

Source  SQS API Reference, ChangeMessageVisibility; Lambda Developer Guide, "Creating and
        configuring an Amazon SQS event source mapping"
"""

from __future__ import annotations

from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

from refit.domain.redelivery import LEASE_S, RENEWAL_S
from refit.handlers.wiring import services

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType


class MessageLease:
    """Hides the messages of one batch from other processes, as a context manager."""

    def __init__(self, records: Sequence[dict[str, Any]]) -> None:
        self._messaging = services().messaging
        self._queue_arn = str(records[0]["eventSourceARN"]) if records else ""
        self._handles = {record["receiptHandle"] for record in records}
        self._has_ended = Event()
        # It is held during a renewal, so that none outlasts what return_soon decides.
        self._renewal = Lock()
        self._thread = Thread(target=self._keep_renewing, name="message-lease", daemon=True)

    def __enter__(self) -> MessageLease:
        self._renew()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Lambda freezes the process after the answer; a thread would wake up in a later invocation.
        self._has_ended.set()
        self._thread.join()

    def return_soon(self, receipt_handle: str, delay_s: int) -> None:
        """Renew a message no more, and make it visible again after some seconds."""
        with self._renewal:
            self._handles.discard(receipt_handle)
        self._messaging.return_soon(self._queue_arn, receipt_handle, delay_s)

    def _keep_renewing(self) -> None:
        while not self._has_ended.wait(RENEWAL_S):
            self._renew()

    def _renew(self) -> None:
        with self._renewal:
            for handle in sorted(self._handles):
                self._messaging.hide(self._queue_arn, handle, LEASE_S)
