"""Expire held labels whose prediction was not captured in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from refit.domain import metric_names
from refit.domain.inferences.label_records import LabelRecord
from refit.stores.labels import MAX_CHANGES
from refit.telemetry import logger, put_metric
from refit.usecases.quarantine_labels import quarantine_labels

if TYPE_CHECKING:
    from refit.domain.inferences.inference import Inference
    from refit.usecases.services import Services

_MAX_EXPIRED = 5_000


def expire_labels(services: Services, model: str) -> int:
    """Delete the held labels that are past their deadline, and publish their number.

    The deadline is `[monitoring] held_label_s` after the receipt of the latest label. It is fixed
    when the label is stored.

    Labels are written to quarantine before they are deleted. A failure in between leaves them in
    both places, so none is lost.

    Returns:
        The number of inferences whose labels expired, at most 5,000 per call. The limit leaves the
        caller time for its other work; the next call continues.
    """
    now = services.now()
    ids = list(islice(services.labels.overdue(model, now), _MAX_EXPIRED))
    expired = 0
    for start in range(0, len(ids), MAX_CHANGES):
        known = services.labels.load(model, ids[start : start + MAX_CHANGES])
        held = [inference for inference in known.values() if inference.prediction is None]
        if held:
            lines = [line for inference in held for line in _quarantine_lines(inference, now)]
            quarantine_labels(services, model, lines, now)
            expired += len(services.labels.expire(model, held, now))
    if expired:
        put_metric(metric_names.HELD_LABELS_EXPIRED, model, expired)
        logger.warning("held labels expired", extra={"model": model, "expired": expired})
    return expired


def _quarantine_lines(inference: Inference, now: datetime) -> list[dict[str, Any]]:
    """Return a line for each label of an inference, including corrections."""
    lines = []
    for label in inference.labels:
        record = LabelRecord(inference.inference_id, label.label, label.observed_at.isoformat())
        waited = _duration_text(now - label.received_at)
        reason = f"no prediction with this id was captured within {waited}"
        lines.append({"reason": reason, "record": record.as_sent()})
    return lines


def _duration_text(duration: timedelta) -> str:
    days = duration / timedelta(days=1)
    return f"{days:.0f} days" if days >= 2 else f"{duration.total_seconds():.0f} seconds"
