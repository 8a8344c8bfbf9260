"""How a followed run ends, and the loop that follows it until then."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from refit_cli.errors import ExitCode, RunFailed, TimedOut

if TYPE_CHECKING:
    from refit_cli.following import Event, Follower, View
    from refit_cli.records import Run

Until = Literal["deployed", "finished"]

# A ground is asked often, AWS (where requests are throttled and cost) seldom.
GROUND_POLL_S = 0.5
AWS_POLL_S = 3.0

# The table knows of a run's end a moment before the execution's history does.
_HISTORY_GRACE_S = 5.0


@dataclass(frozen=True)
class Ending:
    """How it ended: the command's exit code, and the cause in words."""

    exit_code: ExitCode
    text: str
    advice: str | None = None

    def raise_unless_ok(self) -> None:
        """Pass on success.

        Raises:
            RunFailed: when the run did not do what was waited for.
            TimedOut: when the deadline passed first.
        """
        if self.exit_code is ExitCode.FAILED:
            raise RunFailed(self.text, self.advice)
        if self.exit_code is ExitCode.TIMED_OUT:
            raise TimedOut(self.text, self.advice)


class Reporter(Protocol):
    """Shows a run as it goes."""

    def tell(self, event: Event, view: View) -> None:
        """Show one change."""

    def draw(self, view: View) -> None:
        """Show where things are; called after every poll."""


def ending_of(run: Run, until: Until) -> Ending | None:
    """Return how a run has ended, or None while more is to come of it."""
    why = run.message or "no reason was recorded"
    match run.status:
        case "DEPLOYED":
            return Ending(ExitCode.OK, f"version {run.version} is live")
        case "AWAITING_APPROVAL" if until == "finished":
            return Ending(ExitCode.OK, f"version {run.version} awaits a person's approval")
        case "REFUSED":
            return Ending(
                ExitCode.FAILED,
                f"run {run.run} was refused by the gate: {why}",
                "the live model, if there is one, stays; drop better data, or change [gate] in "
                "model.toml",
            )
        case "FAILED":
            name = f" ({run.error})" if run.error else ""
            return Ending(ExitCode.FAILED, f"run {run.run} failed{name}: {why}")
        case "SUPERSEDED":
            return Ending(ExitCode.FAILED, f"run {run.run} was superseded by a later one")
    return None


def follow(
    follower: Follower,
    reporter: Reporter,
    until: Until,
    timeout_s: float | None,
    poll_s: float,
) -> Ending:
    """Follow a run until it ends or the time is over, and return how it ended.

    Args:
        follower: reads the run.
        reporter: shows it.
        until: what counts as an end: `deployed` waits through an approval, `finished` does not.
        timeout_s: the longest wait; None waits as long as it takes.
        poll_s: the pause between two looks.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    ended_at: float | None = None
    while True:
        for event in follower.poll():
            reporter.tell(event, follower.view)
        reporter.draw(follower.view)
        run = follower.view.run
        ending = ending_of(run, until) if run else None
        now = time.monotonic()
        if ending is not None:
            ended_at = ended_at or now
            if follower.is_complete or now - ended_at > _HISTORY_GRACE_S:
                return ending
        elif deadline is not None and now >= deadline:
            return _out_of_time(follower.view, timeout_s or 0)
        time.sleep(poll_s if deadline is None else max(0.05, min(poll_s, deadline - now)))


def _out_of_time(view: View, timeout_s: float) -> Ending:
    if view.run is None:
        return Ending(
            ExitCode.TIMED_OUT,
            f"no run started within {timeout_s:g} s: {view.waiting_for}",
            f"drop data with `refit put {view.model} FILE`; if you did, look at the logs of the "
            "ingest function and at its dead-letter queue",
        )
    advice = f"it goes on; look again with `refit watch {view.model} --run {view.run.run}`"
    if view.run.status == "AWAITING_APPROVAL" and view.run.package_arn:
        advice = f"approve it: {approval_command(view.run.package_arn)}"
    return Ending(
        ExitCode.TIMED_OUT,
        f"run {view.run.run} is still {view.run.status} after {timeout_s:g} s",
        advice,
    )


def approval_command(package_arn: str) -> str:
    """Return the command with which a person approves a version."""
    return (
        "aws sagemaker update-model-package --model-approval-status Approved "
        f"--model-package-arn {package_arn}"
    )
