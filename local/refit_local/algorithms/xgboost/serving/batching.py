"""Collect the requests that wait, and have them answered together.

Nothing waits for a batch to fill: whatever has arrived when the loop has read all sockets, or while
the last batch was predicted, is the next one. Under load batches so grow by themselves.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from refit_local.algorithms.xgboost.serving.scoring import Answer, Request

_log = logging.getLogger(__name__)

# Below this many bytes a prediction takes less time than the way to another thread and back.
_INLINE_BYTES = 256 * 1024
_BATCH_BYTES = 2 * 1024**2

Deliver = Callable[[Answer], None]


class Batcher:
    """One queue in front of the models; one batch at a time."""

    def __init__(self, answer: Callable[[Sequence[Request]], list[Answer]]) -> None:
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Request, Deliver]] = deque()
        self._is_scheduled = False
        # Large batches leave the loop free to answer health checks.
        self._thread = ThreadPoolExecutor(1, "predict")

    def submit(self, request: Request, deliver: Deliver) -> None:
        """Queue a request; `deliver` is called with its answer, in the loop."""
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
            self._finish(batch, self._answer_all(requests))
            return
        future = self._loop.run_in_executor(self._thread, self._answer_all, requests)
        future.add_done_callback(lambda done: self._finish(batch, done.result()))

    def _answer_all(self, requests: Sequence[Request]) -> list[Answer]:
        try:
            return self._answer(requests)
        except Exception:  # a fault of this server must cost its batch only, and be seen as 5XX
            _log.exception("A batch of %d requests failed", len(requests))
            return [Answer(HTTPStatus.INTERNAL_SERVER_ERROR)] * len(requests)

    def _finish(self, batch: Sequence[tuple[Request, Deliver]], answers: Sequence[Answer]) -> None:
        for (_, deliver), answer in zip(batch, answers, strict=True):
            deliver(answer)
        self._is_scheduled = False
        self._schedule()
