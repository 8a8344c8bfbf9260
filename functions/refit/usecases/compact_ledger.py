"""Write the slices of each closed day of the ledger into one object.

The slices stay: the training sets of earlier runs refer to their versions. So compacting a day
again changes nothing, and a process that ends in between leaves nothing behind. The days are
compacted in their order, so every day up to the last compacted one is compacted or has no slice.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from refit.domain.errors import ObjectNotFound
from refit.domain.naming import ModelKeys
from refit.domain.retraining.ledger_days import by_day, day_of, is_closed
from refit.stores.bucket import PART_BYTES
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.pipeline.manifest import ObjectVersion
    from refit.usecases.services import Services


def compact_ledgers(services: Services) -> int:
    """Compact the closed days of all models; return the number of days."""
    return sum(compact_ledger(services, model) for model in services.models.models())


def compact_ledger(services: Services, model: str) -> int:
    """Compact the closed days of one model; return the number of days.

    Raises:
        ObjectNotFound: when a slice was deleted while it was read.
        ServiceThrottled: when AWS throttles requests. The days before remain compacted.
    """
    if services.models.state(model).removing_since is not None:
        return 0
    now, days = services.now(), 0
    pending = slices_after(services, model, compacted_days(services, model))
    for day, slices in by_day(pending).items():
        if is_closed(day, now):
            _compact(services, ModelKeys(model).labelled_day(day), slices)
            logger.info("ledger compacted", extra={"model": model, "day": day, "n": len(slices)})
            days += 1
    return days


def compacted_days(services: Services, model: str) -> list[ObjectVersion]:
    """Return the compacted days of a model in their order."""
    return services.bucket.list(ModelKeys(model).labelled_days)


def slices_after(
    services: Services, model: str, compacted: Sequence[ObjectVersion]
) -> list[ObjectVersion]:
    """Return the slices after the last compacted day."""
    keys = ModelKeys(model)
    if not compacted:
        return services.bucket.list(keys.labelled_slices)
    last = day_of(compacted[-1].key)
    listed = services.bucket.list(keys.labelled_slices, keys.labelled_slices_of(last))
    return [each for each in listed if day_of(each.key) > last]


def _compact(services: Services, key: str, slices: Sequence[ObjectVersion]) -> None:
    objects = [(each.key, each.version) for each in slices]
    with (
        tempfile.TemporaryDirectory() as folder,
        services.bucket.writer(key, "application/x-ndjson") as day,
    ):
        paths = services.bucket.download_each(objects, Path(folder))
        for entry, path in zip(slices, paths, strict=True):
            if path is None:
                raise ObjectNotFound(f"{entry.key} was deleted while its day was compacted")
            with path.open("rb") as lines:
                shutil.copyfileobj(lines, day, PART_BYTES)
