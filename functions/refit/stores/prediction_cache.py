"""Answers of a version to rows that were predicted upfront, as items of InferenceTable.

id          <model>#cache#<run>#<digest of the encoded row>
model       removing a model finds the item by it
answer      what the container answered, as CSV
expires_at  DynamoDB deletes the item after this time (epoch seconds)
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from refit.stores.inference_items import inference_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from refit.stores.dynamodb import Item, Table


class PredictionCache:
    """Stores answers by model, run and encoded row."""

    def __init__(self, inferences: Table) -> None:
        self._table = inferences

    def store(self, model: str, run: str, answers: Mapping[str, str], until: datetime) -> None:
        """Store the answers to encoded rows, until a time."""
        expires_at = int(until.timestamp())
        self._table.put_many(
            {**_key(model, run, line), "model": model, "answer": answer, "expires_at": expires_at}
            for line, answer in answers.items()
        )

    def find(self, model: str, run: str, lines: Sequence[str]) -> dict[str, str]:
        """Return the answers that are known, by encoded row."""
        line_of = {_key(model, run, line)["id"]: line for line in lines}
        items = self._table.get_many(({"id": name} for name in line_of), consistent=False)
        return {line_of[item["id"]]: item["answer"] for item in items}


def _key(model: str, run: str, line: str) -> Item:
    digest = hashlib.sha256(line.encode("ascii")).hexdigest()
    return inference_key(model, f"cache#{run}#{digest}")
