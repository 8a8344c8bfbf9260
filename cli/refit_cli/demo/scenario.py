"""The second half of the demo: the images change, drift is detected, the model is retrained."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from refit.domain.errors import ObjectNotFound

from refit_cli import terminal
from refit_cli.api.ground_truth_api import GroundTruthApi
from refit_cli.api.prediction_api import PredictionApi
from refit_cli.demo.data import ROTATION_DEGREES
from refit_cli.demo.report import DemoReport, EvidencePoint, Exam, TimelineEntry
from refit_cli.demo.traffic import Traffic
from refit_cli.errors import RunFailed, TimedOut
from refit_cli.rows import InputTable, numbered

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.domain.pipeline.run import Run

    from refit_cli.connection import StackConnection
    from refit_cli.demo.data import Digits, LiveDigits, Scale
    from refit_cli.demo.report import StageTimes

T = TypeVar("T")

CALLS_BEFORE = 30
CALLS_AFTER = 25
DETECTION_TIMEOUT_S = 180
_POLL_S = 0.5


@dataclass
class DriftScenario:
    """Sends traffic to one model, changes its images, and waits for the retrained version."""

    connection: StackConnection
    model: str
    digits: LiveDigits
    scale: Scale
    times: StageTimes
    timeline: list[TimelineEntry] = field(default_factory=list)
    evidence: list[EvidencePoint] = field(default_factory=list)

    def __post_init__(self) -> None:
        predicting = self.connection.api_access(self.model, "predict")
        self._api = PredictionApi(predicting)
        self._traffic = Traffic(
            PredictionApi(predicting),
            GroundTruthApi(self.connection.api_access(self.model, "label")),
            self.digits.traffic,
            rows_per_call=self.scale.rows_per_call,
        )

    def run(self, follow: Callable[[str], object]) -> DemoReport:
        """Run the scenario once.

        Args:
            follow: shows a run, given its id, until its version is live.

        Raises:
            RunFailed: when drift was not detected or the retrained model is not better.
        """
        upright, rotated = self.digits.exam, self.digits.exam.rotated()
        with self.times.stage("exam, upright"):
            before = self._examine(upright)
        with self._traffic as traffic:
            with self.times.stage("normal traffic"):
                self._note("traffic starts", "each label is sent a second after its prediction")
                self._wait_for_calls(CALLS_BEFORE)
            traffic.is_rotated = True
            self._note("images rotated", f"every image by {ROTATION_DEGREES} degrees from now on")
            with self.times.stage("exam, rotated"):
                drifted_old = self._examine(rotated)
            with self.times.stage("until drift is detected"):
                self._wait(self._detected_at, "drift was not detected")
            labels = self._labels_until_detection()
            with self.times.stage("until there are enough new labels"):
                retraining = self._wait(self._newest_retraining, "no retraining started")
            self._note("retraining starts", f"run {retraining.run}, cause: {retraining.cause}")
            with self.times.stage("retraining, until live"):
                follow(retraining.run)
            self._note("better model live", self._gate_reason(retraining.run))
            with self.times.stage("exam, rotated again"):
                drifted_new = self._examine(rotated)
            with self.times.stage("traffic afterwards"):
                self._wait_for_calls(len(traffic.calls) + CALLS_AFTER)
        with self.times.stage("exam, upright again"):
            upright_new = self._examine(upright)
        return DemoReport(
            before=before,
            drifted_old=drifted_old,
            drifted_new=drifted_new,
            upright_new=upright_new,
            labels_until_detection=labels,
            retrainings=len(self._retrainings()),
            timeline=self.timeline,
            evidence=self.evidence,
            calls=traffic.calls,
        )

    def _note(self, name: str, detail: str) -> None:
        self.timeline.append(TimelineEntry(self._traffic.now(), name, detail))
        terminal.results().print(f"[bold]{name}[/]  [dim]{detail}[/]")

    def _examine(self, digits: Digits) -> Exam:
        table = InputTable(None, numbered(digits.cells()))
        rows = sorted(self._api.predict(table), key=lambda row: row.row)
        answers = tuple(str(row.answer["prediction"]) for row in rows)
        exam = Exam(digits, rows[0].model_version or 0, answers)
        terminal.results().print(f"[dim]exam:[/] accuracy of version {exam.version}: {exam}")
        return exam

    def _wait_for_calls(self, count: int) -> None:
        while len(self._traffic.calls) < count:
            self._observe()
            time.sleep(_POLL_S)

    def _wait(self, read: Callable[[], T | None], failure: str) -> T:
        """Wait until `read` returns a value, and return it."""
        deadline = time.monotonic() + DETECTION_TIMEOUT_S
        while time.monotonic() < deadline:
            self._observe()
            value = read()
            if value is not None:
                return value
            time.sleep(_POLL_S)
        raise TimedOut(
            f"{failure} within {DETECTION_TIMEOUT_S} s",
            f"see the cause with `refit status {self.model}`",
        )

    def _observe(self) -> None:
        """Record the evidence of drift, and raise the error that stopped the traffic, if any."""
        self._traffic.raise_if_stopped()
        verdict = self.connection.monitoring.verdict(self.model)
        if verdict is None or verdict.quality is None:
            return
        quality = verdict.quality
        log10 = quality.log10_evidence if quality.log10_evidence is not None else 0.0
        self.evidence.append(
            EvidencePoint(self._traffic.now(), log10, math.log10(quality.threshold))
        )

    def _detected_at(self) -> datetime | None:
        verdict = self.connection.monitoring.verdict(self.model)
        if verdict is None or verdict.alarm is None:
            return None
        self._note("drift detected", verdict.alarm.sentence)
        return verdict.alarm.raised_at

    def _labels_until_detection(self) -> int:
        verdict = self.connection.monitoring.verdict(self.model)
        if verdict is None or verdict.alarm is None:
            raise RunFailed("the drift alarm has disappeared")
        elapsed_s = (datetime.now(UTC) - verdict.alarm.raised_at).total_seconds()
        detected_at = self._traffic.now() - elapsed_s
        return sum(sent_at <= detected_at for sent_at in self._traffic.rotated_label_times)

    def _retrainings(self) -> list[Run]:
        return [run for run in self.connection.models.runs(self.model) if run.cause == "drift"]

    def _newest_retraining(self) -> Run | None:
        return next(iter(self._retrainings()), None)

    def _gate_reason(self, run: str) -> str:
        try:
            return self.connection.artifacts.decision(self.model, run).reasons[-1]
        except ObjectNotFound:
            return ""
