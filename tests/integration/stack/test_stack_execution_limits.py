"""The local stack starts an execution once, and limits its history and its states' outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from stack_under_test import ALLOW_TASKS, until

if TYPE_CHECKING:
    from stack_under_test import LocalAws

KIBIBYTES_256 = 256 * 1024
LARGE = "{% $states.input.text & $states.input.text %}"
HALF = {"text": "x" * (KIBIBYTES_256 // 2 + 1)}


def waiting(seconds: int) -> dict[str, Any]:
    wait = {"Type": "Wait", "Seconds": seconds, "End": True}
    return {"StartAt": "Wait", "States": {"Wait": wait}}


def test_a_running_execution_is_returned_to_whoever_starts_it_again(aws: LocalAws) -> None:
    machine = aws.machine("started-again", waiting(30))
    states = aws.client("stepfunctions")
    request = {"stateMachineArn": machine, "name": "once", "input": '{"run": 1}'}
    first = states.start_execution(**request)
    again = states.start_execution(**request)
    assert (again["executionArn"], again["startDate"]) == (
        first["executionArn"],
        first["startDate"],
    )
    assert len(states.list_executions(stateMachineArn=machine)["executions"]) == 1
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(**{**request, "input": '{"run": 2}'})
    states.stop_execution(executionArn=first["executionArn"])
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(**request)


def test_an_execution_ends_with_its_twenty_five_thousandth_event(aws: LocalAws) -> None:
    loop = {"Type": "Pass", "Next": "Loop"}
    machine = aws.machine("endless", {"StartAt": "Loop", "States": {"Loop": loop}})
    arn = aws.start(machine, {})
    states = aws.client("stepfunctions")

    def ended() -> dict[str, Any] | None:
        described: dict[str, Any] = states.describe_execution(executionArn=arn)
        return described if described["status"] != "RUNNING" else None

    described = until(ended, 120)
    assert (described["status"], described["error"]) == ("FAILED", "States.Runtime")
    assert described["cause"] == (
        "The execution reached the maximum number of history events (25000)."
    )
    last = states.get_execution_history(executionArn=arn, reverseOrder=True, maxResults=1)
    assert [(e["id"], e["type"]) for e in last["events"]] == [(25_000, "ExecutionFailed")]


def test_a_task_writes_the_events_of_aws(aws: LocalAws) -> None:
    function = aws.function("in-history", "def handler(event, context):\n    return 1\n")
    call = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function},
        "End": True,
    }
    machine = aws.machine("history", {"StartAt": "Call", "States": {"Call": call}}, ALLOW_TASKS)
    arn = aws.start(machine, {})
    states = aws.client("stepfunctions")
    assert aws.ended(arn)["status"] == "SUCCEEDED"
    kinds = [e["type"] for e in states.get_execution_history(executionArn=arn)["events"]]
    assert kinds == [
        "ExecutionStarted",
        "TaskStateEntered",
        "TaskScheduled",
        "TaskStarted",
        "TaskSucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]


SMALL = {"Type": "Pass", "Output": 1, "End": True}
BRANCH = {"StartAt": "Small", "States": {"Small": SMALL}}
LARGE_OUTPUTS: dict[str, dict[str, Any]] = {
    "Pass": {"Type": "Pass", "Output": LARGE, "End": True},
    "Wait": {"Type": "Wait", "Seconds": 0, "Output": LARGE, "End": True},
    "Parallel": {"Type": "Parallel", "Branches": [BRANCH], "Output": LARGE, "End": True},
    "Inside": {
        "Type": "Parallel",
        "Branches": [
            {
                "StartAt": "Large",
                "States": {
                    "Large": {"Type": "Pass", "Output": LARGE, "Next": "Small"},
                    "Small": SMALL,
                },
            }
        ],
        "End": True,
    },
    "Succeed": {"Type": "Succeed", "Output": LARGE},
}


@pytest.mark.parametrize("kind", LARGE_OUTPUTS)
def test_the_output_of_a_state_of_any_type_has_at_most_256_kibibytes(
    aws: LocalAws, kind: str
) -> None:
    definition = {"StartAt": "Large", "States": {"Large": LARGE_OUTPUTS[kind]}}
    machine = aws.machine(f"large-{kind.lower()}", definition)
    assert aws.run(machine, HALF) == "States.DataLimitExceeded"


def test_a_parallel_can_catch_an_output_that_is_too_large_by_its_name(aws: LocalAws) -> None:
    caught = {"Type": "Pass", "Output": "caught", "End": True}
    rule = {"ErrorEquals": ["States.DataLimitExceeded"], "Next": "Caught"}
    large = {**LARGE_OUTPUTS["Inside"], "Catch": [rule]}
    definition = {"StartAt": "Large", "States": {"Large": large, "Caught": caught}}
    assert aws.run(aws.machine("large-caught", definition), HALF) == "caught"


def test_the_arguments_of_a_task_have_at_most_256_kibibytes(aws: LocalAws) -> None:
    function = aws.function("takes-little", "def handler(event, context):\n    return 1\n")
    call = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": {"text": LARGE}},
        "End": True,
    }
    definition = {"StartAt": "Call", "States": {"Call": call}}
    assert aws.run(aws.machine("arguments", definition, ALLOW_TASKS), HALF) == (
        "States.DataLimitExceeded"
    )


def test_an_output_of_256_kibibytes_is_passed_on(aws: LocalAws) -> None:
    text = "x" * (KIBIBYTES_256 - len(json.dumps({"text": ""})))
    definition = {"StartAt": "Same", "States": {"Same": {"Type": "Pass", "End": True}}}
    machine = aws.machine("exactly-256", definition)
    assert aws.run(machine, {"text": text}) == {"text": text}
