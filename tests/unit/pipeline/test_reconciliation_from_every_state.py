"""Whatever a model is left with: after two checks it is free, or a person can act on it.

REFIT_SEEDS=200 pytest tests/unit/pipeline/test_reconciliation_from_every_state.py   more worlds
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from refit.domain.answers.holds import HoldFacts, holds_of
from refit.domain.pipeline.model_state import Champion, ModelState
from refit.domain.pipeline.reconciliation import (
    AWAITS_DEPLOYMENT,
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
    reconcile,
)
from refit.domain.pipeline.run import Run
from refit.domain.retraining.state import RetrainingState
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from refit.domain.pipeline.reconciliation import Step

SEEDS = int(os.environ.get("REFIT_SEEDS", "5"))
EXAMPLES = 100
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "GONE")
RUN, OTHER, CHAMPION_RUN = "new", "other", "old"


@dataclass
class World:
    """A model with its executions and its version in the registry.

    Attributes:
        train: status of the execution of TRAIN of the run; None if it was never started.
        deploy: status of the execution that holds the deployment lock.
        approval: approval of version 2, which the run made; None if its package was deleted.
        newest: newest approved version.
        waiting: whether another execution of DEPLOY of the model runs.
        ended: the steps that ended runs.
    """

    state: ModelState
    runs: dict[str, Run]
    train: str | None
    deploy: str
    approval: str | None
    newest: int | None
    waiting: bool
    now: datetime = NOON
    ended: list[EndRun] = field(default_factory=list)

    def facts(self) -> ModelFacts:
        """Return what the use case reads."""
        state = self.state
        holder = self.runs.get(state.active_run or "")
        training = None
        if holder is not None and self.train is not None:
            training = ExecutionState("arn:train", self.train)
        deployment = None
        if state.deployment is not None:
            version = 2 if state.deployment_run == RUN else None
            deployment = ExecutionState("arn:deploy", self.deploy, None, True, version)
        is_waiting = holder is not None and holder.status is RunStatus.DEPLOYING
        held = {state.active_run, state.deployment_run}
        return ModelFacts(
            state=state,
            run=holder,
            training=training,
            deployed_run=self.runs.get(state.deployment_run or ""),
            deployment=deployment,
            deployment_may_come=self.waiting,
            version=self._version(holder) if is_waiting and holder is not None else None,
            open_runs=tuple(
                OpenRun(run, self._version(run))
                for run in self.runs.values()
                if run.run == state.last_run
                and run.run not in held
                and run.status in AWAITS_DEPLOYMENT
            ),
        )

    def _version(self, run: Run) -> VersionState | None:
        if run.version is None:
            return None
        return VersionState(run.version, self.approval, self.newest, NOON)

    def check(self) -> None:
        """Do what the regular check does."""
        for step in reconcile(self.facts(), self.now):
            self._apply(step)
        self.now += GRACE + timedelta(minutes=1)

    def _apply(self, step: Step) -> None:
        match step:
            case EndRun():
                self.ended.append(step)
                run = self.runs[step.run]
                changes = {"status": step.status, "message": step.message, "finished_at": self.now}
                self.runs[step.run] = run.model_copy(update=changes)
            case StartTraining():
                self.train = "RUNNING"
            case ReleaseRunLock():
                assert self.state.active_run == step.run
                self._change(active_run=None, active_since=None)
            case ReleaseDeploymentLock():
                assert self.state.deployment == step.deployment
                self._change(
                    deployment=None,
                    deployment_since=None,
                    deployment_execution=None,
                    deployment_run=None,
                )
            case StartPendingDrop():
                self._change(pending=False)

    def _change(self, **changes: Any) -> None:
        self.state = self.state.model_copy(update=changes)

    @property
    def is_worked_on(self) -> bool:
        """Whether an execution runs that can still end the run or the deployment."""
        return self.train == "RUNNING" or self.deploy == "RUNNING" or self.waiting

    @property
    def is_free(self) -> bool:
        return self.state.active_run is None and self.state.deployment is None

    def holds(self) -> list[tuple[str, str]]:
        """Return what `refit status` says of the model: kind and command."""
        run = self.runs.get(self.state.active_run or self.state.last_run or "")
        facts = HoldFacts("m", self.state, run, RetrainingState())
        return [(hold.kind, hold.command) for hold in holds_of(facts)]


def run_in(status: RunStatus, name: str, version: int | None) -> Run:
    return Run(
        run=name,
        model="m",
        cause="drop",
        status=status,
        started_at=NOON,
        updated_at=NOON,
        version=version,
        package_arn="arn:2" if version else None,
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw any combination of what a fault can leave behind."""
    status = draw(st.sampled_from(list(RunStatus)))
    exists = draw(st.sampled_from([True, True, True, False]))
    # A run waits for an approval only after its version was recorded.
    version = 2 if status is RunStatus.AWAITING_APPROVAL or draw(st.booleans()) else None
    runs = {OTHER: run_in(RunStatus.DEPLOYING, OTHER, None)}
    if exists:
        runs[RUN] = run_in(status, RUN, version)
    live = draw(st.sampled_from([None, (1, CHAMPION_RUN), (2, RUN), (3, OTHER)]))
    champion = None
    if live is not None:
        champion = Champion(
            version=live[0],
            run=live[1],
            package_arn=f"arn:{live[0]}",
            endpoint="refit-m",
            endpoint_config="config",
            variant=f"v{live[0]}",
            promoted_at=NOON.isoformat(),
        )
    is_locked = draw(st.booleans())
    is_deploying = draw(st.booleans())
    deployed = draw(st.sampled_from([None, RUN, OTHER])) if is_deploying else None
    state = ModelState(
        champion=champion,
        active_run=RUN if is_locked else None,
        active_since=NOON.isoformat() if is_locked else None,
        last_run=RUN,
        deployment="d" if is_deploying else None,
        deployment_since=NOON.isoformat() if is_deploying else None,
        deployment_execution="arn:deploy" if is_deploying else None,
        deployment_run=deployed,
        pending=draw(st.booleans()),
        removing_since=draw(st.sampled_from([None, None, None, NOON])),
    )
    return World(
        state=state,
        runs=runs,
        train=draw(st.sampled_from([None, "RUNNING", *ENDED])) if exists else None,
        deploy=draw(st.sampled_from(["RUNNING", *ENDED])) if is_deploying else "GONE",
        approval=draw(st.sampled_from([None, "PendingManualApproval", "Approved", "Rejected"])),
        newest=draw(st.sampled_from([None, 1, 2, 3])),
        waiting=draw(st.booleans()),
    )


def is_settled(world: World) -> bool:
    """Return whether the last run has ended, or waits for a decision of a person."""
    run = world.runs.get(RUN)
    if run is None or (run.status.is_final and run.status is not RunStatus.AWAITING_APPROVAL):
        return True
    if run.status is RunStatus.AWAITING_APPROVAL:
        return ("approval", f"refit approve m {run.version}") in world.holds()
    return False


def check_world(world: World, ending: str) -> None:
    before = dict(world.runs)
    world.check()
    world.check()
    removing = world.state.removing_since is not None
    if not world.is_free:
        assert world.is_worked_on or removing, world
        assert world.holds(), "a person reads what holds the model, and the command"
    # Whatever runs ends some time, and here without a word.
    world = replace(world, waiting=False, train=world.train and ending, deploy=ending)
    world.check()
    world.check()
    if removing:
        assert world.holds() == [("removal", "refit remove m")]
        return
    assert world.is_free, world
    assert not world.state.pending
    if RUN in before and before[RUN].status in AWAITS_DEPLOYMENT:
        assert is_settled(world), world
    for end in world.ended:
        assert end.status.is_final
        assert end.message
        status = before[end.run].status
        assert not status.is_final or status is RunStatus.AWAITING_APPROVAL, "what has ended stays"
        champion = world.state.champion
        assert champion is None or champion.run != end.run or end.status is RunStatus.DEPLOYED
    assert len({end.run for end in world.ended}) == len(world.ended), "a run ends once"


@pytest.mark.parametrize("number", range(SEEDS))
def test_from_every_state_a_model_is_free_after_two_checks_or_a_person_can_act(
    number: int,
) -> None:
    @seed(number)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds(), st.sampled_from(ENDED))
    def check(world: World, ending: str) -> None:
        check_world(world, ending)

    check()
