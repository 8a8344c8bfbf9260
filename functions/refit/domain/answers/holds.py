"""What holds a model, since when, and the command with which a person frees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field

from refit.domain.answers.answer import Answer
from refit.domain.moments import Moment
from refit.domain.retraining.state import RetrainingStatus
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.pipeline.model_state import ModelState
    from refit.domain.pipeline.run import Run
    from refit.domain.retraining.state import RetrainingState

HoldKind: TypeAlias = Literal[
    "removal", "run", "deployment", "approval", "retraining", "endpoint", "files"
]


class Hold(Answer):
    """One thing that keeps a model from its next run, its next deployment or its predictions."""

    kind: HoldKind
    since: Moment | None
    text: str = Field(description="What holds the model, in one or two sentences.")
    command: str = Field(description="The command with which a person frees the model.")


@dataclass(frozen=True)
class HoldFacts:
    """What is known of a model.

    Attributes:
        run: the active run or, without one, the last run; None before the first one.
        endpoint_fault: why the endpoint does not serve the live version; None if it does.
        missing_file: which file of the live version was deleted; None if none is known to be.
    """

    model: str
    state: ModelState
    run: Run | None
    retraining: RetrainingState
    endpoint_fault: str | None = None
    missing_file: str | None = None


def holds_of(facts: HoldFacts) -> tuple[Hold, ...]:
    """Return what holds a model, or nothing."""
    if facts.state.removing_since is not None:
        text = (
            "The model is being removed. If the removal was interrupted, the command finishes it."
        )
        return (_hold("removal", facts.state.removing_since, text, f"refit remove {facts.model}"),)
    holds = (
        _run(facts),
        _deployment(facts),
        _approval(facts),
        _retraining(facts),
        _endpoint(facts),
        _files(facts),
    )
    return tuple(hold for hold in holds if hold is not None)


def _run(facts: HoldFacts) -> Hold | None:
    active, run = facts.state.active_run, facts.run
    if active is None:
        return None
    status = run.status if run is not None and run.run == active else "unknown"
    arn = run.train_execution_arn if run is not None and run.run == active else None
    stop = f" To stop it: aws stepfunctions stop-execution --execution-arn {arn}" if arn else ""
    text = (
        f"Run {active} is {status}. The command ends it if none of its executions runs any more."
        f"{stop}"
    )
    return _hold("run", facts.state.active_since, text, f"refit unblock {facts.model}")


def _deployment(facts: HoldFacts) -> Hold | None:
    state = facts.state
    if state.deployment is None:
        return None
    of_run = f" of run {state.deployment_run}" if state.deployment_run else ""
    text = f"A version{of_run} is being deployed. The command ends it if its execution has ended."
    return _hold("deployment", state.deployment_since, text, f"refit unblock {facts.model}")


def _approval(facts: HoldFacts) -> Hold | None:
    run = facts.run
    if run is None or run.status is not RunStatus.AWAITING_APPROVAL:
        return None
    version = f"{facts.model} {run.version}"
    text = (
        f"Version {run.version} waits for an approval. To decide against it: refit reject {version}"
    )
    return _hold("approval", run.finished_at, text, f"refit approve {version}")


def _retraining(facts: HoldFacts) -> Hold | None:
    retraining = facts.retraining
    if retraining.state is not RetrainingStatus.BLOCKED:
        return None
    text = f"Retraining is blocked after {retraining.failures} retrainings without improvement."
    return _hold("retraining", retraining.since, text, f"refit unblock {facts.model}")


def _endpoint(facts: HoldFacts) -> Hold | None:
    if facts.endpoint_fault is None or facts.state.deployment is not None:
        return None
    fault = facts.endpoint_fault
    text = f"{fault[0].upper()}{fault[1:]}. The command deploys the newest approved version again."
    return _hold("endpoint", None, text, f"refit unblock {facts.model}")


def _files(facts: HoldFacts) -> Hold | None:
    if facts.missing_file is None:
        return None
    text = f"The live version cannot predict: {facts.missing_file}."
    return _hold("files", None, text, f"refit put {facts.model} FILE")


def _hold(
    kind: HoldKind,
    since: datetime | str | None,
    text: str,
    command: str,
) -> Hold:
    return Hold.model_validate({"kind": kind, "since": since, "text": text, "command": command})
