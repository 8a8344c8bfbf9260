"""Choose the run that a user's request for a retry repeats, or say why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import NothingToRetry, RunActive, RunNotFound
from refit.domain.naming import retry_id
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.pipeline.run import Run

_RETRIED = (RunStatus.FAILED, RunStatus.REFUSED)


def run_to_retry(model: str, runs: Sequence[Run], active: str | None, named: str | None) -> Run:
    """Return the run to repeat.

    Args:
        model: its name.
        runs: all of its runs, newest first.
        active: the active run, if any.
        named: the run that the user names; None for the last run of dropped data.

    Raises:
        RunActive: when a run is active.
        RunNotFound: when there is no such run.
        NothingToRetry: when there is none, or it must not be repeated.
    """
    by_id = {run.run: run for run in runs}
    if active is not None:
        status = f" ({by_id[active].status})" if active in by_id else ""
        raise RunActive(
            f"run {active} of {model} is active{status}, so no other run can start",
            advice=f"wait until it has ended: refit watch {model}",
        )
    run = _named_or_last(runs, model, named)
    while (again := by_id.get(retry_id(model, run.run))) is not None:
        run = again
    if not run.may_be_deployed_again:
        _check_repeatable(model, run, is_named=named is not None)
    return run


def _check_repeatable(model: str, run: Run, *, is_named: bool) -> None:
    if run.cause != "drop":
        raise NothingToRetry(
            f"run {run.run} of {model} is a retraining, which has no dropped files to repeat",
            advice=f"start another retraining: refit retrain {model}",
        )
    if run.status is RunStatus.AWAITING_APPROVAL or not run.status.is_final:
        raise NothingToRetry(
            f"run {run.run} of {model} is {run.status}: only a run that has ended is repeated",
            advice="approve or reject its version first"
            if run.status is RunStatus.AWAITING_APPROVAL
            else f"wait until it has ended: refit watch {model}",
        )
    if not is_named and run.status not in _RETRIED:
        raise NothingToRetry(
            f"the last run of dropped data of {model}, {run.run}, is {run.status}: nothing failed",
            advice="to run its files again all the same, name it: "
            f"refit retry {model} --run {run.run}",
        )


def _named_or_last(runs: Sequence[Run], model: str, named: str | None) -> Run:
    if named is None:
        run = next((run for run in runs if run.cause == "drop"), None)
        if run is None:
            raise NothingToRetry(
                f"{model} has no run of dropped data",
                advice=f"upload data: refit put {model} FILE",
            )
        return run
    run = next((run for run in runs if run.run == named), None)
    if run is None:
        raise RunNotFound(
            f"the model {model!r} has no run {named[:60]!r}",
            advice=f"list its runs with `refit status {model}`",
        )
    return run
