"""Somebody deletes, stops or rejects what Refit has made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tests.chaos.fault import Needs, NotSurvived, fault
from tests.chaos.orders import requested
from tests.chaos.redelivery import objects, send_events_again
from tests.chaos.subject import RUN_S

if TYPE_CHECKING:
    from tests.chaos.subject import Subject


def _group(subject: Subject) -> str:
    return f"refit-{subject.model}"


def _packages(subject: Subject, **filters: str) -> list[str]:
    """Return the ARNs of the model's packages, newest first."""
    listed = subject.user.client("sagemaker").list_model_packages(
        ModelPackageGroupName=_group(subject),
        SortBy="CreationTime",
        SortOrder="Descending",
        **filters,
    )
    return [package["ModelPackageArn"] for package in listed["ModelPackageSummaryList"]]


def _delete_packages(subject: Subject) -> int:
    packages = _packages(subject)
    for arn in packages:
        subject.user.client("sagemaker").delete_model_package(ModelPackageName=arn)
    return len(packages)


def _delete_objects(subject: Subject, prefix: str, ending: str = "") -> int:
    """Delete the objects below a prefix of the model; their versions stay, as on AWS."""
    s3, bucket = subject.user.client("s3"), subject.user.bucket
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"{subject.model}/{prefix}"
    )
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    selected = [key for key in keys if key.endswith(ending)]
    for key in selected:
        s3.delete_object(Bucket=bucket, Key=key)
    if not selected:
        raise NotSurvived(f"there is no object {subject.model}/{prefix}*{ending} to delete")
    return len(selected)


def _delete_item(subject: Subject, sk: str) -> None:
    subject.user.client("dynamodb").delete_item(
        TableName=subject.user.outputs["ModelTableName"],
        Key={"pk": {"S": f"MODEL#{subject.model}"}, "sk": {"S": sk}},
    )


def _drop_until(subject: Subject, *statuses: str) -> dict[str, Any]:
    before = subject.last_run()
    subject.drop()
    return subject.wait_for_new_run(before, *statuses)


def _note_end(subject: Subject) -> None:
    subject.wait_until_at_rest()
    run = subject.last_run()
    subject.note = f"{run['status']} {run.get('error', '')}".strip()


@fault("deleted-raw-file", "the dropped file is deleted while its run prepares it")
def _raw_file(subject: Subject) -> int:
    _drop_until(subject)
    times = _delete_objects(subject, f"raw/{subject.last_drop}")
    _note_end(subject)
    return times


@fault("deleted-splits", "train.csv is deleted in mid-run")
def _splits(subject: Subject) -> int:
    run = _drop_until(subject, "TRAINING", "EVALUATING")
    times = _delete_objects(subject, f"runs/{run['run']}/", "train.csv")
    _note_end(subject)
    return times


@fault("deleted-model-file", "model.tar.gz is deleted before it is evaluated or deployed")
def _model_file(subject: Subject) -> int:
    _drop_until(subject, "EVALUATING")
    run = subject.last_run()["run"]
    times = subject.wait(
        lambda: _delete_objects_or_none(subject, f"runs/{run}/", "model.tar.gz"), "model.tar.gz"
    )
    _note_end(subject)
    return int(times)


def _delete_objects_or_none(subject: Subject, prefix: str, ending: str) -> int | None:
    try:
        return _delete_objects(subject, prefix, ending)
    except NotSurvived:
        return None


def _restore_objects(subject: Subject, prefix: str, ending: str) -> None:
    """Remove the delete markers of objects, which the bucket's versions make possible."""
    s3, bucket = subject.user.client("s3"), subject.user.bucket
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=f"{subject.model}/{prefix}"
    )
    markers = [entry for page in pages for entry in page.get("DeleteMarkers", [])]
    for marker in markers:
        if marker["Key"].endswith(ending):
            s3.delete_object(Bucket=bucket, Key=marker["Key"], VersionId=marker["VersionId"])


def _add_file_of_live_version(name: str) -> None:
    @fault(
        f"deleted-{name.removesuffix('.json')}",
        f"{name} of the live version is deleted under traffic and in a run, and later restored",
        Needs.NEW_MODEL,
    )
    def inject(subject: Subject) -> int:
        subject.require_exact()
        prefix = f"runs/{subject.last_run()['run']}/"
        times = _delete_objects(subject, prefix, name)
        _check_drift(subject)
        subject.drop()
        subject.require_deployed()
        _restore_objects(subject, prefix, name)
        return times


for _file in ("schema.json", "baseline.json", "profile.json"):
    _add_file_of_live_version(_file)


def _check_drift(subject: Subject) -> None:
    queue = subject.user.physical_id("CheckDriftQueue")
    body = f'{{"model": "{subject.model}"}}'
    subject.user.client("sqs").send_message(QueueUrl=queue, MessageBody=body)


@fault("deleted-captures", "capture files are deleted, and the labels come later")
def _captures(subject: Subject) -> int:
    answered = subject.predicted(100)
    times = _delete_objects(subject, "capture/")
    subject.client.label(answered)
    return times


@fault("deleted-captures-retrained", "capture files are deleted before a retraining needs them")
def _captures_retrained(subject: Subject) -> int:
    subject.require_exact()
    times = _delete_objects(subject, "capture/")
    before = subject.last_run()
    response = requested(subject, "retrain")
    if not response.ok:
        raise NotSurvived(f"the retraining was answered {response.status_code}: {response.text}")
    subject.wait_for_new_run(before)
    _note_end(subject)
    return times


@fault("deleted-ledger", "the slices of the ledger are deleted before a retraining needs them")
def _ledger(subject: Subject) -> int:
    subject.require_exact()
    times = _delete_objects(subject, "labelled/")
    requested(subject, "retrain")
    return times


@fault("deleted-run-item", "the item of the active run is deleted", Needs.NEW_MODEL)
def _run_item(subject: Subject) -> int:
    run = _drop_until(subject, "TRAINING")
    _delete_item(subject, f"RUN#{run['run']}")
    return 1


@fault("deleted-state-item", "the item STATE of a live model is deleted", Needs.NEW_MODEL)
def _state_item(subject: Subject) -> int:
    _delete_item(subject, "STATE")
    return 1


@fault("deleted-state-item-in-run", "the item STATE is deleted in mid-run", Needs.NEW_MODEL)
def _state_item_in_run(subject: Subject) -> int:
    _drop_until(subject, "TRAINING")
    _delete_item(subject, "STATE")
    return 1


@fault(
    "deleted-version-item",
    "the item of the live version is deleted under traffic, and later restored",
    Needs.NEW_MODEL,
)
def _version_item(subject: Subject) -> int:
    version = int(subject.user.state(subject.model)["champion"]["version"])
    table, dynamodb = subject.user.outputs["ModelTableName"], subject.user.client("dynamodb")
    sk = f"VERSION#{version:010d}"
    key = {"pk": {"S": f"MODEL#{subject.model}"}, "sk": {"S": sk}}
    item = dynamodb.get_item(TableName=table, Key=key)["Item"]
    _delete_item(subject, sk)
    subject.wait(lambda: objects(subject, "quarantine/capture/") or None, "captures in quarantine")
    dynamodb.put_item(TableName=table, Item=item)
    send_events_again(subject, "IngestCapturesQueue", "capture/")
    return 1


@fault("deleted-inference-items", "recorded predictions are deleted, and their labels come later")
def _inference_items(subject: Subject) -> int:
    answered = subject.predicted()
    table, client = subject.user.outputs["InferenceTableName"], subject.user.client("dynamodb")
    keys = [{"id": {"S": f"{subject.model}#{name}"}} for name in answered.labels]
    for key in keys:
        client.delete_item(TableName=table, Key=key)
    statuses = {result["status"] for result in subject.label(answered.records())}
    if not statuses <= {"held", "repeat"}:  # a repeat if the first answer was lost
        raise NotSurvived(f"labels of deleted predictions are {statuses}, and not held")
    return len(keys)


@fault("deleted-endpoint", "the endpoint is deleted under traffic", Needs.NEW_MODEL)
def _endpoint(subject: Subject) -> int:
    subject.user.client("sagemaker").delete_endpoint(EndpointName=_group(subject))
    return 1


@fault("deleted-endpoint-in-run", "the endpoint is deleted while a version is deployed")
def _endpoint_in_run(subject: Subject) -> int:
    _drop_until(subject, "DEPLOYING")
    subject.user.client("sagemaker").delete_endpoint(EndpointName=_group(subject))
    _note_end(subject)
    return 1


@fault("deleted-endpoint-config", "somebody tries to delete the config of the live endpoint")
def _endpoint_config(subject: Subject) -> int:
    """Demand what AWS documents: a config in use cannot be deleted."""
    sagemaker = subject.user.client("sagemaker")
    live = sagemaker.describe_endpoint(EndpointName=_group(subject))["EndpointConfigName"]
    try:
        sagemaker.delete_endpoint_config(EndpointConfigName=live)
    except ClientError as error:
        subject.note = f"refused: {error.response['Error']['Code']}"
    return 1


@fault("deleted-packages", "all packages of the model are deleted")
def _all_packages(subject: Subject) -> int:
    return _delete_packages(subject)


@fault("deleted-group-in-run", "packages and their group are deleted in mid-run", Needs.NEW_MODEL)
def _package_group(subject: Subject) -> int:
    _drop_until(subject, "TRAINING")
    _delete_packages(subject)
    group = _group(subject)
    subject.user.client("sagemaker").delete_model_package_group(ModelPackageGroupName=group)
    _note_end(subject)
    return 1


@fault("rejected-before-deployment", "a version is rejected the moment it is registered")
def _rejected(subject: Subject) -> int:
    newest = _packages(subject)[:1]
    _drop_until(subject)
    subject.wait(
        lambda: _packages(subject)[:1] if _packages(subject)[:1] != newest else None, "a package"
    )
    subject.user.client("sagemaker").update_model_package(
        ModelPackageArn=_packages(subject)[0], ModelApprovalStatus="Rejected"
    )
    _note_end(subject)
    return 1


@fault("rejected-live-version", "the live version is rejected under traffic")
def _rejected_live(subject: Subject) -> int:
    version = subject.user.state(subject.model)["champion"]["version"]
    live, *before = _packages(subject, ModelApprovalStatus="Approved")
    subject.user.client("sagemaker").update_model_package(
        ModelPackageArn=live, ModelApprovalStatus="Rejected"
    )

    def is_replaced() -> bool | None:
        champion = subject.user.state(subject.model).get("champion") or {}
        return champion.get("version") != version or None

    if before:
        subject.wait(is_replaced, "the version before it", RUN_S)
    return 1


@fault("stopped-training", "the execution of TRAIN is stopped by hand")
def _stopped_training(subject: Subject) -> int:
    run = _drop_until(subject, "TRAINING", "EVALUATING")
    subject.user.client("stepfunctions").stop_execution(executionArn=run["train_execution_arn"])
    _note_end(subject)
    return 1


@fault("stopped-deployment", "the execution of DEPLOY is stopped by hand")
def _stopped_deployment(subject: Subject) -> int:
    subject.drop()
    arn = subject.wait(
        lambda: subject.user.state(subject.model).get("deployment_execution"), "the deployment"
    )
    subject.user.client("stepfunctions").stop_execution(executionArn=arn)
    _note_end(subject)
    return 1


@fault("stopped-training-job", "the training job is stopped by hand")
def _stopped_job(subject: Subject) -> int:
    sagemaker = subject.user.client("sagemaker")
    subject.drop()

    def job() -> str | None:
        listed = sagemaker.list_training_jobs(
            NameContains=f"{_group(subject)}-", StatusEquals="InProgress"
        )["TrainingJobSummaries"]
        return listed[0]["TrainingJobName"] if listed else None

    sagemaker.stop_training_job(TrainingJobName=subject.wait(job, "a training job"))
    _note_end(subject)
    return 1
