"""Commands of a user that functions carry out: events on the event bus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from refit.stores.retries import RetryPolicy

from refit_cli.errors import RunFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.vocabulary import EventName

    from refit_cli.connection import StackConnection


def user_name(connection: StackConnection) -> str:
    """Return the name of the user who runs the command."""
    try:
        return connection.runtime.user_name()
    except (KeyError, ImportError, OSError):  # raised by Python if the user id has no name
        return "unknown user"


REJECTED_EVENTS = RetryPolicy(max_attempts=5, initial_backoff_s=0.2)
"""For an entry that the event bus has rejected, mostly because it throttles."""


def publish(connection: StackConnection, name: EventName, detail: Mapping[str, object]) -> str:
    """Publish a user command on the event bus; return the event's id.

    Raises:
        RunFailed: when the event bus rejects the event again and again.
    """
    addressed = {"prefix": connection.stack.name_prefix, **detail}
    entry = {"Source": "refit", "DetailType": name, "Detail": json.dumps(addressed)}
    events = connection.client("events")
    for _ in REJECTED_EVENTS.attempts():
        # A rejected entry is part of a successful answer, which botocore does not retry.
        (result,) = events.put_events(Entries=[entry])["Entries"]
        if "EventId" in result:
            return str(result["EventId"])
    raise RunFailed(
        f"the event bus rejected the event '{name}': {result.get('ErrorMessage', result)}",
        "try again in a moment",
    )
