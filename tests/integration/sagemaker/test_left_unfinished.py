"""What a local SageMaker has not finished when it was killed ends when the next one starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from local_sagemaker import make_model, put_training_data, training_request, until
from refit_local.sagemaker.records.naming import ENDPOINT, MODEL_PACKAGE
from refit_local.sagemaker.records.store import RecordStore
from served_models import config, invoke, variant

if TYPE_CHECKING:
    from pathlib import Path

    from local_sagemaker import SageMakerLauncher

ENDPOINT_CHANGED = "SageMaker Endpoint State Change"
PACKAGE_CHANGED = "SageMaker Model Package State Change"


def records(folder: Path) -> RecordStore:
    [store] = {path.parent.parent for path in folder.rglob(f"{MODEL_PACKAGE}/*.json")} | {
        path.parent.parent for path in folder.rglob(f"{ENDPOINT}/*.json")
    }
    return RecordStore(store)


def test_the_event_of_a_package_that_was_not_published_is_published_after_a_kill(
    launcher: SageMakerLauncher, tmp_path: Path
) -> None:
    first = launcher.start(tmp_path)
    first.sagemaker.create_model_package_group(ModelPackageGroupName="left")
    arns = [
        first.sagemaker.create_model_package(ModelPackageGroupName="left")["ModelPackageArn"]
        for _ in range(2)
    ]
    first.service.shutdown()
    store = records(tmp_path)
    [unpublished] = [r for r in store.all(MODEL_PACKAGE) if r["ModelPackageArn"] == arns[1]]
    store.change(MODEL_PACKAGE, unpublished["_key"], _unpublished=True)
    second = launcher.start(tmp_path)
    second.sagemaker.list_model_packages(ModelPackageGroupName="left")
    assert [d["ModelPackageArn"] for d in second.published.of(PACKAGE_CHANGED)] == [arns[1]]


def test_an_update_that_a_kill_cuts_off_is_rolled_back_and_a_new_endpoint_fails(
    launcher: SageMakerLauncher, tmp_path: Path
) -> None:
    first = launcher.start(tmp_path)
    put_training_data(first)
    first.sagemaker.create_training_job(**training_request("for-left"))
    make_model(first, "left", first.trained("for-left")["ModelArtifacts"]["S3ModelArtifacts"])
    config(first, "old", variant("left"))
    first.sagemaker.create_endpoint(EndpointName="left", EndpointConfigName="old")
    first.settled("left")
    first.service.shutdown()
    store = records(tmp_path)
    pending = {"EndpointConfigName": "new", "StartTime": 1.0, "ProductionVariants": []}
    changed = store.change(
        ENDPOINT, "left", EndpointStatus="Updating", PendingDeploymentSummary=pending
    )
    assert changed is not None
    names = ("EndpointArn", "EndpointConfigName", "CreationTime", "LastModifiedTime")
    begun = {name: changed[name] for name in names}
    store.add(ENDPOINT, "begun", {**begun, "EndpointName": "begun", "EndpointStatus": "Creating"})

    second = launcher.start(tmp_path)
    updated = until(
        lambda: (d := second.settled("left")) and d.get("FailureReason") and d, "the rollback"
    )
    assert (updated["EndpointStatus"], updated["EndpointConfigName"]) == ("InService", "old")
    assert "Update to endpoint config new failed and was rolled back" in updated["FailureReason"]
    assert "PendingDeploymentSummary" not in updated
    assert invoke(second, "left")["InvokedProductionVariant"] == "left"
    created = second.sagemaker.describe_endpoint(EndpointName="begun")
    assert created["EndpointStatus"] == "Failed"
    failed = [d for d in second.published.of(ENDPOINT_CHANGED) if d["EndpointName"] == "begun"]
    assert [d["EndpointStatus"] for d in failed] == ["FAILED"]


def test_a_record_that_cannot_be_stored_is_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RecordStore(tmp_path)
    store.add(ENDPOINT, "full", {"EndpointStatus": "InService"})
    refuse = OSError(28, "No space left on device")
    monkeypatch.setattr("pathlib.Path.write_text", lambda *_: (_ for _ in ()).throw(refuse))
    with pytest.raises(OSError, match="No space left"):
        store.change(ENDPOINT, "full", EndpointStatus="Deleting")
    record = store.get(ENDPOINT, "full")
    assert record is not None
    assert record["EndpointStatus"] == "InService"
