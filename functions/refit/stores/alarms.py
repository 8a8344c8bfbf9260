"""The CloudWatch alarms of the models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.stores.clients import translate_transient_errors

if TYPE_CHECKING:
    from collections.abc import Iterable


class Alarms:
    """CloudWatch alarms: put and delete."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, requests: Iterable[dict[str, Any]]) -> None:
        """Create or update alarms; one that exists keeps its state.

        Args:
            requests: of PutMetricAlarm.

        Raises:
            ServiceThrottled: when CloudWatch throttled a request; the alarms before it were put.
        """
        for request in requests:
            with translate_transient_errors():
                self._client.put_metric_alarm(**request)

    def delete(self, names: list[str]) -> None:
        """Delete up to 100 alarms; a name without an alarm is ignored."""
        if names:
            with translate_transient_errors():
                self._client.delete_alarms(AlarmNames=names)
