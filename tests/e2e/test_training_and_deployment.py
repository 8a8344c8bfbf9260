"""A drop becomes a deployed model; a better model replaces it, and a worse one does not.

The tests of this file follow one model and run in their order.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.driver import User, wait_for
from tests.support.reported_run import Page

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits

FIRST = slice(0, 300)
BETTER = slice(0, 1500)
HELD_OUT = slice(1500, 1797)
MODEL = "digits"


def accuracy(user: User, digits: Digits, model: str = MODEL) -> float:
    predictions = user.predicted_labels(model, digits.rows(HELD_OUT))
    labels = digits.texts(HELD_OUT)
    return sum(a == b for a, b in zip(predictions, labels, strict=True)) / len(labels)


@pytest.fixture(scope="module")
def first_version(user: User, digits: Digits) -> dict[str, Any]:
    lines = digits.csv(FIRST).splitlines(keepends=True)
    user.drop(MODEL, {"a.csv": b"".join(lines[:150]), "b.csv": b"".join(lines[150:])})
    return user.wait_for_end(MODEL)


def test_files_dropped_together_become_one_live_model(
    user: User, digits: Digits, first_version: dict[str, Any]
) -> None:
    assert first_version["status"] == "DEPLOYED", first_version
    assert len(user.runs(MODEL)) == 1
    assert user.state(MODEL)["champion"]["version"] == 1
    assert "active_run" not in user.state(MODEL)
    assert accuracy(user, digits) > 0.8


def test_the_run_records_its_files_rows_and_columns(
    user: User, first_version: dict[str, Any]
) -> None:
    root = f"{MODEL}/runs/{first_version['run']}"
    manifest = user.read_json(f"{root}/manifest.json")
    assert [file["key"] for file in manifest["files"]] == [
        f"{MODEL}/raw/a.csv",
        f"{MODEL}/raw/b.csv",
    ]
    assert sum(manifest["rows"].values()) == 300
    assert len(user.read_json(f"{root}/schema.json")["features"]) == 64
    assert user.read_json(f"{root}/profile.json")


def test_the_registered_version_has_its_metrics(user: User, first_version: dict[str, Any]) -> None:
    package = user.client("sagemaker").describe_model_package(
        ModelPackageName=first_version["package_arn"]
    )
    assert package["ModelApprovalStatus"] == "Approved"
    uri = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    statistics = user.read_json(uri.removeprefix(f"s3://{user.bucket}/"))
    assert statistics["multiclass_classification_metrics"]["accuracy"]["value"] > 0.8


def report_of(user: User, run: str, folder: Path) -> Page:
    path = folder / "report.html"
    command = [Path(sys.executable).with_name("refit"), "report", MODEL, run, "--output", path]
    port = ["--port", str(user.stack.port)]
    done = subprocess.run([*command, *port], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Page(path.read_text())


def test_the_run_keeps_the_metrics_of_each_round_of_its_training(
    user: User, first_version: dict[str, Any]
) -> None:
    curves = user.read_json(f"{MODEL}/runs/{first_version['run']}/curves.json")
    (job,) = curves["jobs"]
    described = user.client("sagemaker").describe_training_job(TrainingJobName=job["job"])
    final = {m["MetricName"]: m["Value"] for m in described["FinalMetricDataList"]}
    assert job["rounds"] > 1
    assert job["missing"] is None
    for name, values in job["metrics"].items():
        assert len(values) == job["rounds"]
        assert float(values[-1]) == pytest.approx(final[name.replace("-", ":", 1)])
    best = job["best"]
    assert min(job["metrics"][best["metric"]]) == best["value"]


def test_the_report_of_a_run_has_its_curves_gate_quality_features_and_data(
    user: User, first_version: dict[str, Any], tmp_path: Path
) -> None:
    page = report_of(user, first_version["run"], tmp_path)
    for text in ("predicts 'label' (10 classes)", "The gate passed it", "validation rows: "):
        assert text in page.text
    for text in ("Confusion matrix", "share of the gain", "Classes of the training rows"):
        assert text in page.text
    assert len(page.all("svg")) == 2
    assert not page.all("script")


def test_a_prediction_has_its_version_class_and_probabilities(
    user: User, digits: Digits, first_version: dict[str, Any]
) -> None:
    body = user.predict(MODEL, digits.rows(slice(1500, 1503))).json()
    assert body["modelVersion"] == 1
    ids = [row["inferenceId"] for row in body["predictions"]]
    assert len(set(ids)) == 3
    for row in body["predictions"]:
        assert set(row["probabilities"]) == {str(digit) for digit in range(10)}
        assert row["prediction"] == max(row["probabilities"], key=row["probabilities"].get)
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_csv_and_json_requests_get_the_same_predictions(
    user: User, digits: Digits, first_version: dict[str, Any]
) -> None:
    rows = digits.rows(slice(1500, 1520))
    csv = "\n".join(",".join(map(str, row)) for row in rows).encode()
    assert user.predicted_labels(MODEL, csv) == user.predicted_labels(MODEL, rows)


@pytest.mark.parametrize(
    ("rows", "status", "code", "text"),
    [
        ([[1] * 63], 400, "PayloadInvalid", "64"),
        ([[1] * 65], 400, "PayloadInvalid", "64"),
        ([["dog"] + [1] * 63], 400, "PayloadInvalid", "dog"),
        ([], 400, "PayloadInvalid", "at least one row"),
        (b"1,2,3", 400, "PayloadInvalid", "64"),
        (b",".join([b"inf"] * 64), 400, "PayloadInvalid", "inf"),
    ],
)
def test_an_invalid_request_is_refused_with_its_error(
    user: User, first_version: dict[str, Any], rows: Any, status: int, code: str, text: str
) -> None:
    response = user.predict(MODEL, rows)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["code"] == code
    assert text.lower() in error["message"].lower()


def test_a_request_of_ten_megabytes_is_refused(user: User, first_version: dict[str, Any]) -> None:
    response = user.predict(MODEL, b"1," * 5_000_000)
    assert response.status_code == 413, response.text[:300]


def test_an_unknown_model_is_not_found(user: User) -> None:
    response = user.predict("unknown", [[1]])
    assert (response.status_code, response.json()["error"]["code"]) == (404, "ModelNotFound")


def test_a_request_with_a_wrong_api_key_is_forbidden(user: User) -> None:
    response = user.predict(MODEL, [[1]], headers={"x-api-key": "wrong"})
    assert response.status_code == 403


def test_no_value_of_a_request_a_label_or_a_capture_is_logged(
    user: User, digits: Digits, first_version: dict[str, Any]
) -> None:
    secret = "hunter2-5d41402a"
    number = "0.000271828182"
    row = ",".join([number, *map(str, digits.rows(slice(1500, 1501))[0][1:])]).encode()
    prediction = user.predict(MODEL, row).json()["predictions"][0]
    assert user.predict(MODEL, [[secret] + [1] * 63]).status_code == 400
    [result] = user.label(MODEL, [{"inferenceId": prediction["inferenceId"], "label": secret}])
    assert result["status"] == "rejected"
    s3 = user.client("s3")
    folder = f"{MODEL}/capture/refit-{MODEL}/v1/2026/11/20/10"
    s3.put_object(Bucket=user.bucket, Key=f"{folder}/secret.jsonl", Body=f"{secret}\n".encode())
    label_file = f"inferenceId,label\n{prediction['inferenceId']},{secret}-of-a-file\n"
    s3.put_object(
        Bucket=user.bucket, Key=f"{MODEL}/ground-truth/secret.csv", Body=label_file.encode()
    )

    def quarantined() -> int:
        """Return how many quarantined files have the secret: of the API, file and capture."""
        listed = s3.list_objects_v2(Bucket=user.bucket, Prefix=f"{MODEL}/quarantine/")
        bodies = [
            s3.get_object(Bucket=user.bucket, Key=item["Key"])["Body"].read()
            for item in listed.get("Contents", [])
        ]
        return sum(secret.encode() in body for body in bodies)

    wait_for(lambda: quarantined() == 3 or None, "the quarantine of the secret values")
    logs = user.client("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    logged = [
        event["message"]
        for group in groups
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        for event in page["events"]
    ]
    assert any('"request refused"' in line for line in logged)
    assert any('"labels rejected"' in line for line in logged)
    for value in (secret, number):
        assert [line for line in logged if value in line] == []


@pytest.mark.parametrize("key", ["predict", "label", "operate"])
def test_a_key_opens_its_own_route_only(user: User, key: str) -> None:
    headers = {"x-api-key": user.stack.api_keys[key]}
    statuses = {
        route: user.http.post(
            f"{user.stack.api_url}/models/unknown/{route}", json={}, headers=headers, timeout=60
        ).status_code
        for route in ("predictions", "ground-truth")
    }
    opened = {"predict": "predictions", "label": "ground-truth"}.get(key)
    assert {route for route, status in statuses.items() if status != 403} == {opened} - {None}


class ContinuousCaller(threading.Thread):
    """Requests predictions without a pause, and records versions and failures."""

    def __init__(self, user: User, rows: list[list[int]]) -> None:
        super().__init__(daemon=True)
        self.user, self.rows = user, rows
        self.versions: list[int] = []
        self.failures: list[str] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            response = self.user.predict(MODEL, self.rows)
            if response.status_code == 200:
                self.versions.append(response.json()["modelVersion"])
            else:
                self.failures.append(f"{response.status_code} {response.text[:200]}")


def test_a_better_model_replaces_the_live_one_without_a_failed_prediction(
    user: User, digits: Digits, first_version: dict[str, Any]
) -> None:
    before = accuracy(user, digits)
    caller = ContinuousCaller(user, digits.rows(slice(1500, 1503)))
    caller.start()
    try:
        user.drop(MODEL, {"more.csv": digits.csv(BETTER)})
        run = user.wait_for_end(MODEL, 2)
        assert run["status"] == "DEPLOYED", run
        wait_for(lambda: 2 in caller.versions or None, "a prediction of version 2")
    finally:
        caller.stopped.set()
        caller.join(60)
    assert caller.failures == []
    assert set(caller.versions) == {1, 2}
    assert caller.versions == sorted(caller.versions)
    assert accuracy(user, digits) > before
    assert accuracy(user, digits) > 0.93


def test_the_report_of_the_better_model_compares_it_with_the_version_before(
    user: User, tmp_path: Path
) -> None:
    better = user.runs(MODEL)[1]
    page = report_of(user, better["run"], tmp_path)
    assert "live version 1" in page.text
    assert "The held-out rows of the live version" in page.text


def test_a_model_of_mislabelled_data_is_refused_and_the_live_model_stays(
    user: User, digits: Digits
) -> None:
    user.drop(MODEL, {"wrong.csv": digits.csv(BETTER, wrong=True)})
    run = user.wait_for_end(MODEL, 3)
    assert run["status"] == "REFUSED", run
    assert "champion" in run["message"]
    assert user.state(MODEL)["champion"]["version"] == 2
    assert accuracy(user, digits) > 0.93
    package = user.client("sagemaker").describe_model_package(ModelPackageName=run["package_arn"])
    assert package["ModelApprovalStatus"] == "Rejected"


def test_an_event_that_is_delivered_again_starts_no_run(user: User) -> None:
    head = user.client("s3").head_object(Bucket=user.bucket, Key=f"{MODEL}/raw/more.csv")
    queue = next(
        url for url in user.client("sqs").list_queues()["QueueUrls"] if "IngestQueue" in url
    )
    event = {
        "detail": {
            "object": {"key": f"{MODEL}/raw/more.csv", "version-id": head["VersionId"]},
            "bucket": {"name": user.bucket},
        }
    }
    sqs = user.client("sqs")
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(event))

    def queue_is_empty() -> bool | None:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"]
        names.append("ApproximateNumberOfMessagesNotVisible")
        counts = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return not any(int(count) for count in counts.values()) or None

    wait_for(queue_is_empty, "an empty queue")
    assert len(user.runs(MODEL)) == 3


def test_rejecting_the_live_version_deploys_the_latest_approved_one(
    user: User, digits: Digits
) -> None:
    runs = user.runs(MODEL)
    user.client("sagemaker").update_model_package(
        ModelPackageArn=runs[1]["package_arn"], ModelApprovalStatus="Rejected"
    )
    wait_for(
        lambda: user.state(MODEL)["champion"]["version"] == 1 or None, "version 1 as champion", 60
    )
    assert user.predict(MODEL, digits.rows(slice(1500, 1501))).json()["modelVersion"] == 1


def run_command(user: User, *arguments: str) -> dict[str, Any]:
    """Run the command `refit`; return what it wrote as JSON."""
    command = [Path(sys.executable).with_name("refit"), *arguments, "--json"]
    done = subprocess.run(
        [*command, "--port", str(user.stack.port)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    written: dict[str, Any] = json.loads(done.stdout)
    return written


def wait_for_champion(user: User, version: int) -> None:
    wait_for(
        lambda: user.state(MODEL)["champion"]["version"] == version or None,
        f"version {version} as champion",
        60,
    )


def test_a_version_is_approved_and_rolled_back_by_the_command(user: User) -> None:
    assert run_command(user, "approve", MODEL, "2")["live"] == 1
    wait_for_champion(user, 2)
    wait_for(lambda: user.state(MODEL).get("deployment") is None or None, "no deployment")
    assert run_command(user, "rollback", MODEL, "1")["rejected"] == [2]
    wait_for_champion(user, 1)
    card = run_command(user, "export", MODEL)
    assert (card["version"], card["is_live"]) == (1, True)
    assert card["training"]["hyperparameters"]["num_round"]


def test_a_version_that_awaits_approval_is_deployed_when_approved(
    user: User, digits: Digits
) -> None:
    user.drop("approved", {"a.csv": digits.csv(FIRST)}, '[gate]\napproval = "manual"')
    run = user.wait_for_end("approved")
    assert run["status"] == "AWAITING_APPROVAL", run
    assert user.predict("approved", digits.rows(slice(0, 1))).status_code == 404
    user.client("sagemaker").update_model_package(
        ModelPackageArn=run["package_arn"], ModelApprovalStatus="Approved"
    )
    user.wait_for_status("approved", 1, "DEPLOYED")
    assert accuracy(user, digits, "approved") > 0.8


def test_stopping_the_execution_stops_its_training_job_and_releases_the_lock(
    user: User, digits: Digits
) -> None:
    slow = "[training.hyperparameters]\nnum_round = 20000\nearly_stopping_rounds = 20000"
    user.drop("stopped", {"a.csv": digits.csv(BETTER)}, slow)
    sagemaker = user.client("sagemaker")

    def job_with(status: str) -> str | None:
        jobs = sagemaker.list_training_jobs(NameContains="refit-stopped", StatusEquals=status)
        names = [entry["TrainingJobName"] for entry in jobs["TrainingJobSummaries"]]
        return names[0] if names else None

    wait_for(lambda: job_with("InProgress"), "the training job")
    user.client("stepfunctions").stop_execution(
        executionArn=user.runs("stopped")[0]["train_execution_arn"]
    )
    wait_for(lambda: job_with("Stopped"), "the stopped job")
    run = user.wait_for_end("stopped")
    assert (run["status"], "was stopped" in run["message"]) == ("FAILED", True), run
    assert "active_run" not in user.state("stopped")


def left_of(user: User, model: str) -> list[str]:
    """Return the names of what there is of a model, read from the AWS services themselves."""
    sagemaker, name = user.client("sagemaker"), f"refit-{model}"
    versions = user.client("s3").list_object_versions(Bucket=user.bucket, Prefix=f"{model}/")
    scan = user.client("dynamodb").scan(TableName=user.outputs["InferenceTableName"])
    summaries = [
        *sagemaker.list_endpoints(NameContains=name)["Endpoints"],
        *sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"],
        *sagemaker.list_models(NameContains=name)["Models"],
        *sagemaker.list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"],
        *user.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{name}-")["MetricAlarms"],
        *versions.get("Versions", []),
        *versions.get("DeleteMarkers", []),
        *(item for item in scan["Items"] if item["id"]["S"].startswith(f"{model}#")),
    ]
    return [*map(str, summaries), *user.items(model)]


def test_a_removed_model_leaves_nothing_and_begins_again_with_version_1(
    user: User, digits: Digits, first_version: dict[str, Any]
) -> None:
    user.predicted_labels(MODEL, digits.rows(HELD_OUT))
    user.label(MODEL, [{"inferenceId": "early-0", "label": "3"}])
    assert len(left_of(user, MODEL)) > 30
    command = [Path(sys.executable).with_name("refit"), "remove", MODEL, "--yes", "--json"]
    removed = subprocess.run(
        [*command, "--port", str(user.stack.port)], capture_output=True, text=True, check=False
    )
    assert removed.returncode == 0, removed.stderr
    assert json.loads(removed.stdout)["left"] == {}
    assert left_of(user, MODEL) == []
    user.forget(MODEL)
    assert user.predict(MODEL, digits.rows(HELD_OUT)).status_code == 404
    user.drop(MODEL, {"a.csv": digits.csv(FIRST)})
    run = user.wait_for_end(MODEL)
    assert (run["status"], run["version"]) == ("DEPLOYED", 1), run["message"]
    assert run["run"] != first_version["run"]
    assert accuracy(user, digits) > 0.8
