"""CreateTransformJob, DescribeTransformJob, ListTransformJobs and StopTransformJob.

Source  docs/sagemaker-contract.md, "Batch transform"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.batching import FieldFilter
from refit_local.sagemaker.jobs.jobs import Jobs
from refit_local.sagemaker.jobs.transform_run import TransformRun
from refit_local.sagemaker.machine.instances import instance_type
from refit_local.sagemaker.records.job_kinds import TRANSFORM
from refit_local.sagemaker.storage import bucket_and_key
from refit_local.sagemaker.wire.errors import NotImplementedLocally, ValidationException

if TYPE_CHECKING:
    from refit_local.sagemaker.models.models import SageMakerModels
    from refit_local.sagemaker.platform import Platform
    from refit_local.sagemaker.records.store import Record

MAX_PAYLOAD_MB = 100
_DEFAULT_PAYLOAD_MB = 6


class TransformJobs(Jobs):
    """The batch transform jobs of this local SageMaker."""

    kind = TRANSFORM
    run_class = TransformRun
    name_taken = (
        "Job name must be unique within an AWS account and region, and a job with this name "
        "already exists ({arn})"
    )
    not_found = 'Could not find requested job with name: {name} ("{arn}").'

    def __init__(self, platform: Platform, models: SageMakerModels) -> None:
        super().__init__(platform)
        self._models = models

    def _initial_members(self, request: dict[str, Any], created_at: float) -> Record:
        _check(request)
        container = self._models.container(request["ModelName"])
        return {
            "TransformInput": {
                "CompressionType": "None",
                "SplitType": "None",
                **request["TransformInput"],
            },
            "TransformOutput": {"AssembleWith": "None", **request["TransformOutput"]},
            "DataProcessing": {
                "InputFilter": "$",
                "OutputFilter": "$",
                "JoinSource": "None",
                **request.get("DataProcessing", {}),
            },
            # The model may be deleted before the job has its share of the machine.
            "_container": vars(container),
        }


def _check(request: dict[str, Any]) -> None:
    if "DataCaptureConfig" in request:
        raise NotImplementedLocally("DataCaptureConfig of a transform job")
    resources = request["TransformResources"]
    if resources["InstanceCount"] != 1:
        raise NotImplementedLocally("a transform job on several instances: InstanceCount must be 1")
    instance_type(resources["InstanceType"])
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise NotImplementedLocally(f"S3DataType {source['S3DataType']}")
    bucket_and_key(source["S3Uri"])
    bucket_and_key(request["TransformOutput"]["S3OutputPath"])
    split = request["TransformInput"].get("SplitType", "None")
    if split not in ("None", "Line"):
        raise NotImplementedLocally(f"SplitType {split}")
    payload_mb = request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB)
    concurrent = max(request.get("MaxConcurrentTransforms", 1), 1)
    if payload_mb * concurrent > MAX_PAYLOAD_MB:
        raise ValidationException(
            f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed {MAX_PAYLOAD_MB} MB."
        )
    _check_processing(request, split)


def _check_processing(request: dict[str, Any], split: str) -> None:
    processing = request.get("DataProcessing", {})
    filters = [
        FieldFilter(processing.get(member, "$")) for member in ("InputFilter", "OutputFilter")
    ]
    joins_input = processing.get("JoinSource", "None") == "Input"
    if not joins_input and all(field_filter.keeps_all for field_filter in filters):
        return
    content_type = request["TransformInput"].get("ContentType", "")
    if content_type.partition(";")[0].strip().lower() not in ("text/csv", "csv"):
        raise NotImplementedLocally(f"DataProcessing of {content_type or 'no ContentType'}")
    if joins_input and split != "Line":
        raise ValidationException("JoinSource Input needs the SplitType Line.")
