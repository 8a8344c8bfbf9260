"""How long a run spends in each state, from the history of its Step Functions executions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

# States that only steer take no time and tell a person nothing.
_STEERING = frozenset({"ChoiceState", "PassState", "SucceedState", "FailState"})


@dataclass(frozen=True)
class StateSpan:
    """One stay in one state. `left_at` is None while the execution is in it."""

    machine: str
    state: str
    entered_at: datetime
    left_at: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """Return how long the stay lasted, or has lasted until now."""
        return ((self.left_at or now) - self.entered_at).total_seconds()


class ExecutionHistory:
    """The states of one execution, read anew until it ends.

    Args:
        stepfunctions: the boto3 client.
        machine: the name shown for the state machine, `train` or `deploy`.
        execution: the execution's ARN.
    """

    def __init__(self, stepfunctions: Any, machine: str, execution: str) -> None:
        self._stepfunctions = stepfunctions
        self._machine = machine
        self._execution = execution
        self._seen = 0
        self.ended = False
        self.spans: list[StateSpan] = []

    def poll(self) -> list[StateSpan]:
        """Read on, and return the spans that began or ended since the last call."""
        if self.ended:
            return []
        changed: dict[int, StateSpan] = {}
        for event in self._new_events():
            index = self._apply(event)
            if index is not None:
                changed[index] = self.spans[index]
        return [changed[index] for index in sorted(changed)]

    def _new_events(self) -> list[dict[str, Any]]:
        pages = self._stepfunctions.get_paginator("get_execution_history").paginate(
            executionArn=self._execution, includeExecutionData=False
        )
        events = [event for page in pages for event in page["events"] if event["id"] > self._seen]
        self._seen = max((event["id"] for event in events), default=self._seen)
        return events

    def _apply(self, event: dict[str, Any]) -> int | None:
        kind, at = event["type"], event["timestamp"]
        if kind.startswith("Execution") and kind != "ExecutionStarted":
            self.ended = True
            self.spans = [
                span if span.left_at else replace(span, left_at=at) for span in self.spans
            ]
            return None
        if kind.endswith("StateEntered") and kind.removesuffix("Entered") not in _STEERING:
            name = event["stateEnteredEventDetails"]["name"]
            self.spans.append(StateSpan(self._machine, name, at))
            return len(self.spans) - 1
        if kind.endswith("StateExited") and kind.removesuffix("Exited") not in _STEERING:
            name = event["stateExitedEventDetails"]["name"]
            for index, span in enumerate(self.spans):
                if span.state == name and span.left_at is None:
                    self.spans[index] = replace(span, left_at=at)
                    return index
        return None
