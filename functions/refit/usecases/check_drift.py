"""Check the live version of a model: judge its quality and inputs, notify of drift, publish gauges.

The verdict is a function of counters, so checks can be repeated and can run concurrently. The
verdict of the latest check is kept, and people are notified of an alarm once.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from refit.domain.errors import ServiceThrottled
from refit.domain.moments import iso
from refit.domain.monitoring.live_quality import newest, quality_of, trend_of
from refit.domain.monitoring.verdict import Verdict, alarm_after
from refit.domain.vocabulary import EventName
from refit.stores.retries import WRITE_CONFLICTS
from refit.telemetry import logger
from refit.usecases.expire_labels import expire_labels
from refit.usecases.judge_inputs import judge_live_inputs
from refit.usecases.judge_version import judge_live_quality
from refit.usecases.publish_gauges import publish_label_gauges, publish_verdict_gauges
from refit.usecases.reconcile_batches import reconcile_batches
from refit.usecases.reconcile_model import reconcile_model

if TYPE_CHECKING:
    from datetime import datetime

    from refit.usecases.services import Services

_WINDOW_COHORTS = 24
"""Number of cohorts over which live quality is reported (one day if they are hourly). A longer
window would hide a recent change."""


def check_drift_of_all_models(services: Services) -> None:
    """Enqueue a drift check for every model."""
    for model in services.models.models():
        services.messaging.enqueue_check_drift(model)


def check_drift(services: Services, model: str) -> None:
    """Reconcile runs, locks and batches of a model, expire overdue labels, check its live version.

    Raises:
        ServiceThrottled: when the verdict kept changing concurrently, or AWS throttled.
    """
    reconcile_model(services, model)
    reconcile_batches(services, model)
    expire_labels(services, model)
    now = services.now()
    champion = services.models.champion(model)
    if champion is None:
        logger.info("no version is live", extra={"model": model})
        return
    verdict = _judge(services, model, champion.version, champion.run, now)
    stored = _store(services, model, verdict)
    if stored is not None:
        _notify(services, model, stored)
    retraining = services.monitoring.retraining(model)
    if verdict.drifted or not retraining.is_idle:
        services.messaging.enqueue_retrain(model)
    publish_verdict_gauges(model, verdict, retraining)
    if services.artifacts.settings(model, champion.run).monitoring.capture != "off":
        publish_label_gauges(services, model, champion.promoted_at)


def _judge(services: Services, model: str, version: int, run: str, now: datetime) -> Verdict:
    before = services.monitoring.verdict(model)
    inputs_before = before.inputs if before and before.version == version else None
    settings = services.artifacts.settings(model, run).monitoring
    open_s = max(settings.complete_age_s, _WINDOW_COHORTS * settings.cohort_s) + settings.cohort_s
    settled_until = now - timedelta(seconds=open_s)
    cohorts = services.monitoring.recent_cohorts(model, version, run, settled_until, now)
    schema = services.artifacts.schema(model, run)
    baseline = services.artifacts.baseline(model, run)
    window = newest(cohorts, _WINDOW_COHORTS)
    return Verdict(
        version=version,
        run=run,
        checked_at=now,
        quality=judge_live_quality(services, model, run, cohorts, now),
        live=quality_of(window, schema, baseline.quality),
        inputs=judge_live_inputs(services, model, run, cohorts, inputs_before, now),
        alarm=None,
        trend=trend_of(window, schema),
    )


def _store(services: Services, model: str, verdict: Verdict) -> Verdict | None:
    """Store the verdict with the alarm that follows from it.

    Returns:
        The stored verdict; None when a later check has already stored its verdict.
    """
    for _ in WRITE_CONFLICTS.attempts():
        before = services.monitoring.verdict(model)
        if before is not None and before.checked_at >= verdict.checked_at:
            logger.info("a later check has already stored its verdict", extra={"model": model})
            return None
        alarm = alarm_after(
            before.alarm if before else None, verdict.quality, verdict.version, verdict.checked_at
        )
        revision = before.revision if before else 0
        verdict = verdict.model_copy(update={"alarm": alarm, "revision": revision})
        if services.monitoring.save_verdict(model, verdict):
            return verdict
    raise ServiceThrottled(f"the verdict on {model} kept changing concurrently")


def _notify(services: Services, model: str, verdict: Verdict) -> None:
    """Notify people of an alarm that this check raised, or whose notification failed earlier."""
    alarm, quality = verdict.alarm, verdict.quality
    if alarm is None or alarm.notified or alarm.claimed_at != verdict.checked_at:
        return
    numbers = quality.model_dump(mode="json", exclude={"parts", "steps"})
    services.messaging.publish(
        EventName.DRIFT_DETECTED,
        {
            "model": model,
            "version": verdict.version,
            "run": verdict.run,
            "raised_at": iso(alarm.raised_at),
            "bar": numbers.pop("tolerated_error_rate"),
            **numbers,
        },
    )
    services.messaging.notify(
        f"Refit: drift of {model} version {verdict.version}",
        f"{quality.sentence}\n\nSee `refit status {model}` for the current state.",
    )
    services.monitoring.mark_notified(model, alarm)
