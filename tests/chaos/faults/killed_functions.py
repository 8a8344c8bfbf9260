"""The process of a Lambda function is killed, at a random moment after its start.

The processes that wait for work are ended first, so that the next invocation starts one.
"""

from __future__ import annotations

import csv
import json
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import requests
from refit.domain.pipeline.batch import BatchStatus
from refit.domain.vocabulary import RunStatus

from tests.chaos import processes
from tests.chaos.fault import Needs, NotSurvived, fault
from tests.chaos.orders import order, requested

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.subject import Subject

LATEST_S = 0.8
"""Until then a function has imported its code, and most have done their work."""
KILLS_IN_TRAFFIC = 3
ATTEMPTS = 4
BATCH_ROWS = 20
HIDDEN_S = {"IngestCaptures": 960, "IngestGroundTruth": 330}
"""How long a queue hides the messages of a function that was killed before it had begun."""
FOLDS = "[training]\nfolds = 2\nfolds_at_a_time = 2\nfinal = 'ensemble'\n"
OF_A_DROP = (
    "Ingest PlanTraining Prepare PlanEvaluation Evaluate RecordCurves Gate Register FinishRun "
    "PlanDeployment VerifyDeployment Promote"
).split()
SURVIVED_BY_ITS_RUN = {"Ingest", "RecordCurves", "FinishRun"}
"""Functions whose death fails no run. FinishRun is the last, and another one ends the run."""
OF_TRAFFIC = "Predict RecordGroundTruth IngestCaptures CountLabels".split()
OF_A_BATCH = "StartBatch PrepareBatch FinishBatch".split()


def _name(function: str) -> str:
    return "killed-" + re.sub(r"(?<!^)(?=[A-Z])", "-", function).lower()


def _kill(
    subject: Subject,
    function: str,
    cause: Callable[[], Any],
    times: int = 1,
    latest_s: float = LATEST_S,
) -> int:
    """Kill a function's next process, after `cause` has had it invoked."""
    subject.count_s += HIDDEN_S.get(function, 0)
    kind = processes.function(subject.user, function)
    killed = 0
    for _ in range(times):
        idle = processes.running(subject.user, kind)
        processes.kill(idle)
        cause()
        killed += processes.kill_next(subject.user, kind, subject.random, latest_s, idle)
        subject.injected_at = time.monotonic()
    return killed


def _kill_in_run(subject: Subject, function: str) -> int:
    """Kill a function in the run of a drop; drop again if it had done its work before."""
    for attempt in range(ATTEMPTS):
        before = subject.last_run()
        times = _kill(subject, function, subject.drop, latest_s=LATEST_S / 2**attempt)
        subject.wait_for_new_run(before)
        subject.wait_until_at_rest()
        status = subject.last_run()["status"]
        subject.note = f"run {status}"
        if status != RunStatus.DEPLOYED or function in SURVIVED_BY_ITS_RUN:
            return times
    raise NotSurvived(f"each process of {function} had done its work before it was killed")


def _add_function_of_a_drop(function: str) -> None:
    @fault(_name(function), f"{function}Function is killed during a drop's run")
    def inject(subject: Subject) -> int:
        return _kill_in_run(subject, function)


def _add_function_of_traffic(function: str) -> None:
    @fault(_name(function), f"{function}Function is killed under traffic, {KILLS_IN_TRAFFIC} times")
    def inject(subject: Subject) -> int:
        return _kill(subject, function, lambda: None, KILLS_IN_TRAFFIC)


def _add_function_of_a_batch(function: str) -> None:
    @fault(_name(function), f"{function}Function is killed during a batch prediction")
    def inject(subject: Subject) -> int:
        name = f"batch-{function}.csv"
        rows = subject.digits.rows(slice(BATCH_ROWS))
        body = "".join(",".join(map(str, row)) + "\n" for row in rows)
        times = _kill(subject, function, lambda: _put(subject, f"batch/in/{name}", body))

        def ended() -> str | None:
            items = subject.user.items(subject.model)
            batches = [item for sk, item in items.items() if sk.startswith("BATCH#")]
            of_file = [batch for batch in batches if batch["file"] == name]
            ends = [str(b["status"]) for b in of_file if BatchStatus(b["status"]).is_final]
            return ends[0] if ends else None

        status = subject.wait(ended, "the end of the batch")
        subject.note = f"batch {status}"
        if status == BatchStatus.SUCCEEDED:
            _count_captured(subject, name)
        else:  # it may have captured its rows before it was killed
            subject.client.unanswered += BATCH_ROWS
        return times


def _put(subject: Subject, path: str, body: str) -> None:
    key = f"{subject.model}/{path}"
    subject.user.client("s3").put_object(Bucket=subject.user.bucket, Key=key, Body=body)


def _count_captured(subject: Subject, file: str) -> None:
    """Count the predictions of a batch that are captured like those of the API."""
    key = f"{subject.model}/batch/out/{file}"
    answer = subject.user.client("s3").get_object(Bucket=subject.user.bucket, Key=key)
    rows = csv.DictReader(answer["Body"].read().decode().splitlines())
    captured = Counter(int(row["version"]) for row in rows if row["inference_id"])
    for version, count in captured.items():
        subject.client.count_predictions(version, count)


for _function in OF_A_DROP:
    _add_function_of_a_drop(_function)
for _function in OF_TRAFFIC:
    _add_function_of_traffic(_function)
for _function in OF_A_BATCH:
    _add_function_of_a_batch(_function)


@fault("killed-ingest-ground-truth", "IngestGroundTruthFunction is killed with a file of labels")
def _ingest_ground_truth(subject: Subject) -> int:
    answered = subject.predicted()
    lines = "".join(f"{name},{label}\n" for name, label in answered.labels.items())
    times = _kill(
        subject, "IngestGroundTruth", lambda: _put(subject, "ground-truth/killed.csv", lines)
    )
    subject.client.count_labels(answered)
    return times


@fault("killed-check-drift", "CheckDriftFunction is killed during the check of a model")
def _check_drift(subject: Subject) -> int:
    queue = subject.user.physical_id("CheckDriftQueue")
    body = json.dumps({"model": subject.model})
    return _kill(
        subject,
        "CheckDrift",
        lambda: subject.user.client("sqs").send_message(QueueUrl=queue, MessageBody=body),
    )


@fault("killed-retrain", "RetrainFunction is killed by the request of a retraining")
def _retrain(subject: Subject) -> int:
    subject.require_exact()
    before = subject.last_run()
    times = _kill(subject, "Retrain", lambda: requested(subject, "retrain"))
    subject.wait_for_new_run(before)
    return times


@fault("killed-end-stopped-run", "a run is stopped by hand, and EndStoppedRunFunction is killed")
def _end_stopped_run(subject: Subject) -> int:
    before = subject.last_run()
    subject.drop()
    run = subject.wait_for_new_run(before, "TRAINING", "EVALUATING")
    states = subject.user.client("stepfunctions")
    arn = run["train_execution_arn"]
    return _kill(subject, "EndStoppedRun", lambda: states.stop_execution(executionArn=arn))


@fault("killed-roll-back", "a version does not start, and RollBackFunction is killed")
def _roll_back(subject: Subject) -> int:
    order(subject, Endpoint=["The primary container did not pass the ping health check."])
    try:
        return _kill(subject, "RollBack", subject.drop)
    finally:
        subject.wait_until_at_rest()
        order(subject)


@fault(
    "killed-plan-folds",
    "PlanFoldsFunction is killed in a run with folds",
    Needs.NEW_MODEL,
    FOLDS,
)
def _plan_folds(subject: Subject) -> int:
    return _kill_in_run(subject, "PlanFolds")


@fault(
    "killed-pack-ensemble",
    "PackEnsembleFunction is killed in a run with folds",
    Needs.NEW_MODEL,
    FOLDS,
)
def _pack_ensemble(subject: Subject) -> int:
    return _kill_in_run(subject, "PackEnsemble")


@fault(
    "killed-remove-alarms",
    "the endpoint is deleted, and RemoveAlarmsFunction is killed",
    Needs.NEW_MODEL,
)
def _remove_alarms(subject: Subject) -> int:
    sagemaker, name = subject.user.client("sagemaker"), f"refit-{subject.model}"
    return _kill(subject, "RemoveAlarms", lambda: sagemaker.delete_endpoint(EndpointName=name))


@fault("killed-read-models", "ReadModelsFunction is killed by a request; it is sent again")
def _read_models(subject: Subject) -> int:
    return _request_twice(subject, "ReadModels", "GET", "models")


@fault("killed-operate-models", "OperateModelsFunction is killed by a request; it is sent again")
def _operate_models(subject: Subject) -> int:
    return _request_twice(subject, "OperateModels", "POST", f"models/{subject.model}/unblock")


def _request_twice(subject: Subject, function: str, method: str, path: str) -> int:
    """Send a request whose function is killed, and again; a failure says no more than on AWS."""
    stack = subject.user.stack
    headers = {"x-api-key": stack.api_keys["operate"]}
    kind = processes.function(subject.user, function)
    idle = processes.running(subject.user, kind)
    processes.kill(idle)

    def send() -> requests.Response:
        return requests.request(method, f"{stack.api_url}/{path}", headers=headers, timeout=60)

    with processes.killing_next(subject.user, kind, subject.random, LATEST_S, idle) as killed:
        first = send()
        times = killed()
    again = send()
    subject.note = f"answered {first.status_code}, then {again.status_code}"
    if again.status_code >= requests.codes.server_error:
        raise NotSurvived(f"the request was answered {again.status_code} again: {again.text}")
    is_failure = first.status_code >= requests.codes.server_error
    if is_failure and first.json()["error"]["message"] != "Internal server error":
        raise NotSurvived(f"the failure says more than on AWS: {first.text}")
    return times
