"""Find the run that a requested retraining is measured by: what has changed since it began."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import ObjectNotFound, SettingsInvalid
from refit.domain.retraining.facts import LastComparable
from refit.domain.retraining.state import run_of_episode
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from refit.domain.model_settings import ModelSettings
    from refit.domain.pipeline.model_state import Champion
    from refit.domain.retraining.state import RetrainingState
    from refit.usecases.services import Services


def last_comparable(
    services: Services, model: str, retraining: RetrainingState, champion: Champion
) -> LastComparable:
    """Return the last run for the live version, and what has changed since it began.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        retraining: its state, which names the last retraining.
        champion: its live version.
    """
    settings = _current_settings(services, model)
    last = _last_retraining(services, model, retraining, champion)
    # A run that has not prepared its data reads the settings of now.
    if last is not None and _settings_of(services, model, last.run) in (None, settings):
        return last
    made_by = _measured(services, model, champion.run)
    if _settings_of(services, model, champion.run) == settings:
        return made_by
    return LastComparable((last or made_by).run, made_by.new_labels, has_other_settings=True)


def _last_retraining(
    services: Services, model: str, retraining: RetrainingState, champion: Champion
) -> LastComparable | None:
    """Return the last retraining, if it began for the live version."""
    run = run_of_episode(model, champion.run, champion.version, retraining.episodes)
    record = services.models.run(model, run) if run == retraining.run else None
    if record is None:
        return None
    return _measured(services, model, run, has_failed=record.status is RunStatus.FAILED)


def _measured(
    services: Services, model: str, run: str, *, has_failed: bool = False
) -> LastComparable:
    try:
        seen = services.artifacts.drop(model, run).labels
    except ObjectNotFound:  # a person has deleted it
        seen = 0
    new_labels = max(0, services.monitoring.labelled_rows(model) - seen)
    return LastComparable(run, new_labels, has_failed=has_failed)


def _current_settings(services: Services, model: str) -> ModelSettings | None:
    """Return model.toml; None if it is invalid, so that a run begins and says so."""
    try:
        return services.artifacts.current_settings(model)
    except SettingsInvalid:
        return None


def _settings_of(services: Services, model: str, run: str) -> ModelSettings | None:
    """Return the settings of a run; None if it has not prepared its data."""
    try:
        return services.artifacts.settings(model, run)
    except ObjectNotFound:
        return None
