"""SQS refuses a policy that does not cover exactly its own queue; roles trust their own account."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from refit_local.ministack.iam import conditions_are_met
from stack_under_test import LocalAws, allow, policy, until

ARN = "arn:aws:sqs:us-east-1:000000000000:"


def sending_to(*resources: str) -> str:
    statement = allow("sqs:SendMessage", list(resources) if len(resources) > 1 else resources[0])
    return policy(statement | {"Principal": {"Service": "events.amazonaws.com"}})


@pytest.mark.parametrize("resources", [(f"{ARN}one", f"{ARN}two"), (f"{ARN}another",)])
def test_a_policy_with_other_queues_is_refused(aws: LocalAws, resources: tuple[str, ...]) -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="one")["QueueUrl"]
    with pytest.raises(ClientError) as refused:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": sending_to(*resources)})
    assert refused.value.response["Error"]["Code"] == "InvalidAttributeValue"
    with pytest.raises(ClientError, match="Invalid value for the parameter Policy"):
        sqs.create_queue(QueueName="new", Attributes={"Policy": sending_to(*resources)})


@pytest.mark.parametrize("resource", [f"{ARN}covered", "*"])
def test_a_policy_for_the_queue_itself_is_accepted(aws: LocalAws, resource: str) -> None:
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="covered")["QueueUrl"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": sending_to(resource)})


def stack_status(aws: LocalAws, name: str, resource: Any) -> str:
    queues = {"A": {"Type": "AWS::SQS::Queue"}, "B": {"Type": "AWS::SQS::Queue"}}
    properties = {
        "Queues": [{"Ref": "A"}, {"Ref": "B"}],
        "PolicyDocument": json.loads(sending_to("*")),
    }
    properties["PolicyDocument"]["Statement"][0]["Resource"] = resource
    template = {"Resources": queues | {"P": {"Type": "AWS::SQS::QueuePolicy"}}}
    template["Resources"]["P"]["Properties"] = properties
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))

    def ended() -> str | None:
        status = str(cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])
        return None if status.endswith("IN_PROGRESS") else status

    return str(until(ended))


def test_a_stack_whose_queue_policy_lists_its_queues_is_rolled_back(aws: LocalAws) -> None:
    arns = [{"Fn::GetAtt": ["A", "Arn"]}, {"Fn::GetAtt": ["B", "Arn"]}]
    assert stack_status(aws, "listing", arns) == "ROLLBACK_COMPLETE"
    assert stack_status(aws, "general", "*") == "CREATE_COMPLETE"


def test_a_role_that_trusts_another_account_only_cannot_be_assumed() -> None:
    def trusting(account: str) -> dict[str, Any]:
        return {"StringEquals": {"aws:SourceAccount": account}}

    assert conditions_are_met(trusting("000000000000"), "000000000000")
    assert not conditions_are_met(trusting("111111111111"), "000000000000")
    assert not conditions_are_met({"StringLike": {"aws:SourceArn": "arn:*"}}, "000000000000")
