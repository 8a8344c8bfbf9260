"""Failures that AWS causes itself pass, and a deployment that is stopped gives its locks back.

The tests order the failures from the local SageMaker, so they do not run on AWS.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from refit_local.sagemaker.faults import OF_NAMES

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Digits

FIRST = slice(0, 300)
CAPACITY = "CapacityError: Unable to provision requested ML compute capacity. Please retry."
NO_INSTANCE = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
)
INTERNAL = "InternalServerError: We encountered an internal error. Please try again."
ENSEMBLE = "[training]\nfolds = 2\nfolds_at_a_time = 2\nfinal = 'ensemble'\n"
OF_THE_DATA = "AlgorithmError: the label is not a number, exit code: 1"
FAULTS = {
    "unlucky": {
        "TrainingJob": [CAPACITY, INTERNAL],
        "TransformJob": [CAPACITY],
        "SpotInterruption": [0],
    },
    "faulty": {"TrainingJob": [OF_THE_DATA]},
    "fold-unlucky": {"TrainingJob": [CAPACITY], "TransformJob": [INTERNAL]},
    "fold-faulty": {"TrainingJob": [OF_THE_DATA]},
    "scarce": {"Endpoint": [NO_INSTANCE]},
    "lagging": {"ListLagSeconds": 4, "LogLagSeconds": 5},
    "halted": {"ListLagSeconds": 600},
}
SETTINGS = {
    "unlucky": "[training]\nspot = true\n",
    "fold-unlucky": ENSEMBLE,
    "fold-faulty": ENSEMBLE,
}
PATIENCE_S = 900


def order(user: User, model: str, **faults: Any) -> None:
    """Order faults for the jobs, the endpoint and the versions of a model."""
    folder = user.stack.state_dir / "sagemaker" / OF_NAMES
    folder.mkdir(exist_ok=True)
    (folder / f"refit-{model}.json").write_text(json.dumps(faults))


@pytest.fixture(scope="module", autouse=True)
def drops(user: User, digits: Digits) -> Iterator[None]:
    """Drop all models at once, since a run with failures spends most of its time waiting."""
    for model, faults in FAULTS.items():
        order(user, model, **faults)
    for model in [*FAULTS, "shared"]:
        user.drop(model, {"a.csv": digits.csv(FIRST)}, SETTINGS.get(model))
    yield
    for model in FAULTS:
        order(user, model)


def end_of(user: User, model: str, number: int = 1) -> dict[str, Any]:
    return user.wait_for_end(model, number, PATIENCE_S)


def jobs(user: User, kind: str, model: str) -> list[str]:
    listed = getattr(user.client("sagemaker"), f"list_{kind}_jobs")(NameContains=f"refit-{model}-")
    (summaries,) = (value for value in listed.values() if isinstance(value, list))
    return [entry[f"{kind.title()}JobStatus"] for entry in summaries]


def test_a_deployment_that_is_stopped_gives_both_locks_back(user: User) -> None:
    execution = wait_for(
        lambda: user.state("halted").get("deployment_execution"), "the deployment", PATIENCE_S
    )
    user.client("stepfunctions").stop_execution(executionArn=execution)
    run = end_of(user, "halted")
    assert (run["status"], "was stopped" in run["message"]) == ("FAILED", True), run
    wait_for(
        lambda: not {"active_run", "deployment"} & user.state("halted").keys() or None,
        "both locks free",
    )


def test_jobs_that_fail_for_reasons_of_aws_are_started_again(user: User) -> None:
    run = end_of(user, "unlucky")
    assert run["status"] == "DEPLOYED", run
    assert sorted(jobs(user, "training", "unlucky")) == ["Completed", "Failed", "Failed"]
    assert sorted(jobs(user, "transform", "unlucky")) == ["Completed", "Failed"]
    sagemaker = user.client("sagemaker")
    (completed,) = sagemaker.list_training_jobs(
        NameContains="refit-unlucky-", StatusEquals="Completed"
    )["TrainingJobSummaries"]
    trained = sagemaker.describe_training_job(TrainingJobName=completed["TrainingJobName"])
    steps = [step["Status"] for step in trained["SecondaryStatusTransitions"]]
    assert steps.count("Interrupted") == 1


def test_a_job_that_fails_because_of_its_data_is_not_started_again(user: User) -> None:
    run = end_of(user, "faulty")
    assert (run["status"], "the label is not a number" in run["message"]) == ("FAILED", True), run
    assert jobs(user, "training", "faulty") == ["Failed"]
    assert "active_run" not in user.state("faulty")


def test_jobs_of_a_fold_that_fail_for_reasons_of_aws_are_started_again(user: User) -> None:
    run = end_of(user, "fold-unlucky")
    assert run["status"] == "DEPLOYED", run
    assert sorted(jobs(user, "training", "fold-unlucky")) == ["Completed", "Completed", "Failed"]
    of_transforms = jobs(user, "transform", "fold-unlucky")
    assert sorted(of_transforms) == ["Completed", "Completed", "Completed", "Failed"]


def test_a_fold_that_fails_because_of_its_data_fails_the_run_and_stops_the_others(
    user: User,
) -> None:
    run = end_of(user, "fold-faulty")
    assert (run["status"], "the label is not a number" in run["message"]) == ("FAILED", True), run
    left = jobs(user, "training", "fold-faulty") + jobs(user, "transform", "fold-faulty")
    assert "Failed" in left
    assert "InProgress" not in left
    assert "active_run" not in user.state("fold-faulty")


def approvals(user: User, model: str) -> list[str]:
    """Return the approval of each version, oldest first."""
    packages = user.client("sagemaker").list_model_packages(
        ModelPackageGroupName=f"refit-{model}", SortOrder="Ascending"
    )["ModelPackageSummaryList"]
    return [package["ModelApprovalStatus"] for package in packages]


def test_endpoints_that_aws_has_no_instance_for_are_deployed_later_and_reject_nothing(
    user: User, digits: Digits
) -> None:
    run = end_of(user, "scarce")
    assert run["status"] == "DEPLOYED", run
    order(user, "scarce", Endpoint=[NO_INSTANCE], LostEndpoint=[INTERNAL])
    user.drop("scarce", {"b.csv": digits.csv(slice(0, 1500))})
    second = end_of(user, "scarce", 2)
    assert second["status"] == "DEPLOYED", second
    assert user.state("scarce")["champion"]["version"] == 2
    assert approvals(user, "scarce") == ["Approved", "Approved"]
    assert not {"active_run", "deployment"} & user.state("scarce").keys()


def test_a_version_that_the_registry_lists_late_is_deployed(user: User) -> None:
    run = end_of(user, "lagging")
    assert run["status"] == "DEPLOYED", run
    assert "active_run" not in user.state("lagging")


def test_a_log_that_arrives_late_still_gives_the_curves_of_the_run(user: User) -> None:
    run = end_of(user, "lagging")
    (job,) = user.read_json(f"lagging/runs/{run['run']}/curves.json")["jobs"]
    described = user.client("sagemaker").describe_training_job(TrainingJobName=job["job"])
    final = {m["MetricName"]: m["Value"] for m in described["FinalMetricDataList"]}
    last = float(job["metrics"]["validation-mlogloss"][-1])
    assert last == pytest.approx(final["validation:mlogloss"])


def test_a_version_that_aws_had_no_instance_for_to_the_end_is_only_deployed_again_by_a_retry(
    user: User,
) -> None:
    run = end_of(user, "lagging")
    assert run["status"] == "DEPLOYED", run
    user.client("dynamodb").update_item(  # all attempts take more than five minutes
        TableName=user.outputs["ModelTableName"],
        Key={"pk": {"S": "MODEL#lagging"}, "sk": {"S": f"RUN#{run['run']}"}},
        UpdateExpression="SET #status = :failed, #error = :error",
        ExpressionAttributeNames={"#status": "status", "#error": "error"},
        ExpressionAttributeValues={
            ":failed": {"S": "FAILED"},
            ":error": {"S": "EndpointNotProvisioned"},
        },
    )
    command = [Path(sys.executable).with_name("refit"), "retry", "lagging", "--json"]
    requested = subprocess.run(
        [*command, "--port", str(user.stack.port)], capture_output=True, text=True, check=False
    )
    assert json.loads(requested.stdout)["version"] == 1, requested.stderr
    states = user.client("stepfunctions")
    machine = user.outputs["DeployStateMachineArn"]

    def ended() -> str | None:
        for entry in states.list_executions(stateMachineArn=machine)["executions"]:
            is_repeated = entry["name"].startswith("refit-lagging-v1-after-")
            if is_repeated and entry["status"] != "RUNNING":
                return str(entry["status"])
        return None

    assert wait_for(ended, "the end of the repeated deployment") == "SUCCEEDED"
    assert len(user.runs("lagging")) == 1


def test_a_version_of_somebody_else_changes_nothing_and_holds_no_lock(
    user: User, digits: Digits
) -> None:
    run = end_of(user, "shared")
    assert run["status"] == "DEPLOYED", run
    sagemaker = user.client("sagemaker")
    package = sagemaker.describe_model_package(ModelPackageName=run["package_arn"])
    foreign = sagemaker.create_model_package(
        ModelPackageGroupName="refit-shared",
        ModelApprovalStatus="Approved",
        InferenceSpecification=package["InferenceSpecification"],
    )["ModelPackageArn"]
    states = user.client("stepfunctions")
    machine = user.outputs["DeployStateMachineArn"]

    def ended() -> str | None:
        for entry in states.list_executions(stateMachineArn=machine)["executions"]:
            execution = states.describe_execution(executionArn=entry["executionArn"])
            if foreign in execution["input"] and execution["status"] != "RUNNING":
                return str(execution["status"])
        return None

    assert wait_for(ended, "the end of the execution for the foreign version") == "SUCCEEDED"
    state = user.state("shared")
    assert state["champion"]["version"] == 1
    assert not {"active_run", "deployment"} & state.keys()
    user.drop("shared", {"b.csv": digits.csv(slice(0, 1500))})
    assert end_of(user, "shared", 2)["status"] == "DEPLOYED"
    assert user.state("shared")["champion"]["version"] == 3
