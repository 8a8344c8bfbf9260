from __future__ import annotations

import time
from typing import Any

from stack_under_test import ALLOW_TASKS, Ground, until

TRAIN = "arn:aws:states:::sagemaker:createTrainingJob.sync"
FAIL = """
class ServiceThrottled(Exception): ...
def handler(event, context):
    raise ServiceThrottled("slow down")
"""
ECHO = "def handler(event, context): return event"


def job(name: str, **more: Any) -> dict[str, Any]:
    """A state that runs a probe job."""
    arguments = {"TrainingJobName": name, **more.pop("arguments", {})}
    return {"Type": "Task", "Resource": TRAIN, "Arguments": arguments, "End": True, **more}


def one(state: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": "Only", "States": {"Only": state}}


def test_a_synchronous_task_gives_its_result(ground: Ground) -> None:
    machine = ground.machine("sync-job", one(job("sync-1")), ALLOW_TASKS)
    assert ground.run(machine) == {"TrainingJobName": "sync-1", "Resource": TRAIN}


def test_a_retried_task_sees_how_often_it_was_retried(ground: Ground) -> None:
    state = job("{% 'retried-' & $string($states.context.State.RetryCount) %}")
    state["Arguments"]["Error"] = "SageMaker.ThrottlingException"
    state["Retry"] = [
        {
            "ErrorEquals": ["SageMaker.ThrottlingException"],
            "IntervalSeconds": 1,
            "MaxAttempts": 2,
            "BackoffRate": 100,
            "MaxDelaySeconds": 1,
            "JitterStrategy": "FULL",
        }
    ]
    machine = ground.machine("retried", one(state), ALLOW_TASKS)
    started = time.monotonic()
    assert ground.run(machine) == "SageMaker.ThrottlingException"
    assert time.monotonic() - started < 8, "a hundred seconds of backoff are capped at one"
    for attempt in range(3):
        assert ground.log("/probe/tasks", f"retried-{attempt}") == ["started"]


def test_an_error_of_a_function_is_caught_by_its_class_name(ground: Ground) -> None:
    ground.function("throttles", FAIL)
    states = {
        "Call": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "throttles", "Payload": {"a": 1}},
            "Catch": [
                {"ErrorEquals": ["DatasetEmpty"], "Next": "Wrong"},
                {
                    "ErrorEquals": ["ServiceThrottled"],
                    "Next": "Done",
                    "Output": "{% $parse($states.errorOutput.Cause).errorMessage %}",
                },
            ],
            "End": True,
        },
        "Wrong": {"Type": "Fail"},
        "Done": {"Type": "Succeed", "Output": {"why": "{% $states.input %}"}},
    }
    machine = ground.machine("named-catch", {"StartAt": "Call", "States": states}, ALLOW_TASKS)
    assert ground.run(machine) == {"why": "slow down"}


def test_parallel_branches_take_arguments_keep_their_own_context_and_join(ground: Ground) -> None:
    branches = [
        one(
            job(
                f"{{% '{side}-' & $states.input.run & '-' & $states.context.State.Name %}}",
                arguments={"Seconds": 1},
            )
        )
        for side in ("new", "base")
    ]
    branches[1] = {
        "StartAt": "Other",
        "States": {"Other": branches[1]["States"]["Only"]},
    }
    states = {
        "Both": {
            "Type": "Parallel",
            "Arguments": {"run": "{% $states.input.run & 'x' %}"},
            "Branches": branches,
            "Assign": {"names": "{% $states.result.TrainingJobName %}"},
            "Output": {"first": "{% $states.result[0].TrainingJobName %}"},
            "Next": "End",
        },
        "End": {
            "Type": "Pass",
            "Output": ["{% $names %}", "{% $states.input.first %}"],
            "End": True,
        },
    }
    machine = ground.machine("both", {"StartAt": "Both", "States": states}, ALLOW_TASKS)
    assert ground.run(machine, {"run": "r"}) == [
        ["new-rx-Only", "base-rx-Other"],
        "new-rx-Only",
    ]


def test_a_failed_branch_stops_the_jobs_of_the_others(ground: Ground) -> None:
    branches = [
        one(job("sibling-slow", arguments={"Seconds": 60})),
        one(job("sibling-bad", arguments={"Error": "SageMaker.AmazonSageMakerException"})),
    ]
    state = {
        "Type": "Parallel",
        "Branches": branches,
        "Catch": [
            {
                "ErrorEquals": ["SageMaker.AmazonSageMakerException"],
                "Next": "Caught",
                "Output": "{% $states.errorOutput.Error %}",
            }
        ],
        "End": True,
    }
    definition = {"StartAt": "P", "States": {"P": state, "Caught": {"Type": "Succeed"}}}
    machine = ground.machine("siblings", definition, ALLOW_TASKS)
    assert ground.run(machine) == "SageMaker.AmazonSageMakerException"
    assert ground.log("/probe/tasks", "sibling-slow") == ["started", "stopped"]


def test_stopping_an_execution_stops_its_job_and_nothing_retries_or_catches(
    ground: Ground,
) -> None:
    state = job("aborted", arguments={"Seconds": 60})
    state["Retry"] = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 5}]
    state["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    definition = {"StartAt": "J", "States": {"J": state, "Caught": job("never-run")}}
    machine = ground.machine("aborts", definition, ALLOW_TASKS)
    execution = ground.start(machine)
    until(lambda: ground.log("/probe/tasks", "aborted"))
    ground.client("stepfunctions").stop_execution(executionArn=execution, cause="enough")
    until(lambda: "stopped" in ground.log("/probe/tasks", "aborted"))
    again = ground.run(ground.machine("after-abort", one(job("later")), ALLOW_TASKS))
    assert again["TrainingJobName"] == "later"
    assert ground.ended(execution)["status"] == "ABORTED"
    assert ground.log("/probe/tasks", "aborted") == ["started", "stopped"]
    assert ground.log("/probe/tasks", "never-run") == []


def test_a_task_whose_time_is_up_is_stopped_and_times_out(ground: Ground) -> None:
    state = job("overdue", arguments={"Seconds": 60}, TimeoutSeconds="{% 2 - 1 %}")
    machine = ground.machine("task-timeout", one(state), ALLOW_TASKS)
    assert ground.run(machine) == "States.Timeout"
    assert ground.log("/probe/tasks", "overdue") == ["started", "stopped"]


def test_an_execution_whose_time_is_up_times_out_whole(ground: Ground) -> None:
    definition = {**one(job("whole", arguments={"Seconds": 60})), "TimeoutSeconds": 1}
    execution = ground.start(ground.machine("whole-timeout", definition, ALLOW_TASKS))
    assert ground.ended(execution)["status"] == "TIMED_OUT"
    until(lambda: ground.log("/probe/tasks", "whole") == ["started", "stopped"])


def test_a_wait_of_computed_length_ends_and_is_cut_short_by_a_stop(ground: Ground) -> None:
    wait = {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "End": True}
    machine = ground.machine("waits", one(wait))
    assert ground.run(machine, {"seconds": 1}) == {"seconds": 1}
    execution = ground.start(machine, {"seconds": 600})
    ground.client("stepfunctions").stop_execution(executionArn=execution)
    assert ground.ended(execution)["status"] == "ABORTED"


def test_a_machine_may_do_only_what_its_role_may(ground: Ground) -> None:
    allowed = {
        "Effect": "Allow",
        "Action": "sagemaker:CreateTrainingJob",
        "Resource": "arn:aws:sagemaker:us-east-1:000000000000:training-job/mine-*",
    }
    state = job("{% $states.input.name %}")
    machine = ground.machine("narrow", one(state), allowed)
    assert ground.run(machine, {"name": "mine-1"})["TrainingJobName"] == "mine-1"
    assert ground.run(machine, {"name": "yours-1"}) == "SageMaker.AmazonSageMakerException"


def test_a_machine_must_be_allowed_to_pass_the_role_it_gives_a_job(ground: Ground) -> None:
    role = "arn:aws:iam::000000000000:role/jobs"
    state = job("{% $states.input.name %}", arguments={"RoleArn": role})
    create = {"Effect": "Allow", "Action": "sagemaker:CreateTrainingJob", "Resource": "*"}
    passing = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": role,
        "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
    }
    without = ground.machine("without-pass-role", one(state), create)
    assert ground.run(without, {"name": "p-1"}) == "SageMaker.AmazonSageMakerException"
    having = ground.machine("with-pass-role", one(state), create, passing)
    assert ground.run(having, {"name": "p-2"})["TrainingJobName"] == "p-2"


def test_a_machine_that_may_not_call_a_function_does_not(ground: Ground) -> None:
    arn = ground.function("callee", ECHO)
    state = {"Type": "Task", "Resource": arn, "End": True}
    machine = ground.machine("no-invoke", one(state))
    assert ground.run(machine) == "Lambda.AWSLambdaException"


def test_an_sdk_task_asks_the_service_with_names_as_on_aws(ground: Ground) -> None:
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        "Arguments": {"EndpointName": "{% $states.input.name %}"},
        "End": True,
    }
    machine = ground.machine("describes", one(state), ALLOW_TASKS)
    answer = ground.run(machine, {"name": "live"})
    assert (answer["EndpointName"], answer["EndpointStatus"]) == ("live", "InService")
    assert ground.run(machine, {"name": "none"}) == "SageMaker.ValidationException"


def test_a_branch_that_retries_keeps_its_own_state_beside_the_others(ground: Ground) -> None:
    retried = job("{% $states.context.State.Name & $string($states.context.State.RetryCount) %}")
    retried["Arguments"]["Error"] = "SageMaker.ThrottlingException"
    retried["Retry"] = [
        {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1, "BackoffRate": 1}
    ]
    wait = {"Type": "Wait", "Seconds": 3, "End": True}
    branches = [
        {"StartAt": "Mine", "States": {"Mine": retried}},
        {
            "StartAt": "First",
            "States": {"First": {"Type": "Pass", "Next": "Linger"}, "Linger": wait},
        },
    ]
    machine = ground.machine(
        "beside", one({"Type": "Parallel", "Branches": branches, "End": True}), ALLOW_TASKS
    )
    assert ground.run(machine) == "SageMaker.ThrottlingException"
    assert ground.log("/probe/tasks", "Mine0") == ["started"]
    assert ground.log("/probe/tasks", "Mine1") == ["started"]


def test_a_stopped_branch_that_catches_everything_ends_all_the_same(ground: Ground) -> None:
    stubborn = job("stubborn", arguments={"Seconds": 60})
    stubborn["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "Only"}]
    bad = job("stubborn-sibling", arguments={"Error": "SageMaker.AmazonSageMakerException"})
    state = {"Type": "Parallel", "Branches": [one(stubborn), one(bad)], "End": True}
    machine = ground.machine("stubborn", one(state), ALLOW_TASKS)
    assert ground.run(machine) == "SageMaker.AmazonSageMakerException"
    assert ground.log("/probe/tasks", "stubborn") == ["started", "stopped"]
