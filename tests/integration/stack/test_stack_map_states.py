"""Inline Map states: JSONata, variables of their own, and an end at the first failure."""

from __future__ import annotations

from typing import Any

from stack_under_test import ALLOW_TASKS, LocalAws

TRAIN = "arn:aws:states:::sagemaker:createTrainingJob.sync"


def mapped(states: dict[str, Any], start: str, **more: Any) -> dict[str, Any]:
    """Return a machine that maps the array of its input, and outputs what it has assigned."""
    processor = {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": start, "States": states}
    state = {
        "Type": "Map",
        "Items": "{% $states.input.jobs %}",
        "ItemProcessor": processor,
        "Assign": {"all": "{% $states.result %}"},
        "Catch": [
            {
                "ErrorEquals": ["States.ALL"],
                "Assign": {"all": "{% $states.errorOutput.Error %}"},
                "Next": "End",
            }
        ],
        "Next": "End",
        **more,
    }
    end = {"Type": "Succeed", "Output": "{% $all %}"}
    return {"StartAt": "Each", "States": {"Each": state, "End": end}}


def runs_job() -> dict[str, Any]:
    arguments = "{% $merge([$states.input, {'TrainingJobName': $states.input.name}]) %}"
    return {"Type": "Task", "Resource": TRAIN, "Arguments": arguments, "End": True}


def test_each_iteration_of_a_map_has_its_item_and_variables_of_its_own(aws: LocalAws) -> None:
    states = {
        "Begin": {"Type": "Pass", "Assign": {"mine": "{% $states.input.name %}"}, "Next": "Run"},
        "Run": {**runs_job(), "Output": "{% $mine & '-' & $states.result.TrainingJobName %}"},
    }
    machine = aws.machine("each", mapped(states, "Begin", MaxConcurrency=2), ALLOW_TASKS)
    jobs = [{"name": f"each-{number}"} for number in range(5)]
    assert aws.run(machine, {"jobs": jobs}) == [f"each-{n}-each-{n}" for n in range(5)]


def test_an_iteration_that_fails_stops_the_others_and_those_that_wait_never_begin(
    aws: LocalAws,
) -> None:
    definition = mapped({"Run": runs_job()}, "Run", MaxConcurrency="{% 1 + 1 %}")
    machine = aws.machine("first-failure", definition, ALLOW_TASKS)
    jobs = [
        {"name": "map-slow", "Seconds": 60},
        {"name": "map-bad", "Error": "SageMaker.AmazonSageMakerException"},
        {"name": "map-waiting", "Seconds": 60},
    ]
    assert aws.run(machine, {"jobs": jobs}) == "SageMaker.AmazonSageMakerException"
    assert aws.log("/probe/tasks", "map-slow") == ["started", "stopped"]
    assert "stopped" in aws.log("/probe/tasks", "map-waiting") or not aws.log(
        "/probe/tasks", "map-waiting"
    )


def test_items_that_are_a_text_fail_the_map(aws: LocalAws) -> None:
    machine = aws.machine("no-array", mapped({"Run": runs_job()}, "Run"), ALLOW_TASKS)
    assert aws.run(machine, {"jobs": "no-item"}) == "States.QueryEvaluationError"
    assert aws.log("/probe/tasks", "no-item") == []
