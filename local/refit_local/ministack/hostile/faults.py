"""Decide by a seed which fault comes when, and count what was injected."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

REPORT = "hostile.json"
"""The file of the report in the state folder."""

log = logging.getLogger("refit.stack.hostile")


class Kind(Enum):
    """A kind of fault, and the share of its occasions at which it is injected.

    The functions try a request 5 times, so a request is throttled for good with the fifth power of
    the share: at 2 %, once in three hundred million requests.
    """

    THROTTLED_REQUEST = ("throttled request", 0.02)
    LOST_ANSWER = ("answer lost after a write", 0.02)
    WRITE_CONFLICT = ("write meets a transaction", 0.05)
    CANCELLED_TRANSACTION = ("transaction meets a transaction", 0.05)
    PARTIAL_BATCH = ("part of a batch refused", 0.05)
    THROTTLED_TASK = ("throttled task of a state machine", 0.03)
    LOST_TASK = ("result of a task lost", 0.03)
    THROTTLED_FUNCTION = ("throttled function", 0.02)
    REPEATED_MESSAGE = ("message of a queue repeated", 0.10)
    LATE_MESSAGE = ("message of a queue late", 0.20)
    REORDERED_QUEUE = ("queue reordered", 0.30)
    REPEATED_EVENT = ("event repeated", 0.10)
    LATE_EVENT = ("event late", 0.20)
    REPEATED_INVOCATION = ("asynchronous invocation repeated", 0.10)
    REPEATED_BATCH = ("batch of a stream repeated", 0.10)
    LATE_BATCH = ("batch of a stream late", 0.10)
    REPEATED_RECORD = ("Firehose record repeated", 0.05)
    UNSEEN_CONFIG = ("endpoint config not seen yet", 0.20)
    STALE_READ = ("stale read of an execution", 0.20)

    def __init__(self, title: str, share: float) -> None:
        self.title = title
        self.share = share


@dataclass
class Faults:
    """The faults of one run of the local stack.

    The n-th occasion of a kind has the same outcome whenever the seed is the same. Which request it
    is depends on the order in which requests arrive, which no seed repeats.

    Attributes:
        seed: the seed.
        factor: multiplies the share of every kind.
        folder: where the report is written.
    """

    seed: int
    factor: float
    folder: Path
    injected: Counter[Kind] = field(default_factory=Counter)
    occasions: Counter[Kind] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, kind: Kind) -> bool:
        """Return whether this occasion of a kind gets its fault, and count it."""
        with self._lock:
            self.occasions[kind] += 1
            dice = random.Random(f"{self.seed} {kind.name} {self.occasions[kind]}")
            strikes = dice.random() < kind.share * self.factor
            self.injected[kind] += strikes
        return strikes

    def delay_s(self, kind: Kind, at_most_s: float) -> float:
        """Return how long the latest occasion of a kind is delayed."""
        dice = random.Random(f"{self.seed} {kind.name} {self.occasions[kind]} delay")
        return dice.uniform(0.1, 1) * at_most_s

    def shuffle(self, kind: Kind, values: list[Any]) -> None:
        """Put values in another order."""
        random.Random(f"{self.seed} {kind.name} {self.occasions[kind]} order").shuffle(values)

    def report(self) -> dict[str, Any]:
        """Return the seed, and how often each kind had an occasion and was injected."""
        with self._lock:
            return {
                "seed": self.seed,
                "factor": self.factor,
                "faults": {kind.title: self.injected[kind] for kind in Kind},
                "occasions": {kind.title: self.occasions[kind] for kind in Kind},
            }

    def write_report(self) -> None:
        """Write the report into the state folder."""
        path = self.folder / REPORT
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(self.report(), indent=2))
        draft.replace(path)

    def log_report(self) -> None:
        """Log the report, and write it."""
        self.write_report()
        lines = [f"{number:7d} {title}" for title, number in self.report()["faults"].items()]
        log.warning("hostile with seed %d; faults injected:\n%s", self.seed, "\n".join(lines))
