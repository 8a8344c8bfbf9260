"""A hostile stack injects the faults that AWS documents, and loses nothing itself."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from refit_local.ministack.hostile.faults import REPORT
from stack_under_test import KEYS, LocalAws, allow, running_emulator, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

RECORDER = """
import time
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
# The waits of botocore's retries would exceed the timeout at these rates.
table = boto3.client("dynamodb", config=Config(retries={"total_max_attempts": 1}))
def record(item):
    for attempt in range(40):
        try:
            return table.put_item(TableName="seen", Item=item)
        except ClientError:
            time.sleep(0.02)
    raise RuntimeError("not recorded")
def handler(event, context):
    for record_ in event["Records"]:
        name = record_["body"] if "body" in record_ else record_["dynamodb"]["Keys"]["id"]["S"]
        record({"id": {"S": f"{name} {context.aws_request_id}"}})
"""
MAY_RECORD = allow(["dynamodb:*", "sqs:*", "logs:*"])


class HostileAws(LocalAws):
    """A hostile emulator with five times the usual rates, whose clients try ten times."""

    attempts = 10

    def client(self, service: str, **_: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            config=Config(retries={"mode": "standard", "total_max_attempts": self.attempts}),
            **{name.lower(): value for name, value in KEYS.items()},
        )

    def table(self, name: str, **settings: Any) -> dict[str, Any]:
        dynamodb = self.client("dynamodb")
        return _created(
            lambda: super(HostileAws, self).table(name, **settings),
            lambda: dict(dynamodb.describe_table(TableName=name)["Table"]),
        )

    def function(self, name: str, code: str, **settings: Any) -> str:
        functions = self.client("lambda")
        return _created(
            lambda: super(HostileAws, self).function(name, code, **settings),
            lambda: str(functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"]),
        )

    def consume(self, function: str, source: str, **settings: Any) -> None:
        """Let a function consume a queue or a stream."""
        mapping = {"FunctionName": function, "EventSourceArn": source, **settings}
        create = self.client("lambda").create_event_source_mapping
        _created(lambda: create(**mapping), dict)


_EXISTS = {"ResourceInUseException", "ResourceConflictException"}


def _created(create: Callable[[], T], found: Callable[[], T]) -> T:
    """Create a resource; find it if a call whose answer was lost has created it."""
    try:
        return create()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _EXISTS:
            raise
        return found()


class ImpatientAws(HostileAws):
    """The same, whose clients try once."""

    attempts = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def hostile(folder: Path) -> Iterator[HostileAws]:
    with running_emulator(folder, REFIT_HOSTILE="7", REFIT_HOSTILE_FACTOR="5") as aws:
        patient = HostileAws(aws.port)
        patient.client("s3").create_bucket(Bucket="drops")
        patient.table("seen")
        yield patient


@pytest.fixture(scope="module")
def once(hostile: HostileAws) -> ImpatientAws:
    return ImpatientAws(hostile.port)


def failures(call: Callable[[], Any], times: int = 120) -> Counter[str]:
    """Call again and again; return how often it failed with each error."""
    codes: Counter[str] = Counter()
    for _ in range(times):
        try:
            call()
        except ClientError as error:
            codes[error.response["Error"]["Code"]] += 1
    return codes


def test_dynamodb_throttles_and_loses_answers(once: ImpatientAws) -> None:
    write = {"TableName": "seen", "Item": {"id": {"S": "item"}}}
    codes = failures(lambda: once.client("dynamodb").put_item(**write))
    assert codes.keys() == {"ThrottlingException", "InternalServerError"}


def test_a_write_whose_answer_is_lost_was_done(once: ImpatientAws) -> None:
    dynamodb = once.client("dynamodb")

    def lost_write() -> bool:
        try:
            dynamodb.put_item(TableName="seen", Item={"id": {"S": "lost"}})
        except ClientError as error:
            return error.response["Error"]["Code"] == "InternalServerError"
        dynamodb.delete_item(TableName="seen", Key={"id": {"S": "lost"}})
        return False

    def is_lost() -> bool:
        try:
            return lost_write()
        except ClientError:
            return False

    until(is_lost)
    patient = HostileAws(once.port).client("dynamodb")
    assert "Item" in patient.get_item(TableName="seen", Key={"id": {"S": "lost"}})


def test_only_items_that_transactions_write_meet_one(once: ImpatientAws) -> None:
    dynamodb = once.client("dynamodb")
    put = {"TableName": "seen", "Item": {"id": {"S": "shared"}}}
    cancelled = failures(lambda: dynamodb.transact_write_items(TransactItems=[{"Put": put}]))
    assert cancelled["TransactionCanceledException"]
    assert failures(lambda: dynamodb.put_item(**put))["TransactionConflictException"]
    alone = {"TableName": "seen", "Item": {"id": {"S": "alone"}}}
    assert not failures(lambda: dynamodb.put_item(**alone))["TransactionConflictException"]


def test_part_of_a_batch_is_refused_and_named(once: ImpatientAws) -> None:
    dynamodb = once.client("dynamodb")
    deletions = [{"DeleteRequest": {"Key": {"id": {"S": str(name)}}}} for name in range(3)]
    refused: list[Any] = []

    def delete() -> None:
        answer = dynamodb.batch_write_item(RequestItems={"seen": deletions})
        refused.extend(answer.get("UnprocessedItems", {}).get("seen", []))

    failures(delete)
    assert refused
    assert all(entry == deletions[-1] for entry in refused)


@pytest.mark.parametrize(
    ("service", "call", "throttle"),
    [
        ("s3", lambda s3: s3.put_object(Bucket="drops", Key="k", Body=b""), "SlowDown"),
        ("sqs", lambda sqs: sqs.get_queue_url(QueueName="throttled"), "RequestThrottled"),
        ("sns", lambda sns: sns.list_topics(), "Throttling"),
        ("events", lambda events: events.list_rules(), "ThrottlingException"),
        ("stepfunctions", lambda states: states.list_state_machines(), "ThrottlingException"),
        ("lambda", lambda functions: functions.list_functions(), "TooManyRequestsException"),
        ("firehose", lambda f: f.list_delivery_streams(), "ServiceUnavailableException"),
        (
            "sagemaker",
            lambda sagemaker: sagemaker.describe_endpoint(EndpointName="e"),
            "ThrottlingException",
        ),
    ],
)
def test_a_service_throttles_with_its_own_error(
    hostile: HostileAws, once: ImpatientAws, service: str, call: Any, throttle: str
) -> None:
    hostile.client("sqs").create_queue(QueueName="throttled")
    client = once.client(service)
    assert failures(lambda: call(client)).keys() >= {throttle}


def runs_of(aws: HostileAws) -> Counter[str]:
    """Return how many invocations have recorded each name."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName="seen")
    return Counter(item["id"]["S"].split()[0] for page in pages for item in page["Items"])


def test_every_message_of_a_queue_is_delivered_and_some_twice(hostile: HostileAws) -> None:
    url, arn = hostile.queue("messages", "events")
    role = hostile.role("message-reader", "lambda", MAY_RECORD)
    hostile.function("message-reader", RECORDER, role=role)
    hostile.consume("message-reader", arn, BatchSize=2)
    names = {f"message-{number}" for number in range(30)}
    for name in names:
        hostile.client("sqs").send_message(QueueUrl=url, MessageBody=name)
    until(lambda: names <= runs_of(hostile).keys(), 60)
    until(lambda: max(runs_of(hostile)[name] for name in names) > 1, 60)


def test_every_record_of_a_stream_is_delivered_and_some_twice(hostile: HostileAws) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    arn = hostile.table("streamed", StreamSpecification=stream)["LatestStreamArn"]
    role = hostile.role("stream-reader", "lambda", MAY_RECORD)
    hostile.function("stream-reader", RECORDER, role=role)
    hostile.consume("stream-reader", arn, BatchSize=2, StartingPosition="TRIM_HORIZON")
    names = {f"record-{number}" for number in range(20)}
    for name in names:
        hostile.client("dynamodb").put_item(TableName="streamed", Item={"id": {"S": name}})
    until(lambda: names <= runs_of(hostile).keys(), 60)
    until(lambda: max(runs_of(hostile)[name] for name in names) > 1, 60)


def test_the_end_of_an_execution_is_seen_late(hostile: HostileAws) -> None:
    machine = hostile.machine("short", {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    states = hostile.client("stepfunctions")
    started: list[str] = []

    def is_seen_late() -> bool:  # a call that is throttled can come after the end is seen
        started.append(hostile.start(machine))
        listed = states.list_executions(stateMachineArn=machine)["executions"]
        status = states.describe_execution(executionArn=started[-1])["status"]
        is_listed = started[-1] in {each["executionArn"] for each in listed}
        return not is_listed and status == "RUNNING"

    until(is_seen_late)
    for execution in started:
        assert hostile.ended(execution)["status"] == "SUCCEEDED"
    listed = states.list_executions(stateMachineArn=machine)["executions"]
    assert {each["executionArn"] for each in listed} >= set(started)


def test_tasks_are_throttled_and_lose_the_results_of_functions_that_ran(
    hostile: HostileAws,
) -> None:
    role = hostile.role("task-writer", "lambda", MAY_RECORD)
    arn = hostile.function("task-writer", RECORDER, role=role)
    call = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {
            "FunctionName": arn,
            # A start that is repeated because its answer was lost is an execution of its own.
            "Payload": {"Records": [{"body": "{% $states.context.Execution.Name %}"}]},
        },
        "End": True,
    }
    definition = {"StartAt": "Call", "States": {"Call": call}}
    machine = hostile.machine("tasks", definition, allow("lambda:InvokeFunction"))

    errors: dict[str, str | None] = {}
    for _ in range(5):  # the faults are drawn at random, so some starts may have none
        started = [hostile.start(machine) for _ in range(40)]
        errors |= {arn.rpartition(":")[2]: hostile.ended(arn).get("error") for arn in started}
        if {"Lambda.TooManyRequestsException", "Lambda.SdkClientException"} <= set(errors.values()):
            break
    ran = runs_of(hostile)
    throttled = [name for name, out in errors.items() if out == "Lambda.TooManyRequestsException"]
    lost = [name for name, out in errors.items() if out == "Lambda.SdkClientException"]
    assert throttled
    assert lost
    assert not any(ran[name] for name in throttled)
    assert all(ran[name] == 1 for name in lost)


def test_every_event_reaches_its_target_and_some_twice(hostile: HostileAws) -> None:
    url, arn = hostile.queue("targeted", "events")
    events = hostile.client("events")
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["probe"]}))
    events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])
    sent = set()
    while len(sent) < 20:
        entry = {"Source": "probe", "DetailType": str(len(sent)), "Detail": "{}"}
        if events.put_events(Entries=[entry])["FailedEntryCount"] == 0:
            sent.add(str(len(sent)))
    received: Counter[str] = Counter()

    def all_and_more() -> bool:
        received.update(event["detail-type"] for event in hostile.received(url))
        return sent <= received.keys() and received.total() > len(sent)

    until(all_and_more, 40)


def test_an_endpoint_config_may_not_be_seen_at_once(once: ImpatientAws) -> None:
    request = {"EndpointName": "e", "EndpointConfigName": "c"}
    client = once.client("sagemaker")
    with pytest.raises(ClientError, match=r"Could not find endpoint configuration|Rate exceeded"):
        client.create_endpoint(**request)


def test_the_report_counts_the_faults_by_kind(hostile: HostileAws, folder: Path) -> None:
    client = ImpatientAws(hostile.port).client("dynamodb")
    failures(client.list_tables)

    def report() -> Any:
        written = json.loads((folder / REPORT).read_text()) if (folder / REPORT).exists() else {}
        return written if written.get("faults", {}).get("throttled request") else None

    found = until(report)
    assert found["seed"] == 7
    assert found["occasions"]["throttled request"] > found["faults"]["throttled request"]


def test_a_stack_that_is_not_hostile_throttles_nothing(aws: LocalAws) -> None:
    client = ImpatientAws(aws.port).client("dynamodb")
    assert not failures(client.list_tables)
