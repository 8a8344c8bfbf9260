"""Tell who requests a retraining which run it will be, and when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.answers.actions import Follow
from refit.domain.moments import utc_now
from refit.domain.retraining.rules import answers
from refit.domain.retraining.state import UserCommand, run_of_episode
from refit.usecases.last_comparable_run import last_comparable

if TYPE_CHECKING:
    from refit.domain.pipeline.model_state import ModelState
    from refit.usecases.services import Services


@dataclass(frozen=True)
class ExpectedRetraining:
    """What a request to retrain will lead to, as things are.

    Attributes:
        run: the run that answers the request; all who ask at the same time are told the same one.
            None while another run is active, which may change the live version.
        text: what happens now, in one or two sentences.
        follow: how to follow it.
        again: whether the request says so.
    """

    run: str | None
    text: str
    follow: Follow
    again: bool

    @property
    def detail(self) -> dict[str, str | bool]:
        """What the event of the request says in addition to the model and the user."""
        detail: dict[str, str | bool] = {"again": True} if self.again else {}
        return detail | ({"expected_run": self.run} if self.run else {})


def expected_retraining(
    services: Services, model: str, state: ModelState, by: str, *, again: bool
) -> ExpectedRetraining:
    """Return what a request that is made now will lead to.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        state: of the model, which has a live version.
        by: who requests it.
        again: whether the request says so.
    """
    run, text = _expected(services, model, state, by, again=again)
    path = f"/models/{model}"
    if run is None:
        until = "`lastRun.cause` is `request`; `loop.retraining.pending` tells why"
        return ExpectedRetraining(None, text, Follow(path=path, until=until), again)
    until = "it exists, and `status` is final"
    return ExpectedRetraining(run, text, Follow(path=f"{path}/runs/{run}", until=until), again)


def _expected(
    services: Services, model: str, state: ModelState, by: str, *, again: bool
) -> tuple[str | None, str]:
    champion = state.champion
    assert champion is not None, "the caller has looked"
    retraining = services.monitoring.retraining(model)
    last = last_comparable(services, model, retraining, champion)
    active = services.models.run(model, retraining.run) if retraining.run else None
    command = UserCommand(id="", kind="retrain", by=by, at=utc_now(), again=again)
    if active is not None and answers(retraining, command, active, last):
        return active.run, (
            f"Run {active.run}, which was requested before and is active, answers this request. To "
            "train on labels that have come since it began, ask again when it has ended."
        )
    if state.active_run is not None:
        return None, f"A retraining starts when run {state.active_run} has ended."
    run = run_of_episode(model, champion.run, champion.version, retraining.episodes + 1)
    if retraining.request is not None:
        return run, f"Run {run} starts, which {retraining.request.by} has requested before."
    if not (again or last.is_outdated or last.has_failed):
        return run, (
            f"Run {run} starts when a label arrives or a setting changes: neither has happened "
            f"since run {last.run} began. To train on the same data, say `again`."
        )
    return run, (
        f"Run {run} starts, on the data of version {champion.version} and all newer labels."
    )
