"""Executions, jobs, alarms, the endpoint, models and packages of one model, or of all of a stack.

SageMaker lists resources by a part of their name, and the names of `flowers` are part of those of
`flowers-2`. So each name is compared with the form that Refit gives it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from refit.domain.monitoring.alarms import alarm_names
from refit.domain.naming import (
    MODEL_NAME_PATTERN,
    RUN_ID_LENGTH,
    ResourceNames,
    model_of_group,
)
from refit.stores.clients import error_code
from refit.stores.endpoints import Endpoints

from refit_cli.removal.kinds import Kind, Resource, Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from refit_cli.connection import StackConnection

_RUN = rf"[0-9a-f]{{{RUN_ID_LENGTH}}}"
_RETRY = r"[0-9]{1,3}"
_TRIAL = rf"{_RETRY}-[0-9]{{3,}}-[0-9a-f]{{8}}"
_FOLD = r"f[0-9]{1,2}"
_DEPLOYED = r"v[0-9]+-[0-9a-f]{8}"
_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_MISSING = frozenset({"ValidationException", "ResourceNotFound"})


@dataclass(frozen=True)
class Scope:
    """Whose resources are meant: those of one model, or of all models of a stack.

    Attributes:
        prefix: NamePrefix of the stack.
        model: None for all models.
        runs: returns the runs of the model, for names that have a run and no model; None for all.
    """

    prefix: str
    model: str | None = None
    runs: Callable[[], set[str]] | None = None

    @property
    def stem(self) -> str:
        """A part of the names of all resources, by which SageMaker lists them."""
        return f"{self.prefix}-{self.model}-" if self.model else f"{self.prefix}-"

    @property
    def model_pattern(self) -> str:
        """A pattern of the name of the model, or of any model."""
        return re.escape(self.model) if self.model else MODEL_NAME_PATTERN

    def name(self, suffix: str) -> re.Pattern[str]:
        """Return the pattern of names that have the model and then the pattern `suffix`."""
        return re.compile(f"{re.escape(self.prefix)}-{self.model_pattern}{suffix}")

    def known_runs(self) -> set[str] | None:
        """Read the runs of the model; None if every run is meant."""
        return None if self.runs is None else self.runs()


class RunningExecutions(Kind):
    """Executions of TRAIN, DEPLOY and BATCH that run for the model."""

    key = "executions"
    noun = ("running execution", "running executions")

    def __init__(self, connection: StackConnection, model: str, waiter: Waiter) -> None:
        self._client = connection.client("stepfunctions")
        self._machines = connection.stack.state_machines
        self._prefix = connection.stack.name_prefix
        self._model = model
        self._waiter = waiter

    def resources(self) -> Iterator[Resource]:
        """Yield the ARNs of the executions."""
        pages = self._client.get_paginator("list_executions")
        for machine in self._machines:
            for page in pages.paginate(stateMachineArn=machine, statusFilter="RUNNING"):
                for execution in page["executions"]:
                    if self._model_of(execution["executionArn"]) == self._model:
                        yield Resource(execution["executionArn"])

    def remove(self) -> None:
        """Stop the executions, and wait until they have ended."""
        for execution in list(self.resources()):
            self._client.stop_execution(
                executionArn=execution.name,
                error="ModelRemoved",
                cause=f"refit remove {self._model}",
            )
        self._waiter.until(lambda: not any(self.resources()), "the end of the executions")

    def _model_of(self, arn: str) -> str | None:
        given = json.loads(self._client.describe_execution(executionArn=arn)["input"])
        if "model" in given:
            return str(given["model"])
        group = given.get("detail", {}).get("ModelPackageGroupName", "")
        return model_of_group(self._prefix, group)


_JOBS = {
    "training": ("training", "Training"),
    "transform": ("transform", "Transform"),
    "tuning": ("hyper_parameter_tuning", "HyperParameterTuning"),
}
"""How the operations, and the members of requests, name each kind of job."""


class RunningJobs(Kind):
    """Training jobs or transform jobs that run for the model.

    The records of ended jobs stay. They cost nothing, and their names are not used again.
    """

    def __init__(self, kind: str, suffix: str, client: Any, scope: Scope, waiter: Waiter) -> None:
        """Select a kind of `_JOBS`; `suffix` is what follows the run in a name."""
        self.key = f"{kind}_jobs"
        self.noun = (f"running {kind} job", f"running {kind} jobs")
        self._kind = kind
        self._operation, self._title = _JOBS[kind]
        self._client = client
        self._stem = scope.stem
        self._name = scope.name(f"-{_RUN}{suffix}")
        self._waiter = waiter

    def resources(self) -> Iterator[Resource]:
        """Yield the jobs that have not ended."""
        for status in ("InProgress", "Stopping"):
            yield from map(Resource, self._names(status))

    def remove(self) -> None:
        """Stop the jobs, and wait until they have ended: a job that stops still writes to S3."""
        for name in list(self._names("InProgress")):
            try:
                getattr(self._client, f"stop_{self._operation}_job")(**{self._member: name})
            except ClientError as error:
                if error_code(error) not in _MISSING:  # it has ended meanwhile
                    raise
        self._waiter.until(lambda: not any(self.resources()), f"the end of the {self._kind} jobs")

    @property
    def _member(self) -> str:
        return f"{self._title}JobName"

    def _names(self, status: str) -> Iterator[str]:
        pages = self._client.get_paginator(f"list_{self._operation}_jobs")
        for page in pages.paginate(NameContains=self._stem, StatusEquals=status):
            for job in page[f"{self._title}JobSummaries"]:
                if self._name.fullmatch(job[self._member]):
                    yield job[self._member]


class RunningTuning(RunningJobs):
    """Tuning jobs of the model's runs that run, and with them their trials."""

    def __init__(self, client: Any, scope: Scope, waiter: Waiter) -> None:
        """Select the jobs of the runs; their names do not have the model's."""
        super().__init__("tuning", f"-{_RETRY}", client, scope, waiter)
        self._stem = f"{scope.prefix}-"
        self._name = re.compile(f"{re.escape(self._stem)}{_RUN}-{_RETRY}")
        self._scope = scope

    def _names(self, status: str) -> Iterator[str]:
        runs = self._scope.known_runs()
        for name in super()._names(status):
            if runs is None or name.removeprefix(self._stem)[:RUN_ID_LENGTH] in runs:
                yield name


class Alarms(Kind):
    """The CloudWatch alarms of the model."""

    key = "alarms"
    noun = ("alarm", "alarms")

    def __init__(self, client: Any, names: ResourceNames) -> None:
        self._client = client
        self._names = alarm_names(names)

    def resources(self) -> Iterator[Resource]:
        """Yield the alarms."""
        answer = self._client.describe_alarms(AlarmNames=self._names)
        for alarm in answer["MetricAlarms"]:
            yield Resource(alarm["AlarmName"])

    def remove(self) -> None:
        """Delete the alarms that exist: CloudWatch reports an error for a name without an alarm."""
        existing = [alarm.name for alarm in self.resources()]
        if existing:
            self._client.delete_alarms(AlarmNames=existing)


class ModelEndpoints(Kind):
    """The endpoint of the model, or of each model."""

    key = "endpoints"
    noun = ("endpoint", "endpoints")

    def __init__(
        self,
        client_of: Callable[[str], Any],
        names: Callable[[], Iterable[str]],
        waiter: Waiter,
    ) -> None:
        self._endpoints = Endpoints(client_of)
        self._names = names
        self._waiter = waiter

    def resources(self) -> Iterator[Resource]:
        """Yield the endpoints in any status."""
        for name in self._names():
            if self._endpoints.describe(name) is not None:
                yield Resource(name)

    def remove(self) -> None:
        """Delete the endpoints, and wait until they are gone.

        SageMaker refuses to delete an endpoint that is being created or updated.
        """
        names = list(self._names())
        self._waiter.until(
            lambda: not [name for name in names if not self._is_gone(name)],
            f"the deletion of endpoint {', '.join(names)}",
        )

    def _is_gone(self, name: str) -> bool:
        state = self._endpoints.describe(name)
        if state is None:
            return True
        if state.status not in _CHANGING:
            self._endpoints.delete(name)
        return False


class EndpointConfigs(Kind):
    """The endpoint configurations of the model's deployments. They outlive the endpoint."""

    key = "endpoint_configs"
    noun = ("endpoint configuration", "endpoint configurations")

    def __init__(self, client: Any, scope: Scope) -> None:
        self._client = client
        self._stem = scope.stem
        self._name = scope.name(f"-{_DEPLOYED}")

    def resources(self) -> Iterator[Resource]:
        """Yield the endpoint configurations."""
        pages = self._client.get_paginator("list_endpoint_configs")
        for page in pages.paginate(NameContains=self._stem):
            for config in page["EndpointConfigs"]:
                if self._name.fullmatch(config["EndpointConfigName"]):
                    yield Resource(config["EndpointConfigName"])

    def remove(self) -> None:
        """Delete the endpoint configurations. The endpoint must be gone."""
        for config in list(self.resources()):
            _delete(self._client.delete_endpoint_config, EndpointConfigName=config.name)


class SageMakerModels(Kind):
    """The SageMaker models of deployments, and those of unended evaluations and batches.

    The challenger of a tuned run has the name of its best trial, which begins with the run.
    """

    key = "models"
    noun = ("SageMaker model", "SageMaker models")

    def __init__(self, client: Any, scope: Scope) -> None:
        self._client = client
        self._stem = f"{scope.prefix}-"
        of_run = f"{_RUN}-(({_FOLD}-)?{_RETRY}|(f-)?batch|ensemble|features)"
        of_model = f"{scope.model_pattern}-({_DEPLOYED}(-features)?|{of_run})"
        of_trial = f"(?P<run>{_RUN})-{_TRIAL}"
        self._name = re.compile(f"{re.escape(self._stem)}({of_model}|{of_trial})")
        self._scope = scope

    def resources(self) -> Iterator[Resource]:
        """Yield the models."""
        runs = self._scope.known_runs()
        pages = self._client.get_paginator("list_models")
        for page in pages.paginate(NameContains=self._stem):
            for model in page["Models"]:
                match = self._name.fullmatch(model["ModelName"])
                if match and (runs is None or match["run"] is None or match["run"] in runs):
                    yield Resource(model["ModelName"])

    def remove(self) -> None:
        """Delete the models."""
        for model in list(self.resources()):
            _delete(self._client.delete_model, ModelName=model.name)


class ModelPackages(Kind):
    """The versions of the model in the registry."""

    key = "model_packages"
    noun = ("model package", "model packages")

    def __init__(self, client: Any, groups: Callable[[], Iterable[str]]) -> None:
        self._client = client
        self._groups = groups

    def resources(self) -> Iterator[Resource]:
        """Yield the ARNs of the packages."""
        pages = self._client.get_paginator("list_model_packages")
        for group in self._groups():
            try:
                for page in pages.paginate(ModelPackageGroupName=group):
                    for package in page["ModelPackageSummaryList"]:
                        yield Resource(package["ModelPackageArn"])
            except ClientError as error:
                if error_code(error) not in _MISSING:
                    raise

    def remove(self) -> None:
        """Delete the packages."""
        for package in list(self.resources()):
            _delete(self._client.delete_model_package, ModelPackageName=package.name)


class ModelPackageGroups(Kind):
    """The model package group of the model. A new group counts its versions from 1."""

    key = "model_package_groups"
    noun = ("model package group", "model package groups")

    def __init__(self, client: Any, groups: Callable[[], Iterable[str]]) -> None:
        self._client = client
        self._groups = groups

    def resources(self) -> Iterator[Resource]:
        """Yield the groups that exist."""
        for group in self._groups():
            try:
                self._client.describe_model_package_group(ModelPackageGroupName=group)
            except ClientError as error:
                if error_code(error) not in _MISSING:
                    raise
            else:
                yield Resource(group)

    def remove(self) -> None:
        """Delete the groups. SageMaker refuses a group with packages: these must be deleted before.

        A package that was registered meanwhile is left to the second pass of the removal.
        """
        for group in list(self.resources()):
            try:
                _delete(self._client.delete_model_package_group, ModelPackageGroupName=group.name)
            except ClientError as error:
                if error_code(error) != "ConflictException":
                    raise


def _delete(operation: Callable[..., Any], **request: str) -> None:
    """Delete something that may be gone: botocore repeats a call whose answer was lost."""
    try:
        operation(**request)
    except ClientError as error:
        if error_code(error) not in _MISSING:
            raise


def running_jobs(client: Any, scope: Scope, waiter: Waiter) -> list[Kind]:
    """Return the kinds of jobs, in the order in which they must be stopped."""
    side = f"-(challenger|champion|(f-)?batch|features|{_FOLD}-oof)-{_RETRY}"
    return [
        RunningTuning(client, scope, waiter),
        RunningJobs("training", f"-({_FOLD}-)?{_RETRY}", client, scope, waiter),
        RunningJobs("transform", side, client, scope, waiter),
    ]


def serving_kinds(connection: StackConnection, model: str, waiter: Waiter) -> list[Kind]:
    """Return the kinds in the order in which they must be removed."""
    names = ResourceNames(connection.stack.name_prefix, model)
    sagemaker = connection.client("sagemaker")
    scope = Scope(names.prefix, model, lambda: {run.run for run in connection.models.runs(model)})

    def groups() -> list[str]:
        return [names.model_package_group]

    return [
        RunningExecutions(connection, model, waiter),
        *running_jobs(sagemaker, scope, waiter),
        Alarms(connection.client("cloudwatch"), names),  # before the endpoint: none is raised
        ModelEndpoints(connection.client, lambda: [names.endpoint], waiter),
        EndpointConfigs(sagemaker, scope),
        SageMakerModels(sagemaker, scope),
        ModelPackages(sagemaker, groups),
        ModelPackageGroups(sagemaker, groups),
    ]
