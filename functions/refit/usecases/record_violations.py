"""Write the failed checks of a cohort to its constraint_violations.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import ObjectNotFound
from refit.domain.monitoring.violations import Violations
from refit.domain.naming import ModelKeys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from refit.domain.monitoring.violations import Violation
    from refit.usecases.services import Services


def record_violations(
    services: Services, model: str, version: int, start: datetime, newer: Sequence[Violation]
) -> None:
    """Add violations to those of the cohort. A repeated check replaces its own violation."""
    key = ModelKeys(model).violations(version, start)
    try:
        before = Violations.model_validate_json(services.bucket.read(key))
    except ObjectNotFound:
        before = Violations()
    services.bucket.put_json(key, before.replaced_by(newer).model_dump(mode="json"))
