"""What becomes of the run and the locks of a model, by what its executions have done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.pipeline.failure import Failure
from refit.domain.pipeline.model_state import Champion, ModelState
from refit.domain.pipeline.reconciliation import (
    GRACE,
    EndRun,
    ExecutionState,
    ModelFacts,
    OpenRun,
    ReleaseDeploymentLock,
    ReleaseRunLock,
    StartPendingDrop,
    StartTraining,
    VersionState,
    outcome_of_undeployed,
    reconcile,
)
from refit.domain.pipeline.run import Run
from refit.domain.vocabulary import RunStatus

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SOON, LATE = NOON + timedelta(minutes=1), NOON + GRACE + timedelta(minutes=1)
CHAMPION = Champion(
    version=1,
    run="old",
    package_arn="arn:1",
    endpoint="refit-m",
    endpoint_config="refit-m-v1",
    variant="v1",
    promoted_at=NOON.isoformat(),
)


def run(status: str = "TRAINING", name: str = "new", **more: Any) -> Run:
    return Run(
        run=name,
        model="m",
        cause="drop",
        status=RunStatus(status),
        started_at=NOON,
        updated_at=NOON,
        **{"train_execution_arn": "arn:train", **more},
    )


def training(status: str, failure: Failure | None = None) -> ExecutionState:
    return ExecutionState("arn:train", status, failure)


def deployment(status: str, version: int | None = 2) -> ExecutionState:
    failure = Failure("DatasetNotFound", "no manifest") if status == "FAILED" else None
    return ExecutionState("arn:deploy", status, failure, is_deployment=True, version=version)


def locked(active: Run | None, **more: Any) -> ModelFacts:
    state = more.pop("state", {})
    holder = {"active_run": active.run} if active else {}
    return ModelFacts(state=ModelState(**holder, **state), run=active, **more)


def deploying(**more: Any) -> ModelFacts:
    """Return facts about a run that was registered as version 2 and waits for its deployment."""
    version = more.pop("version", VersionState(2, "Approved", 2))
    active = run("DEPLOYING", version=2, package_arn="arn:2")
    return locked(active, training=training("SUCCEEDED"), version=version, **more)


def ended(steps: list[Any]) -> EndRun:
    (end,) = (step for step in steps if isinstance(step, EndRun))
    return end


def test_a_run_whose_training_is_going_on_keeps_the_lock() -> None:
    assert reconcile(locked(run(), training=training("RUNNING")), LATE) == []


@pytest.mark.parametrize("status", [status for status in RunStatus if status.is_final])
def test_a_run_that_has_ended_gives_the_lock_back(status: RunStatus) -> None:
    assert reconcile(locked(run(status)), SOON) == [ReleaseRunLock("new")]


def test_a_lock_of_a_run_that_does_not_exist_is_released() -> None:
    facts = ModelFacts(state=ModelState(active_run="gone"))
    assert reconcile(facts, SOON) == [ReleaseRunLock("gone")]


@pytest.mark.parametrize(
    ("status", "name", "text"),
    [
        ("ABORTED", "Aborted", "was stopped: arn:train"),
        ("TIMED_OUT", "TimedOut", "timed out: arn:train"),
        ("FAILED", "Failed", "the execution failed: arn:train"),
        ("GONE", "Gone", "does not exist any more: arn:train"),
        ("SUCCEEDED", "Succeeded", "ended without the outcome of its run"),
    ],
)
def test_a_run_whose_training_ended_without_its_outcome_fails_and_says_how(
    status: str, name: str, text: str
) -> None:
    steps = reconcile(locked(run(), training=training(status)), SOON)
    end = ended(steps)
    assert (end.status, end.failure and end.failure.name) == (RunStatus.FAILED, name)
    assert text in end.message
    assert steps[-1] == ReleaseRunLock("new")


def test_a_run_whose_execution_was_never_started_is_started_when_it_is_late() -> None:
    facts = locked(run("STARTED", train_execution_arn=None))
    assert reconcile(facts, SOON) == []
    assert reconcile(facts, LATE) == [StartTraining("new")]


def test_no_run_of_a_model_that_is_being_removed_is_started() -> None:
    begun = run("STARTED", train_execution_arn=None)
    assert reconcile(locked(begun, state={"removing_since": NOON}), LATE) == []


def test_a_version_waits_for_the_event_of_its_approval() -> None:
    assert reconcile(deploying(), SOON) == []
    assert reconcile(deploying(deployment_may_come=True), LATE) == []


def test_a_version_that_no_execution_takes_up_fails_its_run() -> None:
    end = ended(reconcile(deploying(), LATE))
    assert (end.status, end.failure and end.failure.name) == (
        RunStatus.FAILED,
        "DeploymentNotStarted",
    )
    assert "`refit reject m 2` and then `refit approve m 2`" in end.message


def test_a_deployment_that_failed_before_it_held_its_lock_fails_the_run_at_once() -> None:
    steps = reconcile(deploying(ended=deployment("FAILED")), SOON)
    assert ended(steps).message == "no manifest"
    assert steps[-1] == ReleaseRunLock("new")


def test_a_deployment_that_failed_before_it_named_its_run_gives_both_locks_back() -> None:
    state = {"deployment": "d", "deployment_execution": "arn:deploy"}
    steps = reconcile(deploying(state=state, deployment=deployment("FAILED")), SOON)
    assert [type(step) for step in steps] == [ReleaseDeploymentLock, EndRun, ReleaseRunLock]


def test_the_failed_deployment_of_another_version_does_not_fail_the_run() -> None:
    assert reconcile(deploying(ended=deployment("FAILED", version=1)), SOON) == []


def test_a_late_event_of_a_failed_execution_does_not_fail_a_run_that_another_one_deploys() -> None:
    facts = deploying(
        ended=deployment("FAILED"),
        state={"deployment": "e", "deployment_execution": "arn:e", "deployment_run": "new"},
        deployed_run=run("DEPLOYING"),
        deployment=ExecutionState("arn:e", "RUNNING", is_deployment=True, version=2),
    )
    assert reconcile(facts, LATE) == []


def test_a_run_waits_while_the_version_of_another_run_is_deployed() -> None:
    facts = deploying(
        state={"deployment": "e", "deployment_execution": "arn:e", "deployment_run": "old"},
        deployed_run=run("DEPLOYING", name="old"),
        deployment=ExecutionState("arn:e", "RUNNING", is_deployment=True, version=1),
    )
    assert reconcile(facts, LATE) == []


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED", "GONE"])
def test_a_deployment_whose_execution_ended_unseen_ends_its_run_and_releases_its_lock(
    status: str,
) -> None:
    facts = deploying(
        state={
            "deployment": "d",
            "deployment_execution": "arn:deploy",
            "deployment_run": "new",
            "champion": CHAMPION,
        },
        deployed_run=run("DEPLOYING"),
        deployment=deployment(status),
        live_config="refit-m-v2-d",
    )
    steps = reconcile(facts, SOON)
    assert [type(step) for step in steps] == [EndRun, ReleaseDeploymentLock, ReleaseRunLock]
    assert ended(steps).status is RunStatus.FAILED
    message = "left with the config refit-m-v2-d, which is not that of the live version"
    assert message in ended(steps).message


def test_an_endpoint_of_a_first_version_that_is_not_live_is_compared_with_no_version() -> None:
    facts = deploying(
        state={
            "deployment": "d",
            "deployment_execution": "arn:deploy",
            "deployment_run": "new",
        },
        deployed_run=run("DEPLOYING"),
        deployment=deployment("FAILED"),
        live_config="refit-m-v1-d",
    )
    message = "left with the config refit-m-v1-d, and no version is live"
    assert message in ended(reconcile(facts, SOON)).message


def test_an_endpoint_that_still_serves_the_champion_is_not_mentioned() -> None:
    facts = deploying(
        state={
            "deployment": "d",
            "deployment_execution": "arn:deploy",
            "deployment_run": "new",
            "champion": CHAMPION,
        },
        deployed_run=run("DEPLOYING"),
        deployment=deployment("FAILED"),
        live_config="refit-m-v1",
    )
    assert ended(reconcile(facts, SOON)).message == "no manifest"


def test_a_version_that_was_promoted_before_its_execution_ended_is_deployed() -> None:
    facts = deploying(
        state={
            "deployment": "d",
            "deployment_execution": "arn:deploy",
            "deployment_run": "new",
            "champion": CHAMPION.model_copy(update={"run": "new", "version": 2}),
        },
        deployed_run=run("DEPLOYING"),
        deployment=deployment("ABORTED"),
    )
    assert ended(reconcile(facts, SOON)).status is RunStatus.DEPLOYED


def test_a_training_that_failed_before_its_version_was_recorded_fails_the_run() -> None:
    failure = Failure("ServiceThrottled", "slow down")
    facts = locked(run("DEPLOYING"), training=training("FAILED", failure))
    assert ended(reconcile(facts, SOON)).message == "slow down"


@pytest.mark.parametrize(
    ("version", "live", "status", "error"),
    [
        (VersionState(2, "Rejected", 1), 1, "FAILED", "VersionRejected"),
        (VersionState(2, None, None), None, "FAILED", "VersionDeleted"),
        (VersionState(2, "Approved", 3), 1, "SUPERSEDED", None),
        (VersionState(2, "Approved", 2), 2, "DEPLOYED", None),
    ],
)
def test_a_version_that_will_not_be_deployed_ends_its_run_with_the_reason(
    version: VersionState, live: int | None, status: str, error: str | None
) -> None:
    reason = outcome_of_undeployed(version, live)
    assert reason is not None
    assert (reason.status, reason.error) == (status, error)
    champion = CHAMPION.model_copy(update={"version": live, "run": "x"}) if live else None
    steps = reconcile(deploying(version=version, state={"champion": champion}), SOON)
    assert ended(steps).message == reason.message
    assert steps[-1] == ReleaseRunLock("new")


def test_the_version_that_should_be_live_has_no_reason_to_end() -> None:
    assert outcome_of_undeployed(VersionState(2, "Approved", 2), 1) is None
    assert outcome_of_undeployed(VersionState(2, "Approved", None), None) is None


def open_run(status: str = "AWAITING_APPROVAL", **version: Any) -> OpenRun:
    """Return version 2, which a person approved at noon, and its run, which holds no lock."""
    state = {"approval": "Approved", "newest": 2, "changed_at": NOON} | version
    return OpenRun(run(status, version=2, package_arn="arn:2"), VersionState(2, **state))


def without_lock(waiting: OpenRun, **more: Any) -> ModelFacts:
    return ModelFacts(ModelState(champion=CHAMPION), open_runs=(waiting,), **more)


def test_a_version_waits_for_its_approval_without_an_end() -> None:
    waiting = open_run(approval="PendingManualApproval", newest=1)
    assert reconcile(without_lock(waiting), LATE) == []


def test_a_version_that_a_person_rejects_ends_its_run_as_refused() -> None:
    end = ended(reconcile(without_lock(open_run(approval="Rejected", newest=1)), SOON))
    assert (end.status, end.message) == (RunStatus.REFUSED, "version 2 was rejected")


@pytest.mark.parametrize(
    ("version", "status"),
    [({"approval": None, "newest": 1}, "FAILED"), ({"newest": 3}, "SUPERSEDED")],
)
def test_a_version_that_waited_for_an_approval_ends_with_what_became_of_it(
    version: dict[str, Any], status: str
) -> None:
    assert ended(reconcile(without_lock(open_run(**version)), SOON)).status == status


def test_an_approved_version_whose_deployment_dies_before_it_holds_a_lock_fails_its_run() -> None:
    facts = without_lock(open_run(), ended=deployment("FAILED"))
    assert ended(reconcile(facts, SOON)).message == "no manifest"


def test_an_approved_version_that_no_deployment_takes_up_fails_its_run_when_it_is_late() -> None:
    assert reconcile(without_lock(open_run()), SOON) == []
    assert reconcile(without_lock(open_run(), deployment_may_come=True), LATE) == []
    assert "DeploymentNotStarted" in str(ended(reconcile(without_lock(open_run()), LATE)).failure)


def test_pending_data_starts_a_run_when_no_run_is_active() -> None:
    assert reconcile(ModelFacts(ModelState(pending=True)), SOON) == [StartPendingDrop()]
    removed = ModelState(pending=True, removing_since=NOON)
    assert reconcile(ModelFacts(removed), SOON) == []
    active = locked(run(), training=training("RUNNING"), state={"pending": True})
    assert reconcile(active, SOON) == []


EXECUTIONS = st.sampled_from(["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "GONE"])


@given(
    st.sampled_from(list(RunStatus)),
    EXECUTIONS,
    EXECUTIONS,
    st.sampled_from([None, "Approved", "Rejected"]),
    st.booleans(),
)
def test_no_lock_outlives_the_executions_that_could_release_it(
    status: RunStatus, train: str, deploy: str, approval: str | None, named: bool
) -> None:
    active = run(status, version=2, package_arn="arn:2")
    held = {"deployment": "d", "deployment_execution": "arn:deploy"}
    facts = locked(
        active,
        state=held | ({"deployment_run": "new"} if named else {}),
        training=training(train),
        deployed_run=active if named else None,
        deployment=deployment(deploy),
        version=VersionState(2, approval, 2 if approval == "Approved" else None),
    )
    steps = reconcile(facts, LATE)
    all_ended = "RUNNING" not in (train, deploy)
    if deploy != "RUNNING":
        assert ReleaseDeploymentLock("d") in steps
    if all_ended:
        assert ReleaseRunLock("new") in steps
    for end in (step for step in steps if isinstance(step, EndRun)):
        assert end.status.is_final
        assert end.message
    runs_that_end = [step.run for step in steps if isinstance(step, EndRun)]
    assert len(runs_that_end) == len(set(runs_that_end)), "a run ends once"
