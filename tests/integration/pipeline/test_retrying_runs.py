"""Ingest: a user runs the drop of an earlier run again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.naming import retry_id
from refit.domain.pipeline import drop_limits
from refit.domain.vocabulary import RunStatus
from refit.handlers import ingest
from refit.handlers.wiring import services
from refit.stores.registry import PackageVersion

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.fake_sagemaker import FakeSageMaker

if TYPE_CHECKING:
    from refit.domain.vocabulary import RunCause

OLD = "0f1e2d3c4b5a"
NEW = retry_id("digits", OLD)


def request(run: str = OLD) -> dict[str, Any]:
    """Return the event of SQS with a request to repeat a run."""
    event = sample("ingest_retry")
    body = json.loads(event["Records"][0]["body"])
    body["detail"]["run"] = run
    event["Records"][0]["body"] = json.dumps(body)
    return event


def ended_run(stack: Stack, status: RunStatus = RunStatus.FAILED, cause: RunCause = "drop") -> None:
    """Record a run that has ended, with one file whose version is not the latest."""
    version = stack.put("digits/raw/a.csv", "1,2\n")
    file = {
        "key": "digits/raw/a.csv",
        "version": version,
        "size": 4,
        "last_modified": "2026-11-20T10:00:00.000+00:00",
    }
    drop = {"model": "digits", "run": OLD, "cause": cause, "files": [file]}
    stack.put(f"digits/runs/{OLD}/drop.json", drop)
    stack.put("digits/raw/a.csv", "3,4\n")
    services().models.begin_run("digits", OLD, cause, None)
    services().models.update_run("digits", OLD, status=status)
    services().models.release_run("digits", OLD)


def notices(stack: Stack) -> list[str]:
    return [notice["Message"] for notice in stack.messages(stack.notices_queue)]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.REFUSED, RunStatus.DEPLOYED])
def test_the_same_file_versions_run_again_under_a_new_id(stack: Stack, status: RunStatus) -> None:
    ended_run(stack, status)
    assert ingest.handler(request(), CONTEXT) == {"batchItemFailures": []}
    assert stack.executions() == [f"digits-{NEW}"]
    old, new = (stack.get(f"digits/runs/{run}/drop.json") for run in (OLD, NEW))
    assert [file["version"] for file in new["files"]] == [file["version"] for file in old["files"]]
    assert (new["run"], new["retry_of"]) == (NEW, OLD)
    state = services().models.state("digits")
    assert (state.active_run, state.consumed_by) == (NEW, None)


def test_a_repeated_request_starts_nothing_even_after_the_new_run_has_ended(stack: Stack) -> None:
    ended_run(stack)
    for _ in range(2):
        ingest.handler(request(), CONTEXT)
    services().models.update_run("digits", NEW, status=RunStatus.FAILED)
    services().models.release_run("digits", NEW)
    ingest.handler(request(), CONTEXT)
    assert len(stack.executions()) == 1
    ingest.handler(request(NEW), CONTEXT)
    assert len(stack.executions()) == 2
    assert notices(stack) == []


def test_a_request_that_meets_an_active_run_starts_nothing_and_people_are_told(
    stack: Stack,
) -> None:
    ended_run(stack)
    services().models.begin_run("digits", "another00000", "drop", None)
    ingest.handler(request(), CONTEXT)
    assert stack.executions() == []
    [notice] = notices(stack)
    assert "another run of the model is active" in notice
    assert services().models.run("digits", NEW) is None


@pytest.mark.parametrize(
    ("status", "cause", "reason"),
    [
        (RunStatus.TRAINING, "drop", "it is TRAINING"),
        (RunStatus.AWAITING_APPROVAL, "drop", "it is AWAITING_APPROVAL"),
        (RunStatus.FAILED, "drift", "refit retrain"),
    ],
)
def test_a_run_that_cannot_be_repeated_starts_nothing(
    stack: Stack, status: RunStatus, cause: RunCause, reason: str
) -> None:
    ended_run(stack, status, cause)
    ingest.handler(request(), CONTEXT)
    assert stack.executions() == []
    assert reason in notices(stack)[0]


def test_an_unknown_run_starts_nothing(stack: Stack) -> None:
    ingest.handler(request(), CONTEXT)
    assert stack.executions() == []
    assert "no such run" in notices(stack)[0]


def test_a_drop_that_is_too_large_is_refused_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended_run(stack)
    monkeypatch.setattr(drop_limits, "MAX_DROP_BYTES", 3)
    for _ in range(2):
        ingest.handler(request(), CONTEXT)
    run = services().models.run("digits", NEW)
    assert run is not None
    assert (run.status, run.error) == (RunStatus.FAILED, "DropTooLarge")
    assert stack.executions() == []


def test_files_that_arrived_meanwhile_are_still_new(stack: Stack) -> None:
    ended_run(stack)
    ingest.handler(request(), CONTEXT)
    services().models.release_run("digits", NEW)
    event = sample("ingest")
    body = json.loads(event["Records"][0]["body"])
    body["detail"]["object"] |= {
        "key": "digits/raw/b.csv",
        "version-id": stack.put("digits/raw/b.csv"),
    }
    event["Records"][0]["body"] = json.dumps(body)
    ingest.handler(event, CONTEXT)
    latest = stack.get(f"digits/runs/{services().models.state('digits').active_run}/drop.json")
    assert [file["key"] for file in latest["files"]] == ["digits/raw/a.csv", "digits/raw/b.csv"]


def undeployed_run(
    stack: Stack, newest: PackageVersion | None, cause: RunCause = "drop"
) -> FakeSageMaker:
    """Record a run whose version 2 could not be deployed for lack of capacity."""
    ended_run(stack, cause=cause)
    services().models.record_version("digits", 2, OLD, "arn:package/2")
    values = {"error": "EndpointNotProvisioned", "deploy_execution_arn": "arn:execution:1"}
    services().models.update_run("digits", OLD, **values)
    fake = FakeSageMaker()
    fake.approved = newest
    stack.replace_clients(sagemaker=fake)
    return fake


@pytest.mark.parametrize("cause", ["drop", "drift"])
def test_a_version_that_aws_had_no_endpoint_for_is_deployed_again_without_training(
    stack: Stack, cause: RunCause
) -> None:
    undeployed_run(stack, PackageVersion(2, "arn:package/2", OLD), cause)
    for _ in range(2):  # the message may be delivered twice
        assert ingest.handler(request(), CONTEXT) == {"batchItemFailures": []}
    assert stack.executions() == []
    (deployment,) = stack.deployments()
    assert deployment["detail"] == {
        "ModelPackageGroupName": "refit-digits",
        "ModelPackageVersion": 2,
        "ModelPackageArn": "arn:package/2",
        "ModelApprovalStatus": "Approved",
    }
    assert notices(stack) == []
    services().models.update_run("digits", OLD, deploy_execution_arn="arn:execution:2")
    ingest.handler(request(), CONTEXT)
    assert len(stack.deployments()) == 2, "after another failure it starts once more"


@pytest.mark.parametrize("newest", [None, PackageVersion(3, "arn:package/3", "another00000")])
def test_a_version_that_should_not_be_live_any_more_is_trained_again(
    stack: Stack, newest: PackageVersion | None
) -> None:
    undeployed_run(stack, newest)
    ingest.handler(request(), CONTEXT)
    assert stack.deployments() == []
    assert stack.executions() == [f"digits-{NEW}"]
