"""A local SageMaker behind an HTTP server, with S3, STS and CloudWatch of moto."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import boto3
import httptools
from botocore.config import Config
from refit_local.sagemaker.host import HostServices
from refit_local.sagemaker.service import LocalSageMaker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from refit_local.sagemaker.machine.shares import MachineLimits
    from refit_local.sagemaker.platform import ContainerTimeouts

REGION = "us-east-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/refit-sagemaker"
IMAGE = f"683313688378.dkr.ecr.{REGION}.amazonaws.com/sagemaker-xgboost:3.0-5"
BUCKET = "refit-test"
DEADLINE_S = 180.0


def until(condition: Callable[[], Any], what: str, timeout_s: float = DEADLINE_S) -> Any:
    """Poll until the condition returns a true value, and return it."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {timeout_s} s: {what}")


@dataclass
class Published:
    """What the local SageMaker has published through its host."""

    events: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def put_event(
        self, source: str, detail_type: str, detail: dict[str, Any], resources: list[str]
    ) -> None:
        # Only JSON can be an event.
        detail = json.loads(json.dumps(detail))
        self.events.append(
            {"source": source, "type": detail_type, "detail": detail, "resources": resources}
        )

    def put_metric(
        self,
        namespace: str,
        name: str,
        values: list[float],
        unit: str,
        dimensions: dict[str, str],
        *,
        counts: list[float],
    ) -> None:
        self.metrics.append(
            {
                "namespace": namespace,
                "name": name,
                "unit": unit,
                "dimensions": dimensions,
                "sum": sum(v * c for v, c in zip(values, counts, strict=True)),
                "count": sum(counts),
            }
        )

    def put_log_lines(self, group: str, stream: str, lines: list[str]) -> None:
        self.logs[group, stream].extend(lines)

    def of(self, detail_type: str) -> list[dict[str, Any]]:
        return [event["detail"] for event in self.events if event["type"] == detail_type]

    def log_text(self, group: str) -> str:
        return "\n".join(
            line
            for (in_group, _), lines in self.logs.items()
            if in_group == group
            for line in lines
        )

    def total(self, name: str) -> float:
        return sum(metric["sum"] for metric in self.metrics if metric["name"] == name)


class _Http(asyncio.Protocol):
    """HTTP/1.1 for `handle_request`, as far as boto3 needs it."""

    def __init__(self, sagemaker: LocalSageMaker, opened: list[Any]) -> None:
        self._sagemaker = sagemaker
        self._opened = opened
        self._reset()

    def _reset(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._opened.append(transport)

    def data_received(self, data: bytes) -> None:
        if b"100-continue" in data:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        url = httptools.parse_url(self._url)
        request = (
            self._parser.get_method().decode(),
            url.path.decode(),
            self._headers,
            b"".join(self._body),
            parse_qs((url.query or b"").decode()),
        )
        self._reset()
        self._task = asyncio.get_running_loop().create_task(self._answer(*request))

    async def _answer(self, *request: Any) -> None:
        status, headers, body = await self._sagemaker.handle_request(*request)
        lines = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + body)


@dataclass
class RunningSageMaker:
    """A running local SageMaker and clients for it."""

    service: LocalSageMaker
    published: Published
    endpoint_url: str

    def __post_init__(self) -> None:
        self.sagemaker = self._client("sagemaker")
        self.runtime = self._client("sagemaker-runtime")
        self.s3 = boto3.client("s3", region_name=REGION)

    def _client(self, name: str) -> Any:
        return boto3.client(
            name,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16),
        )

    def put(self, key: str, body: bytes | str) -> str:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"s3://{BUCKET}/{key}"

    def get(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix: str) -> list[str]:
        listing = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for entry in listing.get("Contents", [])]

    def trained(self, name: str) -> dict[str, Any]:
        """Wait until a training job has ended."""
        return until(
            lambda: _if_in(
                self.sagemaker.describe_training_job(TrainingJobName=name),
                "TrainingJobStatus",
                {"Completed", "Failed", "Stopped"},
            ),
            f"the end of training job {name}",
        )

    def tuned(self, name: str) -> dict[str, Any]:
        """Wait until a tuning job has ended."""
        return until(
            lambda: _if_in(
                self.sagemaker.describe_hyper_parameter_tuning_job(
                    HyperParameterTuningJobName=name
                ),
                "HyperParameterTuningJobStatus",
                {"Completed", "Failed", "Stopped"},
            ),
            f"the end of tuning job {name}",
        )

    def trials(self, name: str, **more: Any) -> list[dict[str, Any]]:
        """Return the summaries of the training jobs of a tuning job."""
        answer = self.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name, **{"MaxResults": 100, **more}
        )
        return answer["TrainingJobSummaries"]

    def transformed(self, name: str) -> dict[str, Any]:
        """Wait until a transform job has ended."""
        return until(
            lambda: _if_in(
                self.sagemaker.describe_transform_job(TransformJobName=name),
                "TransformJobStatus",
                {"Completed", "Failed", "Stopped"},
            ),
            f"the end of transform job {name}",
        )

    def settled(self, name: str) -> dict[str, Any]:
        """Wait until an endpoint is in service or has failed."""
        return until(
            lambda: _if_in(
                self.sagemaker.describe_endpoint(EndpointName=name),
                "EndpointStatus",
                {"InService", "Failed"},
            ),
            f"endpoint {name} to settle",
        )


def _if_in(answer: dict[str, Any], member: str, expected: set[str]) -> dict[str, Any] | None:
    return answer if answer[member] in expected else None


class SageMakerLauncher:
    """Starts and ends local SageMakers."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open: list[tuple[RunningSageMaker, Any]] = []
        self._transports: list[Any] = []

    def start(
        self,
        folder: Path,
        limits: MachineLimits | None = None,
        timeouts: ContainerTimeouts | None = None,
        quotas: dict[str, int] | None = None,
    ) -> RunningSageMaker:
        granted = quotas or {}
        published = Published()
        host = HostServices(
            endpoint_url=None,
            region=REGION,
            account_id=ACCOUNT,
            access_key_id="test",
            secret_access_key="test",
            put_event=published.put_event,
            put_metric=published.put_metric,
            put_log_lines=published.put_log_lines,
            quota=lambda name: granted.get(name, 100),
        )
        service = LocalSageMaker(folder, host, limits, timeouts)
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
        server = asyncio.run_coroutine_threadsafe(
            self._loop.create_server(lambda: _Http(service, self._transports), "127.0.0.1", port),
            self._loop,
        ).result(10)
        local = RunningSageMaker(service, published, f"http://127.0.0.1:{port}")
        self._open.append((local, server))
        return local

    def end(self) -> None:
        """End all services, after their clients have closed their connections."""
        for local, _ in self._open:
            local.service.shutdown()
            for client in (local.sagemaker, local.runtime, local.s3):
                client.close()
        asyncio.run_coroutine_threadsafe(self._close_connections(), self._loop).result(10)
        self._open.clear()

    def close(self) -> None:
        self.end()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close_connections(self) -> None:
        for _, server in self._open:
            server.close()
        for transport in self._transports:
            transport.close()
        self._transports.clear()
        await asyncio.sleep(0)


def training_rows(count: int = 200, seed: int = 7) -> str:
    """Return CSV rows with the label first: 1 if x0 > x1, which XGBoost learns in few rounds."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        first, second, noise = (round(draw.random(), 4) for _ in range(3))
        lines.append(f"{int(first > second)},{first},{second},{noise}")
    return "\n".join(lines) + "\n"


def feature_rows(count: int, seed: int = 11) -> str:
    """Return CSV rows without the label."""
    rows = training_rows(count, seed).splitlines()
    return "".join(f"{row.partition(',')[2]}\n" for row in rows)


def training_request(name: str, **more: Any) -> dict[str, Any]:
    """Return a request for a small training on the data of `put_training_data`."""
    request = {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "InputDataConfig": [
            {
                "ChannelName": channel,
                "ContentType": "text/csv",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": f"s3://{BUCKET}/data/{channel}/",
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
            for channel in ("train", "validation")
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out/"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 5,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 300},
        "HyperParameters": {
            "num_round": "5",
            "objective": "binary:logistic",
            "eval_metric": "logloss",
        },
    }
    return {**request, **more}


def tuning_request(
    name: str,
    jobs: int = 3,
    parallel: int = 1,
    ranges: dict[str, Any] | None = None,
    static: dict[str, str] | None = None,
    **config: Any,
) -> dict[str, Any]:
    """Return a request for a small tuning on the data of `put_training_data`."""
    training = training_request("x")
    hyperparameters = {k: v for k, v in training["HyperParameters"].items() if k != "eval_metric"}
    parts = ("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig")
    eta = {"Name": "eta", "MinValue": "0.05", "MaxValue": "0.5", "ScalingType": "Logarithmic"}
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {
                "Type": "Minimize",
                "MetricName": "validation:logloss",
            },
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": jobs,
                "MaxParallelTrainingJobs": parallel,
            },
            "ParameterRanges": ranges or {"ContinuousParameterRanges": [eta]},
            "RandomSeed": 1,
            **config,
        },
        "TrainingJobDefinition": {
            **{part: training[part] for part in parts},
            "ResourceConfig": training["ResourceConfig"],
            "StoppingCondition": training["StoppingCondition"],
            "StaticHyperParameters": hyperparameters | (static or {}),
        },
    }


def put_training_data(local: RunningSageMaker) -> None:
    """Upload rows for the channels train (two files) and validation."""
    local.put("data/train/a.csv", training_rows(seed=1))
    local.put("data/train/more/b.csv", training_rows(seed=2))
    local.put("data/validation/v.csv", training_rows(100, seed=3))


def long_training(name: str, **more: Any) -> dict[str, Any]:
    """Return a request for a training that takes minutes."""
    hyperparameters = {
        "num_round": "1000000",
        "objective": "binary:logistic",
        "eval_metric": "logloss",
    }
    return training_request(name, **{"HyperParameters": hyperparameters, **more})


def make_model(local: RunningSageMaker, name: str, data_uri: str, **container: Any) -> str:
    """Create a model from a model archive and return its name."""
    local.sagemaker.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": data_uri, **container},
    )
    return name
