"""The ledger of labelled predictions: which label holds, and where the row's features are.

A slice is written once and never changed. A batch that is tried again may write the same lines
again, so readers use the line with the highest `seq` of each inference. A withdrawn line removes
the row: two different predictions have its id.
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
        seq: of the inference. The line with the highest one holds.
        label: text of the class or the number.
        prediction: text of the class or the number.
        source: where the row's features are.
        withdrawn: the inference is not a labelled row (any more).
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
        digest: of the ids and seqs of its lines, so the same lines have the same name.
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
    # A batch that failed may have written a line with a seq in between, which must be superseded.
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
