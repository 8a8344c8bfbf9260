"""CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs and DeleteEndpointConfig.

Source  docs/sagemaker-contract.md, "Endpoints"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.machine.instances import instance_type
from refit_local.sagemaker.records.in_use import endpoint_of_config
from refit_local.sagemaker.records.naming import ENDPOINT_CONFIG, now
from refit_local.sagemaker.records.store import NameTaken, Record
from refit_local.sagemaker.storage import bucket_and_key
from refit_local.sagemaker.wire.errors import NotImplementedLocally, ValidationException
from refit_local.sagemaker.wire.listing import list_answer
from refit_local.sagemaker.wire.requests import members_of

if TYPE_CHECKING:
    from refit_local.sagemaker.models.models import SageMakerModels
    from refit_local.sagemaker.platform import Platform

_REFUSED_MEMBERS = ("ShadowProductionVariants", "AsyncInferenceConfig", "ExplainerConfig")
_REFUSED_VARIANT_MEMBERS = ("AcceleratorType", "InstancePools", "ManagedInstanceScaling")


class EndpointConfigs:
    """The endpoint configs of this local SageMaker. A config never changes."""

    def __init__(self, platform: Platform, models: SageMakerModels) -> None:
        self._platform = platform
        self._models = models

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpointConfig."""
        name = request["EndpointConfigName"]
        for member in _REFUSED_MEMBERS:
            if request.get(member):
                raise NotImplementedLocally(f"{member} of CreateEndpointConfig")
        variants = [self._checked(variant) for variant in request["ProductionVariants"]]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) < len(names):
            raise ValidationException(f"Variant names must be unique: {', '.join(names)}")
        if not any(variant["InitialVariantWeight"] > 0 for variant in variants):
            raise ValidationException("The weights of the production variants add up to 0.")
        if "DataCaptureConfig" in request:
            bucket_and_key(request["DataCaptureConfig"]["DestinationS3Uri"])
        arn = self._platform.arn(ENDPOINT_CONFIG, name)
        record: Record = {
            **members_of("DescribeEndpointConfig", request),
            "EndpointConfigArn": arn,
            "ProductionVariants": variants,
            "CreationTime": now(),
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            "_tags": request.get("Tags", []),
        }
        try:
            self._platform.store.add(ENDPOINT_CONFIG, name, record)
        except NameTaken as taken:
            raise ValidationException(
                f'Cannot create already existing endpoint configuration "{arn}".'
            ) from taken
        return {"EndpointConfigArn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeEndpointConfig."""
        return members_of("DescribeEndpointConfig", self.get(request["EndpointConfigName"]))

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListEndpointConfigs."""
        records = self._platform.store.all(ENDPOINT_CONFIG)
        return list_answer("ListEndpointConfigs", request, records, name="EndpointConfigName")

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteEndpointConfig.

        AWS documents that the config of an endpoint that is live or changing must not be deleted,
        and names no error. It is refused here, so that no code relies on more than the document.
        """
        with self._platform.store.lock:
            record = self.get(request["EndpointConfigName"])
            endpoint = endpoint_of_config(self._platform.store, record["EndpointConfigName"])
            if endpoint is not None:
                raise ValidationException(
                    f'Cannot delete endpoint configuration "{record["EndpointConfigArn"]}": it is '
                    f"in use by endpoint {endpoint}."
                )
            self._platform.store.remove(ENDPOINT_CONFIG, record["_key"])
        return {}

    def get(self, name: str) -> Record:
        """Return the record of a config.

        Raises:
            ValidationException: when there is no such config.
        """
        record = self._platform.store.get(ENDPOINT_CONFIG, name)
        if record is None:
            arn = self._platform.arn(ENDPOINT_CONFIG, name)
            raise ValidationException(f'Could not find endpoint configuration "{arn}".')
        return record

    def _checked(self, variant: dict[str, Any]) -> dict[str, Any]:
        for member in _REFUSED_VARIANT_MEMBERS:
            if variant.get(member):
                raise NotImplementedLocally(f"{member} of a production variant")
        if "ModelName" not in variant:
            raise NotImplementedLocally("a production variant without ModelName")
        self._models.get(variant["ModelName"])
        checked = {"InitialVariantWeight": 1.0, **variant}
        if "ServerlessConfig" in variant:
            if "InstanceType" in variant or "InitialInstanceCount" in variant:
                raise ValidationException(
                    "A variant has either a ServerlessConfig or an InstanceType with an "
                    "InitialInstanceCount."
                )
            return checked
        if "InstanceType" not in variant or "InitialInstanceCount" not in variant:
            raise ValidationException(
                "A variant must have an InstanceType and an InitialInstanceCount, or a "
                "ServerlessConfig."
            )
        instance_type(variant["InstanceType"])
        return checked
