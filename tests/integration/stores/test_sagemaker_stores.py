"""Endpoints and ModelRegistry: requests to SageMaker, and the meaning of its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from refit.domain.errors import EndpointNotReady, PayloadInvalid, RefitError, ServiceThrottled
from refit.stores.endpoints import Endpoints, EndpointState
from refit.stores.registry import ModelRegistry

from tests.support.aws_clients import FailingClient, RecordingClient, client_error
from tests.support.aws_stack import REGION
from tests.support.fake_sagemaker import FakeSageMaker

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

GROUP = "refit-digits"


def endpoints_of(client: Any) -> Endpoints:
    return Endpoints(lambda _: client)


def test_rows_are_sent_as_csv_and_the_answer_names_its_variant() -> None:
    sagemaker = FakeSageMaker()
    sagemaker.answer = ("0.25,0.75\n", "v2")
    answer = endpoints_of(sagemaker).invoke("refit-digits", b"1,2\n", "id-1")
    assert (answer.body, answer.content_type, answer.variant) == (b"0.25,0.75\n", "text/csv", "v2")
    assert sagemaker.invocations == [
        {
            "EndpointName": "refit-digits",
            "Body": b"1,2\n",
            "ContentType": "text/csv",
            "Accept": "text/csv",
            "InferenceId": "id-1",
        }
    ]


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            client_error("ModelError", OriginalStatusCode=415, OriginalMessage="3 columns"),
            PayloadInvalid,
            r"rejected the rows \(415\): 3 columns",
        ),
        (
            client_error("ModelError", OriginalStatusCode=500, OriginalMessage="crashed"),
            ServiceThrottled,
            r"container failed \(500\): crashed",
        ),
        (client_error("ModelError"), ServiceThrottled, "container failed"),
        (client_error("ValidationError"), EndpointNotReady, "refit-digits is not in service"),
        (
            client_error("ModelNotReadyException"),
            EndpointNotReady,
            "refit-digits is not in service",
        ),
        (client_error("ThrottlingException"), ServiceThrottled, "ThrottlingException"),
    ],
)
def test_an_error_of_an_endpoint_is_named_after_who_can_act_on_it(
    error: ClientError, kind: type[RefitError], message: str
) -> None:
    failing = FailingClient(None, invoke_endpoint=error)
    with pytest.raises(kind, match=message):
        endpoints_of(failing).invoke("refit-digits", b"1,2\n", "id-1")


def test_another_error_of_an_endpoint_is_raised_as_it_is() -> None:
    failing = FailingClient(None, invoke_endpoint=client_error("AccessDeniedException"))
    with pytest.raises(ClientError, match="AccessDeniedException"):
        endpoints_of(failing).invoke("refit-digits", b"1,2\n", "id-1")


def test_an_endpoint_is_described_and_a_missing_one_is_none() -> None:
    sagemaker = FakeSageMaker()
    endpoints = endpoints_of(sagemaker)
    assert endpoints.describe("refit-digits") is None
    sagemaker.endpoint = EndpointState("Failed", "refit-digits-v1", "ping failed")
    assert endpoints.describe("refit-digits") == sagemaker.endpoint


def test_an_endpoint_is_moved_to_another_config_and_deleted() -> None:
    sagemaker = FakeSageMaker()
    endpoints = endpoints_of(sagemaker)
    endpoints.update("refit-digits", "refit-digits-v2")
    endpoints.delete("refit-digits")
    endpoints.delete_deployment("refit-digits-v1")
    assert sagemaker.changes == [
        (
            "update_endpoint",
            {"EndpointName": "refit-digits", "EndpointConfigName": "refit-digits-v2"},
        ),
        ("delete_endpoint", {"EndpointName": "refit-digits"}),
        ("delete_endpoint_config", {"EndpointConfigName": "refit-digits-v1"}),
        ("delete_model", {"ModelName": "refit-digits-v1"}),
    ]


def test_a_resource_that_does_not_exist_counts_as_deleted() -> None:
    gone = client_error("ValidationException")
    failing = FailingClient(
        None, delete_endpoint=gone, delete_endpoint_config=gone, delete_model=gone
    )
    endpoints_of(failing).delete("refit-digits")
    endpoints_of(failing).delete_deployment("refit-digits-v1")


@pytest.mark.parametrize("operation", ["describe_endpoint", "delete_endpoint"])
def test_a_missing_permission_is_not_taken_for_a_missing_endpoint(operation: str) -> None:
    denied = FailingClient(None, **{operation: client_error("AccessDeniedException")})
    endpoints = endpoints_of(denied)
    call = endpoints.describe if operation == "describe_endpoint" else endpoints.delete
    with pytest.raises(ClientError, match="AccessDeniedException"):
        call("refit-digits")


def package(registry: ModelRegistry, run: str, status: str = "Approved") -> str:
    """Register a version; return its ARN."""
    return registry.create_package(
        {
            "ModelPackageGroupName": GROUP,
            "ModelApprovalStatus": status,
            "CustomerMetadataProperties": {"refit:run": run},
        }
    ).arn


def test_the_latest_approved_version_has_the_highest_number(stack: Stack) -> None:
    registry = stack.services.registry
    registry.ensure_group(GROUP, "Versions of digits")
    assert registry.latest_approved(GROUP) is None
    for run in ("a", "b"):
        package(registry, run)
    package(registry, "c", "Rejected")
    latest = registry.latest_approved(GROUP)
    assert latest is not None
    assert (latest.version, latest.run) == (2, "b")


def test_the_latest_approved_version_is_one_that_refit_made(stack: Stack) -> None:
    registry = stack.services.registry
    registry.ensure_group(GROUP, "Versions of digits")
    package(registry, "a")
    client = boto3.client("sagemaker", REGION)
    for _ in range(12):  # more than a page
        client.create_model_package(ModelPackageGroupName=GROUP, ModelApprovalStatus="Approved")
    latest = registry.latest_approved(GROUP)
    assert latest is not None
    assert (latest.version, latest.run) == (1, "a")


class OnePage:
    """A client whose list has one page; it keeps the request of the list."""

    def __init__(self, *versions: dict[str, Any]) -> None:
        self.described = {version["ModelPackageArn"]: version for version in versions}
        self.requests: list[dict[str, Any]] = []

    def get_paginator(self, operation: str) -> OnePage:
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        self.requests.append(request)
        return [{"ModelPackageSummaryList": list(self.described.values())}]

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        return self.described[ModelPackageName]


def listed(version: int, approval: str) -> dict[str, Any]:
    return {
        "ModelPackageVersion": version,
        "ModelPackageArn": f"arn:package/{version}",
        "ModelApprovalStatus": approval,
        "CustomerMetadataProperties": {"refit:run": f"run-{version}"},
    }


def test_a_version_that_the_list_still_shows_as_approved_is_not_taken() -> None:
    client = OnePage(listed(1, "Approved"), listed(2, "Rejected"))
    latest = ModelRegistry(client).latest_approved(GROUP)
    assert latest is not None
    assert latest.version == 1


def test_the_list_is_asked_for_the_newest_versions_only() -> None:
    client = OnePage(listed(1, "Approved"))
    ModelRegistry(client).latest_approved(GROUP)
    (request,) = client.requests
    assert (request["SortBy"], request["SortOrder"]) == ("CreationTime", "Descending")
    assert request["PaginationConfig"] == {"PageSize": 10}


def test_a_package_that_refit_did_not_create_has_no_run(stack: Stack) -> None:
    registry = stack.services.registry
    registry.ensure_group(GROUP, "Versions of digits")
    client = boto3.client("sagemaker", REGION)
    arn = client.create_model_package(ModelPackageGroupName=GROUP)["ModelPackageArn"]
    assert registry.describe_package(arn).run is None


def test_a_group_is_created_once(stack: Stack) -> None:
    client = RecordingClient(boto3.client("sagemaker", REGION))
    registry = ModelRegistry(client)
    registry.ensure_group(GROUP, "Versions of digits")
    assert client.requests.pop("create_model_package_group")["ModelPackageGroupName"] == GROUP
    registry.ensure_group(GROUP, "Versions of digits")
    assert "create_model_package_group" not in client.requests


def test_a_group_whose_creation_was_repeated_after_a_lost_answer_exists(stack: Stack) -> None:
    class CreatesAndRefuses(RecordingClient):
        """What botocore's second attempt finds; moto would accept it."""

        def create_model_package_group(self, **request: Any) -> None:
            self._client.create_model_package_group(**request)
            raise client_error("ValidationException")

    client = CreatesAndRefuses(boto3.client("sagemaker", REGION))
    ModelRegistry(client).ensure_group(GROUP, "Versions of digits")
    group = boto3.client("sagemaker", REGION).describe_model_package_group(
        ModelPackageGroupName=GROUP
    )
    assert group["ModelPackageGroupName"] == GROUP


def test_a_group_that_cannot_be_created_is_an_error(stack: Stack) -> None:
    client = boto3.client("sagemaker", REGION)
    registry = ModelRegistry(
        FailingClient(client, create_model_package_group=client_error("ValidationException"))
    )
    with pytest.raises(ClientError, match="ValidationException"):
        registry.ensure_group(GROUP, "Versions of digits")


def test_a_missing_permission_is_not_taken_for_a_missing_group() -> None:
    denied = client_error("AccessDeniedException")
    registry = ModelRegistry(FailingClient(None, describe_model_package_group=denied))
    with pytest.raises(ClientError, match="AccessDeniedException"):
        registry.ensure_group(GROUP, "Versions of digits")


def test_the_reason_of_a_rejection_is_at_most_1024_characters() -> None:
    sagemaker = FakeSageMaker()
    ModelRegistry(sagemaker).reject_package("arn:package/1", "x" * 2000)
    ((operation, request),) = sagemaker.changes
    assert operation == "update_model_package"
    assert request["ModelApprovalStatus"] == "Rejected"
    assert request["ApprovalDescription"] == "x" * 1024
