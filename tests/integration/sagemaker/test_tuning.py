"""Tuning jobs start, compare and stop training jobs, and are described as on AWS."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from local_sagemaker import ACCOUNT, REGION, put_training_data, tuning_request, until
from refit_local.sagemaker.records.job_kinds import FINAL_STATUSES
from refit_local.sagemaker.step_functions import PREFIX, TaskFailure

if TYPE_CHECKING:
    from pathlib import Path

    from local_sagemaker import RunningSageMaker, SageMakerLauncher

NAME = "Digits-Tuning"
CHANGED = "SageMaker HyperParameter Tuning Job State Change"
TUNE = f"{PREFIX}createHyperParameterTuningJob.sync"
ENDLESS = {"num_round": "1000000"}
TAG = {"Key": "run", "Value": "r1"}


@pytest.fixture(scope="module", autouse=True)
def _data(local: RunningSageMaker) -> None:
    put_training_data(local)


def tune(local: RunningSageMaker, request: dict[str, Any]) -> dict[str, Any]:
    """Create a tuning job and wait for its end."""
    local.sagemaker.create_hyper_parameter_tuning_job(**request)
    return local.tuned(request["HyperParameterTuningJobName"])


@pytest.fixture(scope="module")
def finished(local: RunningSageMaker) -> dict[str, Any]:
    """A tuning job with four trials, two at a time."""
    job = tune(local, {**tuning_request(NAME, jobs=4, parallel=2), "Tags": [TAG]})
    assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
    return job


def test_the_trials_are_training_jobs_with_the_names_of_aws(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    names = [trial["TrainingJobName"] for trial in local.trials(NAME)]
    assert len(names) == 4
    for number, name in enumerate(names, 1):
        assert re.fullmatch(rf"{NAME}-{number:03d}-[0-9a-f]{{8}}", name)
    listed = local.sagemaker.list_training_jobs(NameContains=NAME)["TrainingJobSummaries"]
    assert {job["TrainingJobName"] for job in listed} == set(names)


def test_a_trial_has_static_and_tuned_hyperparameters_and_the_objective(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    trial = local.trials(NAME)[0]
    job = local.sagemaker.describe_training_job(TrainingJobName=trial["TrainingJobName"])
    assert job["TuningJobArn"] == finished["HyperParameterTuningJobArn"]
    assert job["HyperParameters"] == {
        "num_round": "5",
        "objective": "binary:logistic",
        "_tuning_objective_metric": "validation:logloss",
        **trial["TunedHyperParameters"],
    }
    metrics = {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]}
    assert metrics["ObjectiveMetric"] == metrics["validation:logloss"]
    assert trial["FinalHyperParameterTuningJobObjectiveMetric"] == {
        "MetricName": "validation:logloss",
        "Value": metrics["validation:logloss"],
    }
    definitions = job["AlgorithmSpecification"]["MetricDefinitions"]
    assert definitions[-1]["Name"] == "ObjectiveMetric"
    assert local.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"] == [TAG]


def test_the_best_trial_is_the_one_with_the_smallest_objective(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    ranked = local.trials(NAME, SortBy="FinalObjectiveMetricValue")
    values = [t["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for t in ranked]
    assert values == sorted(values)
    assert finished["BestTrainingJob"] == ranked[0]
    assert len({t["TunedHyperParameters"]["eta"] for t in ranked}) == 4


def test_a_tuning_job_is_described_with_its_counters(finished: dict[str, Any]) -> None:
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/{NAME.lower()}"
    assert finished["HyperParameterTuningJobArn"] == arn
    assert finished["TrainingJobStatusCounters"] == {
        "Completed": 4,
        "InProgress": 0,
        "RetryableError": 0,
        "NonRetryableError": 0,
        "Stopped": 0,
    }
    assert finished["ObjectiveStatusCounters"] == {"Succeeded": 4, "Pending": 0, "Failed": 0}
    assert finished["HyperParameterTuningEndTime"] >= finished["CreationTime"]
    assert finished["ConsumedResources"]["RuntimeInSeconds"] >= 1
    static = finished["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static["_tuning_objective_metric"] == "validation:logloss"


def test_events_name_the_best_trial_without_its_score(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    details = [
        detail
        for detail in local.published.of(CHANGED)
        if detail["HyperParameterTuningJobName"] == NAME
    ]
    assert [d["HyperParameterTuningJobStatus"] for d in details] == ["InProgress", "Completed"]
    best = finished["BestTrainingJob"]["TrainingJobName"]
    assert details[-1]["BestTrainingJob"] == {"TrainingJobName": best}
    assert details[-1]["Tags"] == {"run": "r1"}


def test_a_name_cannot_be_used_twice(local: RunningSageMaker, finished: dict[str, Any]) -> None:
    with pytest.raises(local.sagemaker.exceptions.ResourceInUse):
        local.sagemaker.create_hyper_parameter_tuning_job(**tuning_request(NAME))


def test_tuning_jobs_are_listed_by_name_with_their_strategy(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    listed = local.sagemaker.list_hyper_parameter_tuning_jobs(NameContains="Digits")
    (job,) = listed["HyperParameterTuningJobSummaries"]
    assert (job["HyperParameterTuningJobName"], job["Strategy"]) == (NAME, "Random")


def test_no_more_trials_run_at_a_time_than_allowed(local: RunningSageMaker) -> None:
    local.sagemaker.create_hyper_parameter_tuning_job(
        **tuning_request("parallel", jobs=5, parallel=2)
    )
    seen = set()
    while True:
        job = local.sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="parallel"
        )
        seen.add(job["TrainingJobStatusCounters"]["InProgress"])
        if job["HyperParameterTuningJobStatus"] in FINAL_STATUSES:
            break
    assert max(seen) == 2


def test_the_output_of_sync_has_no_score(local: RunningSageMaker) -> None:
    output = local.service.tasks.run(TUNE, tuning_request("sync-tuning", jobs=2))
    assert output["HyperParameterTuningJobStatus"] == "Completed"
    assert output["BestTrainingJob"].keys() == {"TrainingJobName"}
    assert output["Tags"] == {"MANAGED_BY_AWS": "STARTED_BY_STEP_FUNCTIONS"}
    assert isinstance(output["HyperParameterTuningEndTime"], int)
    json.dumps(output)


def test_a_stopped_tuning_job_stops_its_trials(local: RunningSageMaker) -> None:
    local.sagemaker.create_hyper_parameter_tuning_job(
        **tuning_request("stopped", jobs=4, parallel=2, static=ENDLESS)
    )
    until(lambda: len(local.trials("stopped")) == 2, "two trials")
    local.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    job = local.tuned("stopped")
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 2
    assert {t["TrainingJobStatus"] for t in local.trials("stopped")} == {"Stopped"}
    with pytest.raises(Exception, match="is in status Stopped"):
        local.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")


def test_a_stopped_execution_stops_its_tuning_job(local: RunningSageMaker) -> None:
    request = tuning_request("sync-stopped", static=ENDLESS)
    with pytest.raises(TaskFailure) as caught:
        local.service.tasks.run(TUNE, request, stopped=lambda: bool(local.trials("sync-stopped")))
    assert json.loads(caught.value.cause)["HyperParameterTuningJobStatus"] == "Stopped"


def test_a_search_ends_when_a_trial_reaches_the_target(local: RunningSageMaker) -> None:
    criteria = {"TargetObjectiveMetricValue": 10.0}
    job = tune(local, tuning_request("target", jobs=50, TuningJobCompletionCriteria=criteria))
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 1


def test_a_search_ends_when_it_no_longer_improves(local: RunningSageMaker) -> None:
    never = {"MaxNumberOfTrainingJobsNotImproving": 3}
    alpha = {"Name": "alpha", "MinValue": "100000", "MaxValue": "200000"}
    request = tuning_request(
        "not-improving",
        jobs=50,
        ranges={"ContinuousParameterRanges": [alpha]},
        TuningJobCompletionCriteria={"BestObjectiveNotImproving": never},
    )
    job = tune(local, request)
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    details = job["TuningJobCompletionDetails"]
    assert details["NumberOfTrainingJobsObjectiveNotImproving"] == 3


def test_a_tuning_job_without_any_success_fails_after_five_trials(local: RunningSageMaker) -> None:
    broken = {"objective": "multi:softprob", "num_class": "1"}
    job = tune(local, tuning_request("broken", jobs=9, static=broken))
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "No training job succeeded after 5 attempts. Please take a look at the training job "
        "failures to get more details."
    )
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 5
    assert "BestTrainingJob" not in job
    assert all("num_class" in trial["FailureReason"] for trial in local.trials("broken"))


def test_weak_trials_are_stopped_early_and_are_not_the_best(local: RunningSageMaker) -> None:
    # The log loss falls from round to round: as something to maximize, it is soon behind.
    rounds = {"Name": "num_round", "Values": ["5", "1000000"]}
    request = tuning_request(
        "early",
        jobs=2,
        ranges={"CategoricalParameterRanges": [rounds]},
        Strategy="Grid",
        HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "validation:logloss"},
        TrainingJobEarlyStoppingType="Auto",
    )
    del request["TrainingJobDefinition"]["StaticHyperParameters"]["num_round"]
    job = tune(local, request)
    first, second = local.trials("early")
    assert (first["TrainingJobStatus"], second["TrainingJobStatus"]) == ("Completed", "Stopped")
    assert second["ObjectiveStatus"] == "Succeeded"
    assert job["BestTrainingJob"]["TrainingJobName"] == first["TrainingJobName"]


def test_hyperband_stops_a_trial_that_has_used_its_largest_resource(
    local: RunningSageMaker,
) -> None:
    resources = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 5}}
    more = {"Strategy": "Hyperband", "StrategyConfig": resources}
    job = tune(local, tuning_request("hyperband", jobs=2, static=ENDLESS, **more))
    assert job["TrainingJobStatusCounters"]["Stopped"] == 2
    assert job["HyperParameterTuningJobStatus"] == "Failed", "a stopped trial has saved no model"
    assert "BestTrainingJob" not in job


def warm(name: str, kind: str = "IdenticalDataAndAlgorithm", **more: Any) -> dict[str, Any]:
    return {
        **tuning_request(name, jobs=1, **more),
        "WarmStartConfig": {
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": NAME}],
            "WarmStartType": kind,
        },
    }


def test_a_warm_start_with_the_same_data_compares_with_the_trials_of_the_parent(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    worst = {"Name": "eta", "MinValue": "0.0001", "MaxValue": "0.0002"}
    job = tune(local, warm("warm-same", ranges={"ContinuousParameterRanges": [worst]}))
    assert job["BestTrainingJob"]["TrainingJobName"].startswith("warm-same-001-")
    best = finished["BestTrainingJob"]["TrainingJobName"]
    assert job["OverallBestTrainingJob"]["TrainingJobName"] == best


def test_a_warm_start_with_other_data_has_a_best_trial_of_its_own_only(
    local: RunningSageMaker, finished: dict[str, Any]
) -> None:
    request = warm("warm-other", "TransferLearning")
    request["TrainingJobDefinition"]["InputDataConfig"].reverse()
    assert "OverallBestTrainingJob" not in tune(local, request)
    identical = warm("warm-refused")
    identical["TrainingJobDefinition"]["InputDataConfig"].reverse()
    with pytest.raises(Exception, match="Image and input data must be those of the parent"):
        local.sagemaker.create_hyper_parameter_tuning_job(**identical)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"static": {"gamma": "1"}}, "The total number of static and tunable hyperparameters"),
        (
            {"ranges": {"CategoricalParameterRanges": [{"Name": "eta", "Values": ["0.1", "0.2"]}]}},
            "The type of eta differs",
        ),
        (
            {
                "HyperParameterTuningJobObjective": {
                    "Type": "Maximize",
                    "MetricName": "validation:auc",
                }
            },
            "The objective metric of the parent",
        ),
        (
            {
                "Strategy": "Hyperband",
                "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 5}},
            },
            "supported for the strategies Bayesian",
        ),
    ],
)
def test_a_warm_start_that_differs_too_much_from_its_parent_is_refused(
    local: RunningSageMaker, finished: dict[str, Any], more: dict[str, Any], text: str
) -> None:
    with pytest.raises(Exception, match=text):
        local.sagemaker.create_hyper_parameter_tuning_job(**warm("warm-wrong", **more))


def test_a_deleted_tuning_job_leaves_its_training_jobs(local: RunningSageMaker) -> None:
    tune(local, tuning_request("deleted", jobs=2))
    (first, _) = local.trials("deleted")
    local.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="deleted")
    with pytest.raises(local.sagemaker.exceptions.ResourceNotFound, match="can't find"):
        local.tuned("deleted")
    assert local.trained(first["TrainingJobName"])["TrainingJobStatus"] == "Completed"


def test_an_ordered_fault_fails_the_tuning_job_before_any_trial(
    launcher: SageMakerLauncher, tmp_path: Path
) -> None:
    faulty = launcher.start(tmp_path)
    reason = "InternalServerError: We encountered an internal error."
    (tmp_path / "faults.json").write_text(json.dumps({"HyperParameterTuningJob": [reason]}))
    job = tune(faulty, tuning_request("faulty"))
    assert (job["HyperParameterTuningJobStatus"], job["FailureReason"]) == ("Failed", reason)
    assert faulty.trials("faulty") == []


def test_a_retryable_failure_of_a_trial_is_counted_as_such(
    launcher: SageMakerLauncher, tmp_path: Path
) -> None:
    faulty = launcher.start(tmp_path)
    (tmp_path / "faults.json").write_text(json.dumps({"TrainingJob": ["CapacityError: none"]}))
    job = tune(faulty, tuning_request("capacity", jobs=2))
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    counters = job["TrainingJobStatusCounters"]
    assert (counters["RetryableError"], counters["Completed"]) == (1, 1)


def test_more_trials_at_a_time_than_the_quota_of_instances_are_refused(
    launcher: SageMakerLauncher, tmp_path: Path
) -> None:
    small = launcher.start(tmp_path, quotas={"ml.m5.large for training job usage": 1})
    with pytest.raises(
        small.sagemaker.exceptions.ResourceLimitExceeded, match="a request delta of 2 Instances"
    ):
        small.sagemaker.create_hyper_parameter_tuning_job(**tuning_request("two", parallel=2))
    assert tune(small, tuning_request("one"))["HyperParameterTuningJobStatus"] == "Completed"


def test_trials_wait_for_instances_that_other_jobs_use(
    launcher: SageMakerLauncher, tmp_path: Path
) -> None:
    quotas = {"ml.m5.large for training job usage": 1}
    small = launcher.start(tmp_path, quotas=quotas)
    small.sagemaker.create_hyper_parameter_tuning_job(**tuning_request("waiting", jobs=2))

    def counters() -> dict[str, int]:
        job = small.sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="waiting"
        )
        return dict(job["TrainingJobStatusCounters"])

    until(lambda: counters()["InProgress"], "the first trial")
    quotas["ml.m5.large for training job usage"] = 0
    until(lambda: counters()["Completed"] == 1, "its end")
    assert counters()["InProgress"] == 0
    quotas["ml.m5.large for training job usage"] = 1
    assert small.tuned("waiting")["TrainingJobStatusCounters"]["Completed"] == 2


def test_a_tuning_job_that_the_service_left_unfinished_has_failed_after_a_restart(
    launcher: SageMakerLauncher, tmp_path: Path
) -> None:
    first = launcher.start(tmp_path)
    first.sagemaker.create_hyper_parameter_tuning_job(**tuning_request("left", static=ENDLESS))
    until(lambda: first.trials("left"), "a trial")
    first.service.shutdown()
    job = launcher.start(tmp_path).tuned("left")
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError: ")
