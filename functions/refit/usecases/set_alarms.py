"""Bring the alarms of a model to what its live version should have."""

from __future__ import annotations

from refit.domain.model_settings import ModelSettings
from refit.domain.monitoring.alarms import alarm_names, alarms_of, look_period_s, request_of
from refit.domain.naming import ResourceNames, RunKeys
from refit.environment import environment
from refit.stores import alarms, s3


def renew_alarms(model: str, run: str, variant: str) -> None:
    """Put the alarms of a version and delete those that its settings do not ask for.

    Idempotent: it sets what is.

    Raises:
        ServiceThrottled: when CloudWatch or S3 did not answer; a call again does the rest.
    """
    names = ResourceNames(environment().name_prefix, model)
    chosen = ModelSettings.model_validate(s3.get_json(RunKeys(model, run).manifest)["settings"])
    wanted = alarms_of(names, variant, chosen, look_period_s(environment().look_every))
    alarms.put(request_of(alarm, environment().notices_topic_arn) for alarm in wanted)
    kept = {alarm.name for alarm in wanted}
    alarms.delete([name for name in alarm_names(names) if name not in kept])
