"""The objects and items that a run writes, for tests that start after the run."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

from refit.domain.model_settings import ModelSettings, parse_settings
from refit.domain.pipeline.model_state import Champion
from refit.handlers.wiring import services

if TYPE_CHECKING:
    from collections.abc import Mapping

WRITTEN_AT = "2025-01-02T00:00:00.000+00:00"


def object_version(key: str, version: str = "v1", size: int = 10) -> dict[str, Any]:
    """Return an object as drop.json and manifest.json record it."""
    return {
        "key": key,
        "version": version,
        "size": size,
        "last_modified": WRITTEN_AT,
        "is_multipart": False,
    }


def archive_of(members: Mapping[str, bytes]) -> bytes:
    """Return a tar.gz of files, such as a model.tar.gz."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def trained_model(run: str, model: str = "digits") -> tuple[str, bytes]:
    """Return key and content of the model.tar.gz that the training job of a run wrote."""
    key = f"{model}/runs/{run}/training/refit-{model}-{run}-0/output/model.tar.gz"
    return key, archive_of({"xgboost-model": b"a model"})


def manifest(
    run: str, settings: str | ModelSettings = "", model: str = "digits", **values: Any
) -> dict[str, Any]:
    """Return a manifest.json; `settings` is the text of a model.toml or its parsed form."""
    parsed = parse_settings(settings) if isinstance(settings, str) else settings
    return {
        "model": model,
        "run": run,
        "cause": "drop",
        "files": [object_version(f"{model}/raw/a.csv")],
        "slices": [],
        "settings": parsed.model_dump(mode="json"),
        "rows": {"train": 80, "validation": 10, "test": 10, "quarantined": 0},
        "labelled": {},
        "created_at": WRITTEN_AT,
        **values,
    }


def champion(version: int, run: str, model: str = "digits", suffix: str = "x") -> Champion:
    """Return a live version of a model."""
    package = f"arn:aws:sagemaker:us-east-1:123456789012:model-package/refit-{model}/{version}"
    return Champion(
        version=version,
        run=run,
        package_arn=package,
        endpoint=f"refit-{model}",
        endpoint_config=f"refit-{model}-v{version}-{suffix}",
        variant=f"v{version}",
        promoted_at=WRITTEN_AT,
    )


def make_champion_live() -> None:
    """Make version 1 of the model digits its champion."""
    services().models.promote("digits", champion(1, "aaaaaaaaaaaa", suffix="01234567"))
