"""CreateTransformJob and its describe, list and stop (contract B6)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.batching import FieldFilter
from refit_local.sagemaker.jobs.transform_run import TransformRun
from refit_local.sagemaker.machine.instances import instance
from refit_local.sagemaker.records.naming import TRANSFORM_JOB, now
from refit_local.sagemaker.records.store import NameTaken, Record
from refit_local.sagemaker.storage import bucket_and_key
from refit_local.sagemaker.wire.errors import (
    NotImplementedLocally,
    ResourceInUse,
    ResourceNotFound,
    ValidationException,
)
from refit_local.sagemaker.wire.listing import page
from refit_local.sagemaker.wire.requests import members_of

if TYPE_CHECKING:
    from refit_local.sagemaker.models.models import SageMakerModels
    from refit_local.sagemaker.platform import Platform

MAX_PAYLOAD_MB = 100
_SUMMARY = (
    "TransformJobName",
    "TransformJobArn",
    "CreationTime",
    "TransformEndTime",
    "LastModifiedTime",
    "TransformJobStatus",
    "FailureReason",
)


class TransformJobs:
    """The batch transform jobs of this ground."""

    def __init__(self, platform: Platform, models: SageMakerModels) -> None:
        self._platform = platform
        self._models = models
        self._runs: dict[str, TransformRun] = {}
        # Whoever sees a job can stop it: its record and its run appear together.
        self._appearing = threading.Lock()

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateTransformJob."""
        _check(request)
        container = self._models.container(request["ModelName"])
        name = request["TransformJobName"]
        arn = self._platform.arn(TRANSFORM_JOB, name)
        moment = now()
        source = {"CompressionType": "None", "SplitType": "None", **request["TransformInput"]}
        target = {"AssembleWith": "None", **request["TransformOutput"]}
        record: Record = {
            **members_of("DescribeTransformJob", request),
            "TransformJobArn": arn,
            "TransformJobStatus": "InProgress",
            "TransformInput": source,
            "TransformOutput": target,
            "DataProcessing": {
                "InputFilter": "$",
                "OutputFilter": "$",
                "JoinSource": "None",
                **request.get("DataProcessing", {}),
            },
            "CreationTime": moment,
            "LastModifiedTime": moment,
            "_tags": request.get("Tags", []),
        }
        try:
            with self._appearing:
                record = self._platform.store.add(TRANSFORM_JOB, name, record)
                run = self._runs[record["_key"]] = TransformRun(self._platform, record, container)
        except NameTaken as taken:
            raise ResourceInUse(
                "Job name must be unique within an AWS account and region, and a job with this "
                f"name already exists ({taken.record['TransformJobArn']})"
            ) from taken
        self._platform.events.transform_job(record)
        self._platform.background.start(f"transform job {name}", run.run)
        return {"TransformJobArn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeTransformJob."""
        return members_of("DescribeTransformJob", self._get(request["TransformJobName"]))

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListTransformJobs."""
        found, token = page(
            request,
            self._platform.store.all(TRANSFORM_JOB),
            name="TransformJobName",
            status="TransformJobStatus",
        )
        summaries = [{k: record[k] for k in _SUMMARY if k in record} for record in found]
        return {"TransformJobSummaries": summaries, **token}

    def stop(self, request: dict[str, Any]) -> dict[str, Any]:
        """StopTransformJob."""
        record = self._get(request["TransformJobName"])
        status = record["TransformJobStatus"]
        if status not in ("InProgress", "Stopping"):
            raise ValidationException(
                f"The request was rejected because the transform job is in status {status}."
            )
        with self._appearing:
            run = self._runs[record["_key"]]
        run.request_stop()
        return {}

    def resume(self) -> None:
        """Fail the jobs that an earlier process left unfinished."""
        for record in self._platform.store.all(TRANSFORM_JOB):
            if record["TransformJobStatus"] in ("InProgress", "Stopping"):
                TransformRun(self._platform, record, None).abandon()

    def end(self) -> None:
        """End all running jobs."""
        for run in list(self._runs.values()):
            run.end()

    def _get(self, name: str) -> Record:
        record = self._platform.store.get(TRANSFORM_JOB, name)
        if record is None:
            arn = self._platform.arn(TRANSFORM_JOB, name)
            raise ResourceNotFound(f'Could not find requested job with name: {name} ("{arn}").')
        return record


def _check(request: dict[str, Any]) -> None:
    """Check what the service model cannot say."""
    if "DataCaptureConfig" in request:
        raise NotImplementedLocally("DataCaptureConfig of a transform job")
    resources = request["TransformResources"]
    if resources["InstanceCount"] != 1:
        raise NotImplementedLocally("a transform job on several instances: InstanceCount must be 1")
    instance(resources["InstanceType"])
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise NotImplementedLocally(f"S3DataType {source['S3DataType']}")
    bucket_and_key(source["S3Uri"])
    bucket_and_key(request["TransformOutput"]["S3OutputPath"])
    split = request["TransformInput"].get("SplitType", "None")
    if split not in ("None", "Line"):
        raise NotImplementedLocally(f"SplitType {split}")
    payload_mb = request.get("MaxPayloadInMB", 6)
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
    joins = processing.get("JoinSource", "None") == "Input"
    if not joins and all(kept.keeps_all for kept in filters):
        return
    content_type = request["TransformInput"].get("ContentType", "")
    if content_type.partition(";")[0].strip().lower() not in ("text/csv", "csv"):
        raise NotImplementedLocally(f"DataProcessing of {content_type or 'no ContentType'}")
    if joins and split != "Line":
        raise ValidationException("JoinSource Input needs the SplitType Line.")
