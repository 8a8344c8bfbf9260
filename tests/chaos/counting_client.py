"""A client that predicts and labels all the time, and keeps a plain count of its own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

CLIENTS = 2
ROWS = 10
PAUSE_S = 0.1
FLUSH_S = 240
"""How long labels are sent again until they are accepted."""


@dataclass
class Answered:
    """Answered predictions whose labels are not accepted yet."""

    version: int
    labels: dict[str, str]
    wrong: set[str]

    def records(self) -> list[dict[str, Any]]:
        return [{"inferenceId": name, "label": label} for name, label in self.labels.items()]


@dataclass(frozen=True)
class Difference:
    """How the counters of Refit differ from those of the client.

    Attributes:
        lost: predictions and labels that are not counted.
        twice: predictions and labels that are counted and were never sent, or sent once.
    """

    lost: int
    twice: int
    errors: int
    text: str

    def __bool__(self) -> bool:
        return bool(self.lost or self.twice or self.errors)


@dataclass
class CountingClient:
    """Sends predictions and labels to a model, from several threads.

    Attributes:
        unanswered: rows of calls that got no answer: whether they are counted is open.
        refused: labels that were rejected, each with a reason.
    """

    user: User
    model: str
    digits: Digits
    expected: dict[int, Counter[str]] = field(default_factory=dict)
    unanswered: int = 0
    calls: int = 0
    failed_calls: int = 0
    refused: int = 0
    _pending: list[Answered] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _paused: threading.Event = field(default_factory=threading.Event)
    _position: int = 0

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Predict and label until the block ends; then send the labels that are left."""
        stop = threading.Event()
        threads = [threading.Thread(target=self._work, args=[stop]) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Send nothing while the block runs, beyond the calls that have begun."""
        self._paused.set()
        try:
            yield
        finally:
            self._paused.clear()

    def flush(self) -> None:
        """Send the labels that are not accepted yet until they are."""
        deadline = time.monotonic() + FLUSH_S
        while self._pending and time.monotonic() < deadline:
            self._send(self._take())
            time.sleep(PAUSE_S)
        assert not self._pending, f"labels were not accepted within {FLUSH_S} s"

    def forget_pending(self) -> None:
        """Give up labels that are not accepted yet: their stack is gone."""
        with self._lock:
            self._pending.clear()

    def predict(self, rows: int = ROWS) -> Answered | None:
        """Request predictions, and count them if they are answered."""
        with self._lock:
            start = 1000 + self._position % 700
            self._position += rows
            self.calls += 1
        images = slice(start, start + rows)
        try:
            response = self.user.predict(self.model, self.digits.rows(images))
        except requests.RequestException:
            self._fail(rows)
            return None
        if not response.ok:
            self._fail(rows)
            return None
        body = response.json()
        truth = self.digits.texts(images)
        answers = body["predictions"]
        names = [answer["inferenceId"] for answer in answers]
        wrong = {
            answer["inferenceId"]
            for answer, label in zip(answers, truth, strict=True)
            if answer["prediction"] != label
        }
        version = body["modelVersion"]
        self._count(version, predictions=rows)
        return Answered(version, dict(zip(names, truth, strict=True)), wrong)

    def label(self, answered: Answered) -> None:
        """Send the labels of predictions; those that are not accepted are sent again later."""
        self._send(answered)

    def count_labels(self, answered: Answered, refused: frozenset[str] = frozenset()) -> None:
        """Count labels that were accepted."""
        accepted = answered.labels.keys() - refused
        with self._lock:
            self.refused += len(refused)
        self._count(answered.version, labelled=len(accepted), errors=len(answered.wrong & accepted))

    def count_predictions(self, version: int, rows: int) -> None:
        """Count predictions that were requested otherwise, such as those of a batch."""
        self._count(version, predictions=rows)

    def difference(self) -> Difference:
        """Compare the counters of Refit with those of the client."""
        lost = twice = errors = 0
        texts = []
        with self._lock:
            expected = {version: Counter(counts) for version, counts in self.expected.items()}
            open_rows = self.unanswered
        for version, counts in sorted(expected.items()):
            counted = self.user.counters(self.model, version)
            for name in ("predictions", "labelled"):
                change = counted[name] - counts[name]
                lost += max(0, -change)
                if name == "predictions":  # a lost answer may be counted
                    explained = min(max(0, change), open_rows)
                    open_rows -= explained
                    change -= explained
                twice += max(0, change)
                if change:
                    texts.append(f"v{version}: {counted[name]} {name}, sent {counts[name]}")
            if counted["labelled"] == counts["labelled"] and counted["errors"] != counts["errors"]:
                errors += abs(counted["errors"] - counts["errors"])
                texts.append(f"v{version}: {counted['errors']} errors, sent {counts['errors']}")
        return Difference(lost, twice, errors, "; ".join(texts))

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if self._paused.is_set():
                stop.wait(PAUSE_S)
                continue
            answered = self.predict()
            if answered is not None:
                self._send(answered)
            elif self._pending:
                self._send(self._take())
            stop.wait(PAUSE_S)

    def _send(self, answered: Answered | None) -> None:
        if answered is None:
            return
        with self._lock:
            self.calls += 1
        try:
            response = self.user.post_labels(self.model, answered.records())
        except requests.RequestException:
            response = None
        if response is None or response.status_code != requests.codes.accepted:
            with self._lock:
                self.failed_calls += 1
                self._pending.append(answered)
            return
        results = response.json()["results"]
        self.count_labels(
            answered,
            frozenset(
                name
                for name, result in zip(answered.labels, results, strict=True)
                if result["status"] == "rejected"
            ),
        )

    def _take(self) -> Answered | None:
        with self._lock:
            return self._pending.pop(0) if self._pending else None

    def _fail(self, rows: int) -> None:
        with self._lock:
            self.failed_calls += 1
            self.unanswered += rows

    def _count(self, version: int, **numbers: int) -> None:
        with self._lock:
            self.expected.setdefault(version, Counter()).update(numbers)
