"""Set the alarms of a model to those of its live version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.monitoring.alarms import alarm_names, alarms_of, check_period_s, request_of

if TYPE_CHECKING:
    from refit.usecases.services import Services


def set_alarms(services: Services, model: str, run: str, variant: str) -> None:
    """Put the alarms of a version, and delete alarms that its settings do not require.

    Raises:
        ServiceThrottled: when CloudWatch or S3 throttled a request; call again to complete.
    """
    names = services.names(model)
    settings = services.artifacts.settings(model, run)
    period_s = check_period_s(services.environment.check_every)
    alarms = alarms_of(names, variant, settings, period_s)
    topic_arn = services.environment.notices_topic_arn
    services.alarms.put(request_of(alarm, topic_arn) for alarm in alarms)
    kept = {alarm.name for alarm in alarms}
    services.alarms.delete([name for name in alarm_names(names) if name not in kept])
