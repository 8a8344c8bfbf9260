"""CloudFormation deletes empty buckets only, waits for executions, and retains what it has to."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from stack_under_test import LocalAws

BUCKET = {
    "Type": "AWS::S3::Bucket",
    "Properties": {"VersioningConfiguration": {"Status": "Enabled"}},
}


def created(aws: LocalAws, name: str, **resources: dict[str, Any]) -> dict[str, str]:
    """Create a stack, and return its physical ids by logical ids."""
    formation = aws.client("cloudformation")
    formation.create_stack(
        StackName=name,
        TemplateBody=json.dumps({"Resources": resources}),
        Capabilities=["CAPABILITY_IAM"],
    )
    formation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    listed = formation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in listed}


def deleted(aws: LocalAws, name: str) -> str:
    """Delete a stack, and return the status in which that ends."""
    formation = aws.client("cloudformation")
    stack = formation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    formation.delete_stack(StackName=stack)
    return end_of_deletion(aws, stack)


def end_of_deletion(aws: LocalAws, stack: str) -> str:
    formation = aws.client("cloudformation")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        status: str = formation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        if status in {"DELETE_COMPLETE", "DELETE_FAILED"}:
            return status
        time.sleep(0.1)
    raise AssertionError(f"{stack} is not deleted")


def test_a_bucket_with_an_old_version_is_not_deleted_and_the_stack_says_so(aws: LocalAws) -> None:
    bucket = created(aws, "with-a-bucket", Bucket=BUCKET)["Bucket"]
    s3 = aws.client("s3")
    version = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="a")["VersionId"]
    assert deleted(aws, "with-a-bucket") == "DELETE_FAILED"
    events = aws.client("cloudformation").describe_stack_events(StackName="with-a-bucket")
    (left,) = [
        event
        for event in events["StackEvents"]
        if event["ResourceStatus"] == "DELETE_FAILED" and event["LogicalResourceId"] == "Bucket"
    ]
    assert "The bucket you tried to delete is not empty" in left["ResourceStatusReason"]
    for each in (version, marker):
        s3.delete_object(Bucket=bucket, Key="a", VersionId=each)
    assert deleted(aws, "with-a-bucket") == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket=bucket)


def test_a_retained_bucket_outlives_its_stack_which_is_known_by_its_id(aws: LocalAws) -> None:
    kept = {**BUCKET, "DeletionPolicy": "RetainExceptOnCreate"}
    bucket = created(aws, "with-a-kept-bucket", Bucket=kept)["Bucket"]
    s3, formation = aws.client("s3"), aws.client("cloudformation")
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert deleted(aws, "with-a-kept-bucket") == "DELETE_COMPLETE"
    s3.head_bucket(Bucket=bucket)
    listed = formation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    (stack,) = [each for each in listed if each["StackName"] == "with-a-kept-bucket"]
    events = formation.describe_stack_events(StackName=stack["StackId"])["StackEvents"]
    assert bucket in {each.get("PhysicalResourceId") for each in events}


def test_a_stack_is_deleted_when_the_executions_of_its_state_machines_have_ended(
    aws: LocalAws,
) -> None:
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "states.amazonaws.com"},
                        "Action": "sts:AssumeRole",
                    }
                ],
            }
        },
    }
    definition = {
        "StartAt": "Wait",
        "States": {"Wait": {"Type": "Wait", "Seconds": 600, "End": True}},
    }
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
            "DefinitionString": json.dumps(definition),
        },
    }
    arn = created(aws, "with-a-machine", Role=role, Machine=machine)["Machine"]
    states, formation = aws.client("stepfunctions"), aws.client("cloudformation")
    execution = states.start_execution(stateMachineArn=arn)["executionArn"]
    stack = formation.describe_stacks(StackName="with-a-machine")["Stacks"][0]["StackId"]
    formation.delete_stack(StackName=stack)
    for _ in range(5):
        described = formation.describe_stacks(StackName=stack)["Stacks"][0]
        assert described["StackStatus"] == "DELETE_IN_PROGRESS"
        time.sleep(0.1)
    running = states.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]
    assert [each["executionArn"] for each in running] == [execution]
    states.stop_execution(executionArn=execution)
    assert end_of_deletion(aws, stack) == "DELETE_COMPLETE"
