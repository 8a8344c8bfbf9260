"""Events, messages, files and stream records come again, late and in another order."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.chaos.fault import Needs, NotSurvived, fault
from tests.chaos.orders import requested
from tests.chaos.redelivery import messages_in, send, send_events_again
from tests.support.traffic import record

if TYPE_CHECKING:
    from tests.chaos.counting_client import Answered
    from tests.chaos.subject import Subject

COPIES = 3
"""How often an approval, an end of an execution and the like come again."""

JUNK = (
    *("{}", "[]", "null", "{", '{"model": 5}', '{"model": []}'),
    *('{"detail": {"object": {"key": "../x"}}}', '{"detail": {"object": {"key": {}}}}'),
)
QUEUES = "IngestQueue IngestCapturesQueue GroundTruthQueue CheckDriftQueue RetrainQueue".split()


@fault("redelivered-drops", "the events of all dropped files come again; no run may begin")
def _drops(subject: Subject) -> int:
    before = len(subject.user.runs(subject.model))
    waiting = messages_in(subject, "IngestQueue")
    times = send_events_again(subject, "IngestQueue", "raw/")
    subject.wait(
        lambda: messages_in(subject, "IngestQueue") <= waiting or None,
        "IngestQueue to be as it was before",
    )
    begun = len(subject.user.runs(subject.model)) - before
    if begun:
        raise NotSurvived(f"{begun} runs began on files that were trained on before")
    return times


@fault("redelivered-captures", "the events of all capture files come again, shuffled")
def _captures(subject: Subject) -> int:
    subject.predicted()
    return send_events_again(subject, "IngestCapturesQueue", "capture/")


@fault("redelivered-label-files", "files of labels come again, also as other files")
def _label_files(subject: Subject) -> int:
    answered = subject.predicted(50)
    lines = [f"{name},{label}\n" for name, label in answered.labels.items()]
    s3 = subject.user.client("s3")
    for number in range(COPIES):
        subject.random.shuffle(lines)
        key = f"{subject.model}/ground-truth/again-{number}.csv"
        s3.put_object(Bucket=subject.user.bucket, Key=key, Body="".join(lines))
    subject.client.count_labels(answered)
    return send_events_again(subject, "GroundTruthQueue", "ground-truth/again") + COPIES


@fault("redelivered-stream-records", "images of labelled predictions reach CountLabels again")
def _stream_records(subject: Subject) -> int:
    dynamodb, table = subject.user.client("dynamodb"), subject.user.outputs["InferenceTableName"]
    function, invocations = subject.user.physical_id("CountLabelsFunction"), 0
    images: dict[str, list[dict[str, Any]]] = {}
    answered = subject.predicted(50)
    keys = [{"id": {"S": f"{subject.model}#{name}"}} for name in answered.labels]

    def read() -> None:
        for key in keys:
            item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
            images.setdefault(key["id"]["S"], []).append(item)

    read()
    subject.client.label(answered)
    read()  # labelled, and perhaps not counted
    subject.require_exact()
    read()
    records = [image for several in images.values() for image in several] * COPIES
    subject.random.shuffle(records)
    for start in range(0, len(records), 100):
        batch = [
            _stream_record(image, number)
            for number, image in enumerate(records[start : start + 100])
        ]
        payload = json.dumps({"Records": batch})
        subject.user.client("lambda").invoke(FunctionName=function, Payload=payload)
        invocations += 1
    subject.note = f"{len(records)} records"
    return invocations


def _stream_record(image: dict[str, Any], number: int) -> dict[str, Any]:
    entry = record(image, number)
    entry["dynamodb"]["ApproximateCreationDateTime"] = time.time()
    return entry


@fault("contradictory-labels", "labels that contradict each other come at once, in any order")
def _contradictory(subject: Subject) -> int:
    answered = subject.predicted(30)
    now = datetime.now(UTC)
    calls = [_observed(answered, now - timedelta(seconds=60 + age), age) for age in range(20)]
    subject.random.shuffle(calls)
    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(subject.label, calls):
            _require_accepted(results)
    subject.client.count_labels(answered)  # the latest observation is the truth
    return len(calls)


def _observed(answered: Answered, moment: datetime, age: int) -> list[dict[str, Any]]:
    """Return the labels as observed at a moment: correct at the latest, and of any class before."""
    draw = random.Random(age)
    return [
        each
        | {
            "label": each["label"] if age == 0 else str(draw.randrange(10)),
            "observedAt": moment.isoformat(timespec="milliseconds"),
        }
        for each in answered.records()
    ]


def _require_accepted(results: list[dict[str, Any]]) -> None:
    refused = [result for result in results if result["status"] == "rejected"]
    if refused:
        raise NotSurvived(f"{len(refused)} labels were rejected: {refused[0]}")


@fault("repeated-labels", "the same labels come many times at once, and twice in one call")
def _repeated(subject: Subject) -> int:
    answered = subject.predicted(30)
    call = answered.records() * 2
    with ThreadPoolExecutor(4) as pool:
        for results in pool.map(lambda _: subject.label(call), range(5)):
            _require_accepted(results)
    subject.client.count_labels(answered)
    return 10


@fault("labels-before-captures", "labels come before the predictions that they belong to")
def _labels_first(subject: Subject) -> int:
    mapping = _mapping_of(subject, "IngestCapturesFunction")
    client = subject.user.client("lambda")
    client.update_event_source_mapping(UUID=mapping, Enabled=False)
    try:
        answered = [subject.wait(subject.client.predict, "predictions") for _ in range(5)]
        for each in answered:
            subject.client.label(each)
    finally:
        client.update_event_source_mapping(UUID=mapping, Enabled=True)
    return sum(len(each.labels) for each in answered)


def _mapping_of(subject: Subject, function: str) -> str:
    listed = subject.user.client("lambda").list_event_source_mappings(
        FunctionName=subject.user.physical_id(function)
    )
    (mapping,) = listed["EventSourceMappings"]
    return str(mapping["UUID"])


@fault("redelivered-approval", "the event that a version was approved comes again, three times")
def _approval(subject: Subject) -> int:
    states, machine = (
        subject.user.client("stepfunctions"),
        subject.user.outputs["DeployStateMachineArn"],
    )
    group = f'"refit-{subject.model}"'
    listed = states.list_executions(stateMachineArn=machine)["executions"]
    inputs = [states.describe_execution(executionArn=e["executionArn"])["input"] for e in listed]
    of_model = [text for text in inputs if group in text][:COPIES]
    started = [
        states.start_execution(stateMachineArn=machine, input=text)["executionArn"]
        for text in of_model
        for _ in range(COPIES)
    ]

    def have_ended() -> bool | None:
        described = [states.describe_execution(executionArn=arn) for arn in started]
        return all(each["status"] != "RUNNING" for each in described) or None

    subject.wait(have_ended, "the end of the repeated deployments")
    return len(started)


@fault("redelivered-end", "the events that executions have failed come again, shuffled")
def _end(subject: Subject) -> int:
    states, client = subject.user.client("stepfunctions"), subject.user.client("lambda")
    function = subject.user.physical_id("EndStoppedRunFunction")
    arns = [
        execution["executionArn"]
        for name in ("TrainStateMachineArn", "DeployStateMachineArn")
        for execution in states.list_executions(stateMachineArn=subject.user.outputs[name])[
            "executions"
        ]
        if execution["status"] != "RUNNING"
    ] * COPIES
    subject.random.shuffle(arns)
    subject.drop()  # these ends must not end its run
    for arn in arns:
        execution = states.describe_execution(executionArn=arn)
        detail = {"executionArn": arn, "status": "FAILED", "input": execution["input"]}
        client.invoke(FunctionName=function, Payload=json.dumps({"detail": detail}))
    subject.require_deployed()
    return len(arns)


@fault("junk-messages", "messages that nobody can read come to all queues")
def _junk(subject: Subject) -> int:
    times = sum(send(subject, queue, JUNK) for queue in QUEUES)
    subject.drop()
    subject.require_deployed()
    return times


@fault(
    "retrain-three-times",
    "a retraining is requested three times at once",
    Needs.NEW_MODEL,
    "[retraining]\nmin_labels = 50\ncooldown_s = 0\n",
)
def _retrain(subject: Subject) -> int:
    subject.require_exact()
    before = len(subject.user.runs(subject.model))
    with subject.client.pause(), ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: requested(subject, "retrain"), range(3)))
        subject.wait(
            lambda: len(subject.user.runs(subject.model)) > before or None, "the retraining"
        )
        subject.wait_until_at_rest()
        subject.drop()  # it waits for what the other requests may have started
        subject.require_deployed()
    runs = subject.user.runs(subject.model)[before:]
    of_requests = [run for run in runs if run.get("cause") == "request"]
    subject.note = f"answered {sorted(each.status_code for each in answers)}"
    if len(of_requests) != 1:
        raise NotSurvived(f"three requests at once started {len(of_requests)} runs")
    state = subject.user.items(subject.model).get("RETRAINING", {}).get("state", "healthy")
    if state == "blocked":
        raise NotSurvived("the same request three times at once blocked the model")
    return 3


@fault(
    "good-and-bad-drops", "three good drops and a mislabelled one, under traffic", Needs.NEW_MODEL
)
def _good_and_bad(subject: Subject) -> int:
    failed = subject.client.failed_calls
    for _ in range(3):
        subject.drop()
        subject.require_deployed()
    version = subject.user.state(subject.model)["champion"]["version"]
    body = subject.digits.csv(slice(0, 300), wrong=True)
    before = subject.last_run()
    strict = {"mislabelled.csv": body}
    subject.user.drop(subject.model, strict, "[training.hyperparameters]\nnum_round = 10\n")
    run = subject.wait_for_new_run(before, "REFUSED", "FAILED", "DEPLOYED")
    if run["status"] != "REFUSED":
        raise NotSurvived(f"the mislabelled drop was {run['status']}: {run.get('message')}")
    if subject.user.state(subject.model)["champion"]["version"] != version:
        raise NotSurvived("the mislabelled version is live")
    if subject.client.failed_calls > failed:
        raise NotSurvived(f"{subject.client.failed_calls - failed} calls failed")
    subject.put_settings()  # those of the mislabelled drop would refuse the next one, too
    return 4
