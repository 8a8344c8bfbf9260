"""A run waits for instances that others use, and ends at once where the account has none.

The quotas are those that conftest.py gives to the local stack, so this does not run on AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits

MODEL = "crowded"


def long_job_like(user: User, name: str) -> str:
    """Start a job of minutes on the data of another one, on the type with a quota of one."""
    sagemaker = user.client("sagemaker")
    jobs = sagemaker.list_training_jobs(NameContains=f"refit-{MODEL}-")["TrainingJobSummaries"]
    job: dict[str, Any] = sagemaker.describe_training_job(
        TrainingJobName=jobs[0]["TrainingJobName"]
    )
    algorithm = job["AlgorithmSpecification"]
    parameters = {**job["HyperParameters"], "num_round": "1000000"}
    parameters.pop("early_stopping_rounds", None)
    sagemaker.create_training_job(
        TrainingJobName=name,
        RoleArn=job["RoleArn"],
        AlgorithmSpecification={
            key: algorithm[key] for key in ("TrainingImage", "TrainingInputMode")
        },
        InputDataConfig=job["InputDataConfig"],
        OutputDataConfig={"S3OutputPath": job["OutputDataConfig"]["S3OutputPath"]},
        ResourceConfig={**job["ResourceConfig"], "InstanceType": "ml.c5.xlarge"},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
        HyperParameters=parameters,
    )
    return name


def test_a_run_ends_where_the_quota_is_zero_and_waits_where_others_use_it_up(
    user: User, digits: Digits
) -> None:
    settings = '[deployment]\ninstance_type = "ml.c5.xlarge"\n'
    user.drop(MODEL, {"a.csv": digits.csv(slice(0, 300))}, settings)
    run = user.wait_for_end(MODEL)
    assert run["status"] == "FAILED", run
    assert run["error"] == "SageMaker.ResourceLimitExceededException"
    assert "'ml.c5.xlarge for endpoint usage' of this account is 0" in run["message"]
    assert f"refit retry {MODEL} --run" in run["message"]

    sagemaker = user.client("sagemaker")
    other = long_job_like(user, "of-another-team")
    user.drop(
        MODEL,
        {"b.csv": digits.csv(slice(300, 600))},
        '[training]\ninstance_type = "ml.c5.xlarge"\n',
    )
    waiting = wait_for(
        lambda: next((run for run in user.runs(MODEL)[1:] if "message" in run), None),
        "the report of the wait",
    )
    assert waiting["status"] == "TRAINING", waiting
    assert "'ml.c5.xlarge for training job usage' of this account, which is 1" in waiting["message"]
    sagemaker.stop_training_job(TrainingJobName=other)
    run = user.wait_for_end(MODEL, 2)
    assert run["status"] == "DEPLOYED", run
