"""A model names what holds it, since when, and the command that frees it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from refit.domain.answers.holds import HoldFacts, holds_of
from refit.domain.pipeline.model_state import ModelState
from refit.domain.pipeline.run import Run
from refit.domain.retraining.state import RetrainingState, RetrainingStatus
from refit.domain.vocabulary import RunStatus

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def run(status: str, **more: Any) -> Run:
    return Run(
        run="r4",
        model="digits",
        cause="drop",
        status=RunStatus(status),
        started_at=NOON,
        updated_at=NOON,
        **more,
    )


def facts(
    active: Run | None = None, status: str = "healthy", fault: str | None = None, **state: Any
) -> HoldFacts:
    retraining = RetrainingState(state=RetrainingStatus(status), since=NOON, failures=3)
    return HoldFacts("digits", ModelState(**state), active, retraining, fault)


def test_a_model_without_locks_is_free() -> None:
    assert holds_of(facts(run("DEPLOYED"))) == ()


@pytest.mark.parametrize(
    ("given", "kind", "text", "command"),
    [
        (
            facts(run("TRAINING"), active_run="r4", active_since=NOON.isoformat()),
            "run",
            "Run r4 is TRAINING",
            "refit unblock digits",
        ),
        (
            facts(deployment="d", deployment_since=NOON.isoformat(), deployment_run="r4"),
            "deployment",
            "run r4 is being deployed",
            "refit unblock digits",
        ),
        (
            facts(run("AWAITING_APPROVAL", version=4, finished_at=NOON)),
            "approval",
            "refit reject digits 4",
            "refit approve digits 4",
        ),
        (facts(status="blocked"), "retraining", "after 3 retrainings", "refit unblock digits"),
        (facts(removing_since=NOON), "removal", "is being removed", "refit remove digits"),
    ],
)
def test_a_hold_says_since_when_and_what_frees_it(
    given: HoldFacts, kind: str, text: str, command: str
) -> None:
    (hold,) = holds_of(given)
    assert (hold.kind, hold.since, hold.command) == (kind, NOON, command)
    assert text in hold.text


def test_an_endpoint_that_does_not_serve_the_live_version_is_named() -> None:
    (hold,) = holds_of(facts(fault="endpoint refit-digits is Failed"))
    assert hold.text.startswith("Endpoint refit-digits is Failed. The command deploys")
    assert hold.command == "refit unblock digits"


def test_a_running_run_says_how_it_is_stopped() -> None:
    active = run("TRAINING", train_execution_arn="arn:train")
    (hold,) = holds_of(facts(active, active_run="r4"))
    assert "stop-execution --execution-arn arn:train" in hold.text
