"""Count each labelled prediction exactly once in the counters of its cohort.

Batches may be delivered twice, reordered, split and retried. An item records what was counted of
it, and is updated in the same transaction as the counters (stores/inferences.py). The ledger is
written before that transaction, so it contains each labelled prediction at least once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from refit.domain import metric_names
from refit.domain.errors import RefitError, ServiceThrottled, TransientError
from refit.domain.inferences.count_change import count_change
from refit.domain.inferences.ledger import ledger_slice
from refit.domain.naming import ModelKeys
from refit.stores.retries import WRITE_CONFLICTS
from refit.telemetry import logger, put_metric, put_metric_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.inferences.count_change import CountChange
    from refit.domain.inferences.inference import Inference
    from refit.usecases.services import Services


@dataclass(frozen=True)
class Uncounted:
    """An inference that must be delivered again.

    Attributes:
        is_transient: whether the reason can pass by itself, such as throttling.
    """

    inference: Inference
    is_transient: bool


def count_labels(
    services: Services, model: str, inferences: Sequence[Inference]
) -> list[Uncounted]:
    """Count inferences of one model, and enqueue a drift check at most once per cohort.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        inferences: inferences that the stream delivered, each with a different id.

    Returns:
        The inferences that must be delivered again.

    Raises:
        ServiceThrottled: when everything is counted, but the drift check could not be enqueued.
    """
    counted, failed = _count(services, model, inferences)
    if counted:
        _publish(services, model, counted)
    return failed


def _count(
    services: Services, model: str, inferences: Sequence[Inference]
) -> tuple[list[CountChange], list[Uncounted]]:
    """Count inferences, retrying those that change meanwhile; return counted and failed ones."""
    counted: list[CountChange] = []
    failed: list[Uncounted] = []
    pending = list(inferences)
    try:
        for _ in WRITE_CONFLICTS.attempts():
            changes, unusable = _changes_of(services, pending)
            failed += unusable
            if not changes:
                return counted, failed
            _write_ledger(services, model, changes)
            changed_ids: list[str] = []
            for some_counted, conflicted in services.inferences.count(changes):
                counted += some_counted
                changed_ids += [change.inference.inference_id for change in conflicted]
            pending = list(services.inferences.load(model, changed_ids).values())
        raise ServiceThrottled(f"inferences of {model} kept changing while they were counted")
    except ServiceThrottled:
        logger.exception("counting stopped", extra={"model": model})
        finished = {change.inference.inference_id for change in counted}
        finished |= {each.inference.inference_id for each in failed}
        failed += [
            Uncounted(inference, is_transient=True)
            for inference in pending
            if inference.inference_id not in finished
        ]
    return counted, failed


def _changes_of(
    services: Services, inferences: Sequence[Inference]
) -> tuple[list[CountChange], list[Uncounted]]:
    """Return the changes to write, and the inferences of versions without readable artifacts."""
    changes: list[CountChange] = []
    unusable: list[Uncounted] = []
    for inference in inferences:
        try:
            change = _change_of(services, inference)
        except RefitError as error:
            logger.exception("not counted", extra={"inference": inference.inference_id})
            unusable.append(Uncounted(inference, isinstance(error, TransientError)))
        else:
            changes += [change] if change else []
    return changes, unusable


def _change_of(services: Services, inference: Inference) -> CountChange | None:
    """Return the change for an inference, from the artifacts of the version that predicted."""
    if inference.prediction is None:
        return None
    model, artifacts = inference.model, services.artifacts
    run = artifacts.run_of(model, inference.prediction.version)
    baseline = artifacts.baseline(model, run)
    return count_change(
        inference,
        artifacts.schema(model, run),
        artifacts.settings(model, run).monitoring,
        baseline.error_bound,
        baseline.confusions,
    )


def _write_ledger(services: Services, model: str, changes: Sequence[CountChange]) -> None:
    lines = ledger_slice(changes)
    if lines is not None:
        day = services.now().date().isoformat()
        key = ModelKeys(model).labelled_slice(day, lines.digest)
        services.bucket.put(key, lines.content, "application/x-ndjson")


def _publish(services: Services, model: str, counted: Sequence[CountChange]) -> None:
    labelled = [change for change in counted if change.newly_labelled]
    if labelled:
        put_metric(metric_names.LABELS, model, len(labelled))
        delays = [change.label_delay_s for change in labelled]
        put_metric_values(metric_names.LABEL_DELAY, model, delays, MetricUnit.Seconds)
    every_s = min(change.cohort_s for change in counted)
    if services.monitoring.claim_check(model, services.now(), every_s):
        services.messaging.enqueue_check_drift(model)
    logger.info(
        "labels counted",
        extra={"model": model, "changes": len(counted), "labelled": len(labelled)},
    )
