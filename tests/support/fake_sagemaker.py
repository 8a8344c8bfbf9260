"""A fake boto3 client of SageMaker with a settable endpoint and registry; it records changes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.stores.endpoints import EndpointState
    from refit.stores.registry import PackageVersion


XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"


class FakeSageMaker:
    """Replaces the clients `sagemaker` and `sagemaker-runtime`.
    Attributes:
        endpoint: state of the only endpoint; None if it does not exist.
        approved: the only approved package that the list of the group shows; None if there is none.
        packages: what DescribeModelPackage returns besides, by ARN.
        answer: body and variant of the response to InvokeEndpoint.
        invocations: requests of InvokeEndpoint.
        changes: (operation, request) of all other calls that create, update or delete.
        models: names of the SageMaker models.
    """

    def __init__(self) -> None:
        self.endpoint: EndpointState | None = None
        self.approved: PackageVersion | None = None
        self.packages: dict[str, PackageVersion] = {}
        self.answer = ("", "v2")
        self.invocations: list[dict[str, Any]] = []
        self.changes: list[tuple[str, dict[str, Any]]] = []
        self.models: list[str] = []

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        if self.endpoint is None:
            raise _not_found(f'Could not find endpoint "{EndpointName}".', "DescribeEndpoint")
        state = {
            "EndpointStatus": self.endpoint.status,
            "EndpointConfigName": self.endpoint.config,
        }
        reason = self.endpoint.failure_reason
        return state | ({"FailureReason": reason} if reason else {})

    def list_models(self, NameContains: str, MaxResults: int) -> dict[str, Any]:
        shown = [name for name in self.models if NameContains in name]
        return {"Models": [{"ModelName": name} for name in shown[:MaxResults]]}

    def get_paginator(self, operation: str) -> FakeSageMaker:
        assert operation == "list_model_packages"
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        packages = []
        if self.approved is not None:
            packages = [
                {
                    "ModelPackageVersion": self.approved.version,
                    "ModelPackageArn": self.approved.arn,
                }
            ]
        yield {"ModelPackageSummaryList": packages}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        package = self.packages.get(ModelPackageName)
        if package is None and self.approved and self.approved.arn == ModelPackageName:
            package = self.approved
        if package is None:
            raise _not_found(f"{ModelPackageName} does not exist.", "DescribeModelPackage")
        properties = {} if package.run is None else {"refit:run": package.run}
        return {
            "ModelPackageVersion": package.version,
            "ModelApprovalStatus": package.approval,
            "CustomerMetadataProperties": properties,
            "InferenceSpecification": {"Containers": [{"Image": package.image or XGBOOST}]},
            "LastModifiedTime": package.changed_at,
        }

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.invocations.append(request)
        body, variant = self.answer
        return {
            "Body": io.BytesIO(body.encode()),
            "ContentType": "text/csv",
            "InvokedProductionVariant": variant,
        }

    def __getattr__(self, operation: str) -> Any:
        if not operation.startswith(("update_", "delete_", "create_")):
            raise AttributeError(operation)

        def change(**request: Any) -> dict[str, Any]:
            self.changes.append((operation, request))
            return {}

        return change


def _not_found(message: str, operation: str) -> ClientError:
    response: Any = {"Error": {"Code": "ValidationException", "Message": message}}
    return ClientError(response, operation)
