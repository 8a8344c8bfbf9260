"""Batch predictions of a model, as items of ModelTable.

Items (pk, sk):
    MODEL#<model>  BATCH#<batch>       domain/pipeline/batch.py
    MODEL#<model>  OPEN_BATCH#<batch>  index of the batches that are not known to have ended

Every change is one conditional write, so repeating a step has no further effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key

from refit.domain.errors import ModelNotFound
from refit.domain.moments import iso
from refit.domain.pipeline.batch import Batch, BatchStatus
from refit.stores.models import model_pk

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.moments import Clock
    from refit.stores.dynamodb import Item, Table

_OPEN = "OPEN_BATCH#"


class BatchStore:
    """The batch predictions of models."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def begin(self, model: str, batch: str, file: str, file_version: str) -> None:
        """Record a batch, unless it was begun before."""
        now = iso(self._clock())
        self._table.apply(self._table.put_request({"pk": "MODELS", "sk": model}))
        self._table.apply(self._table.put_request(_open_key(model, batch)))
        self._table.apply(
            self._table.put_request(
                {
                    **_key(model, batch),
                    "batch": batch,
                    "model": model,
                    "file": file,
                    "file_version": file_version,
                    "status": BatchStatus.STARTED,
                    "started_at": now,
                    "updated_at": now,
                },
                condition=Attr("pk").not_exists(),
            )
        )

    def get(self, model: str, batch: str) -> Batch | None:
        """Return a batch, or None when it does not exist."""
        item = self._table.get(_key(model, batch))
        return Batch.model_validate(item) if item else None

    def require(self, model: str, batch: str) -> Batch:
        """Return a batch.

        Raises:
            ModelNotFound: when its model was removed.
        """
        found = self.get(model, batch)
        if found is None:
            raise ModelNotFound(f"{model} was removed")
        return found

    def of_model(self, model: str) -> list[Batch]:
        """Return all batches of a model, latest first."""
        condition = Key("pk").eq(model_pk(model)) & Key("sk").begins_with("BATCH#")
        batches = [Batch.model_validate(item) for item in self._table.query(condition)]
        return sorted(batches, key=lambda batch: batch.started_at, reverse=True)

    def open(self, model: str) -> list[str]:
        """Return the batches of a model that are not known to have ended."""
        condition = Key("pk").eq(model_pk(model)) & Key("sk").begins_with(_OPEN)
        return [item["sk"].removeprefix(_OPEN) for item in self._table.query(condition)]

    def close(self, model: str, batch: str) -> None:
        """Record that a batch has ended."""
        self._table.delete_many([_open_key(model, batch)])

    def update(self, model: str, batch: str, **values: Any) -> bool:
        """Set attributes of a batch, such as its status.

        Returns:
            False when there is no such batch (its model was removed), or it has ended.
        """
        ended = [status.value for status in BatchStatus if status.is_final]
        return self._table.apply(
            self._table.update_request(
                _key(model, batch),
                set=values | {"updated_at": iso(self._clock())},
                condition=Attr("pk").exists() & ~Attr("status").is_in(ended),
            )
        )

    def finished_rows_at(self, model: str, batch: str) -> datetime:
        """Return when the predictions of a batch were joined first, which is now or earlier."""
        now = self._clock()
        self._table.apply(
            self._table.update_request(
                _key(model, batch),
                set_once={"finished_rows_at": iso(now)},
                condition=Attr("pk").exists(),
            )
        )
        known = self.get(model, batch)
        return known.finished_rows_at if known and known.finished_rows_at else now


def _key(model: str, batch: str) -> Item:
    return {"pk": model_pk(model), "sk": f"BATCH#{batch}"}


def _open_key(model: str, batch: str) -> Item:
    return {"pk": model_pk(model), "sk": f"{_OPEN}{batch}"}
