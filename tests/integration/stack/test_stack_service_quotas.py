"""Service Quotas on the local stack: what `refit doctor` reads, and the request for more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from refit.domain.model_settings import ModelSettings
from refit_cli.readiness.needs import QuotaNeed, quotas_needed
from refit_cli.readiness.permissions import to_deploy
from refit_cli.readiness.quotas import lambda_limits, sagemaker_quotas
from refit_local.ministack.service_quotas import OVERRIDES
from stack_under_test import running_emulator

if TYPE_CHECKING:
    from pathlib import Path

    from stack_under_test import LocalAws

ENDPOINT = "ml.m5.large for endpoint usage"


def test_the_quotas_of_the_local_stack_suffice_for_a_model(aws: LocalAws) -> None:
    needs = quotas_needed(ModelSettings())
    findings = sagemaker_quotas(aws.client("service-quotas"), needs, "us-east-1")
    assert [str(finding.status) for finding in findings] == ["ready"] * len(needs)
    concurrency, _ = lambda_limits(aws.client("lambda"), "us-east-1")
    assert concurrency.status == "ready"


def test_a_missing_quota_is_found_and_the_command_that_the_doctor_prints_asks_for_it(
    aws: LocalAws,
) -> None:
    client = aws.client("service-quotas")
    need = [QuotaNeed("ml.c5.large for endpoint usage", 12, "a large endpoint")]
    (finding,) = sagemaker_quotas(client, need, "us-east-1")
    assert (finding.status, finding.found) == ("missing", "8")
    words = (finding.advice or "").split()
    options = dict(zip(words[3::2], words[4::2], strict=True))
    client.request_service_quota_increase(
        ServiceCode=options["--service-code"],
        QuotaCode=options["--quota-code"],
        DesiredValue=float(options["--desired-value"]),
    )
    (finding,) = sagemaker_quotas(client, need, "us-east-1")
    assert (finding.status, finding.found) == ("ready", "12")


def test_awss_default_of_an_endpoint_is_none(aws: LocalAws) -> None:
    client = aws.client("service-quotas")
    quota = client.get_aws_default_service_quota(ServiceCode="sagemaker", QuotaCode="L-614B09FD")
    assert (quota["Quota"]["QuotaName"], quota["Quota"]["Value"]) == (ENDPOINT, 0.0)


def test_a_page_has_at_most_a_hundred_quotas(aws: LocalAws) -> None:
    client = aws.client("service-quotas")
    page = client.list_service_quotas(ServiceCode="sagemaker")
    assert len(page["Quotas"]) == 100
    assert page["NextToken"]
    with pytest.raises(ClientError, match="InvalidPaginationToken"):
        client.list_service_quotas(ServiceCode="sagemaker", NextToken="x")


def test_what_does_not_exist_or_is_no_increase_is_refused(aws: LocalAws) -> None:
    client = aws.client("service-quotas")
    for service, code in (("sagemaker", "L-00000000"), ("nothing", "L-614B09FD")):
        with pytest.raises(ClientError, match="NoSuchResourceException"):
            client.get_service_quota(ServiceCode=service, QuotaCode=code)
    with pytest.raises(ClientError, match="IllegalArgumentException"):
        client.request_service_quota_increase(
            ServiceCode="sagemaker", QuotaCode="L-614B09FD", DesiredValue=1
        )


def test_a_user_without_the_permission_may_not_read_quotas_and_lacks_the_deployment(
    aws: LocalAws,
) -> None:
    iam = aws.client("iam")
    arn = iam.create_user(UserName="reader")["User"]["Arn"]
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    client = aws.client(
        "service-quotas",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    findings = sagemaker_quotas(client, quotas_needed(ModelSettings()), "us-east-1")
    assert {str(finding.status) for finding in findings} == {"unchecked"}
    assert to_deploy(iam, arn).status == "missing"


def test_a_local_stack_can_have_the_quotas_of_a_new_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = quotas_needed(ModelSettings())
    monkeypatch.setenv(OVERRIDES, json.dumps({need.quota: 0 for need in needs}))
    with running_emulator(tmp_path) as new_account:
        findings = sagemaker_quotas(new_account.client("service-quotas"), needs, "us-east-1")
    assert {(str(finding.status), finding.found) for finding in findings} == {("missing", "0")}
