"""The states of executions of Step Functions: which were entered and left, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from refit.stores.clients import translate_transient_errors

if TYPE_CHECKING:
    from datetime import datetime

_PAGE_SIZE = 1000

# These states take no time and only control the flow.
_CONTROL_STATES = frozenset({"ChoiceState", "PassState", "SucceedState", "FailState"})


@dataclass(frozen=True)
class StateSpan:
    """One visit of one state. `left_at` is None while the execution is in the state."""

    machine: str
    state: str
    entered_at: datetime
    left_at: datetime | None = None

    def seconds(self, now: datetime) -> float:
        """Return the duration of the visit, up to now if it has not ended."""
        return ((self.left_at or now) - self.entered_at).total_seconds()


class ExecutionStates:
    """The states of one execution.

    Args:
        stepfunctions: the boto3 client.
        machine: the displayed name of the state machine, `train` or `deploy`.
        execution: the execution's ARN.
        most_events: how many events are read at most; None for all.
    """

    def __init__(
        self, stepfunctions: Any, machine: str, execution: str, most_events: int | None = None
    ) -> None:
        self._stepfunctions = stepfunctions
        self._machine = machine
        self._execution = execution
        self._most_events = most_events
        self._last_id = 0
        self.ended = False
        self.spans: list[StateSpan] = []

    def poll(self) -> list[StateSpan]:
        """Read the history, and return the spans that started or ended since the last call."""
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
            executionArn=self._execution,
            includeExecutionData=False,
            PaginationConfig={"PageSize": _PAGE_SIZE, "MaxItems": self._most_events},
        )
        with translate_transient_errors():
            events = [
                event for page in pages for event in page["events"] if event["id"] > self._last_id
            ]
        self._last_id = max((event["id"] for event in events), default=self._last_id)
        return events

    def _apply(self, event: dict[str, Any]) -> int | None:
        """Apply an event to the spans; return the index of the span that it changed."""
        kind, at = event["type"], event["timestamp"]
        if kind.startswith("Execution") and kind != "ExecutionStarted":
            self.ended = True
            self.spans = [
                span if span.left_at else replace(span, left_at=at) for span in self.spans
            ]
            return None
        if kind.endswith("StateEntered") and kind.removesuffix("Entered") not in _CONTROL_STATES:
            name = event["stateEnteredEventDetails"]["name"]
            self.spans.append(StateSpan(self._machine, name, at))
            return len(self.spans) - 1
        if kind.endswith("StateExited") and kind.removesuffix("Exited") not in _CONTROL_STATES:
            name = event["stateExitedEventDetails"]["name"]
            for index, span in enumerate(self.spans):
                if span.state == name and span.left_at is None:
                    self.spans[index] = replace(span, left_at=at)
                    return index
        return None
