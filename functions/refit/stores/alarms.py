"""CloudWatch's alarms: put and delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.stores.clients import client, passing_troubles_named

if TYPE_CHECKING:
    from collections.abc import Iterable


def put(requests: Iterable[dict[str, Any]]) -> None:
    """Put alarms, or renew them; one that exists keeps its state.

    Raises:
        ServiceThrottled: when CloudWatch did not take one; those before it are put.
    """
    for request in requests:
        with passing_troubles_named():
            client("cloudwatch").put_metric_alarm(**request)


def delete(names: list[str]) -> None:
    """Delete up to 100 alarms; one that is not there is no error."""
    if names:
        with passing_troubles_named():
            client("cloudwatch").delete_alarms(AlarmNames=names)
