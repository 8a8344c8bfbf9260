"""The demo's second half: the world changes, and the loop closes by itself."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from refit_cli import terminal
from refit_cli.demo_report import Evidence, Exam, Moment, Report
from refit_cli.demo_traffic import Traffic
from refit_cli.errors import RunFailed, TimedOut
from refit_cli.ground_truth_api import GroundTruthApi
from refit_cli.prediction_api import PredictionApi
from refit_cli.records import Records
from refit_cli.rows import Table, numbered

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_cli.connection import Connection
    from refit_cli.demo_clock import Clock
    from refit_cli.demo_data import Digits, LiveDigits, Scale
    from refit_cli.records import Run

T = TypeVar("T")

CALM_CALLS = 30
AFTER_CALLS = 25
DETECTION_TIMEOUT_S = 180
_POLL_S = 0.5


@dataclass
class Loop:
    """Follows one model while its world changes."""

    connection: Connection
    model: str
    digits: LiveDigits
    scale: Scale
    clock: Clock
    moments: list[Moment] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._records = Records(self.connection)
        stack = self.connection.stack
        access = (stack.api_url, self.connection.api_key, self.model)
        self._api = PredictionApi(*access)
        self._traffic = Traffic(
            PredictionApi(*access), GroundTruthApi(*access), self.digits.traffic
        )

    def run(self, follow: Callable[[str], None]) -> Report:
        """Go round once, and return what was seen.

        Args:
            follow: shows a run until its version is live.

        Raises:
            RunFailed: when drift was not detected or no better model came of it.
        """
        upright, tilted = self.digits.exam, self.digits.exam.tilted()
        with self.clock.stage("exam, upright"):
            before = self._examined(upright)
        with self._traffic as traffic:
            with self.clock.stage("calm traffic"):
                self._note("traffic begins", "callers ask, and tell the truth a second later")
                self._wait_for_calls(CALM_CALLS)
            traffic.is_tilted = True
            self._note("camera knocked askew", "every image is tilted by 25 degrees from now on")
            with self.clock.stage("exam, askew"):
                drifted_old = self._examined(tilted)
            with self.clock.stage("until drift is detected"):
                self._wait(self._is_detected, DETECTION_TIMEOUT_S, "drift was not detected")
            labels = self._labels_until_detection()
            with self.clock.stage("until there are labels to train on"):
                retraining = self._wait(
                    self._retraining, DETECTION_TIMEOUT_S, "no retraining began"
                )
            self._note("retraining begins", f"run {retraining.run}, started by {retraining.cause}")
            with self.clock.stage("retraining, until live"):
                follow(retraining.run)
            self._note("better model live", self._outcome(retraining.run))
            with self.clock.stage("exam, askew again"):
                drifted_new = self._examined(tilted)
            with self.clock.stage("traffic after"):
                self._wait_for_calls(len(traffic.calls) + AFTER_CALLS)
        with self.clock.stage("exam, upright again"):
            upright_new = self._examined(upright)
        return Report(
            before=before,
            drifted_old=drifted_old,
            drifted_new=drifted_new,
            upright_new=upright_new,
            labels_until_detection=labels,
            retrainings=len(self._retrainings()),
            moments=self.moments,
            evidence=self.evidence,
            calls=traffic.calls,
        )

    def _note(self, name: str, told: str) -> None:
        self.moments.append(Moment(self._traffic.now(), name, told))
        terminal.results().print(f"[bold]{name}[/]  [dim]{told}[/]")

    def _examined(self, digits: Digits) -> Exam:
        table = Table(None, numbered(digits.cells()))
        found = sorted(self._api.predict(table), key=lambda answer: answer.row)
        answers = tuple(str(each.answer["prediction"]) for each in found)
        exam = Exam(digits, found[0].model_version or 0, answers)
        terminal.results().print(f"[dim]exam:[/] version {exam.version} reads {exam.shown()}")
        return exam

    def _wait_for_calls(self, wanted: int) -> None:
        while len(self._traffic.calls) < wanted:
            self._look()
            time.sleep(_POLL_S)

    def _wait(self, look: Callable[[], T | None], timeout_s: float, failed: str) -> T:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._look()
            found = look()
            if found is not None:
                return found
            time.sleep(_POLL_S)
        raise TimedOut(
            f"{failed} within {timeout_s:.0f} s", f"see why with `refit status {self.model}`"
        )

    def _look(self) -> None:
        """Follow the evidence, and notice when the traffic has broken off."""
        self._traffic.check()
        verdict = self._records.verdict(self.model)
        if verdict is None or verdict.quality is None:
            return
        quality = verdict.quality
        value = quality.log10_evidence if quality.log10_evidence is not None else 0.0
        self.evidence.append(Evidence(self._traffic.now(), value, math.log10(quality.threshold)))

    def _is_detected(self) -> datetime | None:
        verdict = self._records.verdict(self.model)
        if verdict is None or verdict.alarm is None:
            return None
        self._note("drift detected", verdict.alarm.sentence)
        return verdict.alarm.raised_at

    def _labels_until_detection(self) -> int:
        verdict = self._records.verdict(self.model)
        if verdict is None or verdict.alarm is None:
            raise RunFailed("the alarm is gone")
        ago = (datetime.now(UTC) - verdict.alarm.raised_at).total_seconds()
        detected = self._traffic.now() - ago
        return sum(at <= detected for at in self._traffic.labels_tilted)

    def _retrainings(self) -> list[Run]:
        return [run for run in self._records.runs(self.model) if run.cause == "drift"]

    def _retraining(self) -> Run | None:
        return next(iter(self._retrainings()), None)

    def _outcome(self, run: str) -> str:
        decision = self._records.decision(self.model, run)
        return decision.reasons[-1] if decision else ""
