"""A policy for some streams of a log group allows to read these, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from stack_under_test import allow, policy

if TYPE_CHECKING:
    from stack_under_test import LocalAws

GROUP = "/test/log-permissions"
ARN = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"


@pytest.fixture(scope="module")
def group(aws: LocalAws) -> str:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    for stream in ("mine-1/algo-1-1", "yours-1/algo-1-1"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        event = {"timestamp": 1, "message": "[0]#011train-auc:0.5"}
        logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event])
    return GROUP


def logs_of(aws: LocalAws, user: str, *statements: dict[str, Any]) -> Any:
    iam = aws.client("iam")
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy(*statements))
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return aws.client(
        "logs",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def test_a_policy_for_streams_of_a_name_allows_to_read_only_these(
    aws: LocalAws, group: str
) -> None:
    logs = logs_of(aws, "log-reader", allow("logs:GetLogEvents", f"{ARN}:log-stream:mine-*"))
    read = logs.get_log_events(logGroupName=group, logStreamName="mine-1/algo-1-1")
    assert [event["message"] for event in read["events"]] == ["[0]#011train-auc:0.5"]
    with pytest.raises(ClientError, match="not authorized to perform: logs:GetLogEvents"):
        logs.get_log_events(logGroupName=group, logStreamName="yours-1/algo-1-1")


def test_a_policy_for_the_group_alone_does_not_allow_to_read_its_streams(
    aws: LocalAws, group: str
) -> None:
    logs = logs_of(
        aws, "group-reader", allow(["logs:GetLogEvents", "logs:DescribeLogStreams"], ARN)
    )
    with pytest.raises(ClientError, match="not authorized to perform: logs:DescribeLogStreams"):
        logs.describe_log_streams(logGroupName=group)
    with pytest.raises(ClientError, match="not authorized to perform: logs:GetLogEvents"):
        logs.get_log_events(logGroupName=group, logStreamName="mine-1/algo-1-1")


def test_streams_are_listed_with_a_policy_for_the_streams_of_the_group(
    aws: LocalAws, group: str
) -> None:
    listing = allow("logs:DescribeLogStreams", f"{ARN}:log-stream:*")
    logs = logs_of(aws, "stream-lister", listing)
    listed = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="mine-")
    assert [stream["logStreamName"] for stream in listed["logStreams"]] == ["mine-1/algo-1-1"]
