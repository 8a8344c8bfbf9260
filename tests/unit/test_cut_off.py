"""What `refit down` and `refit up` say of executions that the end of a stack cuts off."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from refit_local.ministack.durability.execution_records import CAUSE
from refit_local.stack import cut_off

if TYPE_CHECKING:
    from refit_local.stack.record import StackInfo

STARTED = datetime(2026, 1, 2, tzinfo=UTC)
INFO = cast("StackInfo", None)


class States:
    """Step Functions with the executions of a state machine."""

    def __init__(self, *executions: dict[str, Any]) -> None:
        self._executions = {
            str(number): {"executionArn": str(number), "stateMachineArn": "a:TRAIN", **execution}
            for number, execution in enumerate(executions)
        }

    def list_state_machines(self) -> Any:
        return {"stateMachines": [{"stateMachineArn": "a:TRAIN"}]}

    def list_executions(self, stateMachineArn: str, statusFilter: str) -> Any:
        executions = self._executions.values()
        return {"executions": [e for e in executions if e["status"] == statusFilter]}

    def describe_execution(self, executionArn: str) -> Any:
        return self._executions[executionArn]


def execution(status: str, given: Any, **more: Any) -> dict[str, Any]:
    return {
        "status": status,
        "name": "n1",
        "input": json.dumps(given),
        "startDate": STARTED - timedelta(hours=1),
        **more,
    }


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"model": "digits", "run": "r1"}, "run r1 of digits"),
        ({"model": "digits", "batch": "b1"}, "batch b1 of digits"),
        (
            {"detail": {"ModelPackageGroupName": "refit-digits", "ModelPackageVersion": 3}},
            "the deployment of version 3 of refit-digits",
        ),
        ({}, "execution n1 of TRAIN"),
    ],
)
def test_an_execution_is_named_by_what_it_does(
    monkeypatch: pytest.MonkeyPatch, given: Any, name: str
) -> None:
    states = States(execution("RUNNING", given), execution("SUCCEEDED", given))
    monkeypatch.setattr(cut_off, "client", lambda *_: states)
    assert cut_off.running(INFO) == [name]


def test_what_the_end_of_an_earlier_process_has_cut_off_is_named_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later, before = STARTED + timedelta(seconds=1), STARTED - timedelta(seconds=1)
    states = States(
        execution("FAILED", {"model": "m", "run": "now"}, stopDate=later, cause=CAUSE),
        execution("FAILED", {"model": "m", "run": "earlier"}, stopDate=before, cause=CAUSE),
        execution("FAILED", {"model": "m", "run": "itself"}, stopDate=later, cause="no data"),
        execution("RUNNING", {"model": "m", "run": "about to end"}),
        execution("RUNNING", {"model": "m", "run": "new"}, startDate=later),
    )
    monkeypatch.setattr(cut_off, "client", lambda *_: states)
    named = cut_off.ended_since(INFO, STARTED)
    assert sorted(named) == ["run about to end of m", "run now of m"]
