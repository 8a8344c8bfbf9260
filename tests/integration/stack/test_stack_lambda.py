from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import refit_local.ministack
from refit_local.ministack.lambda_runtime import SDK_FOLDER_VARIABLE
from stack_under_test import LocalAws, packed, until

ECHO = """
import os, json
class DatasetEmpty(Exception): ...
def handler(event, context):
    print("hello from", context.function_name)
    if event == "fail":
        raise DatasetEmpty("nothing in it")
    if event == "exit":
        os._exit(3)
    if event == "environment":
        return dict(os.environ)
    if event == "count":
        handler.calls = getattr(handler, "calls", 0) + 1
        return handler.calls
    if event == "unserializable":
        return object()
    return event
"""


def test_a_failed_function_reports_the_class_name_of_its_error(aws: LocalAws) -> None:
    aws.function("named-error", ECHO)
    payload, kind = aws.invoke("named-error", "fail")
    assert kind == "Unhandled"
    assert (payload["errorType"], payload["errorMessage"]) == ("DatasetEmpty", "nothing in it")
    assert any("app.py" in frame for frame in payload["stackTrace"])


def test_the_execution_environment_is_reused_after_an_error_of_the_handler(aws: LocalAws) -> None:
    aws.function("kept-warm", ECHO)
    aws.invoke("kept-warm", "count")
    aws.invoke("kept-warm", "fail")
    assert aws.invoke("kept-warm", "count") == (2, None)


def test_the_log_group_holds_what_the_function_prints_and_the_report_line(aws: LocalAws) -> None:
    aws.function("printer", ECHO)
    aws.invoke("printer", "fail")
    lines = aws.log("/aws/lambda/printer")
    assert lines[0].startswith("START RequestId")
    assert lines[1] == "hello from printer"
    assert lines[2].startswith("[ERROR] DatasetEmpty: nothing in it")
    assert "Max Memory Used:" in lines[-1]


def test_a_function_logs_to_the_log_group_of_its_logging_config(aws: LocalAws) -> None:
    aws.function("shared", ECHO, LoggingConfig={"LogGroup": "/aws/lambda/together"})
    aws.invoke("shared")
    assert "hello from shared" in aws.log("/aws/lambda/together")


def test_a_function_can_import_its_own_packages_and_the_aws_sdk_only(aws: LocalAws) -> None:
    code = "def handler(event, context):\n    __import__(event)\n    return 'imported'"
    aws.function("imports", code)
    assert aws.invoke("imports", "boto3") == ("imported", None)
    for foreign in ("ministack", "xgboost", "refit_local", "refit", "numpy"):
        payload, _ = aws.invoke("imports", foreign)
        assert payload["errorType"] == "ModuleNotFoundError", foreign


WHERE = """
import os, time
def handler(event, context):
    time.sleep(1)
    return os.getpid(), os.path.realpath(__file__)
"""


def test_processes_of_a_function_share_its_unpacked_package_until_the_code_is_updated(
    aws: LocalAws,
) -> None:
    aws.function("where", WHERE)
    with ThreadPoolExecutor(2) as pool:
        (first_pid, first_path), (second_pid, second_path) = (
            payload for payload, _ in pool.map(aws.invoke, ["where"] * 2)
        )
    assert first_pid != second_pid
    assert first_path == second_path
    update = aws.client("lambda").update_function_code
    update(FunctionName="where", ZipFile=packed(WHERE.replace("sleep(1)", "sleep(0)")))
    (_, updated_path), _ = aws.invoke("where")
    assert updated_path != first_path


def test_a_function_is_compiled_once_even_where_python_writes_no_bytecode(aws: LocalAws) -> None:
    code = "import os\ndef handler(event, context):\n    return os.path.exists(__cached__)"
    variables = {"PYTHONDONTWRITEBYTECODE": "1"}
    aws.function("compiled", code, Environment={"Variables": variables})
    assert aws.invoke("compiled") == (True, None)


def test_an_import_of_a_missing_package_is_reported_as_an_import_module_error(
    aws: LocalAws,
) -> None:
    aws.function("no-package", "import pandas\ndef handler(event, context): ...")
    payload, _ = aws.invoke("no-package")
    assert payload["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'pandas'" in payload["errorMessage"]


def test_a_function_sees_its_own_environment_and_not_that_of_the_server(aws: LocalAws) -> None:
    aws.function("env", ECHO, Environment={"Variables": {"BUCKET": "b", "SFN_SCALE": "1"}})
    environment, _ = aws.invoke("env", "environment")
    assert environment["BUCKET"] == "b"
    assert environment["AWS_ENDPOINT_URL"] == aws.url
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert not {"STATE_DIR", "AUTH", "S3_DATA_DIR", "VIRTUAL_ENV"} & environment.keys()


def test_a_return_value_that_is_not_json_is_a_marshal_error(aws: LocalAws) -> None:
    aws.function("marshal", ECHO)
    payload, _ = aws.invoke("marshal", "unserializable")
    assert payload["errorType"] == "Runtime.MarshalError"


def test_a_function_that_exits_its_process_is_an_exit_error(aws: LocalAws) -> None:
    aws.function("exits", ECHO)
    payload, _ = aws.invoke("exits", "exit")
    assert payload["errorType"] == "Runtime.ExitError"
    assert aws.invoke("exits", 5) == (5, None)


def test_a_function_whose_process_is_killed_while_it_starts_is_an_exit_error(
    aws: LocalAws, tmp_path: Path
) -> None:
    code = """
import os, pathlib, time
started = pathlib.Path(os.environ["STARTED"])
if not started.exists():
    started.write_text(str(os.getpid()))
    time.sleep(60)
def handler(event, context): return event
"""
    started = tmp_path / "first"
    aws.function("starts", code, Environment={"Variables": {"STARTED": str(started)}})
    with ThreadPoolExecutor(1) as pool:
        invocation = pool.submit(aws.invoke, "starts", 5)
        os.kill(int(until(lambda: started.exists() and started.read_text())), signal.SIGKILL)
        payload, kind = invocation.result()
    assert kind == "Unhandled"
    assert payload["errorType"] == "Runtime.ExitError"
    assert "Runtime exited with error: signal: killed" in payload["errorMessage"]
    assert aws.invoke("starts", 5) == (5, None)


def test_a_function_that_exceeds_its_memory_size_is_ended(aws: LocalAws) -> None:
    code = """
import time
def handler(event, context):
    held = b"x" * (event * 2**20)
    time.sleep(1)
    return len(held)
"""
    aws.function("grows", code, MemorySize=128)
    assert aws.invoke("grows", 20) == (20 * 2**20, None)
    payload, _ = aws.invoke("grows", 300)
    assert payload["errorType"] == "Runtime.ExitError"
    assert any(
        "Memory Size: 128 MB Max Memory Used:" in line for line in aws.log("/aws/lambda/grows")
    )


def test_a_function_that_exceeds_its_timeout_fails(aws: LocalAws) -> None:
    code = "import time\ndef handler(event, context): time.sleep(10)"
    aws.function("sleeps", code, Timeout=1)
    started = time.monotonic()
    payload, _ = aws.invoke("sleeps")
    assert "Task timed out after 1.00 seconds" in payload["errorMessage"]
    assert time.monotonic() - started < 8


def test_embedded_metrics_in_a_log_are_published_to_cloudwatch(aws: LocalAws) -> None:
    code = """
import json, time
def handler(event, context):
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{
            "Namespace": "StackTest", "Dimensions": [["Model"]],
            "Metrics": [{"Name": "Rows", "Unit": "Count"}]}]},
        "Model": "digits", "Rows": [2, 3]}))
"""
    aws.function("measures", code)
    aws.invoke("measures")
    now = datetime.now(UTC)
    statistics = aws.client("cloudwatch").get_metric_statistics(
        Namespace="StackTest",
        MetricName="Rows",
        Dimensions=[{"Name": "Model", "Value": "digits"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )
    assert [(d["Sum"], d["SampleCount"], d["Unit"]) for d in statistics["Datapoints"]] == [
        (5.0, 2.0, "Count")
    ]


def test_an_embedded_metric_sets_off_an_alarm_that_notifies_a_topic(aws: LocalAws) -> None:
    sns, cloudwatch = aws.client("sns"), aws.client("cloudwatch")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue_url, queue_arn = aws.queue("alarms", "sns")
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    cloudwatch.put_metric_alarm(
        AlarmName="too-many-failures",
        Namespace="StackTest",
        MetricName="RunsFailed",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        AlarmActions=[topic],
    )
    code = """
import json, time
def handler(event, context):
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{
            "Namespace": "StackTest", "Dimensions": [[]], "Metrics": [{"Name": "RunsFailed"}]}]},
        "RunsFailed": 1}))
"""
    aws.function("fails-runs", code)
    aws.invoke("fails-runs")
    [notice] = aws.received(queue_url)
    message = json.loads(notice["Message"])
    assert (message["AlarmName"], message["NewStateValue"]) == ("too-many-failures", "ALARM")


def test_a_worker_ends_at_once_when_its_pipe_is_closed(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import atexit, time\natexit.register(time.sleep, 60)\ndef handler(event, context): ..."
    )
    init = {
        "env": {},
        "code_dir": str(tmp_path),
        "module": "app",
        "handler": "handler",
        "memory": 128,
        "function_name": "slow-to-end",
        "arn": "",
    }
    worker = subprocess.Popen(
        [sys.executable, Path(refit_local.ministack.__path__[0], "lambda_worker.py")],
        env=os.environ | {SDK_FOLDER_VARIABLE: str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(f"{json.dumps(init)}\n")
        worker.stdin.flush()
        assert json.loads(worker.stdout.readline()) == {"status": "ready"}
        worker.stdin.close()
        assert worker.wait(20) == 0
    finally:
        worker.kill()
        worker.wait()
        worker.stdout.close()
