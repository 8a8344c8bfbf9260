"""The ledger of labelled predictions: their labels, and where their features are stored.

A slice is written once and never changed. A batch that is retried may write the same lines again,
so readers use the line with the highest `seq` of each inference. A withdrawn line removes the row,
because two different predictions have its id.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from refit.domain.inferences.inference import Source
from refit.domain.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refit.domain.inferences.count_change import CountChange


class LedgerRow(BaseModel):
    """A line of the ledger.

    Attributes:
        seq: `seq` of the inference; the line with the highest value is used.
        label: text of the class or the number.
        prediction: text of the class or the number.
        source: where the features of the row are stored.
        withdrawn: whether the inference is no longer a labelled row.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    inference_id: str
    seq: int
    label: str
    prediction: str
    version: int
    predicted_at: Moment
    observed_at: Moment
    source: Source
    withdrawn: bool = False


@dataclass(frozen=True)
class LedgerSlice:
    """Lines that are written together.

    Attributes:
        digest: digest of the ids and seqs of its lines, so that the same lines have the same name.
    """

    digest: str
    content: bytes


def ledger_slice(changes: Iterable[CountChange]) -> LedgerSlice | None:
    """Return the ledger lines for the changes of one model; None when there are none."""
    rows = sorted(
        (row for change in changes if (row := _row(change)) is not None),
        key=lambda row: row.inference_id,
    )
    if not rows:
        return None
    names = "".join(f"{row.inference_id}\0{row.seq}\n" for row in rows)
    lines = "".join(
        f"{row.model_dump_json(by_alias=True, exclude_defaults=True)}\n" for row in rows
    )
    return LedgerSlice(hashlib.sha256(names.encode()).hexdigest()[:32], lines.encode())


def _row(change: CountChange) -> LedgerRow | None:
    inference, before = change.inference, change.inference.counted
    prediction, label = inference.prediction, inference.label
    if prediction is None or label is None:
        return None
    # If seq rose by more than 1, a failed batch may have written a line that must be superseded.
    if change.counted.shown == before.shown and inference.seq == before.seq + 1:
        return None
    return LedgerRow(
        inference_id=inference.inference_id,
        seq=inference.seq,
        label=label.label,
        prediction=prediction.text,
        version=prediction.version,
        predicted_at=prediction.at,
        observed_at=label.observed_at,
        source=prediction.source,
        withdrawn=change.counted.shown is None,
    )
