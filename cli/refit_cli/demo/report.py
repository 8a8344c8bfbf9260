"""The measurements of the demo: figures for scripts, a timeline and stage durations for people."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from refit.domain.evaluation.metrics import wilson_interval

from refit_cli import terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.stores.execution_states import StateSpan

    from refit_cli.demo.data import Digits
    from refit_cli.demo.traffic import TrafficCall

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Exam:
    """A version's answers for digits that are in no training data.

    Attributes:
        digits: the images as they were sent.
        version: the model version that answered.
        answers: one per digit.
    """

    digits: Digits
    version: int
    answers: tuple[str, ...]

    @property
    def correct(self) -> int:
        """Number of correct answers."""
        return sum(a == b for a, b in zip(self.answers, self.digits.labels, strict=True))

    @property
    def accuracy(self) -> float:
        """Share of correct answers, 0 to 1."""
        return self.correct / len(self.answers)

    def as_json(self) -> dict[str, Any]:
        """Return the figure as `refit demo --report` writes it."""
        low, high = wilson_interval(self.correct, len(self.answers), CONFIDENCE)
        return {
            "value": self.accuracy,
            "n": len(self.answers),
            "correct": self.correct,
            "low": low,
            "high": high,
            "version": self.version,
        }

    def __str__(self) -> str:
        low, high = wilson_interval(self.correct, len(self.answers), CONFIDENCE)
        return (
            f"{self.accuracy:.1%} of {len(self.answers):,} "
            f"({CONFIDENCE:.0%} interval {low:.1%} to {high:.1%})"
        )


@dataclass(frozen=True)
class TimelineEntry:
    """An event of the demo; `at` is in seconds since the start of the traffic."""

    at: float
    name: str
    detail: str


@dataclass(frozen=True)
class EvidencePoint:
    """The evidence of drift at a time and the alarm threshold, both as log10."""

    at: float
    log10: float
    threshold: float


@dataclass
class DemoReport:
    """The results of the demo.

    Attributes:
        before: upright digits, first version.
        drifted_old: rotated digits, first version.
        drifted_new: the same rotated digits, retrained version.
        upright_new: upright digits, retrained version.
        labels_until_detection: number of labels of rotated digits that had been sent when drift
            was detected.
        retrainings: number of runs that drift started.
        calls: all requests of the traffic.
        seconds: duration by stage.
    """

    before: Exam
    drifted_old: Exam
    drifted_new: Exam
    upright_new: Exam
    labels_until_detection: int
    retrainings: int
    timeline: list[TimelineEntry]
    evidence: list[EvidencePoint]
    calls: list[TrafficCall]
    seconds: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the figures that `refit demo --report` writes."""
        return {
            "accuracy_before": self.before.as_json(),
            "accuracy_drifted_old": self.drifted_old.as_json(),
            "accuracy_drifted_new": self.drifted_new.as_json(),
            "accuracy_upright_new": self.upright_new.as_json(),
            "labels_until_detection": self.labels_until_detection,
            "retrainings": self.retrainings,
            "timeline": [
                {"at": round(entry.at, 1), "event": entry.name, "detail": entry.detail}
                for entry in self.timeline
            ],
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
        }

    def print(self) -> None:
        """Print the timeline and the figures."""
        console = terminal.results()
        console.print("\n[bold]Timeline[/]  [dim]seconds since the start of the traffic[/]\n")
        for entry in self.timeline:
            console.print(f"{entry.at:>6.0f}  [bold]{entry.name}[/]  [dim]{entry.detail}[/]")
        console.print(
            "\n[bold]Accuracy on digits that are in no training data[/]  "
            f"[dim]the same {len(self.before.answers):,} each time, sent over HTTP[/]\n"
        )
        for name, exam in (
            ("upright, old model", self.before),
            ("rotated, old model", self.drifted_old),
            ("rotated, new model", self.drifted_new),
            ("upright, new model", self.upright_new),
        ):
            console.print(f"{name:<20} version {exam.version}  {exam}")
        console.print(
            f"\nlabels until drift was detected  [bold]{self.labels_until_detection:,}[/]"
            f"\nretrainings                      [bold]{self.retrainings}[/]"
        )


class StageTimes:
    """Durations of the demo's stages.

    Attributes:
        seconds: by stage, in the order in which they ended.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._lines: list[tuple[str, float]] = []
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage."""
        started = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - started
        self._lines.append((name, self.seconds[name]))

    def add_states(self, spans: list[StateSpan]) -> None:
        """Add the states of a run below its stage, except those that take no time."""
        from refit_cli.watching.display import shown_stages  # noqa: PLC0415 (imports botocore)

        stages = shown_stages(spans, datetime.now(UTC))
        self._lines += [(f"  {stage.state}", stage.seconds) for stage in stages]

    @property
    def total(self) -> float:
        """Seconds since the demo started."""
        return time.monotonic() - self._started

    def print(self) -> None:
        """Print all durations and the total."""
        console = terminal.results()
        console.print()
        for name, seconds in [*self._lines, ("total", self.total)]:
            style = "bold" if name == "total" else "dim" if name.startswith(" ") else ""
            console.print(f"{name:<36}{terminal.duration(seconds):>10}", style=style)
