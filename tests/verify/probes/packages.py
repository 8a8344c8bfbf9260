"""SageMaker's model registry: rights, lag, and the numbers of versions."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from tests.verify.cleaning import delete_group, delete_role, delete_rule
from tests.verify.probes.base import DIFFERS, HOLDS, UNKNOWN, Answer, Lab, NoSubject, Probe
from tests.verify.probes.queue_policy import policy
from tests.verify.target import PREFIX

_PACKAGES = 3


class PackageRights(Probe):
    name = "package-rights"
    assumption = "CreateModelPackage needs no right of its caller on ECR, and none on S3."
    question = "May a role that has no rights but those of SageMaker register a model?"

    def ask(self, lab: Lab) -> Answer:
        specification = _specification(lab)
        group = _group(lab, "rights")
        sagemaker = _client_of(lab, _role(lab, ["sagemaker:*"]))
        request = _package(group, specification, "PendingManualApproval")
        refused = lab.attempt(
            "CreateModelPackage without rights on S3 and ECR",
            sagemaker.create_model_package,
            **request,
        )
        if refused is None:
            return Answer(HOLDS, "It may: neither S3 nor ECR is read with the caller's rights.")
        return Answer(DIFFERS, f"It may not: {refused}. The message names what is missing.")


class RegistryLag(Probe):
    name = "registry-lag"
    assumption = "ListModelPackages may lag behind the event of a package."
    question = "Is an approved package listed when its event arrives?"

    def ask(self, lab: Lab) -> Answer:
        specification, sagemaker = _specification(lab), lab.client("sagemaker")
        group = _group(lab, "lag")
        queue = _queue_of_events(lab, group)
        lags = []
        for _ in range(_PACKAGES):
            request = _package(group, specification, "Approved")
            arn = sagemaker.create_model_package(**request)["ModelPackageArn"]
            lab.wait_for(lambda arn=arn: _received(lab, queue, arn), "the event", lab.long_s(300))
            began = time.monotonic()
            lab.wait_for(
                lambda arn=arn: arn in _approved(sagemaker, group), "the listing", lab.long_s(120)
            )
            lags.append(time.monotonic() - began)
        listed = ", ".join(f"{lag:.1f} s" for lag in lags)
        lab.evidence.append(f"from the event to the listing: {listed}")
        late = sum(lag > 1 for lag in lags)
        if late:
            return Answer(HOLDS, f"{late} of {len(lags)} were listed later than their event.")
        # A lag that does not show in three packages may exist: Refit goes on assuming one.
        return Answer(UNKNOWN, f"All {len(lags)} were listed at once; this does not exclude a lag.")


class ListPackagesResource(Probe):
    name = "list-packages-resource"
    assumption = "ListModelPackages cannot be limited to the packages of a group."
    question = "May a role list a group's packages that may do so on model-package/GROUP* only?"

    def ask(self, lab: Lab) -> Answer:
        group = _group(lab, "list")
        where = f"arn:{lab.partition}:sagemaker:{lab.target.region}:{lab.target.account}"
        accepted = []
        for kind in ("model-package", "model-package-group"):
            role = _role(lab, ["sagemaker:ListModelPackages"], f"{where}:{kind}/{group}*")
            refused = lab.attempt(
                f"ListModelPackages, allowed on {kind}/{group}* only",
                _client_of(lab, role).list_model_packages,
                ModelPackageGroupName=group,
            )
            if refused is None:
                accepted.append(kind)
        if accepted:
            return Answer(DIFFERS, f"It may, on {' and on '.join(accepted)}.")
        return Answer(HOLDS, "It may not, nor on model-package-group/GROUP*.")


class GroupNumbering(Probe):
    name = "group-numbering"
    assumption = "A model package group that is created again counts from version 1."
    question = "Which number has the first package of a group that was deleted and created again?"

    def ask(self, lab: Lab) -> Answer:
        specification, sagemaker = _specification(lab), lab.client("sagemaker")
        group = _group(lab, "numbers")
        versions = []
        for turn in range(2):
            if turn:
                sagemaker.create_model_package_group(ModelPackageGroupName=group)
            request = _package(group, specification, "PendingManualApproval")
            arn = sagemaker.create_model_package(**request)["ModelPackageArn"]
            versions.append(int(arn.rsplit("/", 1)[1]))
            delete_group(sagemaker, group)
        lab.evidence.append(f"versions before and after the deletion: {versions}")
        verdict = HOLDS if versions == [1, 1] else DIFFERS
        return Answer(verdict, f"It has number {versions[1]}.")


def _specification(lab: Lab) -> dict[str, Any]:
    """Return the inference specification of a package of the journey."""
    sagemaker = lab.client("sagemaker")
    groups = sagemaker.list_model_package_groups(NameContains=PREFIX)
    for group in groups["ModelPackageGroupSummaryList"]:
        name = group["ModelPackageGroupName"]
        listed = sagemaker.list_model_packages(ModelPackageGroupName=name)
        for package in listed["ModelPackageSummaryList"]:
            described = sagemaker.describe_model_package(
                ModelPackageName=package["ModelPackageArn"]
            )
            return _without_answers(described["InferenceSpecification"])
    raise NoSubject("there is no model package: the tests have not come so far")


def _without_answers(specification: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only DescribeModelPackage gives: the digest of the image."""
    containers = [
        {key: container[key] for key in ("Image", "ModelDataUrl") if key in container}
        for container in specification["Containers"]
    ]
    return {**specification, "Containers": containers}


def _group(lab: Lab, suffix: str) -> str:
    sagemaker, name = lab.client("sagemaker"), lab.name(suffix)
    sagemaker.create_model_package_group(ModelPackageGroupName=name)

    def delete() -> None:
        with suppress(ClientError):  # the probe has deleted it
            delete_group(sagemaker, name)

    lab.undo.callback(delete)
    return name


def _package(group: str, specification: dict[str, Any], status: str) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": group,
        "InferenceSpecification": specification,
        "ModelApprovalStatus": status,
    }


def _approved(sagemaker: Any, group: str) -> list[str]:
    listed = sagemaker.list_model_packages(
        ModelPackageGroupName=group, ModelApprovalStatus="Approved"
    )
    return [each["ModelPackageArn"] for each in listed["ModelPackageSummaryList"]]


def _queue_of_events(lab: Lab, group: str) -> str:
    """Return the URL of a queue that gets the events of a group's packages."""
    sqs, events = lab.client("sqs"), lab.client("events")
    name = lab.name("events")
    url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
    lab.undo.callback(sqs.delete_queue, QueueUrl=url)
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    access = {"Policy": policy([arn], lab.target.account)}
    sqs.set_queue_attributes(QueueUrl=url, Attributes=access)
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group]},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    lab.undo.callback(delete_rule, events, name)
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    return url


def _received(lab: Lab, queue: str, package: str) -> bool:
    sqs = lab.client("sqs")
    received = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
    for message in received.get("Messages", []):
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        if package in message["Body"]:
            return True
    return False


def _role(lab: Lab, actions: list[str], resource: str = "*") -> str:
    """Return the ARN of a role of this account that allows only these actions.

    It may also list the groups, which shows that IAM knows its policy.
    """
    iam, name = lab.client("iam"), lab.name("role")
    account = f"arn:{lab.partition}:iam::{lab.target.account}:root"
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": account},
        "Action": "sts:AssumeRole",
    }
    allowed = {"Effect": "Allow", "Action": actions, "Resource": resource}
    known = {"Effect": "Allow", "Action": "sagemaker:ListModelPackageGroups", "Resource": "*"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))["Role"]["Arn"]
    lab.undo.callback(delete_role, iam, name)
    iam.put_role_policy(RoleName=name, PolicyName="probe", PolicyDocument=_document(allowed, known))
    return str(arn)


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _client_of(lab: Lab, role: str) -> Any:
    """Return a client of SageMaker with the rights of a role, as soon as IAM knows the role."""
    sts = lab.client("sts")

    def assumed() -> Any:
        try:
            session = sts.assume_role(RoleArn=role, RoleSessionName="probe")["Credentials"]
            client = lab.target.client(
                "sagemaker",
                aws_access_key_id=session["AccessKeyId"],
                aws_secret_access_key=session["SecretAccessKey"],
                aws_session_token=session["SessionToken"],
            )
            client.list_model_package_groups(MaxResults=1)
        except ClientError:
            return None
        return client

    return lab.wait_for(assumed, "assuming the probe's role", lab.long_s(120))
