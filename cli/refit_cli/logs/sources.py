"""Where the lines of a model come from: CloudWatch Logs, and the histories of executions.

FilterLogEvents selects by words and by the beginning of a stream's name, so it finds the lines of
`flowers-2` with those of `flowers`: each line is looked at again.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal, Protocol

from botocore.exceptions import ClientError
from refit.stores.clients import error_code

from refit_cli.logs.lines import LogLine, line_of_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_FOLDERS = ("key", "file")
JobKind = Literal["training", "transform"]
_GROUPS: dict[JobKind, str] = {
    "training": "/aws/sagemaker/TrainingJobs",
    "transform": "/aws/sagemaker/TransformJobs",
}


class LogSource(Protocol):
    """A source of lines."""

    def lines(self, since_ms: int) -> Iterator[LogLine]:
        """Yield the lines since a moment."""


class FunctionLines:
    """What the functions log about a model or a run. All share one log group.

    Args:
        logs: the boto3 client of CloudWatch Logs.
        group: the log group.
        model: the model.
        run: the run; None for all of the model.
    """

    def __init__(self, logs: Any, group: str, model: str, run: str | None) -> None:
        self._logs = logs
        self._group = group
        self._model = model
        self._run = run

    def lines(self, since_ms: int) -> Iterator[LogLine]:
        """Yield the lines since a moment."""
        word = f'"{self._run or self._model}"'
        for number, event in enumerate(
            _filtered(self._logs, self._group, since_ms, filterPattern=word)
        ):
            record = _record(event["message"])
            if record is not None and self._is_meant(record):
                stream = event["logStreamName"]
                yield line_of_function(event["timestamp"], stream, number, record)

    def _is_meant(self, record: dict[str, Any]) -> bool:
        if self._run is not None:
            return self._run in {record.get("run"), record.get("batch")}
        folder = f"{self._model}/"
        return record.get("model") == self._model or any(
            str(record.get(key, "")).startswith(folder) for key in _FOLDERS
        )


class JobLines:
    """What the jobs of a model's runs, and the trials of its tuning jobs, log.

    Args:
        logs: the boto3 client of CloudWatch Logs.
        prefix: NamePrefix of the stack.
        model: the model.
        runs: returns the runs that are meant.
    """

    def __init__(
        self, kind: JobKind, logs: Any, prefix: str, model: str, runs: Callable[[], Iterable[str]]
    ) -> None:
        self._kind = kind
        self._logs = logs
        self._prefix = prefix
        self._model = model
        self._runs = runs

    def lines(self, since_ms: int) -> Iterator[LogLine]:
        """Yield the lines since a moment."""
        for run in self._runs():
            for stem in (f"{self._prefix}-{self._model}-{run}-", f"{self._prefix}-{run}-"):
                for number, event in enumerate(
                    _filtered(self._logs, _GROUPS[self._kind], since_ms, logStreamNamePrefix=stem)
                ):
                    stream = event["logStreamName"]
                    if stream.startswith(stem):
                        at, text = event["timestamp"], event["message"].rstrip()
                        job = self._short(stream.partition("/")[0])
                        yield LogLine(at, self._kind, stream, number, text, origin=job)

    def _short(self, job: str) -> str:
        """Return the name of a job without what all jobs of the model have in common."""
        name = job.removeprefix(f"{self._prefix}-")
        return name.removeprefix(f"{self._model}-")


class StateLines:
    """What the executions of a model's runs did: states that begin, end and fail.

    Args:
        stepfunctions: the boto3 client.
        prefix: NamePrefix of the stack.
        executions: returns the ARNs of the executions that are meant.
    """

    def __init__(
        self, stepfunctions: Any, prefix: str, executions: Callable[[], Iterable[str]]
    ) -> None:
        self._stepfunctions = stepfunctions
        self._prefix = prefix
        self._executions = executions
        self._ended: set[str] = set()

    def lines(self, since_ms: int) -> Iterator[LogLine]:
        """Yield the lines since a moment. A history that has ended is read once."""
        for execution in self._executions():
            if execution not in self._ended:
                yield from self._of_execution(execution, since_ms)

    def _of_execution(self, execution: str, since_ms: int) -> Iterator[LogLine]:
        machine, name = execution.split(":")[-2:]
        pages = self._stepfunctions.get_paginator("get_execution_history")
        try:
            for page in pages.paginate(executionArn=execution, includeExecutionData=False):
                for event in page["events"]:
                    kind: str = event["type"]
                    if re.fullmatch("Execution(Succeeded|Failed|Aborted|TimedOut)", kind):
                        self._ended.add(execution)
                    moment_ms = int(event["timestamp"].timestamp() * 1000)
                    text = _text_of_event(event)
                    if text is not None and moment_ms >= since_ms:
                        level = "ERROR" if kind.endswith(("Failed", "TimedOut")) else "INFO"
                        yield LogLine(
                            moment_ms,
                            "state",
                            name,
                            event["id"],
                            text,
                            origin=machine.removeprefix(f"{self._prefix}-"),
                            level=level,
                        )
        except ClientError as error:
            if error_code(error) != "ExecutionDoesNotExist":
                raise


def _text_of_event(event: dict[str, Any]) -> str | None:
    """Return an event of a history in words; None for those that say nothing new."""
    kind: str = event["type"]
    if kind.endswith("StateEntered"):
        return f"{event['stateEnteredEventDetails']['name']} begins"
    if kind.endswith("StateExited"):
        return f"{event['stateExitedEventDetails']['name']} ends"
    if kind.startswith("Execution"):
        what = kind.removeprefix("Execution").lower()
        return f"execution {what}{_reason(event)}"
    if kind.endswith(("Failed", "TimedOut")):
        return f"{kind}{_reason(event)}"
    return None


def _reason(event: dict[str, Any]) -> str:
    for key, details in event.items():
        if key.endswith("EventDetails") and "error" in details:
            return f": {details['error']}: {details.get('cause', 'no cause given')}"
    return ""


def _record(message: str) -> dict[str, Any] | None:
    """Return the JSON of a line of a function; None for other lines, such as REPORT."""
    try:
        record = json.loads(message)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "message" in record else None


def _filtered(logs: Any, group: str, since_ms: int, **selection: str) -> Iterator[dict[str, Any]]:
    """Yield the events of a log group since a moment; none while there is no group."""
    pages = logs.get_paginator("filter_log_events")
    try:
        for page in pages.paginate(logGroupName=group, startTime=since_ms, **selection):
            yield from page["events"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
