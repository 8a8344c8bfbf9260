"""Collect the requests that are waiting and predict them together.

The server never waits for a batch to fill. The next batch consists of the requests that arrived
while the event loop read its sockets or while the last batch was predicted, so batches grow with
the load.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from refit_local.algorithms.xgboost.serving.http_messages import ServerResponse
from refit_local.algorithms.xgboost.serving.scoring import PredictionRequest

_log = logging.getLogger(__name__)

# Below this size a prediction takes less time than handing it to another thread and back.
_INLINE_BYTES = 256 * 1024
_BATCH_BYTES = 2 * 1024**2

Deliver = Callable[[ServerResponse], None]


class Batcher:
    """One queue of requests; one batch is predicted at a time."""

    def __init__(
        self, respond: Callable[[Sequence[PredictionRequest]], list[ServerResponse]]
    ) -> None:
        self._respond = respond
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[PredictionRequest, Deliver]] = deque()
        self._is_scheduled = False
        # Large batches run in a thread, so that the event loop can respond to health checks.
        self._thread = ThreadPoolExecutor(1, "predict")

    def submit(self, request: PredictionRequest, deliver: Deliver) -> None:
        """Queue a request; the event loop later calls `deliver` with the response."""
        self._waiting.append((request, deliver))
        self._schedule()

    def close(self) -> None:
        """End the thread for large batches."""
        self._thread.shutdown()

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._start_batch)

    def _start_batch(self) -> None:
        batch = [self._waiting.popleft()]
        size_bytes = len(batch[0][0].body)
        while self._waiting and size_bytes + len(self._waiting[0][0].body) <= _BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size_bytes += len(batch[-1][0].body)
        requests = [request for request, _ in batch]
        if size_bytes <= _INLINE_BYTES:
            self._finish(batch, self._respond_safely(requests))
            return
        future = self._loop.run_in_executor(self._thread, self._respond_safely, requests)
        future.add_done_callback(lambda done: self._finish(batch, done.result()))

    def _respond_safely(self, requests: Sequence[PredictionRequest]) -> list[ServerResponse]:
        try:
            return self._respond(requests)
        except Exception:  # a defect of this server must fail its batch only, visibly (5XX)
            _log.exception("A batch of %d requests failed", len(requests))
            return [ServerResponse(HTTPStatus.INTERNAL_SERVER_ERROR)] * len(requests)

    def _finish(
        self,
        batch: Sequence[tuple[PredictionRequest, Deliver]],
        responses: Sequence[ServerResponse],
    ) -> None:
        for (_, deliver), response in zip(batch, responses, strict=True):
            deliver(response)
        self._is_scheduled = False
        self._schedule()
