"""Endpoints answer, and updates fail no request."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from botocore.exceptions import ClientError
from local_sagemaker import (
    ACCOUNT,
    BUCKET,
    REGION,
    feature_rows,
    until,
)
from served_models import ROW, config, invoke, make_models, updated, variant

if TYPE_CHECKING:
    from local_sagemaker import RunningSageMaker

CHANGED = "SageMaker Endpoint State Change"
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": f"s3://{BUCKET}/capture",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
}


@pytest.fixture(scope="module", autouse=True)
def models(local: RunningSageMaker) -> None:
    make_models(local)


@pytest.fixture(scope="module")
def endpoint(local: RunningSageMaker) -> str:
    """An endpoint in service, with data capture."""
    config(local, "captured", variant("many", "Main"), DataCaptureConfig=CAPTURE)
    local.sagemaker.create_endpoint(EndpointName="Live", EndpointConfigName="captured")
    settled = local.settled("Live")
    assert settled["EndpointStatus"] == "InService", settled.get("FailureReason")
    return "Live"


def test_an_endpoint_is_described_as_on_aws(local: RunningSageMaker, endpoint: str) -> None:
    described = local.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert described["EndpointArn"] == f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/live"
    assert described["EndpointConfigName"] == "captured"
    (shown,) = described["ProductionVariants"]
    assert (shown["VariantName"], shown["CurrentWeight"]) == ("Main", 1.0)
    assert (shown["CurrentInstanceCount"], shown["DesiredInstanceCount"]) == (1, 1)
    assert described["DataCaptureConfig"]["CaptureStatus"] == "Started"
    details = [d for d in local.published.of(CHANGED) if d["EndpointName"] == endpoint]
    assert [d["EndpointStatus"] for d in details] == ["CREATING", "IN_SERVICE"]
    assert isinstance(details[-1]["LastModifiedTime"], int)
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        local.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName="captured")


def test_an_endpoint_answers_with_its_model(local: RunningSageMaker, endpoint: str) -> None:
    answer = invoke(local, endpoint, CustomAttributes="trace=1")
    assert answer["ContentType"].startswith("text/csv")
    assert answer["InvokedProductionVariant"] == "Main"
    assert 0.5 < float(answer["Body"].read()) < 1


def test_an_error_of_the_container_is_a_model_error(local: RunningSageMaker, endpoint: str) -> None:
    with pytest.raises(local.runtime.exceptions.ModelError) as caught:
        invoke(local, endpoint, b"not,a,number")
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert error["OriginalStatusCode"] == 415
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    assert error["Error"]["Message"].startswith(
        'Received client error (415) from primary with "'[:-1]
    )
    assert error["Error"]["Message"].endswith(
        f"See https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}"
        f"#logEventViewer:group={group} in account {ACCOUNT} for more information."
    )
    assert error["OriginalMessage"] in error["Error"]["Message"]
    assert group in error["LogStreamArn"]


@pytest.mark.parametrize(
    ("endpoint_name", "more", "message"),
    [
        ("nowhere", {}, f"Endpoint nowhere of account {ACCOUNT} not found."),
        ("Live", {"TargetVariant": "Other"}, "Variant Other of endpoint Live not found."),
        ("Live", {"Body": b"1" * 6_291_457}, "exceeds the limit of 6291456 bytes"),
        ("Live", {"TargetModel": "m.tar.gz"}, "does not implement the header"),
        ("Live", {"TargetVariant": "not_a_name"}, "must satisfy regular expression pattern"),
        ("Live", {"InferenceId": "x" * 65}, "must have length less than or equal to 64"),
    ],
)
def test_a_request_for_no_model_is_a_validation_error(
    local: RunningSageMaker, endpoint: str, endpoint_name: str, more: dict[str, Any], message: str
) -> None:
    arguments = {"ContentType": "text/csv", "Body": ROW, **more}
    with pytest.raises(ClientError) as caught:
        local.runtime.invoke_endpoint(EndpointName=endpoint_name, **arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert message in caught.value.response["Error"]["Message"]


def test_async_invocations_are_refused_by_name(local: RunningSageMaker, endpoint: str) -> None:
    with pytest.raises(ClientError, match="does not implement InvokeEndpointAsync"):
        local.runtime.invoke_endpoint_async(EndpointName=endpoint, InputLocation="s3://b/k")


def test_captured_invocations_have_the_layout_of_aws(
    local: RunningSageMaker, endpoint: str
) -> None:
    marked = b"0.123,0.456,0.789\n"
    invoke(local, endpoint, marked, InferenceId="inference-1")

    def captured() -> tuple[str, dict[str, Any]] | None:
        for key in local.keys("capture/Live/Main/"):
            for line in local.get(key).decode().splitlines():
                record = json.loads(line)
                if record["eventMetadata"].get("inferenceId") == "inference-1":
                    return key, record
        return None

    key, record = until(captured, "the captured invocation")
    time = record["eventMetadata"]["inferenceTime"]
    hour = f"{time[:10].replace('-', '/')}/{time[11:13]}"
    assert key.startswith(f"capture/Live/Main/{hour}/")
    assert key.endswith(".jsonl")
    given, made = record["captureData"]["endpointInput"], record["captureData"]["endpointOutput"]
    assert given == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "data": marked.decode(),
        "encoding": "CSV",
    }
    assert (made["mode"], made["encoding"]) == ("OUTPUT", "CSV")
    assert 0 < float(made["data"]) < 1
    assert record["eventVersion"] == "0"


def test_metrics_count_invocations_and_errors(local: RunningSageMaker, endpoint: str) -> None:
    def total(name: str) -> float:
        return local.published.total(name)

    until(lambda: total("Invocations") > 0, "the metrics of earlier tests")
    until(lambda: _quiet(local), "the metrics to settle")
    before = {name: total(name) for name in ("Invocations", "Invocation4XXErrors")}
    for body in (ROW, ROW, b"no,number,here"):
        try:
            invoke(local, endpoint, body)
        except local.runtime.exceptions.ModelError:
            continue
    until(lambda: total("Invocations") == before["Invocations"] + 3, "three invocations")
    assert total("Invocation4XXErrors") == before["Invocation4XXErrors"] + 1
    assert total("Invocation5XXErrors") == 0
    latency = next(m for m in local.published.metrics if m["name"] == "ModelLatency")
    assert latency["unit"] == "Microseconds"
    assert latency["namespace"] == "AWS/SageMaker"
    assert latency["dimensions"] == {"EndpointName": "Live", "VariantName": "Main"}
    assert 100 < latency["sum"] / latency["count"] < 60e6


def _quiet(local: RunningSageMaker) -> bool:
    """Return whether no metric was published for longer than the flush interval."""
    published = len(local.published.metrics)
    return not threading.Event().wait(1.2) and len(local.published.metrics) == published


def test_the_servers_output_goes_to_the_endpoints_log_group(
    local: RunningSageMaker, endpoint: str
) -> None:
    streams = [
        s for group, s in local.published.logs if group == f"/aws/sagemaker/Endpoints/{endpoint}"
    ]
    assert any(stream.startswith("Main/i-") for stream in streams)


def running_servers() -> list[psutil.Process]:
    family = psutil.Process().children(recursive=True)
    alive = [process for process in family if process.status() != psutil.STATUS_ZOMBIE]
    return [process for process in alive if "serve" in process.cmdline()]


def kill(servers: list[psutil.Process]) -> None:
    assert servers
    for server in servers:
        server.kill()
    psutil.wait_procs(servers, 10)


def answers(local: RunningSageMaker, endpoint: str) -> bool:
    try:
        return bool(invoke(local, endpoint)["Body"].read())
    except ClientError:
        return False


def test_a_server_that_ends_is_started_again(local: RunningSageMaker, endpoint: str) -> None:
    kill(running_servers())
    until(lambda: answers(local, endpoint), "the endpoint to answer again")


def test_a_server_that_cannot_be_started_again_at_once_is_started_later(
    local: RunningSageMaker, endpoint: str
) -> None:
    servers = running_servers()
    folders = {Path(server.environ()["SAGEMAKER_BASE_DIR"]) for server in servers}
    for folder in folders:
        (folder / "model").rename(folder / "model-elsewhere")
    kill(servers)
    service = (f"/aws/sagemaker/Endpoints/{endpoint}", "service")
    until(lambda: service in local.published.logs, "the start to fail")
    for folder in folders:
        (folder / "model-elsewhere").rename(folder / "model")
    until(lambda: answers(local, endpoint), "the endpoint to answer again")


class Caller:
    """Calls an endpoint continuously from several threads and records the answers."""

    def __init__(self, local: RunningSageMaker, endpoint: str, threads: int = 4) -> None:
        self.answers: list[str] = []
        self.failures: list[str] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(local, endpoint)) for _ in range(threads)
        ]

    def __enter__(self) -> Caller:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self, local: RunningSageMaker, endpoint: str) -> None:
        while not self._over.is_set():
            try:
                self.answers.append(invoke(local, endpoint)["InvokedProductionVariant"])
            except ClientError as error:
                self.failures.append(str(error))


def test_an_update_fails_no_request(local: RunningSageMaker) -> None:
    config(local, "before", variant("one"))
    config(local, "after", variant("many"))
    local.sagemaker.create_endpoint(EndpointName="replaced", EndpointConfigName="before")
    local.settled("replaced")
    with Caller(local, "replaced") as caller:
        until(lambda: len(caller.answers) > 20, "calls before the update")
        described = updated(local, "replaced", "after")
        count = len(caller.answers)
        until(lambda: len(caller.answers) > count + 50, "calls after the update")
    assert caller.failures == []
    assert described["EndpointConfigName"] == "after"
    assert "FailureReason" not in described
    assert caller.answers[0] == "one"
    assert caller.answers[-1] == "many"
    # ALL_AT_ONCE: after the traffic has moved, the old fleet gets no request.
    assert set(caller.answers[-30:]) == {"many"}
    statuses = [
        d["EndpointStatus"] for d in local.published.of(CHANGED) if d["EndpointName"] == "replaced"
    ]
    assert statuses[:3] == ["CREATING", "IN_SERVICE", "UPDATING"]
    assert statuses[-1] == "IN_SERVICE"
    pending = local.published.of("SageMaker Endpoint Deployment State Change")[0]
    assert pending["PendingDeploymentSummary"]["EndpointConfigName"] == "after"


def test_an_update_that_fails_keeps_the_old_model(local: RunningSageMaker) -> None:
    config(local, "kept", variant("one"))
    config(local, "never", variant("broken"))
    local.sagemaker.create_endpoint(EndpointName="rolled-back", EndpointConfigName="kept")
    local.settled("rolled-back")
    with Caller(local, "rolled-back", threads=1) as caller:
        described = updated(local, "rolled-back", "never")
    assert caller.failures == []
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "kept"
    assert "Failed to extract model data archive" in described["FailureReason"]
    assert "PendingDeploymentSummary" not in described
    assert invoke(local, "rolled-back")["InvokedProductionVariant"] == "one"


def test_traffic_is_split_by_weight_and_a_target_variant_overrides_it(
    local: RunningSageMaker,
) -> None:
    config(
        local,
        "split",
        variant("one", InitialVariantWeight=1.0),
        variant("many", InitialVariantWeight=3.0),
    )
    local.sagemaker.create_endpoint(EndpointName="split", EndpointConfigName="split")
    local.settled("split")
    answered = [invoke(local, "split")["InvokedProductionVariant"] for _ in range(200)]
    assert 110 <= answered.count("many") <= 185
    assert invoke(local, "split", TargetVariant="one")["InvokedProductionVariant"] == "one"
    batch = feature_rows(50).encode()
    bodies = {
        name: invoke(local, "split", batch, TargetVariant=name)["Body"].read()
        for name in ("one", "many")
    }
    assert bodies["one"] != bodies["many"]


def test_a_variant_of_weight_0_answers_only_requests_that_name_it(local: RunningSageMaker) -> None:
    config(local, "beside", variant("one"), variant("many", InitialVariantWeight=0.0))
    local.sagemaker.create_endpoint(EndpointName="beside", EndpointConfigName="beside")
    local.settled("beside")
    answered = {invoke(local, "beside")["InvokedProductionVariant"] for _ in range(50)}
    assert answered == {"one"}
    assert invoke(local, "beside", TargetVariant="many")["InvokedProductionVariant"] == "many"
    with pytest.raises(ClientError, match="Variant other of endpoint beside not found"):
        invoke(local, "beside", TargetVariant="other")


def test_an_endpoint_whose_model_cannot_be_loaded_fails(local: RunningSageMaker) -> None:
    config(local, "unloadable", variant("broken"))
    local.sagemaker.create_endpoint(EndpointName="unloadable", EndpointConfigName="unloadable")
    described = local.settled("unloadable")
    assert described["EndpointStatus"] == "Failed"
    assert "Failed to extract model data archive" in described["FailureReason"]


def test_deleting_an_endpoint_ends_its_processes(local: RunningSageMaker) -> None:
    config(local, "short-lived", variant("one"))
    local.sagemaker.create_endpoint(EndpointName="gone", EndpointConfigName="short-lived")
    local.settled("gone")
    count = len(psutil.Process().children())
    local.sagemaker.delete_endpoint(EndpointName="gone")

    def gone() -> bool:
        try:
            local.sagemaker.describe_endpoint(EndpointName="gone")
        except ClientError as error:
            return "Could not find endpoint" in str(error)
        return False

    until(gone, "the endpoint to be gone")
    assert len(psutil.Process().children()) == count - 1
    with pytest.raises(ClientError, match="not found"):
        invoke(local, "gone")


def test_what_a_live_endpoint_uses_cannot_be_deleted(local: RunningSageMaker) -> None:
    for name, model in (("in-use", "one"), ("in-use-later", "many")):
        config(local, name, variant(model, "Main"))
    local.sagemaker.create_endpoint(EndpointName="user", EndpointConfigName="in-use")
    for _ in range(2):  # while it is created, and while it is live
        with pytest.raises(ClientError, match="in use by endpoint user"):
            local.sagemaker.delete_endpoint_config(EndpointConfigName="in-use")
        with pytest.raises(ClientError, match="in use by endpoint"):
            local.sagemaker.delete_model(ModelName="one")
        local.settled("user")
    updated(local, "user", "in-use-later")
    local.sagemaker.delete_endpoint_config(EndpointConfigName="in-use")
    with pytest.raises(ClientError, match="in use by endpoint user"):
        local.sagemaker.delete_endpoint_config(EndpointConfigName="in-use-later")


def test_an_endpoint_that_is_being_created_cannot_be_deleted(local: RunningSageMaker) -> None:
    config(local, "created", variant("one"))
    local.sagemaker.create_endpoint(EndpointName="new", EndpointConfigName="created")
    with pytest.raises(ClientError, match="in-progress"):
        local.sagemaker.delete_endpoint(EndpointName="new")
    local.settled("new")
    local.sagemaker.delete_endpoint(EndpointName="new")


def test_an_update_can_retain_weights_and_counts(local: RunningSageMaker) -> None:
    config(local, "weighed", variant("one", "Main", InitialVariantWeight=3.0))
    config(local, "unweighed", variant("many", "Main"), DataCaptureConfig=CAPTURE)
    local.sagemaker.create_endpoint(EndpointName="retained", EndpointConfigName="weighed")
    local.settled("retained")
    described = updated(
        local,
        "retained",
        "unweighed",
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DataCaptureConfig"}],
    )
    assert described["ProductionVariants"][0]["CurrentWeight"] == 3.0
    assert described["DataCaptureConfig"]["EnableCapture"]


def test_an_endpoint_cannot_be_updated_to_its_own_config(
    local: RunningSageMaker, endpoint: str
) -> None:
    with pytest.raises(ClientError, match="already uses the endpoint configuration captured"):
        local.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName="captured")


def test_a_serverless_endpoint_refuses_more_than_its_concurrency(local: RunningSageMaker) -> None:
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 1}
    config(
        local,
        "serverless",
        {"VariantName": "Main", "ModelName": "many", "ServerlessConfig": serverless},
    )
    local.sagemaker.create_endpoint(EndpointName="serverless", EndpointConfigName="serverless")
    local.settled("serverless")
    with Caller(local, "serverless") as caller:
        until(lambda: caller.answers and caller.failures, "an answer and a refusal")
    assert all("ThrottlingException" in failure for failure in caller.failures)
