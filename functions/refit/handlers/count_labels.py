"""Count each prediction whose label has come into the counters of its cohort, exactly once.

Invoked by  the stream of InferenceTable: items that have a prediction and are not counted as they
            are (batches of up to 1,000)
Input       DynamoDB stream records            events/count_labels.json
Output      the failed sequence numbers only
Raises      ServiceThrottled, when all is counted and drift could not be asked to be looked at; a
            record that keeps failing goes to the dead-letter queue

Whatever is redelivered, reordered, split or tried again: an item says what was counted of it, and
changes together with the counters (stores/counted.py). The ledger is written before that, so a
row is in it at least once.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import StreamRecord
from pydantic import BaseModel, ConfigDict

from refit.domain import metric_names
from refit.domain.errors import DatasetNotFound, RefitError, ServiceThrottled
from refit.domain.inferences.inference import Inference
from refit.domain.inferences.ledger import slice_of
from refit.domain.inferences.tally import Change, Terms, change_of, groups_of
from refit.domain.naming import ModelKeys, RunKeys
from refit.stores import bus, cohorts, counted, labels, s3
from refit.stores import run_artifacts as versions
from refit.telemetry import count, logger, observe

_ROUNDS = 10
"""An inference that changes so often while it is being counted is left to the next delivery."""


class ErrorBound(BaseModel):
    """What is read of baseline.json: its own module brings NumPy."""

    model_config = ConfigDict(extra="ignore")

    error_bound: float | None = None


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Count a batch."""
    newest: dict[tuple[str, str], Inference] = {}
    deliveries: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in event["Records"]:
        inference = _joined(StreamRecord(record["dynamodb"]))
        if inference is None:
            continue
        key = inference.model, inference.inference_id
        deliveries[key].append(record["dynamodb"]["SequenceNumber"])
        if key not in newest or inference.seq >= newest[key].seq:
            newest[key] = inference
    failed: list[str] = []
    for model in sorted({model for model, _ in newest}):
        done, left = _count(model, [it for it in newest.values() if it.model == model])
        for inference in left:
            failed += deliveries[model, inference.inference_id]
        _tell(model, done)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _joined(record: StreamRecord) -> Inference | None:
    """Return the inference of a record; None for one that has nothing to count."""
    image = record.new_image
    if "digest" not in image or "uncounted" not in image:
        return None
    if "probabilities" in image:  # a record is JSON, which has no bytes
        image = image | {"probabilities": base64.b64decode(image["probabilities"])}
    return Inference.from_item(image)


def _count(model: str, inferences: list[Inference]) -> tuple[list[Change], list[Inference]]:
    """Count a model's inferences; return what was counted, and what must come again."""
    done: list[Change] = []
    failed: list[Inference] = []
    ahead = inferences
    for _ in range(_ROUNDS):
        changes, refused = _decided(ahead)
        failed += refused
        if not changes:
            return done, failed
        outdated: list[Change] = []
        try:
            _write_ledger(model, changes)
            for group in groups_of(changes):
                won, lost = counted.count(group)
                done += won
                outdated += lost
            again = [change.inference.inference_id for change in outdated]
            ahead = list(labels.load(model, again).values())
        except ServiceThrottled:
            logger.exception("counting broke off", extra={"model": model})
            finished = {change.inference.inference_id for change in done}
            return done, failed + [it for it in ahead if it.inference_id not in finished]
    return done, failed + ahead


def _decided(inferences: list[Inference]) -> tuple[list[Change], list[Inference]]:
    """Return what is to be done, and the inferences of versions about which nothing is known."""
    changes: list[Change] = []
    refused: list[Inference] = []
    for inference in inferences:
        if inference.prediction is None:
            continue
        try:
            terms = _terms(inference.model, inference.prediction.version)
        except RefitError:
            logger.exception("not counted", extra={"inference": inference.inference_id})
            refused.append(inference)
        else:
            change = change_of(inference, terms)
            changes += [change] if change else []
    return changes, refused


@lru_cache(maxsize=256)
def _terms(model: str, version: int) -> Terms:
    run = versions.run_of(model, version)
    watched = versions.monitoring_of(model, run)
    return Terms(
        schema=versions.schema_of(model, run),
        cohort_s=watched.cohort_s,
        label_age_s=watched.label_age_s,
        error_bound=_error_bound(RunKeys(model, run)),
    )


def _error_bound(keys: RunKeys) -> float | None:
    try:
        return ErrorBound.model_validate(s3.get_json(keys.baseline)).error_bound
    except DatasetNotFound:
        return None  # made by a version of Refit that wrote no baseline


def _write_ledger(model: str, changes: list[Change]) -> None:
    lines = slice_of(changes)
    if lines is not None:
        day = datetime.now(UTC).date().isoformat()
        key = ModelKeys(model).labelled_slice(day, lines.digest)
        s3.put_bytes(key, lines.content, "application/x-ndjson")


def _tell(model: str, done: list[Change]) -> None:
    """Publish what was newly joined, and have drift looked at, at most once per cohort length."""
    if not done:
        return
    joined = [change for change in done if change.newly_labelled]
    if joined:
        count(metric_names.LABELS, model, len(joined))
        delays = [change.label_delay_s for change in joined]
        observe(metric_names.LABEL_DELAY, model, delays, MetricUnit.Seconds)
    every_s = min(change.terms.cohort_s for change in done)
    if cohorts.take_look(model, datetime.now(UTC), every_s):
        bus.poke_check_drift(model)
    logger.info("counted", extra={"model": model, "changes": len(done), "joined": len(joined)})
