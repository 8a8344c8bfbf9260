"""A user of the deployed stack, who calls it with boto3 and HTTP only."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import requests
from boto3.dynamodb.types import TypeDeserializer
from botocore.config import Config
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.stack.record import StackInfo

T = TypeVar("T")
ENDED = {"DEPLOYED", "REFUSED", "FAILED", "AWAITING_APPROVAL", "SUPERSEDED"}


@dataclass(frozen=True)
class Pace:
    """How long things may take on a stack, and how often to look.

    Attributes:
        run_s: from a drop to the end of its run.
        change_s: from a decision about the live version to the version that answers.
        count_s: from a prediction and its label to their counts.
        call_s: between two requests of steady traffic.
        monitoring: the section [monitoring] of a model whose drift is to be found soon.
    """

    poll_s: float
    run_s: float
    change_s: float
    count_s: float
    call_s: float
    monitoring: str


# Much longer than it takes: a deadline ends a test that hangs, also on a machine four times slower.
LOCAL = Pace(
    0.25,
    600,
    400,
    300,
    0.2,
    "cohort_s = 2\nseason_s = 0\nlabel_age_s = 3\nlabel_wait_s = 12\nheld_label_s = 60",
)
# Firehose delivers captures after 60 seconds or more, and jobs and endpoints start in minutes.
AWS = Pace(
    5, 3600, 1800, 900, 5, "cohort_s = 60\nseason_s = 0\nlabel_age_s = 180\nlabel_wait_s = 600"
)


def wait_for(
    check: Callable[[], T | None],
    what: str,
    timeout_s: float = 400,
    poll_s: float = LOCAL.poll_s,
    *,
    lasts: bool = False,
) -> T:
    """Poll until the check returns something other than None; fail after the timeout.

    What `lasts` once it is there is looked for less often the longer it takes, up to a second.
    """
    began = time.monotonic()
    while (waited_s := time.monotonic() - began) < timeout_s:
        result = check()
        if result is not None:
            return result
        time.sleep(max(poll_s, min(waited_s / 20, 1)) if lasts else poll_s)
    raise AssertionError(f"{what} did not happen within {timeout_s:.0f} s")


def _runs(items: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    runs = [item for sk, item in items.items() if sk.startswith("RUN#")]
    return sorted(runs, key=lambda run: str(run["started_at"]))


class User:
    """Drops data, reads the state of runs, and sends predictions and labels.

    Args:
        stack: where the stack is. On AWS, endpoint URL and credentials are None: boto3 then uses
            AWS and the credentials of the machine.
        pace: how long to wait.
        retries: repetitions of a call of the API that was answered 503.
    """

    def __init__(self, stack: StackInfo, pace: Pace = LOCAL, retries: int = 0) -> None:
        self.stack = stack
        self.pace = pace
        self._clients: dict[str, Any] = {}
        stacks = self.client("cloudformation").describe_stacks(StackName=stack.stack_name)
        self.outputs = {
            output["OutputKey"]: output["OutputValue"] for output in stacks["Stacks"][0]["Outputs"]
        }
        self.bucket = self.outputs["BucketName"]
        self.dropped: set[str] = set()
        self.answered: set[str] = set()
        self.labelled: set[str] = set()
        self.http = requests.Session()
        again = Retry(retries, status_forcelist=[503], allowed_methods=None, raise_on_status=False)
        self.http.mount("http://", HTTPAdapter(max_retries=again))
        self.http.headers["x-api-key"] = stack.api_keys["predict"]

    def client(self, service: str) -> Any:
        """Return the client of a service; to create one takes longer than most calls."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.stack.endpoint_url,
                region_name=self.stack.region,
                config=Config(retries={"mode": "standard", "total_max_attempts": 6}),
                aws_access_key_id=self.stack.access_key_id,
                aws_secret_access_key=self.stack.secret_access_key,
            )
        return self._clients[service]

    def physical_id(self, logical_id: str) -> str:
        """Return the name of a resource of the template."""
        described = self.client("cloudformation").describe_stack_resource(
            StackName=self.stack.stack_name, LogicalResourceId=logical_id
        )
        return str(described["StackResourceDetail"]["PhysicalResourceId"])

    def alarm_state(self, logical_id: str) -> str:
        """Return the state of an alarm of the template."""
        names = [self.physical_id(logical_id)]
        (alarm,) = self.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
        return str(alarm["StateValue"])

    def drop(self, model: str, files: dict[str, bytes], settings: str | None = None) -> None:
        s3 = self.client("s3")
        if settings is not None:
            s3.put_object(Bucket=self.bucket, Key=f"{model}/model.toml", Body=settings.encode())
        for name, body in files.items():
            s3.put_object(Bucket=self.bucket, Key=f"{model}/raw/{name}", Body=body)
            self.dropped.add(f"{model}/raw/{name}")

    def forget(self, model: str) -> None:
        """Forget what was sent to a model, which has been removed."""
        self.dropped = {key for key in self.dropped if not key.startswith(f"{model}/")}
        self.answered = {name for name in self.answered if not name.startswith(f"{model}#")}
        self.labelled = {name for name in self.labelled if not name.startswith(f"{model}#")}

    def items(self, model: str) -> dict[str, dict[str, Any]]:
        response = self.client("dynamodb").query(
            TableName=self.outputs["ModelTableName"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"MODEL#{model}"}},
            ConsistentRead=True,
        )
        reader = TypeDeserializer()
        plain = [{k: reader.deserialize(v) for k, v in item.items()} for item in response["Items"]]
        return {item["sk"]: item for item in plain}

    def state(self, model: str) -> dict[str, Any]:
        return self.items(model).get("STATE", {})

    def runs(self, model: str) -> list[dict[str, Any]]:
        return _runs(self.items(model))

    def wait_for_end(
        self, model: str, number: int = 1, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Wait until the model's run number `number` (from 1) has ended; return its item.

        A run records its end shortly before it releases the lock of the model.
        """

        def ended_run() -> dict[str, Any] | None:
            items = self.items(model)
            runs = _runs(items)
            if len(runs) < number or runs[number - 1]["status"] not in ENDED:
                return None
            holds_lock = items["STATE"].get("active_run") == runs[number - 1]["run"]
            return None if holds_lock else runs[number - 1]

        return wait_for(
            ended_run,
            f"the end of run {number} of {model}",
            timeout_s or self.pace.run_s,
            self.pace.poll_s,
            lasts=True,
        )

    def wait_for_status(self, model: str, number: int, status: str, timeout_s: float = 400) -> None:
        """Wait until the model's run number `number` (from 1) has this status."""

        def has_status() -> bool | None:
            runs = self.runs(model)
            return (len(runs) >= number and runs[number - 1]["status"] == status) or None

        wait_for(has_status, f"status {status} of run {number} of {model}", timeout_s)

    def read_json(self, key: str) -> Any:
        body = self.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return json.loads(body, parse_float=Decimal)

    def predict(self, model: str, rows: Any, **kwargs: Any) -> requests.Response:
        """Request predictions for a list of rows (sent as JSON) or for bytes (sent as CSV)."""
        url = f"{self.stack.api_url}/models/{model}/predictions"
        if isinstance(rows, bytes):
            headers = {"Content-Type": "text/csv"} | kwargs.pop("headers", {})
            response = self.http.post(url, data=rows, headers=headers, timeout=60, **kwargs)
        else:
            response = self.http.post(url, json={"instances": rows}, timeout=60, **kwargs)
        if response.ok:
            self.answered |= {
                f"{model}#{row['inferenceId']}" for row in response.json()["predictions"]
            }
        return response

    def models(self) -> list[str]:
        """Return the names of all models."""
        response = self.client("dynamodb").query(
            TableName=self.outputs["ModelTableName"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "MODELS"}},
            ConsistentRead=True,
        )
        return [item["sk"]["S"] for item in response["Items"]]

    def label(self, model: str, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Post labels; return the result of each."""
        response = self.post_labels(model, records)
        assert response.status_code == 202, response.text
        results: list[dict[str, Any]] = response.json()["results"]
        assert len(results) == len(records)
        self.labelled |= {
            f"{model}#{record['inferenceId']}"
            for record, result in zip(records, results, strict=True)
            if result["status"] != "rejected"
        }
        return results

    def post_labels(self, model: str, records: list[dict[str, Any]]) -> requests.Response:
        url = f"{self.stack.api_url}/models/{model}/ground-truth"
        headers = {"x-api-key": self.stack.api_keys["label"]}
        return self.http.post(url, json={"labels": records}, headers=headers, timeout=60)

    def counters(self, model: str, version: int) -> Counter[str]:
        """Return the sum of the counters of all cohorts of a version."""
        return self._sums(model, f"COHORT#{version:010d}#")

    def label_counters(self, model: str) -> Counter[str]:
        """Return the counters of the labels of a model."""
        return self._sums(model, "LABELS#")

    def _sums(self, model: str, prefix: str) -> Counter[str]:
        total: Counter[str] = Counter()
        for sk, item in self.items(model).items():
            if sk.startswith(prefix):
                numbers = {k: v for k, v in item.items() if isinstance(v, Decimal)}
                total.update({name: int(value) for name, value in numbers.items()})
        return total

    def wait_until_counted(
        self,
        model: str,
        version: int,
        expected: dict[str, int],
        timeout_s: float | None = None,
        poll_s: float | None = None,
    ) -> None:
        """Wait until a version's counters have the expected values."""

        def current() -> dict[str, int]:
            counters = self.counters(model, version)
            return {name: counters[name] for name in expected}

        try:
            wait_for(
                lambda: current() == expected or None,
                "counting",
                timeout_s or self.pace.count_s,
                poll_s or self.pace.poll_s,
                lasts=True,
            )
        except AssertionError:
            assert current() == expected

    def predicted_labels(self, model: str, rows: Any) -> list[str]:
        """Request predictions; return the predicted label of each row."""
        response = self.predict(model, rows)
        assert response.status_code == 200, response.text
        return [row["prediction"] for row in response.json()["predictions"]]
