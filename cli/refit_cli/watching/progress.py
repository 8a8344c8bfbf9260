"""Progress of a training: its boosting rounds, from its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from refit.domain.evaluation.training_curves import BoostingRound, DefinedMetrics, parse_round
from refit.stores.training_logs import TrainingLogs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from refit.stores.training_logs import LoggedLine


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
        self._times: dict[str, list[datetime]] = {}
        self._stream: str | None = None
        self._token: str | None = None
        self.planned_rounds: int | None = None
        self.rounds: list[BoostingRound] = []

    @property
    def job(self) -> str | None:
        """The training job whose log is read; None before it has one."""
        return self._stream.partition("/")[0] if self._stream else None

    def poll(self) -> list[tuple[datetime, BoostingRound]]:
        """Read the log; return the rounds that were added since the last call, with their times."""
        newest = self._logs.newest_stream(f"{self.job_prefix}-")
        if newest is None:
            return []
        if newest != self._stream and not self._is_training():
            # Another job, or a new attempt, starts from the first round.
            self._stream, self._token, self.rounds = newest, None, []
            self._defined, self._times = DefinedMetrics(self._metrics or {}), {}
            rounds = self._described().get("HyperParameters", {}).get("num_round", "")
            self.planned_rounds = int(rounds) if rounds.isdigit() else None
        stream = self._stream or newest
        lines, self._token = self._logs.events_after(stream, self._token)
        new = self._rounds_in(lines)
        self.rounds += [round_ for _, round_ in new]
        return new

    def _rounds_in(self, lines: list[LoggedLine]) -> list[tuple[datetime, BoostingRound]]:
        if self._metrics is None:
            return [(at, parsed) for at, line in lines if (parsed := parse_round(line))]
        for at, line in lines:
            self._defined.read([line])
            for name, values in self._defined.found.items():
                times = self._times.setdefault(name, [])
                times += [at] * (len(values) - len(times))
        # A round is complete with the last of its metrics.
        return [
            (max(times[round_.number] for times in self._times.values()), round_)
            for round_ in self._defined.complete_rounds[len(self.rounds) :]
        ]

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
