"""How labels are taken, however they were sent: decided, written once, counted, told.

`record_labels` may be called again with the same records: what is known is a repeat. So whoever
sends labels sends them again when it is not sure, and nothing counts twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from refit.domain import metric_names
from refit.domain.errors import ServiceThrottled
from refit.domain.inferences.ground_truth import Change, Outcome, Status, change_of, rejected
from refit.domain.inferences.ground_truth_records import (
    BadLine,
    Fault,
    LabelRecord,
    Observation,
    Receipt,
    Rejection,
    Sent,
    checked,
)
from refit.domain.naming import ModelKeys
from refit.stores import bus, labels, s3
from refit.stores import run_artifacts as versions
from refit.tabular.quarantine import MAX_STORED
from refit.telemetry import count, logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.inferences.inference import Inference
    from refit.domain.schema import Schema

_ROUNDS = 20
"""An inference that others change so often while its label is decided on is a storm."""

_MOST_EXPIRED = 5_000  # in one call: it shares its function's time with other work

_METRICS = {
    Status.NEW: metric_names.LABELS_NEW,
    Status.REPEAT: metric_names.LABELS_REPEATED,
    Status.CORRECTED: metric_names.LABELS_CORRECTED,
    Status.HELD: metric_names.LABELS_HELD,
    Status.REJECTED: metric_names.LABELS_REJECTED,
}


@dataclass(frozen=True)
class Terms:
    """What holds for a model's labels now: by its live version."""

    version: int
    schema: Schema
    held_for: timedelta
    max_age: timedelta


def record_labels(
    model: str, sent: Sequence[Sent], observed_at: datetime | None = None
) -> list[Outcome]:
    """Take labels, and publish how many of each kind there were.

    Args:
        model: the model.
        sent: records; several of one inference take effect in their order.
        observed_at: of a record that does not say it; None for now.

    Returns:
        What became of each, in the order of the records.

    Raises:
        ModelNotFound: when no version of the model is live: nobody could tell a label from a typo.
        VersionNotRegistered: when a labelled prediction is of a version that no run has registered.
        ServiceThrottled: when DynamoDB takes no more for now. What was written stays, and is a
            repeat when it is sent again.
    """
    terms = _terms(model)
    now = datetime.now(UTC)
    receipt = Receipt(model, now, observed_at or now, terms.max_age)
    outcomes: dict[int, Outcome] = {}
    seen: dict[str, list[tuple[int, Observation]]] = defaultdict(list)
    for place, one in enumerate(sent):
        found = checked(one, receipt)
        if isinstance(found, Rejection):
            outcomes[place] = rejected(found)
        else:
            seen[found.inference_id].append((place, found))
    if outcomes:
        labels.count(model, outcomes.values())
    for change in _written(terms, receipt, seen):
        places = [place for place, _ in seen[change.inference_id]]
        outcomes |= zip(places, change.outcomes, strict=True)
    for status, number in Counter(outcome.status for outcome in outcomes.values()).items():
        count(_METRICS[status], model, number)
    return [outcomes[place] for place in range(len(sent))]


def _written(
    terms: Terms, receipt: Receipt, seen: dict[str, list[tuple[int, Observation]]]
) -> list[Change]:
    """Decide on each inference and write it; again where another came first."""
    done: list[Change] = []
    ahead = list(seen)
    for _ in range(_ROUNDS):
        of_each = {name: [one for _, one in seen[name]] for name in ahead}
        related = [key for some in of_each.values() for one in some for key in one.related_ids]
        known = labels.load(receipt.model, [*ahead, *related])
        changes = [
            change_of(name, known, some, _schema_for(known.get(name), terms, receipt), receipt)
            for name, some in of_each.items()
        ]
        written, lost = labels.write(receipt.model, changes, terms.held_for)
        done += written
        ahead = [change.inference_id for change in lost]
        if not ahead:
            return done
    raise ServiceThrottled(f"{len(ahead)} inferences kept changing, such as {ahead[0]!r}")


def _schema_for(inference: Inference | None, terms: Terms, receipt: Receipt) -> Schema:
    """Return the schema of the version that predicted; of the live one while nothing has."""
    if inference is None or inference.prediction is None:
        return terms.schema
    version = inference.prediction.version
    if version == terms.version:
        return terms.schema
    return versions.schema_of(receipt.model, versions.run_of(receipt.model, version))


def _terms(model: str) -> Terms:
    live = versions.live_version(model)
    watched = versions.monitoring_of(model, live.run)
    return Terms(
        live.version,
        versions.schema_of(model, live.run),
        timedelta(seconds=watched.held_label_s),
        timedelta(seconds=watched.max_label_age_s),
    )


class Rejections:
    """What was rejected of one call or file: kept where a person finds it, and told once."""

    def __init__(self, model: str, file: str | None = None) -> None:
        self._model = model
        self._file = file
        self._lines: list[dict[str, Any]] = []
        self._faults: Counter[Fault] = Counter()

    def add(self, sent: Sequence[Sent], outcomes: Sequence[Outcome]) -> None:
        """Take down those of the records that were rejected."""
        for one, outcome in zip(sent, outcomes, strict=True):
            if outcome.fault:
                self._faults[outcome.fault] += 1
                if len(self._lines) < MAX_STORED:
                    self._lines.append(self._line(one, outcome.reason))

    def _line(self, one: Sent, reason: str | None) -> dict[str, Any]:
        where = {} if self._file is None else {"file": self._file, "line": one.line}
        record = one.text if isinstance(one, BadLine) else one.as_sent()
        return where | {"reason": reason, "record": record}

    def tell(self, day: datetime) -> None:
        """Write them to quarantine and tell the bus, when there are any.

        Args:
            day: under which they are filed. The same rejections on the same day are one object.
        """
        if not self._faults:
            return
        key = quarantined(self._model, self._lines, day)
        detail = {
            "model": self._model,
            "file": self._file,
            "rejected": self._faults.total(),
            "reasons": {fault.value: number for fault, number in self._faults.items()},
            "quarantine": key,
        }
        bus.publish(bus.EventName.GROUND_TRUTH_REJECTED, detail)
        logger.warning("labels rejected", extra=detail)


def quarantined(model: str, lines: list[dict[str, Any]], day: datetime) -> str:
    """Keep what is not used of labels where a person finds it; return the object's key.

    Args:
        model: the model.
        lines: each with a reason and the record.
        day: under which they are filed. The same lines on the same day are one object.
    """
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    content = text.encode(errors="backslashreplace")  # half a character is refused, and shown
    digest = hashlib.sha256(content).hexdigest()[:16]
    key = ModelKeys(model).quarantined_labels(f"{day:%Y-%m-%d}/{digest}")
    s3.put_bytes(key, content, "application/x-ndjson")
    return key


def expire_held(model: str, now: datetime) -> int:
    """Give up the labels whose prediction has not come in time.

    Each is written to quarantine first: should this break off, it is there twice, never nowhere.

    Args:
        model: the model.
        now: this moment.

    Returns:
        How many inferences were given up; at most 5,000, the others are left to the next call.
    """
    ids = list(islice(labels.overdue(model, now), _MOST_EXPIRED))
    expired = 0
    for start in range(0, len(ids), labels.MOST_CHANGES):
        known = labels.load(model, ids[start : start + labels.MOST_CHANGES])
        held = [inference for inference in known.values() if inference.prediction is None]
        if held:
            quarantined(model, [_expired(one, now) for one in held], now)
            expired += len(labels.give_up(model, held, now))
    if expired:
        count(metric_names.HELD_LABELS_EXPIRED, model, expired)
        logger.warning("held labels given up", extra={"model": model, "expired": expired})
    return expired


def _expired(inference: Inference, now: datetime) -> dict[str, Any]:
    label = inference.label
    assert label is not None
    waited = now - label.received_at
    record = LabelRecord(inference.inference_id, label.label, label.observed_at.isoformat())
    reason = f"no prediction with this id came within {_length(waited)}"
    return {"reason": reason, "record": record.as_sent()}


def _length(waited: timedelta) -> str:
    days = waited / timedelta(days=1)
    return f"{days:.0f} days" if days >= 2 else f"{waited.total_seconds():.0f} seconds"
