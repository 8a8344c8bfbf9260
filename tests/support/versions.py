"""Register versions of models with the artifacts and items that their runs would write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.domain.model_settings import ModelSettings
from refit.domain.moments import iso
from refit.domain.monitoring.baseline import Baseline
from refit.domain.naming import RunKeys
from refit.domain.pipeline.manifest import Manifest, SideRows
from refit.domain.pipeline.model_state import Champion
from refit.handlers.wiring import services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.schema import Schema

NO_PROFILE: dict[str, Any] = {"sampled_rows": 1, "columns": []}


def plain_baseline(schema: Schema, error_bound: float | None = None) -> Baseline:
    """Return a baseline in which only the error bound matters."""
    return Baseline(
        task=schema.task, rows_of="new", rows=1, errors=0, error_bound=error_bound, quality={}
    )


def register_version(
    model: str,
    version: int,
    schema: Schema,
    baseline: Baseline | None = None,
    monitoring: Mapping[str, Any] | None = None,
    profile: Mapping[str, Any] = NO_PROFILE,
) -> str:
    """Register a version with the artifacts of its run; return the run.

    The next call of a handler reads the artifacts again, so a test may register a version twice.
    """
    keys = RunKeys(model, f"run{version}")
    bucket = services().bucket
    put_manifest(model, version, monitoring or {})
    bucket.put_json(keys.schema, schema.as_json())
    known_baseline = baseline or plain_baseline(schema)
    bucket.put_json(keys.baseline, known_baseline.model_dump(mode="json"))
    bucket.put_json(keys.profile, profile)
    services().models.record_version(model, version, keys.run, f"arn:package/{version}")
    services.cache_clear()
    return keys.run


def put_manifest(model: str, version: int, monitoring: Mapping[str, Any]) -> None:
    """Write the manifest of a version's run, with these settings of `[monitoring]`."""
    keys = RunKeys(model, f"run{version}")
    manifest = Manifest(
        model=model,
        run=keys.run,
        cause="drop",
        files=(),
        settings=ModelSettings.model_validate({"monitoring": monitoring}),
        rows=SideRows(train=1, validation=0, test=1, quarantined=0),
        created_at=None,
    )
    services().bucket.put_json(keys.manifest, manifest.model_dump(mode="json"))


def promote_version(model: str, version: int, run: str) -> None:
    """Make a version live."""
    services().models.promote(
        model,
        Champion(
            version=version,
            run=run,
            package_arn=f"arn:package/{version}",
            endpoint=f"refit-{model}",
            endpoint_config=f"refit-{model}-v{version}-01234567",
            variant=f"v{version}",
            promoted_at=iso(services().now()),
        ),
    )
    services.cache_clear()
