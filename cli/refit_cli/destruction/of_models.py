"""What the models of a stack made: executions, jobs, alarms, endpoints, packages, logs.

The names of SageMaker's resources begin with NamePrefix, which only one stack of an account and
Region may have. So everything of the form that Refit gives to names is the stack's, whether its
tables still know the model or not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from refit.domain.monitoring.alarms import AlarmKind
from refit.stores.clients import error_code

from refit_cli.removal.kinds import Kind, Resource, Waiter
from refit_cli.removal.serving import (
    EndpointConfigs,
    ModelEndpoints,
    ModelPackageGroups,
    ModelPackages,
    SageMakerModels,
    Scope,
    running_jobs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ENDPOINT_LOGS = "/aws/sagemaker/Endpoints/"
JOB_LOGS = ("/aws/sagemaker/TrainingJobs", "/aws/sagemaker/TransformJobs")
_DELETED_AT_ONCE = 100  # the limit of DeleteAlarms


class Executions(Kind):
    """Executions of the stack's state machines that run, for whatever model."""

    key = "executions"
    noun = ("running execution", "running executions")

    def __init__(self, client: Any, machines: frozenset[str], waiter: Waiter) -> None:
        self._client = client
        self._machines = machines
        self._waiter = waiter

    def resources(self) -> Iterator[Resource]:
        """Yield the ARNs of the executions."""
        pages = self._client.get_paginator("list_executions")
        for machine in sorted(self._machines):
            try:
                for page in pages.paginate(stateMachineArn=machine, statusFilter="RUNNING"):
                    for execution in page["executions"]:
                        yield Resource(execution["executionArn"])
            except ClientError as error:
                if error_code(error) != "StateMachineDoesNotExist":
                    raise

    def remove(self) -> None:
        """Stop the executions until none is left: a message may have started another one."""
        self._waiter.until(self.stop, "the end of the executions")

    def stop(self) -> bool:
        """Stop the executions; return whether there were none."""
        running = list(self.resources())
        for execution in running:
            self._client.stop_execution(
                executionArn=execution.name, error="StackDestroyed", cause="refit destroy"
            )
        return not running


class ModelAlarms(Kind):
    """The alarms of all models."""

    key = "alarms"
    noun = ("alarm of a model", "alarms of models")

    def __init__(self, client: Any, scope: Scope) -> None:
        self._client = client
        self._stem = scope.stem
        self._name = scope.name(f"-({'|'.join(map(re.escape, AlarmKind))})")

    def resources(self) -> Iterator[Resource]:
        """Yield the alarms."""
        pages = self._client.get_paginator("describe_alarms")
        for page in pages.paginate(AlarmNamePrefix=self._stem):
            for alarm in page["MetricAlarms"]:
                if self._name.fullmatch(alarm["AlarmName"]):
                    yield Resource(alarm["AlarmName"])

    def remove(self) -> None:
        """Delete the alarms."""
        names = [alarm.name for alarm in self.resources()]
        for start in range(0, len(names), _DELETED_AT_ONCE):
            self._client.delete_alarms(AlarmNames=names[start : start + _DELETED_AT_ONCE])


class EndpointLogs(Kind):
    """The log groups of the models' endpoints; SageMaker made them, and keeps them for ever."""

    key = "endpoint_logs"
    noun = ("log group of an endpoint", "log groups of endpoints")

    def __init__(self, client: Any, scope: Scope) -> None:
        self._client = client
        self._stem = f"{ENDPOINT_LOGS}{scope.stem}"
        self._name = scope.name("")

    def resources(self) -> Iterator[Resource]:
        """Yield the log groups."""
        pages = self._client.get_paginator("describe_log_groups")
        for page in pages.paginate(logGroupNamePrefix=self._stem):
            for group in page["logGroups"]:
                name = group["logGroupName"]
                if self._name.fullmatch(name.removeprefix(ENDPOINT_LOGS)):
                    yield Resource(name, group.get("storedBytes", 0))

    def remove(self) -> None:
        """Delete the log groups."""
        for group in list(self.resources()):
            delete_log_group(self._client, group.name)


class JobLogs(Kind):
    """The log streams of the jobs. Their groups belong to all jobs of the account."""

    key = "job_logs"
    noun = ("log stream of a job", "log streams of jobs")

    def __init__(self, client: Any, scope: Scope) -> None:
        self._client = client
        self._stem = scope.stem
        job = f"({scope.model_pattern}-)?[0-9a-f]{{12}}-.*"
        self._name = re.compile(f"{re.escape(scope.prefix)}-{job}")

    def resources(self) -> Iterator[Resource]:
        """Yield the streams as `group:stream`."""
        for group, stream in self._streams():
            yield Resource(f"{group}:{stream}")

    def remove(self) -> None:
        """Delete the streams."""
        for group, stream in list(self._streams()):
            try:
                self._client.delete_log_stream(logGroupName=group, logStreamName=stream)
            except self._client.exceptions.ResourceNotFoundException:
                continue

    def _streams(self) -> Iterator[tuple[str, str]]:
        pages = self._client.get_paginator("describe_log_streams")
        for group in JOB_LOGS:
            try:
                for page in pages.paginate(logGroupName=group, logStreamNamePrefix=self._stem):
                    for stream in page["logStreams"]:
                        if self._name.fullmatch(stream["logStreamName"]):
                            yield group, stream["logStreamName"]
            except self._client.exceptions.ResourceNotFoundException:
                continue


def delete_log_group(client: Any, name: str) -> None:
    """Delete a log group that may be gone."""
    try:
        client.delete_log_group(logGroupName=name)
    except client.exceptions.ResourceNotFoundException:
        return


def model_kinds(prefix: str, client: Callable[[str], Any], waiter: Waiter) -> list[Kind]:
    """Return the kinds but executions, in the order in which they must be removed."""
    scope = Scope(prefix)
    sagemaker, logs = client("sagemaker"), client("logs")

    def groups() -> list[str]:
        return list(_named(sagemaker, scope, "model_package_group", "ModelPackageGroup"))

    def endpoints() -> list[str]:
        return list(_named(sagemaker, scope, "endpoint", "Endpoint"))

    return [
        *running_jobs(sagemaker, scope, waiter),
        ModelAlarms(client("cloudwatch"), scope),  # before the endpoints: none is raised
        ModelEndpoints(client, endpoints, waiter),
        EndpointConfigs(sagemaker, scope),
        SageMakerModels(sagemaker, scope),
        ModelPackages(sagemaker, groups),
        ModelPackageGroups(sagemaker, groups),
        EndpointLogs(logs, scope),
        JobLogs(logs, scope),
    ]


def _named(client: Any, scope: Scope, kind: str, title: str) -> Iterator[str]:
    """Yield the names of endpoints or model package groups that have a model's name."""
    name, member = scope.name(""), f"{title}Name"
    result = "Endpoints" if kind == "endpoint" else f"{title}SummaryList"
    for page in client.get_paginator(f"list_{kind}s").paginate(NameContains=scope.stem):
        for entry in page[result]:
            if name.fullmatch(entry[member]):
                yield entry[member]
