from __future__ import annotations

import time
from typing import Any

from stack_under_test import ALLOW_TASKS, MANAGED_RULES, LocalAws, allow, until

TRAIN = "arn:aws:states:::sagemaker:createTrainingJob.sync"
FAIL = """
class ServiceThrottled(Exception): ...
def handler(event, context):
    raise ServiceThrottled("slow down")
"""
RUN_JOB = [
    *(f"sagemaker:{verb}TrainingJob" for verb in ("Create", "Describe", "Stop")),
    "sagemaker:AddTags",
    "sagemaker:ListTags",
]
ECHO = "def handler(event, context): return event"


def job(name: str, **more: Any) -> dict[str, Any]:
    """Return a Task state that runs a job of the probe."""
    arguments = {"TrainingJobName": name, **more.pop("arguments", {})}
    return {"Type": "Task", "Resource": TRAIN, "Arguments": arguments, "End": True, **more}


def single(state: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": "Only", "States": {"Only": state}}


def test_a_sync_task_returns_the_result_of_its_job(aws: LocalAws) -> None:
    machine = aws.machine("sync-job", single(job("sync-1")), ALLOW_TASKS)
    assert aws.run(machine) == {"TrainingJobName": "sync-1", "Resource": TRAIN}


def test_the_context_object_counts_the_retries_of_a_task(aws: LocalAws) -> None:
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
    machine = aws.machine("retried", single(state), ALLOW_TASKS)
    started = time.monotonic()
    assert aws.run(machine) == "SageMaker.ThrottlingException"
    assert time.monotonic() - started < 8, "MaxDelaySeconds caps the backoff of 100 seconds"
    for attempt in range(3):
        assert aws.log("/probe/tasks", f"retried-{attempt}") == ["started"]


def test_a_catcher_matches_the_class_name_of_a_functions_error(aws: LocalAws) -> None:
    aws.function("throttles", FAIL)
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
    machine = aws.machine("named-catch", {"StartAt": "Call", "States": states}, ALLOW_TASKS)
    assert aws.run(machine) == {"why": "slow down"}


def test_a_parallel_evaluates_jsonata_and_each_branch_has_its_own_context(aws: LocalAws) -> None:
    branches = [
        single(
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
    machine = aws.machine("both", {"StartAt": "Both", "States": states}, ALLOW_TASKS)
    assert aws.run(machine, {"run": "r"}) == [
        ["new-rx-Only", "base-rx-Other"],
        "new-rx-Only",
    ]


def test_a_failed_branch_of_a_parallel_stops_the_jobs_of_the_others(aws: LocalAws) -> None:
    branches = [
        single(job("sibling-slow", arguments={"Seconds": 60})),
        single(job("sibling-bad", arguments={"Error": "SageMaker.AmazonSageMakerException"})),
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
    machine = aws.machine("siblings", definition, ALLOW_TASKS)
    assert aws.run(machine) == "SageMaker.AmazonSageMakerException"
    assert aws.log("/probe/tasks", "sibling-slow") == ["started", "stopped"]


def test_stop_execution_stops_the_job_without_retry_or_catch(
    aws: LocalAws,
) -> None:
    state = job("aborted", arguments={"Seconds": 60})
    state["Retry"] = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 5}]
    state["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    definition = {"StartAt": "J", "States": {"J": state, "Caught": job("never-run")}}
    machine = aws.machine("aborts", definition, ALLOW_TASKS)
    execution = aws.start(machine)
    until(lambda: aws.log("/probe/tasks", "aborted"))
    aws.client("stepfunctions").stop_execution(executionArn=execution, cause="enough")
    until(lambda: "stopped" in aws.log("/probe/tasks", "aborted"))
    later = aws.run(aws.machine("after-abort", single(job("later")), ALLOW_TASKS))
    assert later["TrainingJobName"] == "later"
    assert aws.ended(execution)["status"] == "ABORTED"
    assert aws.log("/probe/tasks", "aborted") == ["started", "stopped"]
    assert aws.log("/probe/tasks", "never-run") == []


def test_timeout_seconds_of_a_task_stops_its_job(aws: LocalAws) -> None:
    state = job("overdue", arguments={"Seconds": 60}, TimeoutSeconds="{% 2 - 1 %}")
    machine = aws.machine("task-timeout", single(state), ALLOW_TASKS)
    assert aws.run(machine) == "States.Timeout"
    assert aws.log("/probe/tasks", "overdue") == ["started", "stopped"]


def test_timeout_seconds_of_a_state_machine_ends_the_execution_as_timed_out(aws: LocalAws) -> None:
    definition = {**single(job("whole", arguments={"Seconds": 60})), "TimeoutSeconds": 1}
    execution = aws.start(aws.machine("whole-timeout", definition, ALLOW_TASKS))
    assert aws.ended(execution)["status"] == "TIMED_OUT"
    until(lambda: aws.log("/probe/tasks", "whole") == ["started", "stopped"])


def test_an_execution_stopped_in_a_wait_does_not_go_on_when_the_wait_is_over(aws: LocalAws) -> None:
    states = aws.client("stepfunctions")
    wait = {"Type": "Wait", "Seconds": "{% $states.input.seconds %}", "End": True}
    machine = aws.machine("waits", single(wait))
    stopped = aws.start(machine, {"seconds": 1})

    def events() -> list[str]:
        history = states.get_execution_history(executionArn=stopped)["events"]
        return [event["type"] for event in history]

    until(lambda: "WaitStateEntered" in events())
    states.stop_execution(executionArn=stopped)
    assert aws.run(machine, {"seconds": 2}) == {"seconds": 2}
    assert aws.ended(stopped)["status"] == "ABORTED"
    assert events() == ["ExecutionStarted", "WaitStateEntered", "ExecutionAborted"]


def test_a_task_fails_if_the_state_machines_role_does_not_allow_it(aws: LocalAws) -> None:
    mine = "arn:aws:sagemaker:us-east-1:000000000000:training-job/mine-*"
    state = job("{% $states.input.name %}")
    machine = aws.machine("narrow", single(state), MANAGED_RULES, allow(RUN_JOB, mine))
    assert aws.run(machine, {"name": "mine-1"})["TrainingJobName"] == "mine-1"
    assert aws.run(machine, {"name": "yours-1"}) == "SageMaker.AmazonSageMakerException"


def test_a_task_that_passes_a_role_requires_iam_pass_role(aws: LocalAws) -> None:
    role = "arn:aws:iam::000000000000:role/jobs"
    state = job("{% $states.input.name %}", arguments={"RoleArn": role})
    create = allow(RUN_JOB)
    passed_to = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    passing = {**allow("iam:PassRole", role), "Condition": passed_to}
    without = aws.machine("without-pass-role", single(state), create, MANAGED_RULES)
    assert aws.run(without, {"name": "p-1"}) == "SageMaker.AmazonSageMakerException"
    having = aws.machine("with-pass-role", single(state), create, MANAGED_RULES, passing)
    assert aws.run(having, {"name": "p-2"})["TrainingJobName"] == "p-2"


def test_a_task_that_invokes_a_function_requires_lambda_invoke_function(aws: LocalAws) -> None:
    arn = aws.function("callee", ECHO)
    state = {"Type": "Task", "Resource": arn, "End": True}
    machine = aws.machine("no-invoke", single(state))
    assert aws.run(machine) == "Lambda.AWSLambdaException"


def test_an_aws_sdk_task_calls_the_registered_service_and_reports_its_errors(aws: LocalAws) -> None:
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        "Arguments": {"EndpointName": "{% $states.input.name %}"},
        "End": True,
    }
    machine = aws.machine("describes", single(state), ALLOW_TASKS)
    output = aws.run(machine, {"name": "live"})
    assert (output["EndpointName"], output["EndpointStatus"]) == ("live", "InService")
    assert aws.run(machine, {"name": "none"}) == "SageMaker.SageMakerException"


def test_an_error_that_the_api_has_a_model_of_keeps_its_name_in_an_aws_sdk_task(
    aws: LocalAws,
) -> None:
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:createEndpoint",
        "Arguments": {"EndpointName": "full", "EndpointConfigName": "any"},
        "Catch": [
            {"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Caught"}
        ],
        "End": True,
    }
    definition = {"StartAt": "C", "States": {"C": state, "Caught": {"Type": "Succeed"}}}
    caught = aws.run(aws.machine("limited", definition, ALLOW_TASKS))
    assert caught["Error"] == "SageMaker.ResourceLimitExceededException"
    assert "(Service: SageMaker, Status Code: 400, Request ID: " in caught["Cause"]


def test_an_aws_sdk_task_that_is_not_allowed_fails_with_the_name_of_the_service(
    aws: LocalAws,
) -> None:
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
        "Arguments": {"EndpointName": "live"},
        "End": True,
    }
    machine = aws.machine("not-allowed", single(state), allow("sagemaker:CreateTrainingJob"))
    assert aws.run(machine) == "SageMaker.SageMakerException"


def test_no_retry_and_no_catch_takes_a_runtime_error(aws: LocalAws) -> None:
    state = job("terminal", arguments={"Error": "States.Runtime"})
    names = [["States.Runtime"], ["States.TaskFailed"], ["States.ALL"]]
    state["Retry"] = [{"ErrorEquals": name, "IntervalSeconds": 1} for name in names]
    state["Catch"] = [{"ErrorEquals": name, "Next": "Caught"} for name in names]
    definition = {"StartAt": "J", "States": {"J": state, "Caught": {"Type": "Succeed"}}}
    assert aws.run(aws.machine("terminal", definition, ALLOW_TASKS)) == "States.Runtime"
    assert aws.log("/probe/tasks", "terminal") == ["started"]


def test_only_its_own_name_takes_an_output_that_is_too_large(aws: LocalAws) -> None:
    state = job("too-large", arguments={"Error": "States.DataLimitExceeded"})
    state["Catch"] = [
        {"ErrorEquals": ["States.DataLimitExceeded"], "Next": "Caught"},
        {"ErrorEquals": ["States.ALL"], "Next": "Caught"},
    ]
    definition = {
        "StartAt": "J",
        "States": {"J": state, "Caught": {"Type": "Pass", "Output": "caught", "End": True}},
    }
    assert aws.run(aws.machine("named-limit", definition, ALLOW_TASKS)) == "caught"
    del state["Catch"][0]
    assert (
        aws.run(aws.machine("unnamed-limit", definition, ALLOW_TASKS)) == "States.DataLimitExceeded"
    )


def test_a_branch_that_retries_has_its_own_retry_count_and_state_name(aws: LocalAws) -> None:
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
    machine = aws.machine(
        "beside", single({"Type": "Parallel", "Branches": branches, "End": True}), ALLOW_TASKS
    )
    assert aws.run(machine) == "SageMaker.ThrottlingException"
    assert aws.log("/probe/tasks", "Mine0") == ["started"]
    assert aws.log("/probe/tasks", "Mine1") == ["started"]


def test_a_stopped_branch_that_catches_all_errors_still_ends(aws: LocalAws) -> None:
    stubborn = job("stubborn", arguments={"Seconds": 60})
    stubborn["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": "Only"}]
    bad = job("stubborn-sibling", arguments={"Error": "SageMaker.AmazonSageMakerException"})
    state = {"Type": "Parallel", "Branches": [single(stubborn), single(bad)], "End": True}
    machine = aws.machine("stubborn", single(state), ALLOW_TASKS)
    assert aws.run(machine) == "SageMaker.AmazonSageMakerException"
    assert aws.log("/probe/tasks", "stubborn") == ["started", "stopped"]
