"""What a run keeps of its tuning job, and what becomes of one without a usable trial."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from refit.domain.errors import TuningFailed
from refit.domain.pipeline.failure import explain_failure
from refit.handlers import record_tuning
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample

RUN = "0f1e2d3c4b5a"
JOB = f"refit-{RUN}-0"
BEGAN = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def trial(number: int, value: float | None, status: str = "Completed", **more: Any) -> Any:
    metric = {"MetricName": "validation:mlogloss", "Value": value}
    return {
        "TrainingJobName": f"{JOB}-{number:03d}-0a1b2c3d",
        "TrainingJobStatus": status,
        "TrainingStartTime": BEGAN,
        "TrainingEndTime": BEGAN + timedelta(seconds=42),
        "TunedHyperParameters": {"eta": f"0.{number}"},
        **({} if value is None else {"FinalHyperParameterTuningJobObjectiveMetric": metric}),
        **more,
    }


class Tuning:
    """Replaces the SageMaker client: one tuning job, whose trials come in two pages."""

    def __init__(self, *trials: Any, status: str = "Completed", kind: str = "Minimize") -> None:
        self.trials, self.status, self.kind = trials, status, kind

    def describe_hyper_parameter_tuning_job(self, HyperParameterTuningJobName: str) -> Any:
        objective = {"Type": self.kind, "MetricName": "validation:mlogloss"}
        assert HyperParameterTuningJobName == JOB
        return {
            "HyperParameterTuningJobStatus": self.status,
            "HyperParameterTuningJobConfig": {"HyperParameterTuningJobObjective": objective},
            **({"FailureReason": "No training job succeeded."} if self.status == "Failed" else {}),
        }

    def get_paginator(self, operation: str) -> Tuning:
        assert operation == "list_training_jobs_for_hyper_parameter_tuning_job"
        return self

    def paginate(self, **_: Any) -> list[Any]:
        half = len(self.trials) // 2
        pages = self.trials[:half], self.trials[half:]
        return [{"TrainingJobSummaries": list(page)} for page in pages]

    def describe_training_job(self, TrainingJobName: str) -> Any:
        return {
            "AlgorithmSpecification": {"TrainingImage": "image"},
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://b/{TrainingJobName}/output/model.tar.gz"},
        }


@pytest.fixture
def active(stack: Stack) -> Stack:
    services().models.begin_run("digits", RUN, "drop", None)
    return stack


def recorded(stack: Stack, tuning: Tuning) -> dict[str, Any]:
    stack.replace_clients(sagemaker=tuning)
    return record_tuning.handler(sample("record_tuning"), CONTEXT)


def test_the_best_trial_is_what_a_training_job_would_be(active: Stack) -> None:
    answer = recorded(active, Tuning(trial(1, 0.3), trial(2, 0.1), trial(3, 0.2)))
    name = f"{JOB}-002-0a1b2c3d"
    artifacts = f"s3://b/{name}/output/model.tar.gz"
    trained = {"name": name, "image": "image", "artifacts": artifacts, "environment": {}}
    assert answer == trained


def test_a_metric_that_is_maximized_has_its_best_trial_at_the_top(active: Stack) -> None:
    answer = recorded(active, Tuning(trial(1, 0.3), trial(2, 0.1), kind="Maximize"))
    assert answer["name"] == f"{JOB}-001-0a1b2c3d"


def test_the_run_keeps_every_trial_and_the_hyperparameters_of_the_best(active: Stack) -> None:
    failed = trial(3, None, "Failed", FailureReason="AlgorithmError: x")
    recorded(active, Tuning(trial(1, 0.3), trial(2, 0.1), failed))
    record = active.get(f"digits/runs/{RUN}/tuning.json")
    assert [t["objective"] for t in record["trials"]] == [0.3, 0.1, None]
    assert [t["seconds"] for t in record["trials"]] == [42.0, 42.0, 42.0]
    assert record["trials"][2]["reason"] == "AlgorithmError: x"
    assert record["best"] == f"{JOB}-002-0a1b2c3d"
    run = services().models.run("digits", RUN)
    assert run is not None
    assert run.tuning is not None
    assert run.tuning.hyperparameters == {"eta": "0.2"}
    assert run.tuning.sentence == (
        "best of 3 trials, 1 failed: validation:mlogloss 0.1 in the last round, with eta 0.2"
    )


def test_a_trial_that_was_stopped_early_is_not_used_because_it_saved_no_model(
    active: Stack,
) -> None:
    answer = recorded(active, Tuning(trial(1, 0.3), trial(2, 0.1, "Stopped")))
    assert answer["name"] == f"{JOB}-001-0a1b2c3d"


def test_without_a_usable_trial_the_error_has_the_reason_of_one(active: Stack) -> None:
    failed = trial(1, None, "Failed", FailureReason="AlgorithmError: label must be in [0, 3)")
    with pytest.raises(TuningFailed) as caught:
        recorded(active, Tuning(failed, status="Failed"))
    assert str(caught.value) == (
        f"the tuning job {JOB} is Failed: No training job succeeded. Reason of the first trial "
        "that failed: AlgorithmError: label must be in [0, 3)"
    )
    assert active.get(f"digits/runs/{RUN}/tuning.json")["best"] is None


def test_a_tuning_job_that_was_stopped_fails_the_run_whatever_it_found(active: Stack) -> None:
    with pytest.raises(TuningFailed, match="it was stopped after 1 trials"):
        recorded(active, Tuning(trial(1, 0.3), status="Stopped"))


def test_a_failed_tuning_job_is_explained_by_its_own_reason_if_nothing_else_is_known() -> None:
    cause = (
        '{"HyperParameterTuningJobName": "t", "HyperParameterTuningJobStatus": "Failed", '
        '"FailureReason": "No training job succeeded."}'
    )
    failure = explain_failure({"Error": "States.TaskFailed", "Cause": cause})
    assert failure.name == "HyperParameterTuningJobFailed"
    assert failure.message == "t: No training job succeeded."
