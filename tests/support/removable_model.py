"""SageMaker, Step Functions and STS for the removal of models: what moto does not have or check."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.support.aws_clients import client_error
from tests.support.cli import BATCH, DEPLOY, TRAIN

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"

_LISTS = {
    "list_hyper_parameter_tuning_jobs": (
        "HyperParameterTuningJobSummaries",
        "HyperParameterTuningJobName",
    ),
    "list_training_jobs": ("TrainingJobSummaries", "TrainingJobName"),
    "list_transform_jobs": ("TransformJobSummaries", "TransformJobName"),
    "list_endpoint_configs": ("EndpointConfigs", "EndpointConfigName"),
    "list_models": ("Models", "ModelName"),
}
_NAMES = {
    "list_endpoints": ("Endpoints", "EndpointName"),
    "list_model_package_groups": ("ModelPackageGroupSummaryList", "ModelPackageGroupName"),
}


@dataclass
class _Pages:
    answer: Any

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        return iter([self.answer(**request)])


@dataclass
class FakeRegistry:
    """A SageMaker with names only. It refuses what SageMaker refuses.

    Attributes:
        names: names by the operation that lists them; jobs have a status.
        endpoints: remaining statuses of each endpoint, one for each description.
        packages: packages by group.
        deleted: names in the order of their deletion.
        undeletable: a name whose deletion has no effect.
    """

    names: dict[str, dict[str, str]] = field(
        default_factory=lambda: {operation: {} for operation in _LISTS}
    )
    endpoints: dict[str, list[str]] = field(default_factory=dict)
    packages: dict[str, list[str]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    undeletable: str | None = None

    def get_paginator(self, operation: str) -> _Pages:
        if operation == "list_model_packages":
            return _Pages(self._list_packages)
        if operation in _NAMES:
            return _Pages(partial(self._list_names, operation))

        def answer(NameContains: str, StatusEquals: str = "") -> dict[str, Any]:
            summaries, member = _LISTS[operation]
            found = [
                {member: name}
                for name, status in self.names[operation].items()
                if NameContains in name and status == StatusEquals
            ]
            return {summaries: found}

        return _Pages(answer)

    def _list_names(self, operation: str, NameContains: str) -> dict[str, Any]:
        summaries, member = _NAMES[operation]
        names = self.endpoints if operation == "list_endpoints" else self.packages
        return {summaries: [{member: name} for name in names if NameContains in name]}

    def describe_hyper_parameter_tuning_job(self, HyperParameterTuningJobName: str) -> None:
        raise client_error("ResourceNotFound")

    def stop_hyper_parameter_tuning_job(self, HyperParameterTuningJobName: str) -> None:
        self.names["list_hyper_parameter_tuning_jobs"][HyperParameterTuningJobName] = "Stopped"

    def stop_training_job(self, TrainingJobName: str) -> None:
        self.names["list_training_jobs"][TrainingJobName] = "Stopped"

    def stop_transform_job(self, TransformJobName: str) -> None:
        self.names["list_transform_jobs"][TransformJobName] = "Stopped"

    def describe_endpoint(self, EndpointName: str) -> dict[str, str]:
        if EndpointName not in self.endpoints:
            raise client_error("ValidationException")
        statuses = self.endpoints[EndpointName]
        status = statuses[0] if len(statuses) == 1 else statuses.pop(0)
        if status == "gone":
            del self.endpoints[EndpointName]
            raise client_error("ValidationException")
        return {"EndpointStatus": status, "EndpointConfigName": "config"}

    def delete_endpoint(self, EndpointName: str) -> None:
        if self.endpoints[EndpointName] != ["InService"]:
            raise client_error("ValidationException")
        self.endpoints[EndpointName] = ["Deleting", "Deleting", "gone"]
        self.deleted.append(EndpointName)

    def delete_endpoint_config(self, EndpointConfigName: str) -> None:
        assert not self.endpoints, "the config of a live endpoint must not be deleted"
        self._delete("list_endpoint_configs", EndpointConfigName)

    def delete_model(self, ModelName: str) -> None:
        self._delete("list_models", ModelName)

    def delete_model_package(self, ModelPackageName: str) -> None:
        for packages in self.packages.values():
            if ModelPackageName in packages:
                packages.remove(ModelPackageName)
                self.deleted.append(ModelPackageName)
                return
        raise client_error("ValidationException")

    def describe_model_package_group(self, ModelPackageGroupName: str) -> dict[str, str]:
        if ModelPackageGroupName not in self.packages:
            raise client_error("ValidationException")
        return {"ModelPackageGroupName": ModelPackageGroupName}

    def delete_model_package_group(self, ModelPackageGroupName: str) -> None:
        self.describe_model_package_group(ModelPackageGroupName)
        if self.packages[ModelPackageGroupName]:
            raise client_error("ConflictException")
        del self.packages[ModelPackageGroupName]
        self.deleted.append(ModelPackageGroupName)

    def _delete(self, operation: str, name: str) -> None:
        if name not in self.names[operation]:
            raise client_error("ValidationException")
        if name != self.undeletable:
            del self.names[operation][name]
            self.deleted.append(name)

    def _list_packages(self, ModelPackageGroupName: str) -> dict[str, Any]:
        if ModelPackageGroupName not in self.packages:
            raise client_error("ValidationException")
        arns = self.packages[ModelPackageGroupName]
        return {"ModelPackageSummaryList": [{"ModelPackageArn": arn} for arn in arns]}


@dataclass
class FakeExecutions:
    """Step Functions with running executions: inputs by state machine and ARN."""

    running: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {TRAIN: {}, DEPLOY: {}, BATCH: {}}
    )
    stopped: list[str] = field(default_factory=list)

    def get_paginator(self, operation: str) -> _Pages:
        assert operation == "list_executions"

        def answer(stateMachineArn: str, statusFilter: str) -> dict[str, Any]:
            assert statusFilter == "RUNNING"
            arns = self.running[stateMachineArn]
            return {"executions": [{"executionArn": arn} for arn in arns]}

        return _Pages(answer)

    def describe_execution(self, executionArn: str) -> dict[str, str]:
        inputs = self.running[TRAIN] | self.running[DEPLOY] | self.running[BATCH]
        return {"input": json.dumps(inputs[executionArn])}

    def stop_execution(self, executionArn: str, error: str, cause: str) -> None:
        for machine in self.running.values():
            machine.pop(executionArn, None)
        self.stopped.append(executionArn)


class Sts:
    """The caller's identity."""

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": ACCOUNT}
