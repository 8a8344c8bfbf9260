"""What the demo measured: figures for a script, a timeline for a person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refit.domain.evaluation.metrics import wilson_interval

from refit_cli import terminal

if TYPE_CHECKING:
    from refit_cli.demo_data import Digits
    from refit_cli.demo_traffic import Call

INTERVAL = 0.95


@dataclass(frozen=True)
class Exam:
    """A version's answers to digits that nobody trained on.

    Attributes:
        digits: as they were asked.
        version: the model version that answered.
        answers: one per digit.
    """

    digits: Digits
    version: int
    answers: tuple[str, ...]

    @property
    def right(self) -> int:
        """How many were read right."""
        return sum(a == b for a, b in zip(self.answers, self.digits.labels, strict=True))

    @property
    def accuracy(self) -> float:
        """The share read right, 0 to 1."""
        return self.right / len(self.answers)

    def as_json(self) -> dict[str, Any]:
        """Return the figure as the report has it."""
        low, high = wilson_interval(self.right, len(self.answers), INTERVAL)
        return {
            "value": self.accuracy,
            "n": len(self.answers),
            "right": self.right,
            "low": low,
            "high": high,
            "version": self.version,
        }

    def shown(self) -> str:
        """Return the figure for a person."""
        low, high = wilson_interval(self.right, len(self.answers), INTERVAL)
        return (
            f"{self.accuracy:.1%} of {len(self.answers):,} "
            f"({INTERVAL:.0%} interval {low:.1%} to {high:.1%})"
        )


@dataclass(frozen=True)
class Moment:
    """Something that happened; `at` is in seconds since the traffic began."""

    at: float
    name: str
    told: str


@dataclass(frozen=True)
class Evidence:
    """What the test had gathered at a moment, as log10, and where it becomes an alarm."""

    at: float
    value: float
    threshold: float


@dataclass
class Report:
    """All that the demo found.

    Attributes:
        before: upright digits, by the first version.
        drifted_old: tilted digits, by the first version.
        drifted_new: the same tilted digits, by the version that replaced it.
        upright_new: the upright digits again, by that version.
        labels_until_detection: labels of tilted digits posted until drift was detected.
        retrainings: runs that drift started.
        moments: the timeline.
        evidence: as it grew.
        calls: every call of the traffic.
        seconds: by stage.
    """

    before: Exam
    drifted_old: Exam
    drifted_new: Exam
    upright_new: Exam
    labels_until_detection: int
    retrainings: int
    moments: list[Moment]
    evidence: list[Evidence]
    calls: list[Call]
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
                {"at": round(moment.at, 1), "event": moment.name, "told": moment.told}
                for moment in self.moments
            ],
            "seconds": {name: round(seconds, 1) for name, seconds in self.seconds.items()},
        }

    def print(self) -> None:
        """Print timeline and figures."""
        console = terminal.results()
        console.print("\n[bold]What happened[/]  [dim]seconds since the traffic began[/]\n")
        for moment in self.moments:
            console.print(f"{moment.at:>6.0f}  [bold]{moment.name}[/]  [dim]{moment.told}[/]")
        console.print(f"\n[bold]Digits nobody trained on[/]  [dim]{self._where()}[/]\n")
        for name, exam in (
            ("upright, old model", self.before),
            ("askew, old model", self.drifted_old),
            ("askew, new model", self.drifted_new),
            ("upright, new model", self.upright_new),
        ):
            console.print(f"{name:<20} version {exam.version}  {exam.shown()}")
        console.print(
            f"\nlabels until drift was detected  [bold]{self.labels_until_detection:,}[/]"
            f"\nretrainings                      [bold]{self.retrainings}[/]"
        )

    def _where(self) -> str:
        return f"the same {len(self.before.answers):,} each time, asked over HTTP"
