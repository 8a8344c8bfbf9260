"""Store unused labels and the reasons in quarantine, and publish events about rejected labels."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from refit.domain.inferences.label_records import BadLine
from refit.domain.naming import ModelKeys
from refit.domain.vocabulary import EventName
from refit.tabular.quarantine import MAX_STORED
from refit.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from refit.domain.inferences.label_outcome import Fault, LabelOutcome
    from refit.domain.inferences.label_records import Sent
    from refit.usecases.services import Services


def quarantine_labels(
    services: Services, model: str, lines: Sequence[dict[str, Any]], day: datetime
) -> str:
    """Write unused labels to the quarantine of a model; return the key of the object.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        lines: lines with a reason and the record.
        day: day of the object's key. The same lines on the same day have the same key.
    """
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    content = text.encode(errors="backslashreplace")  # a label may contain a lone surrogate
    digest = hashlib.sha256(content).hexdigest()[:16]
    key = ModelKeys(model).quarantined_labels(f"{day:%Y-%m-%d}/{digest}")
    services.bucket.put(key, content, "application/x-ndjson")
    return key


class RejectedLabels:
    """The rejected records of one API call or file. All are counted, and the first are stored."""

    def __init__(self, model: str, file: str | None = None) -> None:
        self._model = model
        self._file = file
        self._lines: list[dict[str, Any]] = []
        self._faults: Counter[Fault] = Counter()

    def add(self, records: Sequence[Sent], outcomes: Sequence[LabelOutcome]) -> None:
        """Add the records that were rejected."""
        for record, outcome in zip(records, outcomes, strict=True):
            if outcome.fault:
                self._faults[outcome.fault] += 1
                if len(self._lines) < MAX_STORED:
                    self._lines.append(self._line(record, outcome.reason))

    def _line(self, record: Sent, reason: str | None) -> dict[str, Any]:
        origin = {} if self._file is None else {"file": self._file, "line": record.line}
        content = record.text if isinstance(record, BadLine) else record.as_sent()
        return origin | {"reason": reason, "record": content}

    def publish(self, services: Services, day: datetime) -> None:
        """Write the records to quarantine and publish an event, if any were rejected."""
        if not self._faults:
            return
        key = quarantine_labels(services, self._model, self._lines, day)
        detail = {
            "model": self._model,
            "file": self._file,
            "rejected": self._faults.total(),
            "reasons": {fault.value: number for fault, number in self._faults.items()},
            "quarantine": key,
        }
        services.messaging.publish(EventName.GROUND_TRUTH_REJECTED, detail)
        logger.warning("labels rejected", extra=detail)
