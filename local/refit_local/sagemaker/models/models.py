"""CreateModel, DescribeModel, ListModels and DeleteModel, and how a model's container is found.

Source  docs/sagemaker-contract.md, "Model registry" and "Training container"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.machine.containers import ContainerFolder, unpack
from refit_local.sagemaker.machine.image_pulls import check_pull
from refit_local.sagemaker.records.in_use import endpoint_of_model
from refit_local.sagemaker.records.naming import MODEL, MODEL_PACKAGE, name_of, now
from refit_local.sagemaker.records.store import NameTaken, Record
from refit_local.sagemaker.storage import RoleStorage, bucket_and_key, local_path
from refit_local.sagemaker.wire.errors import JobFailed, NotImplementedLocally, ValidationException
from refit_local.sagemaker.wire.listing import list_answer
from refit_local.sagemaker.wire.requests import members_of

if TYPE_CHECKING:
    from refit_local.sagemaker.platform import Platform


@dataclass(frozen=True)
class ModelContainer:
    """What a model server is started with.

    Attributes:
        image: the image of the model or of its model package.
        data_uri: the model archive, or a prefix of uncompressed files when it ends with a slash.
        environment: the variables of the model or of its model package.
        role_arn: the role that reads the model data.
    """

    image: str
    data_uri: str
    environment: dict[str, str]
    role_arn: str


class SageMakerModels:
    """The models of this local SageMaker."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateModel."""
        name = request["ModelName"]
        containers = [request.get("PrimaryContainer"), *request.get("Containers", [])]
        present = [container for container in containers if container]
        if not present:
            raise ValidationException("A PrimaryContainer or Containers must be given.")
        if len(present) > 1:
            raise NotImplementedLocally("a model of several containers (an inference pipeline)")
        if "ExecutionRoleArn" not in request:
            raise ValidationException("ExecutionRoleArn must be given.")
        container = self._resolved(present[0], request["ExecutionRoleArn"])
        arn = self._platform.arn(MODEL, name)
        if self._platform.store.get(MODEL, name) is not None:
            raise ValidationException(f'Cannot create already existing model "{arn}".')
        self._check_data(container)
        record: Record = {
            **members_of("DescribeModel", request),
            "ModelArn": arn,
            "CreationTime": now(),
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            "_container": vars(container),
            "_tags": request.get("Tags", []),
        }
        try:
            self._platform.store.add(MODEL, name, record)
        except NameTaken as taken:
            raise ValidationException(f'Cannot create already existing model "{arn}".') from taken
        return {"ModelArn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeModel."""
        return members_of("DescribeModel", self.get(request["ModelName"]))

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListModels."""
        records = self._platform.store.all(MODEL)
        return list_answer("ListModels", request, records, name="ModelName")

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteModel.

        AWS does not document what happens to an endpoint whose model is deleted. It is refused
        here, so that no code relies on it.
        """
        with self._platform.store.lock:
            record = self.get(request["ModelName"])
            endpoint = endpoint_of_model(self._platform.store, record["ModelName"])
            if endpoint is not None:
                raise ValidationException(
                    f'Cannot delete model "{record["ModelArn"]}": it is in use by endpoint '
                    f"{endpoint}."
                )
            self._platform.store.remove(MODEL, record["_key"])
        return {}

    def get(self, name: str) -> Record:
        """Return the record of a model.

        Raises:
            ValidationException: when there is no such model.
        """
        record = self._platform.store.get(MODEL, name)
        if record is None:
            raise ValidationException(f'Could not find model "{self._platform.arn(MODEL, name)}".')
        return record

    def container(self, name: str) -> ModelContainer:
        """Return what a server of the model is started with.

        Raises:
            ValidationException: when there is no such model.
        """
        return ModelContainer(**self.get(name)["_container"])

    def _resolved(self, container: dict[str, Any], role_arn: str) -> ModelContainer:
        environment = container.get("Environment", {})
        if "ModelPackageName" in container:
            packaged = self._approved(container["ModelPackageName"])
            environment = {**packaged.get("Environment", {}), **environment}
            container = packaged
        if container.get("Mode", "SingleModel") != "SingleModel":
            raise NotImplementedLocally("a multi-model container (Mode MultiModel)")
        if "Image" not in container:
            raise ValidationException("A container must have an Image or a ModelPackageName.")
        self._platform.images.commands(container["Image"])
        check_pull(self._platform.host, role_arn, container["Image"])
        return ModelContainer(container["Image"], _data_uri(container), environment, role_arn)

    def _approved(self, arn_or_name: str) -> dict[str, Any]:
        package = self._platform.store.get(MODEL_PACKAGE, name_of(arn_or_name))
        if package is None:
            raise ValidationException(f'Could not find model package "{arn_or_name}".')
        approval = package.get("ModelApprovalStatus", "Approved")
        if approval != "Approved":
            raise ValidationException(
                f'Cannot create a model from model package "{package["ModelPackageArn"]}": its '
                f"ModelApprovalStatus must be Approved to deploy, it is {approval}."
            )
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        if len(containers) != 1:
            raise NotImplementedLocally(
                f"a model package with {len(containers)} containers: it must have one"
            )
        container: dict[str, Any] = containers[0]
        return container

    def _check_data(self, container: ModelContainer) -> None:
        """Check that the role can read the model data, as CreateModel does on AWS."""
        storage = self._platform.storage(container.role_arn)
        try:
            if container.data_uri.endswith("/"):
                storage.objects(container.data_uri, "S3Prefix")
            else:
                storage.object_at(container.data_uri)
        except JobFailed as failure:
            raise ValidationException(
                f"Could not access model data at {container.data_uri}. Please ensure that the "
                f'role "{container.role_arn}" exists and that its trust relationship policy '
                'allows the action "sts:AssumeRole" for the service principal '
                '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" '
                f"permissions and that the object is located in {self._platform.host.region}. "
                f"({failure.reason.removeprefix('ClientError: ')})"
            ) from failure


def fetch_model(storage: RoleStorage, container: ModelContainer, folder: ContainerFolder) -> None:
    """Download the model data into the folder of a container.

    Raises:
        JobFailed: when the data cannot be read or unpacked.
    """
    folder.prepare()
    if container.data_uri.endswith("/"):
        for item in storage.objects(container.data_uri, "S3Prefix"):
            storage.download(item, local_path(folder.model, item.relative_path))
        return
    archive = folder.base / "model.tar.gz"
    storage.download(storage.object_at(container.data_uri), archive)
    unpack(archive, folder.model)
    archive.unlink()


def _data_uri(container: dict[str, Any]) -> str:
    uri: str | None = container.get("ModelDataUrl")
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is not None:
        uri = source["S3Uri"]
        if source["CompressionType"] == "None" and source["S3DataType"] == "S3Prefix":
            uri = f"{uri.rstrip('/')}/"
    if uri is None:
        raise ValidationException("A container must have a ModelDataUrl.")
    bucket_and_key(uri)
    return uri
