"""Request what a user wants of a model: retrain, unblock, retry, and decisions on versions.

A request changes nothing itself that an event or the model registry would not change: the same
functions and state machines carry it out for the API and for the command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.answers.actions import ActionAnswer, Follow
from refit.domain.errors import (
    AlreadyApproved,
    AlreadyLive,
    AlreadyRejected,
    DeploymentActive,
    NotBlocked,
    NothingToRetrain,
    NotOlderThanLive,
    VersionNotApproved,
    VersionNotFound,
)
from refit.domain.naming import retry_id
from refit.domain.pipeline.retry_choice import run_to_retry
from refit.domain.retraining.rules import may_be_unblocked
from refit.domain.vocabulary import EventName
from refit.usecases.expected_retraining import expected_retraining
from refit.usecases.known_model import operable_model
from refit.usecases.reject_newer_versions import reject_newer_versions
from refit.usecases.release_model import release_model

if TYPE_CHECKING:
    from refit.domain.answers.actions import ActionName
    from refit.domain.pipeline.model_state import Champion, ModelState
    from refit.domain.retraining.state import RetrainingStatus
    from refit.stores.registry import PackageVersion
    from refit.usecases.services import Services


@dataclass(frozen=True)
class UserRequest:
    """Who requests something of which model."""

    services: Services
    model: str
    by: str

    def publish(self, name: EventName, **detail: Any) -> str:
        return self.services.messaging.publish(name, {"model": self.model, "by": self.by} | detail)

    def answer(
        self,
        action: ActionName,
        text: str,
        follow: Follow,
        *,
        event: str | None = None,
        version: int | None = None,
        run: str | None = None,
    ) -> ActionAnswer:
        return ActionAnswer(
            model=self.model,
            action=action,
            by=self.by,
            event=event,
            version=version,
            run=run,
            text=text,
            follow=follow,
        )

    def follow_model(self, until: str) -> Follow:
        return Follow(path=f"/models/{self.model}", until=until)

    def follow_run(self, run: str, until: str) -> Follow:
        return Follow(path=f"/models/{self.model}/runs/{run}", until=until)

    def package(self, version: int) -> PackageVersion:
        """Return a version of the model that Refit made.

        Raises:
            VersionNotFound: when there is none.
        """
        models = self.services.models
        arn = models.package_of_version(self.model, version)
        package = self.services.registry.find_package(arn) if arn else None
        # A package group that was deleted and made anew has another package under this ARN.
        if package is None or package.run != models.run_of_version(self.model, version):
            raise VersionNotFound(
                f"the model {self.model!r} has no version {version}",
                advice=f"List its versions with GET /models/{self.model}/versions",
            )
        return package


def request_retraining(request: UserRequest, *, again: bool = False) -> ActionAnswer:
    """Request a retraining.

    Args:
        request: who asks, and of which model.
        again: retrain even if nothing has changed since the last run.

    Raises:
        NothingToRetrain: when no version is live.
    """
    state = operable_model(request.services, request.model).state
    champion = _champion_of(request.model, state)
    expected = expected_retraining(request.services, request.model, state, request.by, again=again)
    event = request.publish(EventName.RETRAINING_REQUESTED, **expected.detail)
    return request.answer(
        "retrain",
        expected.text,
        expected.follow,
        event=event,
        version=champion.version,
        run=expected.run,
    )


def request_unblocking(request: UserRequest) -> ActionAnswer:
    """Free the model from what nothing works on any more, and allow retraining again.

    Raises:
        NotBlocked: when nothing was to be freed, and retraining is not blocked and does not wait
            for an approval.
    """
    services, model = request.services, request.model
    state = operable_model(services, model).state
    done = release_model(services, model)
    retraining = services.monitoring.retraining(model)
    run = services.models.run(model, retraining.run) if retraining.run else None
    event = None
    if may_be_unblocked(retraining.state, run):
        event = request.publish(EventName.RETRAINING_UNBLOCKED)
        done.append(
            "If the model still drifts, a retraining starts as soon as there are enough labels."
        )
    if not done:
        raise NotBlocked(_not_blocked(model, state, retraining.state))
    return request.answer(
        "unblock",
        " ".join(done),
        request.follow_model("`stage` is not `blocked`, and `holds` is empty"),
        event=event,
        version=state.champion.version if state.champion else None,
    )


def _not_blocked(model: str, state: ModelState, retraining: RetrainingStatus) -> str:
    """Say why there is nothing to free."""
    text = f"the retraining of {model} is not blocked: its state is {retraining}"
    if state.active_run is not None:
        return f"{text}; and run {state.active_run}, which holds the model, is being worked on"
    if state.deployment is not None:
        return f"{text}; and a version is being deployed"
    return text


def request_retry(request: UserRequest, named: str | None) -> ActionAnswer:
    """Request that the files of a run are run again, or its version deployed again.

    Args:
        request: who asks, and of which model.
        named: the run to repeat; None for the last run of dropped data.

    Raises:
        RunActive: when a run is active.
        RunNotFound: when there is no such run.
        NothingToRetry: when there is none that can be repeated.
    """
    state = operable_model(request.services, request.model).state
    runs = request.services.models.runs(request.model)
    old = run_to_retry(request.model, runs, state.active_run, named)
    again = retry_id(request.model, old.run)
    event = request.publish(EventName.RETRY_REQUESTED, run=old.run)
    if old.may_be_deployed_again:
        return request.answer(
            "retry",
            f"Version {old.version} is deployed again without training. If it is not the newest "
            f"approved version any more, run {again} repeats the files of run {old.run}.",
            request.follow_run(old.run, "`status` is DEPLOYED or FAILED"),
            event=event,
            version=old.version,
            run=old.run,
        )
    return request.answer(
        "retry",
        f"Run {again} repeats the files of run {old.run} with the settings of now.",
        request.follow_run(again, "it exists, and `status` is final"),
        event=event,
        run=again,
    )


def approve_version(request: UserRequest, version: int) -> ActionAnswer:
    """Approve a version in the model registry, whose event starts the deployment.

    Raises:
        VersionNotFound: when there is no such version.
        AlreadyApproved: when it is approved.
    """
    operable_model(request.services, request.model)
    package = request.package(version)
    if package.approval == "Approved":
        raise AlreadyApproved(f"version {version} of {request.model} is approved already")
    request.services.registry.approve_package(package.arn, f"Approved by {request.by}")
    return request.answer(
        "approve",
        f"Version {version} is approved. It is deployed if no newer version is approved.",
        request.follow_model(f"`champion.version` is {version}"),
        version=version,
        run=package.run,
    )


def reject_version(request: UserRequest, version: int) -> ActionAnswer:
    """Reject a version in the model registry, whose event starts what has to follow.

    Raises:
        VersionNotFound: when there is no such version.
        AlreadyRejected: when it is rejected.
    """
    champion = operable_model(request.services, request.model).state.champion
    package = request.package(version)
    if package.approval == "Rejected":
        raise AlreadyRejected(f"version {version} of {request.model} is rejected already")
    request.services.registry.reject_package(package.arn, f"Rejected by {request.by}")
    is_live = champion is not None and champion.version == version
    return request.answer(
        "reject",
        f"Version {version} is rejected. The newest version that is still approved is deployed in "
        "its place; if there is none, it stays live."
        if is_live
        else f"Version {version} is rejected and will not be deployed.",
        request.follow_model(
            f"`champion.version` is not {version}" if is_live else "the version shows it"
        ),
        version=version,
        run=package.run,
    )


def roll_back_to(request: UserRequest, version: int) -> ActionAnswer:
    """Make an approved older version live again, by rejecting all newer approved versions.

    The newest approved version is the one that is live. An interrupted request leaves the live
    version live, and can be repeated.

    Raises:
        NothingToRetrain: when no version is live.
        VersionNotFound: when there is no such version.
        AlreadyLive: when it is live.
        NotOlderThanLive: when it is newer than the live version.
        VersionNotApproved: when it is not approved.
        DeploymentActive: when a version is being deployed.
    """
    state = operable_model(request.services, request.model).state
    champion = _champion(request)
    package = request.package(version)
    if state.deployment is not None:
        raise DeploymentActive(
            f"a version of {request.model} is being deployed", advice="Try again when it has ended"
        )
    if version == champion.version:
        raise AlreadyLive(f"version {version} of {request.model} is live")
    if version > champion.version:
        raise NotOlderThanLive(
            f"version {version} of {request.model} is newer than version {champion.version}, "
            "which is live",
            advice="Approve it, or retry its run, to deploy it",
        )
    if package.approval != "Approved":
        raise VersionNotApproved(
            f"version {version} of {request.model} is {package.approval}",
            advice="Approve it first, which does not deploy it while a newer one is approved",
        )
    rejected = reject_newer_versions(
        request.services.models,
        request.services.registry,
        request.model,
        version,
        champion.version,
        request.by,
    )
    listed = ", ".join(str(each) for each in rejected)
    return request.answer(
        "rollback",
        f"Version {version} is deployed in the place of version {champion.version}. Rejected for "
        f"it: {listed}.",
        request.follow_model(f"`champion.version` is {version}"),
        version=version,
        run=package.run,
    )


def _champion(request: UserRequest) -> Champion:
    return _champion_of(request.model, operable_model(request.services, request.model).state)


def _champion_of(model: str, state: ModelState) -> Champion:
    if state.champion is None:
        raise NothingToRetrain(f"no version of {model!r} is live", advice="Drop data to train one")
    return state.champion
