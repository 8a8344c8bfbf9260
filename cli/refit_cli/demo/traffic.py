"""The traffic of the demo: requests to the live model, and their labels a little later."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from refit_cli.rows import InputTable, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from refit_cli.api.prediction_api import PredictedRow
    from refit_cli.demo.data import Digits

_SEED = 7


class PredictionSource(Protocol):
    """Answers rows; `PredictionApi` in the demo."""

    def predict(self, table: InputTable) -> Iterator[PredictedRow]:
        """Yield the answers in the order of the rows."""


class LabelSink(Protocol):
    """Takes labels; `GroundTruthApi` in the demo."""

    def send(self, records: list[dict[str, Any]]) -> object:
        """Send labels."""


@dataclass(frozen=True)
class TrafficCall:
    """One answered request.

    Attributes:
        at: seconds since the start of the traffic.
        is_rotated: whether the images were rotated.
        version: the model version that answered.
        rows: number of digits.
        correct: number of correct answers.
    """

    at: float
    is_rotated: bool
    version: int
    rows: int
    correct: int


@dataclass
class Traffic:
    """A thread that requests predictions and sends their labels later; a context manager.

    Attributes:
        rows_per_call: number of digits in a request.
        is_rotated: whether the images are rotated from now on.
        pause_s: time between two requests.
        label_delay_s: time between a prediction and its label.
        calls: the requests answered so far.
        rotated_label_times: for each label sent for a rotated digit, the seconds since the start.
    """

    api: PredictionSource
    labels: LabelSink
    digits: Digits
    rows_per_call: int = 20
    is_rotated: bool = False
    pause_s: float = 0.4
    label_delay_s: float = 1.0
    calls: list[TrafficCall] = field(default_factory=list)
    rotated_label_times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.started = 0.0
        self._stop = threading.Event()
        self._pending: deque[tuple[float, bool, list[dict[str, Any]]]] = deque()
        self._random = np.random.default_rng(_SEED)
        self._images = {False: self.digits, True: self.digits.rotated()}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="traffic")

    def __enter__(self) -> Traffic:
        self.started = time.monotonic()
        self._thread = self._pool.submit(self._run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._pool.shutdown()
        if kind is None:
            self._thread.result()

    def now(self) -> float:
        """Return the seconds since the start of the traffic."""
        return time.monotonic() - self.started

    def raise_if_stopped(self) -> None:
        """Raise the error that stopped the traffic, if it has stopped."""
        if self._thread.done():
            self._thread.result()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._call(self.is_rotated)
            self._send_due_labels()
            self._stop.wait(self.pause_s)

    def _call(self, is_rotated: bool) -> None:
        indices = self._random.integers(0, len(self.digits), self.rows_per_call)
        digits = self._images[is_rotated].select(indices)
        rows = list(self.api.predict(InputTable(None, numbered(digits.cells()))))
        labelled = [(row.answer, digits.labels[row.row - 1]) for row in rows]
        correct = sum(str(answer["prediction"]) == label for answer, label in labelled)
        version = rows[0].model_version or 0
        self.calls.append(TrafficCall(self.now(), is_rotated, version, len(rows), correct))
        records = [
            {"inferenceId": answer["inferenceId"], "label": label} for answer, label in labelled
        ]
        self._pending.append((self.now() + self.label_delay_s, is_rotated, records))

    def _send_due_labels(self) -> None:
        while self._pending and self._pending[0][0] <= self.now():
            _, is_rotated, records = self._pending.popleft()
            self.labels.send(records)
            if is_rotated:
                self.rotated_label_times += [self.now()] * len(records)
