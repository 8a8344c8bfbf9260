"""Probes, what counts as left, and the report of a verification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from refit_cli.connection import StackConnection
from refit_cli.runtime import CommandRuntime
from refit_local.stack.deploy import local_api_url
from refit_local.stack.record import StackInfo

from tests.verify import cleaning, report
from tests.verify.probes import PROBES
from tests.verify.probes.base import Answer, Lab, NoSubject, Probe, asked
from tests.verify.probes.state_fields import FIELDS
from tests.verify.remains import is_ours, of_stack
from tests.verify.target import PREFIX, STACK, Target

TARGET = Target(
    "aws",
    StackInfo(0, 0, Path(), None, "us-east-1", None, None, STACK, "", {}),
    CommandRuntime(),
)


class Failing(Probe):
    name = "failing"
    assumption = "It fails."
    question = "Does it fail?"

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.undone = False

    def ask(self, lab: Lab) -> Answer:
        lab.undo.callback(setattr, self, "undone", True)
        lab.evidence.append("a request")
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        NoSubject("there is no model"),
        ClientError({"Error": {"Code": "Throttling", "Message": "slow"}}, "CreateModel"),
    ],
)
def test_a_probe_that_fails_gives_no_answer_and_leaves_nothing(error: Exception) -> None:
    probe = Failing(error)
    answer = asked(probe, TARGET)
    assert (answer.verdict, answer.evidence) == ("no answer", ("a request",))
    assert str(error) in answer.text
    assert probe.undone


@pytest.mark.parametrize("probe", FIELDS, ids=[probe.name for probe in FIELDS])
@pytest.mark.parametrize(
    ("error", "cause", "taken"),
    [
        ("SageMaker.AmazonSageMakerException", "Could not find endpoint", True),
        ("States.Runtime", "The field is not supported by Step Functions", False),
        ("InvalidDefinition", "SCHEMA_VALIDATION_FAILED: field is not supported", False),
        ("States.TaskFailed", "the role may not", None),
    ],
)
def test_who_refuses_a_request_tells_whether_the_integration_takes_the_field(
    probe: Any, error: str, cause: str, taken: bool | None
) -> None:
    answer = probe._judged(Lab(TARGET), error, cause)
    expected = "no answer" if taken is None else "holds" if taken == probe.is_taken else "differs"
    assert answer.verdict == expected


def test_probes_have_different_names_and_ask_a_question() -> None:
    assert len({probe.name for probe in PROBES}) == len(PROBES)
    for probe in PROBES:
        assert probe.question.endswith("?"), probe.name
        assert probe.assumption.endswith("."), probe.name


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        (f"{STACK}-bucket-1", True),
        (f"/aws/lambda/{STACK}", True),
        (f"{PREFIX}-journey", True),
        (f"probe-{PREFIX}-role-1", True),
        (f"https://sqs.us-east-1.amazonaws.com/1/{STACK}-IngestQueue-1", True),
        (f"arn:aws:sns:us-east-1:1:{STACK}-NoticesTopic-1", True),
        ("refit-digits", False),
        ("refit-bucket-1", False),
        (f"{STACK}2-bucket", False),
        ("/aws/sagemaker/TrainingJobs", False),
    ],
)
def test_only_names_of_the_verification_count_as_left(name: str, ours: bool) -> None:
    assert is_ours(name) == ours


def result(verdict: str, **values: Any) -> dict[str, Any]:
    name = PROBES[0].name
    answer = {"verdict": verdict, "text": "a | b", "evidence": ["SetQueueAttributes: accepted"]}
    return {
        "location": "somewhere",
        "at": "2026-11-26T12:00:00+00:00",
        "journey": {"passed": ["x"], "failed": ["y"], "measured": {"seconds": "7"}, "runs": 3},
        "answers": {name: answer},
        "left": {},
        **values,
    }


def test_the_report_of_the_local_stack_has_the_former_answers_of_aws_beside_its_own(
    tmp_path: Path,
) -> None:
    report.write(tmp_path, "aws", result("holds"))
    page = report.write(tmp_path, "local", result("differs")).read_text()
    row = next(line for line in page.splitlines() if line.startswith(f"| `{PROBES[0].name}`"))
    assert row.endswith("| **holds**: a \\| b | **differs**: a \\| b |")
    assert "not asked" in page
    assert "- local stack: SetQueueAttributes: accepted" in page


def test_the_report_names_failed_tests_figures_and_what_is_left(tmp_path: Path) -> None:
    page = report.write(tmp_path, "aws", result("holds", left={"role": ["a", "b"]})).read_text()
    assert "1 passed, 1 failed, 3 runs" in page
    assert "- failed: y" in page
    assert "- seconds: 7" in page
    assert "- left: role: a, b" in page


class Resources:
    """A CloudFormation that knows the resources of a deleted stack."""

    def __init__(self, *resources: tuple[str, str, str]) -> None:
        self.resources = resources

    def get_paginator(self, operation: str) -> Resources:
        return self

    def paginate(self, StackName: str) -> list[dict[str, Any]]:
        keys = ("ResourceType", "PhysicalResourceId", "ResourceStatus")
        entries = [dict(zip(keys, each, strict=True)) for each in self.resources]
        return [{"StackResourceSummaries": entries}]


def test_what_cloudformation_did_not_delete_is_left_unless_it_was_deleted_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = Resources(
        ("AWS::SQS::Queue", "a", "DELETE_COMPLETE"),
        ("AWS::S3::Bucket", "b", "DELETE_SKIPPED"),
        ("AWS::ApiGateway::ApiKey", "c", "DELETE_FAILED"),
    )
    monkeypatch.setattr(Target, "client", lambda self, service: known)
    left = of_stack(TARGET, "arn", [["AWS::S3::Bucket", "b"]])
    assert left == ["AWS::ApiGateway::ApiKey c (DELETE_FAILED)"]
    assert of_stack(TARGET, None, []) == []


def test_the_api_of_a_stack_on_aws_keeps_its_url() -> None:
    url = "https://abc.execute-api.us-east-1.amazonaws.com/v1"
    assert local_api_url(TARGET.info, url) == url


class WithoutStacks:
    """CloudFormation after it has deleted the stack."""

    def describe_stacks(self, StackName: str) -> None:
        error = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
        raise ClientError({"Error": error}, "DescribeStacks")


def client_without_stacks(connection: StackConnection, service: str) -> Any:
    return WithoutStacks() if service == "cloudformation" else boto3.client(service)


@mock_aws
def test_the_bucket_and_the_tables_that_a_stack_retains_are_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for _ in range(3):
        s3.put_object(Bucket="kept", Key="a/b", Body=b"")
    s3.delete_object(Bucket="kept", Key="a/b")
    s3.create_multipart_upload(Bucket="kept", Key="a/c")
    dynamodb = boto3.client("dynamodb", region_name="us-east-1")
    dynamodb.create_table(
        TableName="kept",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    kept = [["AWS::S3::Bucket", "kept"], ["AWS::DynamoDB::Table", "kept"]]
    monkeypatch.setattr(StackConnection, "client", client_without_stacks)
    stack_id = f"arn:aws:cloudformation:us-east-1:123456789012:stack/{STACK}/1"
    for _ in range(2):  # the second time, they have gone
        cleaning.destroy(TARGET, stack_id, kept)
    assert s3.list_buckets()["Buckets"] == []
    assert dynamodb.list_tables()["TableNames"] == []
