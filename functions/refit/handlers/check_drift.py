"""Look at a live version: has it become worse, have its inputs moved, is anything silent?

Invoked by  CheckDriftQueue (batches of up to 10): compare, at most once per cohort, and a schedule
Input       SQS records around {"model"}                   events/check_drift.json
            or a "Scheduled Event": all models             events/check_drift_scheduled.json
Output      the failed message ids only
Raises      nothing of its own: a message that keeps failing goes to the dead-letter queue

The verdict is a function of counters, so it does not matter who looks, how often, or whether two
look at once: the later look's verdict stays, and an alarm is told once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from refit.domain import metric_names
from refit.domain.errors import ServiceThrottled
from refit.domain.monitoring.verdict import Verdict, alarm_after
from refit.domain.retraining.state import Retraining, State
from refit.stores import bus, labels, retraining, store
from refit.telemetry import count, logger
from refit.usecases.check_drift import Found, Watched, look_at, watched_of
from refit.usecases.record_labels import expire_held

_ROUNDS = 10

processor = BatchProcessor(event_type=EventType.SQS)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Handle a batch of messages, each by itself."""
    return process_partial_response(
        event=event, record_handler=_detect, processor=processor, context=context
    )


def _detect(record: Any) -> None:
    message = json.loads(record["body"])
    if "model" in message:
        _look(message["model"])
        return
    for model in store.models():
        bus.poke_check_drift(model)


def _look(model: str) -> None:
    now = _this_moment()
    champion = store.load_champion(model)
    if champion is None:
        logger.info("no version is live", extra={"model": model})
        return
    watched = watched_of(model, champion.version, champion.run)
    found = look_at(watched, retraining.load_verdict(model), now)
    verdict = _keep(watched, found, now)
    if verdict is not None:
        _tell(model, verdict, now)
    state = retraining.load(model)
    if not state.is_plainly_healthy or (found.quality and found.quality.drifted):
        bus.poke_retrain(model)
    _publish(model, _gauges_of_quality(found) + _gauges_of_retraining(state, now))
    if watched.monitoring.capture != "off":
        expire_held(model, now)
        _publish(model, _gauges_of_labels(model, champion.promoted_at, now))


def _this_moment() -> datetime:
    """Return now, as it is stored: in milliseconds."""
    return datetime.fromisoformat(store.now())


def _keep(watched: Watched, found: Found, now: datetime) -> Verdict | None:
    """Store the verdict, unless a later look has stored its own; return what was stored."""
    for _ in range(_ROUNDS):
        before = retraining.load_verdict(watched.model)
        if before is not None and before.looked_at >= now:
            logger.info("a later look was sooner", extra={"model": watched.model})
            return None
        verdict = Verdict(
            version=watched.version,
            run=watched.run,
            looked_at=now,
            quality=found.quality,
            live=found.live,
            inputs=found.inputs,
            alarm=alarm_after(
                before.alarm if before else None, found.quality, watched.version, now
            ),
            revision=before.revision if before else 0,
        )
        if retraining.save_verdict(watched.model, verdict):
            return verdict
    raise ServiceThrottled(f"the verdict on {watched.model} was changed by others {_ROUNDS} times")


def _tell(model: str, verdict: Verdict, now: datetime) -> None:
    """Tell of an alarm that this look raised, or that whoever raised it left untold."""
    alarm, quality = verdict.alarm, verdict.quality
    if alarm is None or quality is None or alarm.told or alarm.claimed_at != now:
        return
    bus.publish(
        bus.EventName.DRIFT_DETECTED,
        {
            "model": model,
            "version": verdict.version,
            "run": verdict.run,
            "raised_at": alarm.raised_at.isoformat(timespec="milliseconds"),
            **quality.model_dump(mode="json"),
        },
    )
    bus.notify(
        f"Refit: {model} version {verdict.version} drifts",
        f"{quality.sentence}\n\nWhat follows stands in `refit status {model}`.",
    )
    retraining.mark_told(model, alarm)


@dataclass(frozen=True)
class Gauge:
    """One value of one metric."""

    name: str
    value: float
    unit: MetricUnit = MetricUnit.Count


def _publish(model: str, gauges: list[Gauge]) -> None:
    for gauge in gauges:
        count(gauge.name, model, gauge.value, gauge.unit)


def _gauges_of_quality(found: Found) -> list[Gauge]:
    live, quality, inputs = found.live, found.quality, found.inputs
    gauges = []
    if quality is not None:
        evidence = max(0.0, quality.log10_evidence or 0.0)  # below 1 it is none
        gauges.append(Gauge(metric_names.DRIFT_EVIDENCE, evidence, MetricUnit.NoUnit))
        gauges.append(Gauge(metric_names.QUALITY_DRIFT, float(quality.drifted)))
    if live.coverage is not None:
        coverage = 100 * live.coverage
        gauges.append(Gauge(metric_names.LABEL_COVERAGE, coverage, MetricUnit.Percent))
    for metrics, accuracy, rmse in (
        (live.metrics, metric_names.ACCURACY, metric_names.RMSE),
        (live.baseline, metric_names.BASELINE_ACCURACY, metric_names.BASELINE_RMSE),
    ):
        if "accuracy" in metrics:
            gauges.append(Gauge(accuracy, 100 * metrics["accuracy"], MetricUnit.Percent))
        if "rmse" in metrics:
            gauges.append(Gauge(rmse, metrics["rmse"], MetricUnit.NoUnit))
    if inputs is not None:
        gauges.append(Gauge(metric_names.INPUT_DRIFT, inputs.flagged))
    if inputs is not None and inputs.estimated_accuracy is not None:
        estimated = 100 * inputs.estimated_accuracy
        gauges.append(Gauge(metric_names.ESTIMATED_ACCURACY, estimated, MetricUnit.Percent))
    return gauges


def _gauges_of_retraining(state: Retraining, now: datetime) -> list[Gauge]:
    owed_s = max(0.0, (now - state.owed.since).total_seconds()) if state.owed else 0.0
    return [
        Gauge(metric_names.RETRAINING_OWED, owed_s, MetricUnit.Seconds),
        Gauge(metric_names.RETRAINING_BLOCKED, float(state.state is State.BLOCKED)),
    ]


def _gauges_of_labels(model: str, promoted_at: str, now: datetime) -> list[Gauge]:
    counters = labels.load_counters(model)

    def silence_s(last: datetime | None) -> float:
        newest = max(filter(None, (last, datetime.fromisoformat(promoted_at))))
        return max(0.0, (now - newest.astimezone(UTC)).total_seconds())

    return [
        Gauge(metric_names.HELD_LABELS, counters.held),
        Gauge(
            metric_names.CAPTURE_SILENCE, silence_s(counters.last_capture_at), MetricUnit.Seconds
        ),
        Gauge(metric_names.LABEL_SILENCE, silence_s(counters.last_label_at), MetricUnit.Seconds),
    ]
