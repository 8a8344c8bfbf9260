"""Inferences for tests of counting, and the rows of a ledger."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from refit.domain.inferences.count_change import CountChange, count_change
from refit.domain.inferences.inference import (
    NOTHING_COUNTED,
    Counted,
    Inference,
    Label,
    Prediction,
    Source,
)
from refit.domain.inferences.ledger import LedgerRow
from refit.domain.model_settings import MonitoringSettings
from refit.domain.schema import Feature, Schema

if TYPE_CHECKING:
    from collections.abc import Iterable

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
FEATURES = (Feature(name="f0", type="number"),)
ANIMALS = Schema(
    task="classification", label="label", features=FEATURES, classes=("cat", "dog", "owl")
)
PRICES = Schema(task="regression", label="label", features=FEATURES)
SETTINGS = MonitoringSettings(cohort_s=3600, label_age_s=600)
ERROR_BOUND = 2.5


class CountingRules(NamedTuple):
    """The schema, settings and error bound by which predictions of a version are counted."""

    schema: Schema
    settings: MonitoringSettings
    error_bound: float | None = None


OF_ANIMALS = CountingRules(ANIMALS, SETTINGS)
OF_PRICES = CountingRules(PRICES, SETTINGS, ERROR_BOUND)


def change_of(known: Inference, rules: CountingRules) -> CountChange | None:
    return count_change(known, *rules)


def label(text: str, observed_s: float = 0, received_s: float = 60) -> Label:
    """Return a label whose times are given in seconds after the prediction."""
    return Label(text, NOON + timedelta(seconds=observed_s), NOON + timedelta(seconds=received_s))


def predicted(text: str, probabilities: list[float] | None = None, version: int = 1) -> Prediction:
    return Prediction(
        text=text,
        confidence=max(probabilities) if probabilities else None,
        probabilities=struct.pack(f"<{len(probabilities)}f", *probabilities)
        if probabilities
        else None,
        version=version,
        at=NOON,
        source=Source("zoo/capture/refit-zoo/v1/2026/11/20/12/00-00-000-a.jsonl", 3, 1),
        rows=1,
        digest="d1",
    )


def inference(
    prediction: Prediction | None,
    *labels: Label,
    seq: int | None = None,
    counted: Counted = NOTHING_COUNTED,
    ambiguous: bool = False,
    inference_id: str = "a",
) -> Inference:
    return Inference(
        "zoo",
        inference_id,
        counted.seq + 1 if seq is None else seq,
        prediction,
        ambiguous,
        labels,
        counted,
    )


def after(known: Inference, counted: Counted, *labels: Label, ambiguous: bool = False) -> Inference:
    """Return an inference that was counted, and then changed."""
    return replace(
        known,
        seq=counted.seq + 1,
        counted=counted,
        labels=known.labels + labels,
        ambiguous=ambiguous,
    )


def rows_that_hold(lines: Iterable[bytes]) -> list[LedgerRow]:
    """Return the latest line of each inference in the ledger, without withdrawn rows."""
    newest: dict[str, LedgerRow] = {}
    for line in lines:
        row = LedgerRow.model_validate_json(line)
        if row.inference_id not in newest or row.seq > newest[row.inference_id].seq:
            newest[row.inference_id] = row
    return [row for _, row in sorted(newest.items()) if not row.withdrawn]
