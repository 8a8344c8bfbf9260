"""What is known of a model's versions, each thing read once.

A version's run wrote its schema and settings, and they never change. Which version is live does:
that is asked again when ten seconds have passed.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

from refit.domain.errors import ModelNotFound, VersionNotRegistered
from refit.domain.model_settings import ModelSettings
from refit.domain.naming import RunKeys
from refit.domain.schema import Schema
from refit.stores import s3, store

if TYPE_CHECKING:
    from refit.domain.model_settings import MonitoringSettings
    from refit.stores.store import Champion

_CHAMPION_AGE_S = 10


def live_version(model: str) -> Champion:
    """Return the version that is live, or was ten seconds ago.

    Raises:
        ModelNotFound: when none is.
    """
    return _champion(model, int(time.monotonic() // _CHAMPION_AGE_S))


@lru_cache(maxsize=256)
def _champion(model: str, _period: int) -> Champion:
    champion = store.load_champion(model)
    if champion is None:
        raise ModelNotFound(f"no model {model!r} is deployed")
    return champion


@lru_cache(maxsize=256)
def run_of(model: str, version: int) -> str:
    """Return the run that made a version.

    Raises:
        VersionNotRegistered: when no run has.
    """
    run = store.run_of_version(model, version)
    if run is None:
        raise VersionNotRegistered(f"version {version} of {model} is not registered (yet)")
    return run


@lru_cache(maxsize=256)
def schema_of(model: str, run: str) -> Schema:
    """Return the columns and classes of the version that a run made."""
    return Schema.model_validate_json(s3.get_bytes(RunKeys(model, run).schema))


@lru_cache(maxsize=256)
def monitoring_of(model: str, run: str) -> MonitoringSettings:
    """Return `[monitoring]` of model.toml as it was when the run began."""
    manifest = s3.get_json(RunKeys(model, run).manifest)
    return ModelSettings.model_validate(manifest["settings"]).monitoring


def forget() -> None:
    """Read everything anew from now on."""
    for remembered in (_champion, run_of, schema_of, monitoring_of):
        remembered.cache_clear()
