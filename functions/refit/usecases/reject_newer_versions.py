"""Reject the approved versions that are newer than one to which a model is rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refit.stores.models import ModelStore
    from refit.stores.registry import ModelRegistry


def reject_newer_versions(
    models: ModelStore, registry: ModelRegistry, model: str, version: int, live: int, by: str
) -> list[int]:
    """Reject the approved versions after a version; return their numbers.

    The live version is rejected last: only its event starts a deployment, that of the newest
    approved version. An interrupted call leaves the live version live, and can be repeated.

    Args:
        models: the versions that Refit made.
        registry: SageMaker's model registry.
        model: name of the model.
        version: that shall become live.
        live: the version that is live.
        by: who asked.
    """
    rejected = []
    newer = models.packages_after(model, version)
    for number, arn in sorted(newer, key=lambda each: (each[0] == live, each[0])):
        package = registry.find_package(arn)
        if package is not None and package.approval == "Approved":
            registry.reject_package(arn, f"Rolled back to version {version} by {by}")
            rejected.append(number)
    return rejected
