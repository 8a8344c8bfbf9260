"""How far a tuning job is, as `refit watch` and `refit status` show it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from refit.stores.tuning_progress import TuningFollower

from tests.support.aws_clients import client_error


class Jobs:
    """Replaces the SageMaker client: tuning jobs by name."""

    def __init__(self) -> None:
        self.jobs: dict[str, Any] = {}

    def describe_hyper_parameter_tuning_job(self, HyperParameterTuningJobName: str) -> Any:
        if HyperParameterTuningJobName not in self.jobs:
            raise client_error("ResourceNotFound")
        return self.jobs[HyperParameterTuningJobName]

    def set(self, name: str, *, done: int, best: float | None, status: str = "InProgress") -> None:
        metric = {"MetricName": "validation:mlogloss", "Value": best}
        found = {"BestTrainingJob": {"FinalHyperParameterTuningJobObjectiveMetric": metric}}
        self.jobs[name] = {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobStatus": status,
            "HyperParameterTuningJobConfig": {
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 12},
                "HyperParameterTuningJobObjective": {"MetricName": "validation:mlogloss"},
            },
            "TrainingJobStatusCounters": {"Completed": done, "InProgress": 1},
            **(found if best is not None else {}),
        }


def test_the_trial_and_the_best_value_are_told_when_they_change() -> None:
    jobs = Jobs()
    follower = TuningFollower(jobs, "refit-r1")
    assert follower.poll() is None, "the job does not exist yet"
    jobs.set("refit-r1-0", done=0, best=None)
    first = follower.poll()
    assert first is not None
    assert first.sentence == "trial 1 of 12"
    assert follower.poll() is None
    jobs.set("refit-r1-0", done=4, best=0.08)
    later = follower.poll()
    assert later is not None
    assert later.sentence == "trial 5 of 12, best validation:mlogloss 0.08"
    assert later.as_json() == {
        "trial": 5,
        "of": 12,
        "metric": "validation:mlogloss",
        "best": 0.08,
    }


def test_a_repeated_tuning_is_followed_in_place_of_the_failed_one() -> None:
    jobs = Jobs()
    follower = TuningFollower(jobs, "refit-r1")
    jobs.set("refit-r1-0", done=2, best=None, status="Failed")
    follower.poll()
    assert follower.job == "refit-r1-0"
    jobs.set("refit-r1-1", done=0, best=None)
    follower.poll()
    assert follower.job == "refit-r1-1"


def test_status_tells_the_trial_of_a_run_that_trains(refit, stack, clients) -> None:
    jobs = clients["sagemaker"] = Jobs()
    stack.add_run("digits", "r1", "TRAINING")
    jobs.set("refit-r1-0", done=4, best=0.08)
    assert "trial 5 of 12, best validation:mlogloss 0.08" in refit("status", "digits").stdout


def test_status_tells_the_best_trial_of_a_run_that_was_tuned(refit, stack) -> None:
    tuning = {
        "trials": 12,
        "failed": 1,
        "metric": "validation:rmse",
        "trial": "refit-r1-0-003-0a1b2c3d",
        "value": Decimal("54.2"),
        "hyperparameters": {"eta": "0.10000000149", "max_depth": "4"},
    }
    stack.add_run("digits", "r1", "REFUSED", tuning=tuning)
    shown = " ".join(refit("status", "digits").stdout.split())
    result = "validation:rmse 54.2 in the last round, with eta 0.1, max_depth 4"
    assert f"best of 12 trials, 1 failed: {result}" in shown
    (run,) = json.loads(refit("status", "--json").stdout)["models"][0]["runs"]
    assert run["tuning"]["hyperparameters"] == {"eta": "0.10000000149", "max_depth": "4"}


def test_watch_tells_each_trial_and_not_the_rounds_of_all(refit, stack, clients) -> None:
    jobs = clients["sagemaker"] = Jobs()
    stack.add_run("digits", "r1", "TRAINING")
    jobs.set("refit-r1-0", done=4, best=0.08)
    result = refit("watch", "digits", "--run", "r1", "--timeout", "0.2", "--json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    (trial,) = [event for event in events if event["event"] == "trial"]
    assert (trial["trial"], trial["of"], trial["best"]) == (5, 12, 0.08)
    text = refit("watch", "digits", "--run", "r1", "--timeout", "0.2").stdout
    assert "trial 5 of 12, best validation:mlogloss 0.08" in text
