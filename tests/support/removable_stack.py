"""AWS services that hold the stack `refit` until it is deleted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.aws_clients import client_error
from tests.support.cli import BUCKET, DEPLOY, TABLE, TRAIN
from tests.support.removable_model import FakeExecutions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STACK_ID = "arn:aws:cloudformation:us-east-1:123456789012:stack/refit/1"
INFERENCES = "refit-inferences"
RESOURCES = {
    "AWS::S3::Bucket": [BUCKET],
    "AWS::DynamoDB::Table": [TABLE, INFERENCES],
    "AWS::Events::Rule": ["refit-DropRule-1"],
    "AWS::Lambda::EventSourceMapping": ["mapping-1", "mapping-2"],
    "AWS::Logs::LogGroup": ["refit-FunctionLogs-1"],
    "AWS::IAM::Role": ["refit-JobsRole-1"],
    "AWS::CloudWatch::Alarm": ["refit-ApiErrorsAlarm-1"],
    "AWS::StepFunctions::StateMachine": [TRAIN, DEPLOY],
}


@dataclass
class Pages:
    answer: Callable[..., dict[str, Any]]

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        yield self.answer(**request)


@dataclass
class Formation:
    """CloudFormation with the stack refit, whose deletion takes two looks.

    Attributes:
        failures: resources that cannot be deleted, with the reason.
        when_deleted: called when the deletion begins.
    """

    status: str = "UPDATE_COMPLETE"
    protected: bool = False
    parameters: dict[str, str] = field(default_factory=lambda: {"NamePrefix": "refit"})
    failures: dict[str, str] = field(default_factory=dict)
    when_deleted: list[Callable[[], object]] = field(default_factory=list)
    looks: int = 0

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        is_gone = self.status == "DELETE_COMPLETE"
        if StackName not in ({STACK_ID} if is_gone else {STACK_ID, "refit"}):
            raise client_error("ValidationError")
        if self.status == "DELETE_IN_PROGRESS":
            self.looks += 1
            if self.looks > 1:
                self.status = "DELETE_FAILED" if self.failures else "DELETE_COMPLETE"
        stack = {
            "StackName": "refit",
            "StackId": STACK_ID,
            "StackStatus": self.status,
            "EnableTerminationProtection": self.protected,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in self.parameters.items()
            ],
        }
        return {"Stacks": [stack]}

    def get_paginator(self, operation: str) -> Pages:
        return Pages(getattr(self, f"_{operation}"))

    def _list_stacks(self, StackStatusFilter: list[str]) -> dict[str, Any]:
        stack = {"StackName": "refit", "StackId": STACK_ID, "CreationTime": 1}
        return {"StackSummaries": [stack] if self.status in StackStatusFilter else []}

    def _describe_stack_events(self, StackName: str) -> dict[str, Any]:
        assert StackName == STACK_ID
        own = {"ResourceType": "AWS::CloudFormation::Stack", "PhysicalResourceId": STACK_ID}
        failed = [
            {
                "ResourceType": "AWS::IAM::Role",
                "LogicalResourceId": name,
                "ResourceStatus": "DELETE_FAILED",
                "ResourceStatusReason": reason,
            }
            for name, reason in self.failures.items()
        ]
        made = [
            {
                "ResourceType": kind,
                "PhysicalResourceId": name,
                "LogicalResourceId": name,
                "ResourceStatus": "CREATE_COMPLETE",
            }
            for kind, names in RESOURCES.items()
            for name in names
        ]
        return {"StackEvents": [*failed, {**own, "ResourceStatus": "DELETE_IN_PROGRESS"}, *made]}

    def _list_stack_resources(self, StackName: str) -> dict[str, Any]:
        return {"StackResourceSummaries": []}

    def delete_stack(self, StackName: str) -> None:
        assert StackName == STACK_ID
        self.status, self.looks = "DELETE_IN_PROGRESS", 0
        if not self.failures:
            for delete in self.when_deleted:
                delete()


@dataclass
class Machines(FakeExecutions):
    """State machines that exist until they are deleted."""

    machines: list[str] = field(default_factory=lambda: [TRAIN, DEPLOY])

    def can_paginate(self, operation: str) -> bool:
        return operation == "list_state_machines"

    def get_paginator(self, operation: str) -> Any:
        if operation == "list_state_machines":
            return Pages(lambda: {"stateMachines": [{"stateMachineArn": m} for m in self.machines]})
        if operation == "list_executions":
            return Pages(self._list_executions)
        return super().get_paginator(operation)

    def _list_executions(self, stateMachineArn: str, statusFilter: str) -> dict[str, Any]:
        assert statusFilter == "RUNNING"
        if stateMachineArn not in self.machines:
            raise client_error("StateMachineDoesNotExist")
        return {"executions": [{"executionArn": arn} for arn in self.running[stateMachineArn]]}


@dataclass
class Mappings:
    """Lambda with event source mappings. A change takes a look, and is refused meanwhile."""

    states: dict[str, str] = field(
        default_factory=lambda: {"mapping-1": "Enabled", "mapping-2": "Disabling"}
    )

    def can_paginate(self, operation: str) -> bool:
        return False

    def list_event_source_mappings(self) -> dict[str, Any]:
        return {"EventSourceMappings": [{"UUID": name} for name in self.states]}

    def get_event_source_mapping(self, UUID: str) -> dict[str, str]:
        if UUID not in self.states:
            raise client_error("ResourceNotFoundException")
        state = self.states[UUID]
        if state == "Disabling":
            self.states[UUID] = "Disabled"
        return {"State": state}

    def update_event_source_mapping(self, UUID: str, Enabled: bool) -> None:
        assert not Enabled
        if self.states[UUID] != "Enabled":
            raise client_error("ResourceInUseException")
        self.states[UUID] = "Disabling"
