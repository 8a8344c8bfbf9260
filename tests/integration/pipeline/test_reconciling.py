"""Locks come back when their holder ended unseen, at the end of anything and at every check."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from refit.domain.moments import utc_now
from refit.domain.naming import deployment_id
from refit.domain.pipeline.model_state import ModelState
from refit.domain.pipeline.reconciliation import GRACE
from refit.domain.vocabulary import RunStatus
from refit.handlers import check_drift, end_stopped_run
from refit.handlers.wiring import services
from refit.stores.registry import PackageVersion
from refit.usecases.finish_run import finish_run
from refit.usecases.ingest_drop import DropMessage, ingest_drop
from refit.usecases.reconcile_model import reconcile_model
from refit.usecases.record_outcome import RunOutcome
from refit.usecases.start_run import start_run

from tests.support.aws_stack import CONTEXT, REGION, Stack
from tests.support.events import sample
from tests.support.fake_sagemaker import FakeSageMaker
from tests.support.model_files import champion

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit.domain.pipeline.run import Run

RUN = "0f1e2d3c4b5a"


@pytest.fixture
def sagemaker(stack: Stack) -> FakeSageMaker:
    fake = FakeSageMaker()
    stack.replace_clients(sagemaker=fake)
    services().models.begin_run("digits", RUN, "drop", None)
    return fake


def started() -> str:
    """Start the execution of the run and return its ARN."""
    start_run(services(), "digits", RUN)
    return recorded().train_execution_arn or ""


def recorded() -> Run:
    run = services().models.run("digits", RUN)
    assert run is not None
    return run


def wait_for_deployment(sagemaker: FakeSageMaker) -> None:
    """Bring the run to where its version is approved and its deployment has not begun."""
    services().models.record_version("digits", 2, RUN, "arn:package/2")
    services().models.update_run("digits", RUN, status=RunStatus.DEPLOYING)
    sagemaker.approved = PackageVersion(2, "arn:package/2", RUN)


def stop(execution: str) -> None:
    boto3.client("stepfunctions", REGION).stop_execution(executionArn=execution)


def check() -> None:
    """Do what the schedule does for a model."""
    body = json.dumps({"model": "digits"})
    event = sample("check_drift")
    event["Records"][0]["body"] = body
    assert check_drift.handler(event, CONTEXT) == {"batchItemFailures": []}


def locks() -> tuple[str | None, str | None]:
    state = services().models.state("digits")
    return state.active_run, state.deployment


def ended_event(execution: str, version: int = 2) -> dict[str, Any]:
    event = sample("end_stopped_run")
    detail = {"ModelPackageGroupName": "refit-digits", "ModelPackageVersion": version}
    event["detail"] |= {
        "executionArn": execution,
        "status": "FAILED",
        "error": "Lambda.Unknown",
        "cause": "the function ended without a word",
        "input": json.dumps({"detail": detail}),
    }
    return event


def test_a_check_ends_a_run_whose_execution_was_stopped_and_whose_event_was_lost(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    stop(started())
    check()
    assert recorded().status == "FAILED"
    assert "was stopped" in (recorded().message or "")
    assert locks() == (None, None)
    (notice,) = stack.messages(stack.notices_queue)
    assert "FAILED" in notice["Subject"]


def run_seconds(capsys: pytest.CaptureFixture[str]) -> list[float]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [value for line in lines for value in line.get("RunSeconds", [])]


def test_the_duration_of_a_run_is_published_once_when_it_ends(
    sagemaker: FakeSageMaker, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    started()
    waits = RunOutcome("digits", RUN, RunStatus.AWAITING_APPROVAL, "approve it")
    finish_run(services(), waits)
    (elapsed_s,) = run_seconds(capsys)
    assert 0 <= elapsed_s < 60
    # Its version was approved later: the run does not last until then.
    finish_run(services(), replace(waits, status=RunStatus.DEPLOYED, message="live"))
    assert run_seconds(capsys) == []


class EndsMeanwhile:
    """A client of Step Functions whose execution ends, with its outcome, when it is described."""

    def __init__(self, finish: Callable[[], None]) -> None:
        self._finish = finish

    def describe_execution(self, executionArn: str) -> dict[str, str]:
        self._finish()
        return {"status": "SUCCEEDED", "input": json.dumps({"model": "digits", "run": RUN})}


def test_a_check_does_not_fail_a_run_that_ends_while_the_check_reads(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    started()
    refused = RunOutcome("digits", RUN, RunStatus.REFUSED, "worse than the champion")
    plain = replace(stack.services)
    ending = EndsMeanwhile(lambda: finish_run(plain, refused))
    ended = reconcile_model(stack.with_clients(stepfunctions=ending), "digits")
    assert ended == []
    assert (recorded().status, recorded().message) == ("REFUSED", "worse than the champion")


def test_a_check_does_not_fail_a_deployment_that_is_promoted_while_the_check_reads(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    started()
    wait_for_deployment(sagemaker)
    execution = stack.start_deployment("refit-digits", 2)
    deployment = deployment_id(execution)
    services().models.begin_deployment("digits", deployment, execution)
    services().models.name_deployment("digits", deployment, RUN, execution)
    plain = replace(stack.services)

    def promote() -> None:
        plain.models.promote("digits", champion(2, RUN))
        live = RunOutcome("digits", RUN, RunStatus.DEPLOYED, "live", deployment=deployment)
        finish_run(plain, live)

    ending = EndsMeanwhile(promote)
    ended = reconcile_model(stack.with_clients(stepfunctions=ending), "digits")
    assert ended == []
    assert (recorded().status, locks()) == ("DEPLOYED", (None, None))


def test_a_check_of_a_model_without_locks_costs_one_read(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    monkeypatch.setattr(
        services().models, "state", lambda model: reads.append(model) or ModelState()
    )
    reconcile_model(services(), "digits")
    assert reads == ["digits"]


def test_a_check_leaves_a_run_alone_whose_execution_runs(sagemaker: FakeSageMaker) -> None:
    started()
    check()
    assert (recorded().status, locks()) == ("STARTED", (RUN, None))


def test_a_check_has_a_run_started_that_was_begun_and_not_started(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    check()
    assert stack.messages(stack.ingest_queue) == []
    reconcile_model(stack.at(utc_now() + GRACE + timedelta(minutes=1)), "digits")
    assert stack.messages(stack.ingest_queue) == [{"model": "digits"}]
    assert locks() == (RUN, None)


def test_a_state_function_that_dies_before_it_holds_the_lock_ends_the_run(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    started()
    wait_for_deployment(sagemaker)
    execution = stack.start_deployment("refit-digits", 2)
    stop(execution)
    assert end_stopped_run.handler(ended_event(execution), CONTEXT) == {"ended": RUN}
    assert recorded().message == "the function ended without a word"
    assert locks() == (None, None)


def test_a_deployment_that_ended_unseen_gives_both_locks_back_at_the_next_check(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    started()
    wait_for_deployment(sagemaker)
    execution = stack.start_deployment("refit-digits", 2)
    deployment = deployment_id(execution)
    services().models.begin_deployment("digits", deployment, execution)
    services().models.name_deployment("digits", deployment, RUN, execution)
    check()
    assert locks() == (RUN, deployment), "the execution runs"
    stop(execution)
    check()
    assert locks() == (None, None)
    assert recorded().status == "FAILED"


def test_a_run_waits_for_an_execution_that_waits_for_another_deployment(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    started()
    wait_for_deployment(sagemaker)
    waiting = stack.start_deployment("refit-digits", 2)
    later = stack.at(utc_now() + GRACE + timedelta(minutes=1))
    reconcile_model(later, "digits")
    assert recorded().status == "DEPLOYING"
    stop(waiting)
    stack.start_deployment("refit-other", 1)
    reconcile_model(later, "digits")
    assert (recorded().status, recorded().error) == ("FAILED", "DeploymentNotStarted")
    assert locks() == (None, None)


def test_pending_data_is_ingested_when_a_check_gives_the_lock_back(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    execution = started()
    services().models.mark_pending("digits")
    stop(execution)
    check()
    assert stack.messages(stack.ingest_queue) == [{"model": "digits"}]


def test_a_version_that_was_rejected_unseen_ends_its_run(
    sagemaker: FakeSageMaker,
) -> None:
    started()
    wait_for_deployment(sagemaker)
    sagemaker.approved = None
    sagemaker.packages["arn:package/2"] = PackageVersion(2, "arn:package/2", RUN, "Rejected")
    check()
    assert (recorded().status, recorded().error) == ("FAILED", "VersionRejected")
    assert locks() == (None, None)


def await_approval(sagemaker: FakeSageMaker, approval: str) -> None:
    """Bring the run to where its version waited for an approval, and has this one now."""
    services().models.record_version("digits", 2, RUN, "arn:package/2")
    waits = RunOutcome("digits", RUN, RunStatus.AWAITING_APPROVAL, "approve it")
    finish_run(services(), waits)
    package = PackageVersion(2, "arn:package/2", RUN, approval, changed_at=utc_now())
    sagemaker.packages[package.arn] = package
    sagemaker.approved = package if approval == "Approved" else None


def test_a_check_leaves_a_version_alone_that_waits_for_its_approval(
    sagemaker: FakeSageMaker,
) -> None:
    await_approval(sagemaker, "PendingManualApproval")
    check()
    assert recorded().status == "AWAITING_APPROVAL"


def test_a_version_that_a_person_rejected_unseen_ends_its_run_as_refused(
    sagemaker: FakeSageMaker,
) -> None:
    await_approval(sagemaker, "Rejected")
    check()
    assert (recorded().status, recorded().message) == ("REFUSED", "version 2 was rejected")


def test_a_deployment_that_dies_before_its_lock_ends_the_run_that_a_person_approved(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    await_approval(sagemaker, "Approved")
    execution = stack.start_deployment("refit-digits", 2)
    check()
    assert recorded().status == "AWAITING_APPROVAL", "its deployment runs"
    stop(execution)
    assert end_stopped_run.handler(ended_event(execution), CONTEXT) == {"ended": RUN}
    assert (recorded().status, locks()) == ("FAILED", (None, None))


def test_an_approval_whose_event_was_lost_ends_the_run_and_says_how_to_deploy(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    await_approval(sagemaker, "Approved")
    check()
    assert recorded().status == "AWAITING_APPROVAL", "the event may be late"
    reconcile_model(stack.at(utc_now() + GRACE + timedelta(minutes=1)), "digits")
    assert (recorded().status, recorded().error) == ("FAILED", "DeploymentNotStarted")
    assert "refit approve digits 2" in (recorded().message or "")


def test_pending_data_is_ingested_though_its_process_died_after_it_released_the_lock(
    sagemaker: FakeSageMaker, stack: Stack
) -> None:
    services().models.mark_pending("digits")
    services().models.release_run("digits", RUN)
    check()
    assert stack.messages(stack.ingest_queue) == [{"model": "digits"}]


def test_a_drop_folder_without_new_files_ends_the_wait_for_pending_data(
    sagemaker: FakeSageMaker,
) -> None:
    services().models.mark_pending("digits")
    services().models.release_run("digits", RUN)
    ingest_drop(services(), "digits", [DropMessage()])
    assert not services().models.state("digits").pending


def test_a_deployment_lock_that_names_no_execution_is_released(sagemaker: FakeSageMaker) -> None:
    services().models.begin_deployment("digits", "d1", "")
    check()
    assert locks() == (RUN, None)


def test_a_run_that_was_stopped_leaves_no_sagemaker_model(sagemaker: FakeSageMaker) -> None:
    execution = started()
    of_run = [f"refit-digits-{RUN}-{kind}" for kind in ("features", "ensemble", "f1-0", "0")]
    trial = f"refit-{RUN}-0-003-01234567"
    others = [f"refit-digits-2-{RUN}-0", "refit-digits-v1-01234567"]
    sagemaker.models = [*of_run, trial, *others]
    stop(execution)
    check()
    deleted = [
        request["ModelName"] for name, request in sagemaker.changes if name == "delete_model"
    ]
    assert deleted == [*of_run, trial]
