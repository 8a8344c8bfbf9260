"""The resources of a deployed stack in moto, and the services of a Lambda function on them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.s3.models import s3_backends
from refit.handlers import wiring
from refit.stores import clients

from tests.support import moto_dynamodb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from refit.usecases.services import Services

REGION = "us-east-1"
CONTEXT: Any = SimpleNamespace(
    function_name="f",
    function_version="1",
    memory_limit_in_mb=512,
    invoked_function_arn=f"arn:aws:lambda:{REGION}:123456789012:function:f",
    aws_request_id="6d5a7f2e-6c2b-4f5d-9c0a-1f2e3d4c5b6a",
    get_remaining_time_in_millis=lambda: 60_000,
)


@dataclass
class Stack:
    """The resources that the template creates."""

    bucket: str
    table: str
    ingest_queue: str
    notices_queue: str
    bus_queue: str
    train: str
    deploy: str
    inference_table: str
    detect_queue: str
    retrain_queue: str
    batch: str

    @property
    def services(self) -> Services:
        """The services that the handlers use."""
        return wiring.services()

    def at(self, moment: datetime) -> Services:
        """Return services whose clock always returns this moment."""
        return replace(self.services, clock=lambda: moment)

    def with_clients(self, **fakes: Any) -> Services:
        """Return services with some boto3 clients replaced, by the name of the service."""
        client = self.services.client
        replaced = {name.replace("_", "-"): fake for name, fake in fakes.items()}
        return replace(
            self.services, client=lambda name: replaced[name] if name in replaced else client(name)
        )

    def replace_clients(self, **fakes: Any) -> None:
        """Make the handlers use other boto3 clients. Call this before they use the real ones."""
        self.services.client = self.with_clients(**fakes).client

    def put(self, key: str, body: bytes | str | dict[str, Any] = b"1,2\n") -> str:
        """Write an object (a dictionary as JSON) and return its version."""
        data = json.dumps(body) if isinstance(body, dict) else body
        response = self._s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        return str(response["VersionId"])

    def put_in_parts(self, key: str, began: datetime, body: bytes = b"1,2\n") -> str:
        """Upload an object in parts, which began at a time; return its version.

        S3 gives it that time. moto gives it the time of its completion, which is corrected here.
        """
        where = {"Bucket": self.bucket, "Key": key}
        upload = where | {"UploadId": self._s3.create_multipart_upload(**where)["UploadId"]}
        tag = self._s3.upload_part(**upload, PartNumber=1, Body=body)["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
        completed = self._s3.complete_multipart_upload(**upload, MultipartUpload=parts)
        stored = s3_backends["123456789012"]["aws"].get_object(self.bucket, key)
        stored.last_modified = began.replace(tzinfo=None)
        return str(completed["VersionId"])

    def read(self, key: str) -> bytes:
        """Return the content of an object."""
        return bytes(self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def get(self, key: str) -> Any:
        """Return a JSON object, parsed."""
        return json.loads(self.read(key))

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of the objects below a prefix, in order."""
        response = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for entry in response.get("Contents", [])]

    def delete(self, key: str, version: str | None = None) -> None:
        """Delete an object, or permanently delete one version of it."""
        request = {"VersionId": version} if version else {}
        self._s3.delete_object(Bucket=self.bucket, Key=key, **request)

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Receive up to ten messages of a queue."""
        sqs = _client("sqs")
        response = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in response.get("Messages", [])]

    def start_deployment(self, group: str, version: int) -> str:
        """Start an execution of DEPLOY as the event of a package does; return its ARN."""
        detail = {"ModelPackageGroupName": group, "ModelPackageVersion": version}
        machines = _client("stepfunctions")
        started = machines.start_execution(
            stateMachineArn=self.deploy, input=json.dumps({"detail": detail})
        )
        return str(started["executionArn"])

    def deployments(self) -> list[Any]:
        """Return the inputs of the executions of the DEPLOY state machine."""
        machines = _client("stepfunctions")
        listed = machines.list_executions(stateMachineArn=self.deploy)["executions"]
        arns = [execution["executionArn"] for execution in listed]
        return [json.loads(machines.describe_execution(executionArn=arn)["input"]) for arn in arns]

    def executions(self, machine: str | None = None) -> list[str]:
        """Return the names of the executions of a state machine; None means TRAIN."""
        machines = _client("stepfunctions")
        response = machines.list_executions(stateMachineArn=machine or self.train)
        return [execution["name"] for execution in response["executions"]]

    @property
    def _s3(self) -> Any:
        return _client("s3")


@cache
def _client(service: str) -> Any:
    """Return a client for all tests: to create one takes longer than what most requests take."""
    return boto3.client(
        service, REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
    )


@pytest.fixture(scope="module")
def started_moto() -> Iterator[None]:
    """Start moto once for all tests of a module: `stack` then only empties it, which is faster."""
    with mock_aws():
        yield


@pytest.fixture
def stack(started_moto: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    moto_dynamodb.serialize_requests(monkeypatch)
    moto_dynamodb.copy_each_table_once_per_transaction(monkeypatch)
    moto_dynamodb.serialize_only_the_type_that_a_value_has(monkeypatch)
    BackendDict.reset()
    stack = _create_resources()
    for name, value in {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "BUCKET": stack.bucket,
        "MODEL_TABLE": stack.table,
        "INGEST_QUEUE_URL": stack.ingest_queue,
        "NOTICES_TOPIC_ARN": f"arn:aws:sns:{REGION}:123456789012:notices",
        "TRAIN_STATE_MACHINE_ARN": stack.train,
        "DEPLOY_STATE_MACHINE_ARN": stack.deploy,
        "BATCH_STATE_MACHINE_ARN": stack.batch,
        "ALLOWED_SCRIPTS": "no",
        "API_KEY_ID": "k1l2m3n4o5",
        "API_ALLOWED_ORIGIN": "",
        "ALLOWED_IMAGES": "",
        "JOBS_ROLE_ARN": "arn:aws:iam::123456789012:role/jobs",
        "ENDPOINT_ROLE_ARN": "arn:aws:iam::123456789012:role/endpoints",
        "QUIET_SECONDS": "60",
        "NAME_PREFIX": "refit",
        "CHECK_EVERY": "rate(1 minute)",
        "INFERENCE_TABLE": stack.inference_table,
        "CAPTURE_STREAM": "captures",
        "CHECK_DRIFT_QUEUE_URL": stack.detect_queue,
        "RETRAIN_QUEUE_URL": stack.retrain_queue,
    }.items():
        monkeypatch.setenv(name, value)
    _end_process()
    yield stack
    _end_process()


def forget_services() -> None:
    """Make the next call of a handler read again what its services have kept."""
    wiring.services.cache_clear()


def _end_process() -> None:
    """Make the next call of a handler create its services and clients again."""
    forget_services()
    clients.lambda_client.cache_clear()


def _create_resources() -> Stack:
    s3 = _client("s3")
    s3.create_bucket(Bucket="refit-bucket-1x2y3z")
    s3.put_bucket_versioning(
        Bucket="refit-bucket-1x2y3z", VersioningConfiguration={"Status": "Enabled"}
    )
    _client("dynamodb").create_table(
        TableName="models",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    _create_inference_table()
    sqs = _client("sqs")
    queues = {
        name: sqs.create_queue(QueueName=name)["QueueUrl"]
        for name in ("ingest", "notices", "bus", "detect", "retrain")
    }
    arn = f"arn:aws:sqs:{REGION}:123456789012"
    topic = _client("sns").create_topic(Name="notices")["TopicArn"]
    _client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"{arn}:notices")
    events = _client("events")
    events.put_rule(Name="all", EventPattern='{"source": ["refit"]}')
    events.put_targets(Rule="all", Targets=[{"Id": "bus", "Arn": f"{arn}:bus"}])
    machines = [
        _client("stepfunctions").create_state_machine(
            name=f"refit-{name}",
            definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}',
            roleArn=f"arn:aws:iam::123456789012:role/{name}",
        )["stateMachineArn"]
        for name in ("train", "deploy", "batch")
    ]
    return Stack(
        "refit-bucket-1x2y3z",
        "models",
        queues["ingest"],
        queues["notices"],
        queues["bus"],
        machines[0],
        machines[1],
        "inferences",
        queues["detect"],
        queues["retrain"],
        machines[2],
    )


def _create_inference_table() -> None:
    attributes = ("id", "held_model", "held_until")
    _client("dynamodb").create_table(
        TableName="inferences",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in attributes],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "HeldLabels",
                "KeySchema": [
                    {"AttributeName": "held_model", "KeyType": "HASH"},
                    {"AttributeName": "held_until", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
