"""Ingest a file of ground-truth labels from the bucket.

A label without a time of observation gets the time at which its file was written, plus a
millisecond for each batch before it, so that the last one in the file holds. When a file is
delivered again, even after a failure half-way, its labels have the same times and are repeats.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING

from refit.domain.errors import ObjectNotFound
from refit.domain.inferences.label_records import MAX_RECORDS
from refit.tabular.label_files import labels_in
from refit.telemetry import logger
from refit.usecases.find_model import model_of
from refit.usecases.quarantine_labels import RejectedLabels
from refit.usecases.record_labels import record_labels

if TYPE_CHECKING:
    from refit.domain.inferences.label_outcome import LabelStatus
    from refit.usecases.services import Services

_BLOCK_BYTES = 1024 * 1024


def ingest_label_file(
    services: Services, key: str, version: str | None, batch_records: int = MAX_RECORDS
) -> None:
    """Record the labels of a file; ignore a file that does not exist or belongs to no model.

    Args:
        services: the AWS services and the clock of this process.
        key: key of the object.
        version: version of the object; None for the latest.
        batch_records: number of labels that are recorded at a time.

    Raises:
        ModelNotFound: when no version of the model is live.
        ServiceThrottled: when AWS throttles requests. Recorded labels remain recorded.
    """
    model = model_of(services, key, "ground-truth")
    if model is None or key.endswith("/"):
        return
    try:
        written_at = services.bucket.last_modified(key, version)
        stream = services.bucket.open(key, version)
    except ObjectNotFound as error:
        logger.warning("label file not found", extra={"model": model, "reason": str(error)})
        return
    counts: Counter[LabelStatus] = Counter()
    rejected = RejectedLabels(model, key)
    labels = labels_in(iter(partial(stream.read, _BLOCK_BYTES), b""), key)
    for batch in count():
        records = list(islice(labels, batch_records))
        if not records:
            break
        observed_at = written_at + timedelta(milliseconds=batch)
        outcomes = record_labels(services, model, records, observed_at)
        rejected.add(records, outcomes)
        counts.update(outcome.status for outcome in outcomes)
    rejected.publish(services, written_at)
    logger.info("labels recorded", extra={"model": model, "file": key, "counts": counts})
