"""The demo's callers: they ask the live model all the time, and learn the truth a little later."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from refit_cli.rows import Table, numbered

if TYPE_CHECKING:
    from types import TracebackType

    from refit_cli.demo_data import Digits
    from refit_cli.prediction_api import PredictionApi

PAUSE_S = 0.4
LABEL_DELAY_S = 1.0
_SEED = 7


class LabelSink(Protocol):
    """Where labels are posted."""

    def send(self, records: list[dict[str, Any]]) -> object:
        """Post labels."""


@dataclass(frozen=True)
class Call:
    """One answered call of the traffic.

    Attributes:
        at: seconds since the traffic began.
        is_tilted: whether the camera hung askew.
        version: the model version that answered.
        rows: how many digits were asked about.
        right: how many of them were read right.
    """

    at: float
    is_tilted: bool
    version: int
    rows: int
    right: int


@dataclass
class Traffic:
    """A thread that calls, and posts the labels of what was answered; a context manager.

    Attributes:
        rows_per_call: how many digits are asked about at once.
        is_tilted: whether the camera hangs askew now. Set by who owns the demo's world.
        calls: what was answered so far.
        labels_tilted: when the label of each tilted digit had been taken, in seconds.
    """

    api: PredictionApi
    labels: LabelSink
    digits: Digits
    rows_per_call: int = 20
    is_tilted: bool = False
    calls: list[Call] = field(default_factory=list)
    labels_tilted: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._enough = threading.Event()
        self._due: deque[tuple[float, bool, list[dict[str, Any]]]] = deque()
        self._order = np.random.default_rng(_SEED)
        self._views = {False: self.digits, True: self.digits.tilted()}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="traffic")

    def __enter__(self) -> Traffic:
        self._work = self._pool.submit(self._run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._enough.set()
        self._pool.shutdown()
        if kind is None:
            self._work.result()

    def now(self) -> float:
        """Return the seconds since the traffic began."""
        return time.monotonic() - self.began

    def check(self) -> None:
        """Raise what made the traffic stop, if it has."""
        if self._work.done():
            self._work.result()

    def _run(self) -> None:
        while not self._enough.is_set():
            self._call(self.is_tilted)
            self._post_what_is_due()
            self._enough.wait(PAUSE_S)

    def _call(self, is_tilted: bool) -> None:
        chosen = self._order.integers(0, len(self.digits), self.rows_per_call)
        view = self._views[is_tilted]
        rows = type(view)(view.images[chosen], tuple(view.labels[place] for place in chosen))
        answers = list(self.api.predict(Table(None, numbered(rows.cells()))))
        pairs = [(found.answer, rows.labels[found.row - 1]) for found in answers]
        right = sum(str(answer["prediction"]) == label for answer, label in pairs)
        version = answers[0].model_version or 0
        self.calls.append(Call(self.now(), is_tilted, version, len(answers), right))
        records = [
            {"inferenceId": answer["inferenceId"], "label": label} for answer, label in pairs
        ]
        self._due.append((self.now() + LABEL_DELAY_S, is_tilted, records))

    def _post_what_is_due(self) -> None:
        while self._due and self._due[0][0] <= self.now():
            _, is_tilted, records = self._due.popleft()
            self.labels.send(records)
            if is_tilted:
                self.labels_tilted += [self.now()] * len(records)
