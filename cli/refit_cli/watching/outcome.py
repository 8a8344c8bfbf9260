"""Follow a run until it ends or the time is over, and report its outcome."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from refit.domain.vocabulary import RunStatus

from refit_cli.errors import ExitCode, RunFailed, TimedOut

if TYPE_CHECKING:
    from refit.domain.pipeline.run import Run

    from refit_cli.watching.follower import Follower, RunEvent, RunView

Until = Literal["deployed", "finished"]


@dataclass(frozen=True)
class WatchOutcome:
    """How following a run ended: the command's exit code, the reason and what can be done."""

    exit_code: ExitCode
    text: str
    advice: str | None = None

    def raise_unless_ok(self) -> None:
        """Raise the error of an outcome that is not a success.

        Raises:
            RunFailed: when the run ended with another outcome than the expected one.
            TimedOut: when the time was over first.
        """
        if self.exit_code is ExitCode.FAILED:
            raise RunFailed(self.text, self.advice)
        if self.exit_code is ExitCode.TIMED_OUT:
            raise TimedOut(self.text, self.advice)


class Reporter(Protocol):
    """Shows a run while it is followed."""

    def report(self, event: RunEvent, view: RunView) -> None:
        """Show one change."""

    def draw(self, view: RunView) -> None:
        """Show the current state; called after every poll."""


def outcome_of(run: Run, until: Until) -> WatchOutcome | None:
    """Return the outcome of a run, or None if it has not ended."""
    reason = run.message or "no reason was recorded"
    match run.status:
        case RunStatus.DEPLOYED:
            return WatchOutcome(ExitCode.OK, f"version {run.version} is live")
        case RunStatus.AWAITING_APPROVAL if until == "finished":
            return WatchOutcome(ExitCode.OK, f"version {run.version} awaits manual approval")
        case RunStatus.REFUSED:
            return WatchOutcome(
                ExitCode.FAILED,
                f"the gate refused the model of run {run.run}: {reason}",
                "a live version, if there is one, stays live; upload better data, or change "
                "[gate] in model.toml",
            )
        case RunStatus.FAILED:
            name = f" ({run.error})" if run.error else ""
            return WatchOutcome(ExitCode.FAILED, f"run {run.run} failed{name}: {reason}")
        case RunStatus.SUPERSEDED:
            return WatchOutcome(ExitCode.FAILED, f"run {run.run} was superseded by a later run")
    return None


def follow(
    follower: Follower,
    reporter: Reporter,
    until: Until,
    timeout_s: float | None,
    *,
    poll_s: float,
    history_grace_s: float,
) -> WatchOutcome:
    """Follow a run until it ends or the time is over.

    Args:
        follower: reads the run.
        reporter: shows the run.
        until: whether an approval is waited for (`deployed`) or ends the command (`finished`).
        timeout_s: longest wait; None for no limit.
        poll_s: pause between two polls.
        history_grace_s: how long to wait for the execution's history after the run's record says
            that the run has ended.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    ended_at: float | None = None
    while True:
        for event in follower.poll():
            reporter.report(event, follower.view)
        reporter.draw(follower.view)
        run = follower.view.run
        outcome = outcome_of(run, until) if run else None
        now = time.monotonic()
        if outcome is not None:
            ended_at = ended_at or now
            if follower.is_complete or now - ended_at > history_grace_s:
                return outcome
        elif deadline is not None and now >= deadline:
            return _timeout(follower.view, timeout_s or 0)
        time.sleep(poll_s if deadline is None else max(0.05, min(poll_s, deadline - now)))


def _timeout(view: RunView, timeout_s: float) -> WatchOutcome:
    run = view.run
    if run is None:
        return WatchOutcome(
            ExitCode.TIMED_OUT,
            f"no run started within {timeout_s:g} s: {view.waiting_for}",
            f"upload data with `refit put {view.model} FILE`; if you did, check the logs of the "
            "Ingest function and its dead-letter queue",
        )
    advice = f"the run continues; follow it with `refit watch {view.model} --run {run.run}`"
    if run.status == RunStatus.AWAITING_APPROVAL and run.version is not None:
        decide = f"{view.model} {run.version}"
        advice = f"approve the version with `refit approve {decide}`, or `refit reject {decide}`"
    return WatchOutcome(
        ExitCode.TIMED_OUT, f"run {run.run} is still {run.status} after {timeout_s:g} s", advice
    )
