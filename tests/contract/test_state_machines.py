"""The definitions of the state machines fit the template and the errors of the code."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from refit.domain import errors

from tests.support.template import (
    DEFINITIONS,
    ROOT,
    STATE_MACHINES,
    branches_of,
    inner_machines,
    states_of,
)

# The error names of AWS that may be retried by their name. A misspelt name is legal ASL and matches
# nothing.
TRANSIENT_ERRORS = {
    "lambda:invoke": {
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "Lambda.ClientExecutionTimeoutException",
    },
    "sagemaker": {"SageMaker.ThrottlingException"},
    "aws-sdk:sagemaker": {"SageMaker.SdkClientException", "SageMaker.ThrottlingException"},
}
# What these names say may pass or not: throttling, an internal failure, a refused request, a failed
# job, a quota. So they are caught, and the cause decides.
QUOTA_REACHED = "SageMaker.ResourceLimitExceededException"
CAUSE_DECIDES = {
    "sagemaker": {"SageMaker.AmazonSageMakerException", "States.TaskFailed", QUOTA_REACHED},
    "aws-sdk:sagemaker": {"SageMaker.SageMakerException"},
}
# The process of a function died: for lack of memory, of its time, or with its machine.
DEATHS_OF_FUNCTIONS = {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout"}
UNDECIDED_ERRORS = set.union(*CAUSE_DECIDES.values())
AWS_ERRORS = set.union(
    *TRANSIENT_ERRORS.values(),
    UNDECIDED_ERRORS,
    DEATHS_OF_FUNCTIONS,
    {"States.ALL"},
)

ALL_STATES = [
    pytest.param(state, id=f"{file}:{name}")
    for file, machine in DEFINITIONS.items()
    for name, state in states_of(machine).items()
]
MACHINES = [
    pytest.param(machine, id=f"{file}:{index}")
    for file, whole in DEFINITIONS.items()
    for index, machine in enumerate([whole, *branches_of(whole)])
]
TASKS = [param for param in ALL_STATES if param.values[0]["Type"] == "Task"]
CATCHING = [
    pytest.param(state, id=f"{file}:{name}")
    for file, machine in DEFINITIONS.items()
    for name, state in machine["States"].items()
    if state["Type"] in {"Task", "Parallel", "Map"}
]


def service_of(task: dict[str, Any]) -> str:
    """Return the key of TRANSIENT_ERRORS for the service that a task calls."""
    resource = task["Resource"].removeprefix("arn:${Partition}:states:::")
    return next(key for key in TRANSIENT_ERRORS if resource.startswith(key))


@pytest.mark.parametrize("name", STATE_MACHINES)
def test_every_substitution_is_used_and_every_placeholder_is_filled(name: str) -> None:
    text = (ROOT / STATE_MACHINES[name]["DefinitionUri"]).read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(
        STATE_MACHINES[name]["DefinitionSubstitutions"]
    )


@pytest.mark.parametrize("task", TASKS)
def test_every_task_retries_the_transient_errors_of_its_service(task: dict[str, Any]) -> None:
    # Only a task calls a service, so only a task fails transiently. A Parallel fails when one of
    # its branches has used up its own retries: to repeat it would repeat what has failed for good.
    retried = {error for retrier in task["Retry"] for error in retrier["ErrorEquals"]}
    assert retried >= TRANSIENT_ERRORS[service_of(task)]
    assert "States.ALL" not in retried, "a defect fails every time"
    undecided = UNDECIDED_ERRORS - {QUOTA_REACHED} | CAUSE_DECIDES.get(service_of(task), set())
    assert not retried & undecided, "a request that SageMaker refuses fails every time"
    if service_of(task) == "lambda:invoke":
        assert errors.ServiceThrottled.__name__ in retried


@pytest.mark.parametrize("machine", MACHINES)
def test_an_error_of_sagemaker_whose_name_says_too_little_is_decided_by_its_cause(
    machine: dict[str, Any],
) -> None:
    for name, state in machine["States"].items():
        if state["Type"] != "Task" or service_of(state) not in CAUSE_DECIDES:
            continue
        if state["Resource"].endswith(":deleteModel"):  # their failure is harmless
            continue
        undecided = CAUSE_DECIDES[service_of(state)]
        (target,) = {c["Next"] for c in state["Catch"] if undecided & {*c["ErrorEquals"]}}
        choice = machine["States"][target]
        assert choice["Type"] == "Choice", name
        decided = [rule["Condition"] for rule in choice["Choices"] if "Next" in rule]
        assert any("5[0-9][0-9]" in condition for condition in decided), name


def test_no_resource_is_bound_to_one_partition() -> None:
    for param in TASKS:
        assert param.values[0]["Resource"].startswith("arn:${Partition}:"), param.id


@pytest.mark.parametrize(
    "operation", ["createModel", "createEndpointConfig", "createEndpoint", "updateEndpoint"]
)
def test_what_is_no_job_is_created_by_the_sdk_integration_which_takes_every_field(
    operation: str,
) -> None:
    resources = {param.values[0]["Resource"] for param in TASKS}
    assert f"arn:${{Partition}}:states:::sagemaker:{operation}" not in resources
    assert f"arn:${{Partition}}:states:::aws-sdk:sagemaker:{operation}" in resources


def test_all_functions_are_retried_by_one_policy() -> None:
    policies = {
        json.dumps(retrier, sort_keys=True)
        for task in TASKS
        for retrier in task.values[0]["Retry"]
        if "Lambda.ServiceException" in retrier["ErrorEquals"]
    }
    assert len(policies) == 1


@pytest.mark.parametrize("state", CATCHING)
def test_no_failure_of_a_task_ends_the_execution_unhandled(state: dict[str, Any]) -> None:
    # What a branch does not catch, the Parallel that it belongs to catches.
    assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("state", ALL_STATES)
def test_an_error_that_is_matched_exists(state: dict[str, Any]) -> None:
    for rule in state.get("Retry", []) + state.get("Catch", []):
        for name in rule["ErrorEquals"]:
            if name not in AWS_ERRORS:
                assert issubclass(getattr(errors, name), errors.RefitError), name


@pytest.mark.parametrize("state", ALL_STATES)
def test_no_state_retries_what_cannot_pass_by_itself(state: dict[str, Any]) -> None:
    for rule in state.get("Retry", []):
        for name in rule["ErrorEquals"]:
            if name not in AWS_ERRORS:
                assert issubclass(getattr(errors, name), errors.TransientError), name


@pytest.mark.parametrize("file", DEFINITIONS)
def test_every_state_can_be_reached(file: str) -> None:
    def reached(machine: dict[str, Any]) -> set[str]:
        seen: set[str] = set()
        pending = [machine["StartAt"]]
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            state = machine["States"][name]
            pending += [state[key] for key in ("Next", "Default") if key in state]
            pending += [choice["Next"] for choice in state.get("Choices", [])]
            pending += [catcher["Next"] for catcher in state.get("Catch", [])]
            for branch in inner_machines(state):
                assert reached(branch) == set(branch["States"])
        return seen

    assert reached(DEFINITIONS[file]) == set(DEFINITIONS[file]["States"])


def test_a_run_goes_on_when_its_curves_cannot_be_recorded() -> None:
    (branch,) = [
        branch
        for branch in branches_of(DEFINITIONS["train.asl.json"])
        if branch["StartAt"] == "RecordCurves"
    ]
    (rule,) = branch["States"]["RecordCurves"]["Catch"]
    assert rule["ErrorEquals"] == ["States.ALL"]
    assert branch["States"][rule["Next"]]["Type"] == "Succeed"


def test_a_run_whose_version_was_promoted_before_its_deployment_failed_is_deployed() -> None:
    states = DEFINITIONS["deploy.asl.json"]["States"]
    choice = states[states["RollBack"]["Next"]]
    assert choice["Choices"][0] == {"Condition": "{% $promoted %}", "Next": "FinishRun"}
    assert states["FinishRun"]["Arguments"]["Payload"]["status"] == "DEPLOYED"


def test_a_rollback_whose_function_dies_is_repeated() -> None:
    # Nothing else brings the endpoint back from a version that was refused.
    roll_back = DEFINITIONS["deploy.asl.json"]["States"]["RollBack"]
    retried = {error for retrier in roll_back["Retry"] for error in retrier["ErrorEquals"]}
    assert retried >= DEATHS_OF_FUNCTIONS
