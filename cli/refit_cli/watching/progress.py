"""Progress of a run: the states of its Step Functions executions, and its boosting rounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from refit.domain.evaluation.training_curves import BoostingRound, DefinedMetrics, parse_round
from refit.stores.training_logs import TrainingLogs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# These states take no time and only control the flow.
_CONTROL_STATES = frozenset({"ChoiceState", "PassState", "SucceedState", "FailState"})


@dataclass(frozen=True)
class StateSpan:
    """One visit of one state. `left_at` is None while the execution is in the state."""

    machine: str
    state: str
    entered_at: datetime
    left_at: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """Return the duration of the visit, up to now if it has not ended."""
        return ((self.left_at or now) - self.entered_at).total_seconds()


class ExecutionHistory:
    """The states of one execution.

    Args:
        stepfunctions: the boto3 client.
        machine: the displayed name of the state machine, `train` or `deploy`.
        execution: the execution's ARN.
    """

    def __init__(self, stepfunctions: Any, machine: str, execution: str) -> None:
        self._stepfunctions = stepfunctions
        self._machine = machine
        self._execution = execution
        self._last_id = 0
        self.ended = False
        self.spans: list[StateSpan] = []

    def poll(self) -> list[StateSpan]:
        """Read the history, and return the spans that started or ended since the last call."""
        if self.ended:
            return []
        changed: dict[int, StateSpan] = {}
        for event in self._new_events():
            index = self._apply(event)
            if index is not None:
                changed[index] = self.spans[index]
        return [changed[index] for index in sorted(changed)]

    def _new_events(self) -> list[dict[str, Any]]:
        pages = self._stepfunctions.get_paginator("get_execution_history").paginate(
            executionArn=self._execution, includeExecutionData=False
        )
        events = [
            event for page in pages for event in page["events"] if event["id"] > self._last_id
        ]
        self._last_id = max((event["id"] for event in events), default=self._last_id)
        return events

    def _apply(self, event: dict[str, Any]) -> int | None:
        """Apply an event to the spans; return the index of the span that it changed."""
        kind, at = event["type"], event["timestamp"]
        if kind.startswith("Execution") and kind != "ExecutionStarted":
            self.ended = True
            self.spans = [
                span if span.left_at else replace(span, left_at=at) for span in self.spans
            ]
            return None
        if kind.endswith("StateEntered") and kind.removesuffix("Entered") not in _CONTROL_STATES:
            name = event["stateEnteredEventDetails"]["name"]
            self.spans.append(StateSpan(self._machine, name, at))
            return len(self.spans) - 1
        if kind.endswith("StateExited") and kind.removesuffix("Exited") not in _CONTROL_STATES:
            name = event["stateExitedEventDetails"]["name"]
            for index, span in enumerate(self.spans):
                if span.state == name and span.left_at is None:
                    self.spans[index] = replace(span, left_at=at)
                    return index
        return None


class TrainingLog:
    """The log of the newest training job whose name starts with a prefix.

    Of jobs that train at the same time, such as folds, one is read until it has ended.

    Args:
        logs: the boto3 client of CloudWatch Logs.
        sagemaker: the boto3 client of SageMaker; it provides the number of planned rounds.
        job_prefix: what a run's job names start with; the number of the attempt follows.
        metrics: of the algorithm, by `DefinedMetrics`; None of XGBoost.
    """

    def __init__(
        self, logs: Any, sagemaker: Any, job_prefix: str, metrics: Mapping[str, str] | None = None
    ) -> None:
        self._logs = TrainingLogs(logs)
        self._sagemaker = sagemaker
        self.job_prefix = job_prefix
        self._metrics = metrics
        self._defined = DefinedMetrics(metrics or {})
        self._stream: str | None = None
        self._token: str | None = None
        self.planned_rounds: int | None = None
        self.rounds: list[BoostingRound] = []

    @property
    def job(self) -> str | None:
        """The training job whose log is read; None before it has one."""
        return self._stream.partition("/")[0] if self._stream else None

    def poll(self) -> list[BoostingRound]:
        """Read the log, and return the rounds that were added since the last call."""
        newest = self._logs.newest_stream(f"{self.job_prefix}-")
        if newest is None:
            return []
        if newest != self._stream and not self._is_training():
            # Another job, or a new attempt, starts from the first round.
            self._stream, self._token, self.rounds = newest, None, []
            self._defined = DefinedMetrics(self._metrics or {})
            rounds = self._described().get("HyperParameters", {}).get("num_round", "")
            self.planned_rounds = int(rounds) if rounds.isdigit() else None
        stream = self._stream or newest
        lines, self._token = self._logs.lines_after(stream, self._token)
        new = self._rounds_in(lines)
        self.rounds += new
        return new

    def _rounds_in(self, lines: list[str]) -> list[BoostingRound]:
        if self._metrics is None:
            return [parsed for line in lines if (parsed := parse_round(line))]
        self._defined.read(lines)
        return self._defined.complete_rounds[len(self.rounds) :]

    def _is_training(self) -> bool:
        """Whether the job whose log is read has not ended."""
        return self.job is not None and self._described().get("TrainingJobStatus") in (
            "InProgress",
            "Stopping",
        )

    def _described(self) -> dict[str, Any]:
        try:
            return dict(self._sagemaker.describe_training_job(TrainingJobName=self.job))
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
                raise
            return {}
