"""The ledger of joined rows: which label holds for which prediction, and where its features are.

A slice is written once and never changed. What is written may be written again (by a batch that is
tried twice), so readers take the line with the newest `seq` of each inference; one that was
withdrawn, since two different predictions came under its id, takes the row out again.
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

    from refit.domain.inferences.tally import Change


class LedgerRow(BaseModel):
    """A line of the ledger.

    Attributes:
        seq: of the inference; the newest line of an inference holds.
        label: the class's text or the number's.
        prediction: what the version answered, likewise.
        source: the capture file, its line and the row of that, where the features are.
        withdrawn: the inference is no row (any more).
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )

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
class Slice:
    """Lines that are written together.

    Attributes:
        digest: of which inferences at which seq: the same lines have the same name.
    """

    digest: str
    content: bytes


def slice_of(changes: Iterable[Change]) -> Slice | None:
    """Return the lines that changes of one model put into the ledger; None when they put none."""
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
    return Slice(hashlib.sha256(names.encode()).hexdigest()[:32], lines.encode())


def _row(change: Change) -> LedgerRow | None:
    inference, before = change.inference, change.inference.counted
    prediction, label = inference.prediction, inference.label
    if prediction is None or label is None:
        return None
    # A batch that broke off may have written a seq in between, which this one must outdo.
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
