"""Find the version that a training continues, and check that it can be continued."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid
from refit.domain.pipeline.continuation import Continuation, TrainedRun, continued
from refit.domain.pipeline.training_plan import default_objective

if TYPE_CHECKING:
    from refit.domain.naming import RunKeys
    from refit.domain.pipeline.training_plan import DataShape
    from refit.usecases.services import Services


@dataclass(frozen=True)
class ChampionRun:
    """The live version, as Prepare has found it."""

    run: str
    version: int


@dataclass(frozen=True)
class ContinuedTraining:
    """What a training continues.

    Attributes:
        record: what the run records of it; None if the settings ask for no continuation.
        model_data: S3 URI of the earlier model.tar.gz; None if the training begins from the first
            round.
    """

    record: Continuation | None = None
    model_data: str | None = None


def continue_training(
    services: Services, keys: RunKeys, shape: DataShape, champion: ChampionRun | None
) -> ContinuedTraining:
    """Return what the training of a run continues.

    Raises:
        SettingsInvalid: when the version does not exist, or cannot be continued.
    """
    settings = services.artifacts.settings(keys.model, keys.run).training
    if settings.continue_from is None:
        return ContinuedTraining()
    run = _trained_run(services, keys.model, keys.run, default_objective(shape))
    record, package = continuation_of(services, keys.model, run, champion)
    return ContinuedTraining(record, package and services.registry.model_data(package))


def continuation_of(
    services: Services, model: str, run: TrainedRun, champion: ChampionRun | None
) -> tuple[Continuation, str | None]:
    """Return the continuation that a run with `continue_from` would record, before it trains.

    Args:
        services: the AWS services of this process.
        model: name of the model.
        run: the run, which need not exist yet.
        champion: the live version.

    Returns:
        The record, and the model package of the earlier version; None if there is none to continue.

    Raises:
        SettingsInvalid: when the version does not exist, or cannot be continued.
    """
    wanted = run.settings.continue_from
    assert wanted is not None
    earlier = earlier_run(services, model, wanted, champion)
    if earlier is None:
        return _from_first_round("no version is live yet that continue_from could mean")
    made_by = services.models.run(model, earlier.run)
    if made_by is None or made_by.package_arn is None:
        raise _unknown(model, earlier.version)
    times = made_by.continued.times if made_by.continued else 0
    most = run.settings.max_continuations
    if times >= most:
        return _from_first_round(
            f"version {earlier.version} is continuation {times} in a row, and max_continuations is "
            f"{most}"
        )
    trained = _trained_run(services, model, earlier.run, run.objective)
    return continued(earlier.version, trained, run, times + 1), made_by.package_arn


def _from_first_round(reason: str) -> tuple[Continuation, None]:
    return Continuation(version=None, reason=reason), None


def earlier_run(
    services: Services, model: str, wanted: str | int, champion: ChampionRun | None
) -> ChampionRun | None:
    """Return the version that `continue_from` names; None if it is `champion` and none is live.

    Raises:
        SettingsInvalid: when the version does not exist.
    """
    if isinstance(wanted, str):
        return champion
    run = services.models.run_of_version(model, wanted)
    if run is None:
        raise _unknown(model, wanted)
    return ChampionRun(run, wanted)


def _unknown(model: str, version: int) -> SettingsInvalid:
    return SettingsInvalid(
        f"model.toml: [training] continue_from = {version}: {model} has no version {version}; "
        f"allowed: 'champion', or a version that `refit status {model}` lists"
    )


def _trained_run(services: Services, model: str, run: str, objective: str) -> TrainedRun:
    manifest = services.artifacts.manifest(model, run)
    return TrainedRun(
        schema=services.artifacts.schema(model, run),
        settings=manifest.settings.training,
        objective=objective,
        split=manifest.split,
        test_fraction=manifest.settings.data.test_fraction,
        validation_fraction=manifest.settings.data.validation_fraction,
    )
