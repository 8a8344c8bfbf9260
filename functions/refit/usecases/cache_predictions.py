"""Cache the predictions of the first rows of a batch, for requests of the same rows.

A row is found by its encoded features and the run of its version, so another version, or the same
model after its removal, never answers from it.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from refit.tabular.prediction_table import lines_of
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.naming import BatchKeys
    from refit.domain.pipeline.batch import BatchParts
    from refit.tabular.prediction_table import AnsweredRow
    from refit.usecases.services import Services

KEPT_FOR = timedelta(days=30)
_STORED_AT_ONCE = 1000


class CachedRows:
    """Stores the answers to the first rows of a batch while its result is written."""

    def __init__(self, services: Services, keys: BatchKeys, parts: BatchParts) -> None:
        self._services = services
        self._keys = keys
        self._parts = parts
        self._lines = islice(_encoded_lines(services, keys, parts), parts.cached_rows)
        self._answers: dict[str, str] = {}

    def add(self, row: AnsweredRow) -> None:
        """Take the next row of the batch."""
        line = next(self._lines, None)
        if line is None:
            return
        self._answers[line] = ",".join(map(repr, row.answer))
        if len(self._answers) == _STORED_AT_ONCE:
            self._store()

    def finish(self) -> None:
        """Store the last answers, and let the API use them if the version is still live."""
        if not self._parts.cached_rows:
            return
        self._store()
        model, run = self._keys.model, self._parts.run
        until = self._services.now() + KEPT_FOR
        if not self._services.models.record_cache(model, run, until):
            logger.info("cached for a version that is not live", extra={"model": model, "run": run})

    def _store(self) -> None:
        until = self._services.now() + KEPT_FOR
        cache = self._services.prediction_cache
        cache.store(self._keys.model, self._parts.run, self._answers, until)
        self._answers.clear()


def _encoded_lines(services: Services, keys: BatchKeys, parts: BatchParts) -> Iterator[str]:
    for number in range(len(parts.rows)):
        for line in lines_of(services.bucket.open(keys.part(number))):
            yield line.rstrip("\n")
