"""What CloudFormation made: what starts work, the stack itself, the bucket and the tables."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from refit.stores.clients import error_code

from refit_cli.destruction.deployed import DELETED, described_stack
from refit_cli.destruction.listings import RETAINED, StackResources
from refit_cli.destruction.of_models import delete_log_group
from refit_cli.errors import RunFailed
from refit_cli.removal.data import ObjectVersions, Uploads
from refit_cli.removal.kinds import Kind, Resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit_cli.destruction.deployed import DeployedStack
    from refit_cli.destruction.of_models import Executions
    from refit_cli.removal.kinds import Waiter

_GONE = frozenset({"ResourceNotFoundException"})
_BUSY_BUCKET = frozenset({"BucketNotEmpty", "OperationAborted"})
_SHOWN_FAILURES = 5


def stop_events(stack: DeployedStack, client: Callable[[str], Any], waiter: Waiter) -> None:
    """Disable rules, schedules and event source mappings, so that nothing starts meanwhile."""
    for rule in sorted(stack.of_type("AWS::Events::Rule")):
        try:
            client("events").disable_rule(Name=rule)
        except ClientError as error:
            if error_code(error) not in _GONE:
                raise
    functions = client("lambda")
    for mapping in sorted(stack.of_type("AWS::Lambda::EventSourceMapping")):
        waiter.until(
            partial(_polls_no_more, functions, mapping), f"the end of event source {mapping}"
        )


def _polls_no_more(functions: Any, mapping: str) -> bool:
    """Return whether a mapping is disabled or gone; begin to disable one that is enabled."""
    try:
        state = functions.get_event_source_mapping(UUID=mapping)["State"]
        if state == "Enabled":
            functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    except ClientError as error:
        if error_code(error) == "ResourceInUseException":  # while it is changed
            return False
        if error_code(error) not in _GONE:
            raise
        return True
    return state in {"Disabled", "Deleting"}


class Stack(Kind):
    """The CloudFormation stack, with everything that it does not retain."""

    key = "AWS::CloudFormation::Stack"
    noun = ("stack", "stacks")

    def __init__(
        self, stack: DeployedStack, client: Any, executions: Executions, waiter: Waiter
    ) -> None:
        self._stack = stack
        self._client = client
        self._executions = executions
        self._waiter = waiter

    def resources(self) -> Iterator[Resource]:
        """Yield the stack unless it is deleted."""
        if self._status() not in {None, DELETED}:
            yield Resource(self._stack.name)

    def remove(self) -> None:
        """Delete the stack, and wait until it is gone.

        A state machine is deleted only when its executions have ended. A function that was still
        running may have started another one.

        Raises:
            RunFailed: when CloudFormation cannot delete a resource; names it with the reason.
        """
        if not any(self.resources()):
            return
        self._client.delete_stack(StackName=self._stack.stack_id)
        self._waiter.until(self._is_gone, f"the deletion of the stack {self._stack.name}")

    def _is_gone(self) -> bool:
        status = self._status()
        if status == "DELETE_FAILED":
            raise RunFailed(
                f"CloudFormation could not delete the stack {self._stack.name}: "
                f"{'; '.join(self._failures())}",
                "mend what the reasons name, then run the same command again",
            )
        if status in {None, DELETED}:
            return True
        self._executions.stop()
        return False

    def _status(self) -> str | None:
        described = described_stack(self._client, self._stack.stack_id)
        return None if described is None else str(described["StackStatus"])

    def _failures(self) -> list[str]:
        """Return the resources that this deletion failed to delete, with the reasons."""
        pages = self._client.get_paginator("describe_stack_events")
        failures: list[str] = []
        for page in pages.paginate(StackName=self._stack.stack_id):
            for event in page["StackEvents"]:  # the newest first
                status = event["ResourceStatus"]
                is_own = event.get("PhysicalResourceId") == self._stack.stack_id
                if is_own and status == "DELETE_IN_PROGRESS":
                    return failures[:_SHOWN_FAILURES]
                if not is_own and status == "DELETE_FAILED":
                    reason = event.get("ResourceStatusReason", "no reason given")
                    failures.append(f"{event['LogicalResourceId']}: {reason}")
        return failures[:_SHOWN_FAILURES]


class LogGroups(StackResources):
    """The log group of the functions: one that outlives the stack creates it again."""

    def remove(self) -> None:
        """Delete the groups that exist."""
        for group in list(self.resources()):
            delete_log_group(self._client("logs"), group.name)


class Buckets(StackResources):
    """The bucket of the stack, with all versions of its objects."""

    def __init__(self, stack: DeployedStack, client: Callable[[str], Any], waiter: Waiter) -> None:
        kind = "AWS::S3::Bucket"
        super().__init__(stack, kind, RETAINED[kind], client)
        self._s3 = client("s3")
        self._waiter = waiter

    def contents(self, bucket: str) -> tuple[Kind, Kind]:
        """Return the kinds of what is in a bucket."""
        return Uploads(self._s3, bucket, ""), ObjectVersions(self._s3, bucket, "")

    def remove(self) -> None:
        """Empty and delete the bucket, again if a function wrote meanwhile."""
        for bucket in list(self.resources()):
            self._waiter.until(
                partial(self._is_deleted, bucket.name),
                f"the deletion of the bucket {bucket.name}",
            )

    def _is_deleted(self, bucket: str) -> bool:
        try:
            for content in self.contents(bucket):
                content.remove()
            self._s3.delete_bucket(Bucket=bucket)
        except ClientError as error:
            if error_code(error) in _BUSY_BUCKET:
                return False
            if error_code(error) != "NoSuchBucket":
                raise
        return True


class BucketContents(Kind):
    """The object versions or the unfinished uploads of the stack's buckets, for the preview."""

    def __init__(self, buckets: Buckets, of_bucket: Callable[[str], Kind]) -> None:
        self._buckets = buckets
        self._of_bucket = of_bucket
        self.key, self.noun = of_bucket("").key, of_bucket("").noun

    def resources(self) -> Iterator[Resource]:
        """Yield what is in the buckets that exist."""
        for bucket in self._buckets.resources():
            yield from self._of_bucket(bucket.name).resources()

    def remove(self) -> None:
        """Do nothing: the bucket is emptied when it is deleted."""


class Tables(StackResources):
    """The tables of the stack."""

    def __init__(self, stack: DeployedStack, client: Callable[[str], Any], waiter: Waiter) -> None:
        kind = "AWS::DynamoDB::Table"
        super().__init__(stack, kind, RETAINED[kind], client)
        self._dynamodb = client("dynamodb")
        self._waiter = waiter

    def remove(self) -> None:
        """Delete the tables, and wait until they are gone."""
        for table in list(self.resources()):
            self._waiter.until(
                partial(self._is_gone, table.name), f"the deletion of table {table.name}"
            )

    def _is_gone(self, table: str) -> bool:
        try:
            status = self._dynamodb.describe_table(TableName=table)["Table"]["TableStatus"]
            if status == "ACTIVE":
                self._dynamodb.delete_table(TableName=table)
        except ClientError as error:
            if error_code(error) not in _GONE:
                raise
            return True
        return False


def data_kinds(stack: DeployedStack, client: Callable[[str], Any], waiter: Waiter) -> list[Kind]:
    """Return the bucket, what is in it, and the tables, in the order of their removal."""
    buckets = Buckets(stack, client, waiter)
    return [
        BucketContents(buckets, lambda bucket: buckets.contents(bucket)[0]),
        BucketContents(buckets, lambda bucket: buckets.contents(bucket)[1]),
        buckets,
        Tables(stack, client, waiter),
    ]
