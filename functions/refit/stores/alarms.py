"""The CloudWatch alarms of the models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.stores.clients import translate_transient_errors

if TYPE_CHECKING:
    from collections.abc import Iterable


class Alarms:
    """Puts, describes and deletes CloudWatch alarms."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, requests: Iterable[dict[str, Any]]) -> None:
        """Create or update alarms; an alarm that exists keeps its state.

        Args:
            requests: parameters of PutMetricAlarm, one request per alarm.

        Raises:
            ServiceThrottled: when CloudWatch throttled a request; the alarms before it were put.
        """
        for request in requests:
            with translate_transient_errors():
                self._client.put_metric_alarm(**request)

    def describe(self, names: list[str]) -> list[dict[str, Any]]:
        """Return those of up to 100 alarms that exist, in the order of their names."""
        with translate_transient_errors():
            answer = self._client.describe_alarms(
                AlarmNames=names, AlarmTypes=["MetricAlarm"], MaxRecords=len(names)
            )
        return list(answer["MetricAlarms"])

    def delete(self, names: list[str]) -> None:
        """Delete up to 100 alarms; a name without an alarm is ignored."""
        if names:
            with translate_transient_errors():
                self._client.delete_alarms(AlarmNames=names)
