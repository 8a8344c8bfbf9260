"""Pin the version of the model that `[data] features_from` names.

The first run pins the live version. Later runs keep the version of the live version's features, so
that these never change their meaning unnoticed. To use another one, name it in model.toml; that is
a change of the columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid
from refit.domain.feature_source import FeatureSource, NamedModel, named_model
from refit.domain.inferences.feature_inputs import added_names
from refit.domain.vocabulary import RunStatus
from refit.tabular.added_columns import AddedFeatures, FeatureRequest

if TYPE_CHECKING:
    from refit.domain.data_settings import DataSettings
    from refit.domain.naming import RunKeys
    from refit.domain.schema import Schema
    from refit.usecases.services import Services


def pin_features(
    services: Services,
    keys: RunKeys,
    settings: DataSettings,
    live: Schema | None,
    is_answered: bool,
) -> AddedFeatures | None:
    """Return the version that adds columns to the rows of a run, or None without this setting.

    Args:
        services: the AWS services and the clock of this process.
        keys: of the run.
        settings: `[data]` of model.toml.
        live: schema of the live version, if there is one.
        is_answered: whether the version was pinned and asked before.

    Raises:
        SettingsInvalid: when there is no such version, or it cannot be asked.
    """
    if is_answered:
        request = FeatureRequest.model_validate_json(services.bucket.read(keys.features))
        asked = services.artifacts.schema(request.source.model, request.source.run)
        return AddedFeatures(request.source, asked)
    return named_features(services, keys.model, settings, live)


def named_features(
    services: Services, model: str, settings: DataSettings, live: Schema | None
) -> AddedFeatures | None:
    """Return the version that a run of a model would ask, or None without `[data] features_from`.

    Raises:
        SettingsInvalid: when there is no such version, or it cannot be asked.
    """
    if settings.features_from is None:
        return None
    setting = f"[data] features_from = {settings.features_from!r}"
    named = named_model(settings.features_from)
    if named.model == model:
        raise SettingsInvalid(
            f"{setting}: a model cannot read its own predictions",
            advice="Name another model",
        )
    version = named.version or _version(services, setting, named, live)
    run = _run(services, setting, named.model, version)
    algorithm = services.artifacts.settings(named.model, run).training.algorithm_name
    if algorithm != "xgboost":
        raise SettingsInvalid(
            f"{setting}: version {version} of {named.model!r} has algorithm = {algorithm!r}, and "
            "only predictions of XGBoost can be features",
            advice="Name a model with [training] algorithm = 'xgboost'",
        )
    asked = services.artifacts.schema(named.model, run)
    if asked.features_from is not None:
        raise SettingsInvalid(
            f"{setting}: version {version} of {named.model!r} itself reads predictions of "
            f"{asked.features_from.model!r}, and chains of models are not supported",
            advice=f"Name {asked.features_from.model!r}, or a version without features_from",
        )
    source = FeatureSource(
        model=named.model,
        version=version,
        run=run,
        columns=len(added_names(named.model, asked)),
    )
    return AddedFeatures(source, asked)


def _version(services: Services, setting: str, named: NamedModel, live: Schema | None) -> int:
    """Return the version that the live version uses, else the live one of the named model."""
    if live is not None and live.features_from and live.features_from.model == named.model:
        return live.features_from.version
    champion = services.models.champion(named.model)
    if champion is None:
        raise SettingsInvalid(
            f"{setting}: no version of {named.model!r} is live",
            advice=f"Train {named.model!r} first, or name a model that is live",
        )
    return champion.version


def _run(services: Services, setting: str, model: str, version: int) -> str:
    run_id = services.models.run_of_version(model, version)
    run = services.models.run(model, run_id) if run_id else None
    if run is None:
        raise SettingsInvalid(
            f"{setting}: there is no version {version} of {model!r}",
            advice=f"`refit status {model}` lists its versions",
        )
    if run.status is not RunStatus.DEPLOYED:
        raise SettingsInvalid(
            f"{setting}: version {version} of {model!r} has never been live (its run is "
            f"{run.status})",
            advice="Name a version that is or was live",
        )
    return run.run
