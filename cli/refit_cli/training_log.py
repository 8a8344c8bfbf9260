"""The metrics of each boosting round, read from the log of a run's training job."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

LOG_GROUP = "/aws/sagemaker/TrainingJobs"

# CloudWatch shows the container's TAB as `#011`.
_ROUND = re.compile(r"^\[(\d+)\]((?:(?:\t|#011)[\w@.-]+:\S+?)+)\s*$")
_METRIC = re.compile(r"(?:\t|#011)([\w@.-]+):([^\s#]+)")


@dataclass(frozen=True)
class Round:
    """One boosting round: its number from 0, and its metrics such as `validation-mlogloss`."""

    number: int
    metrics: dict[str, float] = field(default_factory=dict)


def parse_round(line: str) -> Round | None:
    """Return the metrics of a log line, or None when the line is about something else."""
    found = _ROUND.match(line)
    if found is None:
        return None
    try:
        metrics = {name: float(value) for name, value in _METRIC.findall(found[2])}
    except ValueError:
        return None
    return Round(int(found[1]), metrics)


class TrainingLog:
    """Follows the log of the newest training job whose name starts with a stem.

    Args:
        logs: the boto3 client of CloudWatch Logs.
        sagemaker: the boto3 client of SageMaker; it says how many rounds are planned.
        stem: what a run's job names begin with; an attempt's number follows.
    """

    def __init__(self, logs: Any, sagemaker: Any, stem: str) -> None:
        self._logs = logs
        self._sagemaker = sagemaker
        self._stem = stem
        self._stream: str | None = None
        self._token: str | None = None
        self.planned_rounds: int | None = None
        self.rounds: list[Round] = []

    @property
    def job(self) -> str | None:
        """The training job whose log is read, once there is one."""
        return self._stream.partition("/")[0] if self._stream else None

    def poll(self) -> list[Round]:
        """Read on, and return the rounds that came since the last call."""
        stream = self._newest_stream()
        if stream is None:
            return []
        if stream != self._stream:  # a new attempt starts over
            self._stream, self._token, self.rounds = stream, None, []
            self.planned_rounds = self._planned()
        new = [found for line in self._new_lines() if (found := parse_round(line))]
        self.rounds += new
        return new

    def _newest_stream(self) -> str | None:
        try:
            pages = self._logs.get_paginator("describe_log_streams").paginate(
                logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self._stem}-"
            )
            streams = [stream for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return None
        begun = [(stream["creationTime"], str(stream["logStreamName"])) for stream in streams]
        return max(begun)[1] if begun else None

    def _new_lines(self) -> list[str]:
        lines: list[str] = []
        while True:
            answer = self._logs.get_log_events(
                logGroupName=LOG_GROUP,
                logStreamName=self._stream,
                startFromHead=True,
                **({"nextToken": self._token} if self._token else {}),
            )
            lines += [event["message"] for event in answer["events"]]
            # AWS may give an empty page before the end; the end is where the token stays the same.
            if answer["nextForwardToken"] == self._token:
                return lines
            self._token = answer["nextForwardToken"]

    def _planned(self) -> int | None:
        try:
            job = self._sagemaker.describe_training_job(TrainingJobName=self.job)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"ValidationException", "ResourceNotFound"}:
                raise
            return None
        rounds = job.get("HyperParameters", {}).get("num_round", "")
        return int(rounds) if rounds.isdigit() else None
