"""Find a stack, also one that was deleted, with all resources that it ever had.

An interrupted destruction goes on after CloudFormation has deleted the stack. CloudFormation then
knows the stack by its id only, and its events name the resources that it has retained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from refit.stores.clients import error_code

from refit_cli.errors import BadInput, NotReachable, Refused

if TYPE_CHECKING:
    from refit_cli.connection import StackConnection

DELETED = "DELETE_COMPLETE"
_DELETING = "DELETE_IN_PROGRESS"


@dataclass(frozen=True)
class DeployedStack:
    """A Refit stack, or what is known of a deleted one.

    Attributes:
        prefix: the parameter NamePrefix.
        resources: physical ids by type of resource.
    """

    name: str
    stack_id: str
    prefix: str
    resources: dict[str, frozenset[str]]

    def of_type(self, kind: str) -> frozenset[str]:
        """Return the physical ids of the resources of a type."""
        return self.resources.get(kind, frozenset())


def find_stack(connection: StackConnection) -> DeployedStack:
    """Find the stack, or the one of its name that was deleted last.

    Raises:
        NotReachable: when there is none.
        BadInput: when it is no Refit stack.
        Refused: when it cannot be deleted now.
    """
    client, name = connection.client("cloudformation"), connection.stack_name
    described = described_stack(client, name)
    if described is None:
        deleted = _deleted(client, name)
        described = described_stack(client, deleted) if deleted else None
    if described is None:
        raise NotReachable(
            f"there is no stack named {name!r} on {connection.location}, and none was deleted in "
            "the last 90 days",
            "name another stack or Region",
        )
    _check_deletable(described)
    return DeployedStack(
        name=name,
        stack_id=described["StackId"],
        prefix=_prefix(described, connection.location),
        resources=_resources(client, described["StackId"]),
    )


def described_stack(client: Any, name_or_id: str) -> dict[str, Any] | None:
    """Return CloudFormation's description; None if there is no such stack.

    A deleted stack is described by its id only.
    """
    try:
        stack: dict[str, Any] = client.describe_stacks(StackName=name_or_id)["Stacks"][0]
    except ClientError as error:
        if error_code(error) != "ValidationError":
            raise
        return None
    return stack


def _deleted(client: Any, name: str) -> str | None:
    """Return the id of the stack of this name that was deleted last."""
    pages = client.get_paginator("list_stacks").paginate(StackStatusFilter=[DELETED])
    deleted = [
        (stack["CreationTime"], stack["StackId"])
        for page in pages
        for stack in page["StackSummaries"]
        if stack["StackName"] == name
    ]
    return str(max(deleted)[1]) if deleted else None


def _check_deletable(stack: dict[str, Any]) -> None:
    name, status = stack["StackName"], stack["StackStatus"]
    if stack.get("EnableTerminationProtection"):
        raise Refused(
            f"nothing was destroyed: the stack {name!r} is protected against its deletion",
            "aws cloudformation update-termination-protection --no-enable-termination-protection "
            f"--stack-name {name}",
        )
    if status.endswith("_IN_PROGRESS") and status not in {_DELETING, "REVIEW_IN_PROGRESS"}:
        raise Refused(
            f"nothing was destroyed: the stack {name!r} is being changed ({status})",
            "wait for the end of the change, then run this command again",
        )


def _prefix(stack: dict[str, Any], location: str) -> str:
    for parameter in stack.get("Parameters", []):
        if parameter["ParameterKey"] == "NamePrefix":
            return str(parameter["ParameterValue"])
    raise BadInput(
        f"nothing was destroyed: the stack {stack['StackName']!r} on {location} has no parameter "
        "NamePrefix, so it is not a Refit stack",
        "name a Refit stack",
    )


def _resources(client: Any, stack_id: str) -> dict[str, frozenset[str]]:
    """Return what the stack has and had: an update replaces resources, and retains the bucket."""
    found: dict[str, set[str]] = {}
    for operation, result in (
        ("describe_stack_events", "StackEvents"),
        ("list_stack_resources", "StackResourceSummaries"),
    ):
        for page in client.get_paginator(operation).paginate(StackName=stack_id):
            for entry in page[result]:
                if physical_id := entry.get("PhysicalResourceId"):
                    found.setdefault(entry["ResourceType"], set()).add(physical_id)
    return {kind: frozenset(names) for kind, names in found.items()}
