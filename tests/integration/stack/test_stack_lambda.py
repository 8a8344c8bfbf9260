from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from stack_under_test import Ground, packed, until

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


def test_a_failed_function_is_named_by_its_error_class(ground: Ground) -> None:
    ground.function("named-error", ECHO)
    answer, kind = ground.call("named-error", "fail")
    assert kind == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("DatasetEmpty", "nothing in it")
    assert any("app.py" in frame for frame in answer["stackTrace"])


def test_an_error_of_the_handler_keeps_the_environment(ground: Ground) -> None:
    ground.function("kept-warm", ECHO)
    ground.call("kept-warm", "count")
    ground.call("kept-warm", "fail")
    assert ground.call("kept-warm", "count") == (2, None)


def test_what_a_function_prints_is_in_its_log_group_with_the_report(ground: Ground) -> None:
    ground.function("printer", ECHO)
    ground.call("printer", "fail")
    lines = ground.log("/aws/lambda/printer")
    assert lines[0].startswith("START RequestId")
    assert lines[1] == "hello from printer"
    assert lines[2].startswith("[ERROR] DatasetEmpty: nothing in it")
    assert "Max Memory Used:" in lines[-1]


def test_a_shared_log_group_receives_the_lines(ground: Ground) -> None:
    ground.function("shared", ECHO, LoggingConfig={"LogGroup": "/aws/lambda/together"})
    ground.call("shared")
    assert "hello from shared" in ground.log("/aws/lambda/together")


def test_a_function_sees_its_own_packages_and_the_sdk_only(ground: Ground) -> None:
    code = "def handler(event, context):\n    __import__(event)\n    return 'found'"
    ground.function("imports", code)
    assert ground.call("imports", "boto3") == ("found", None)
    for foreign in ("ministack", "xgboost", "refit_local", "refit", "numpy"):
        answer, _ = ground.call("imports", foreign)
        assert answer["errorType"] == "ModuleNotFoundError", foreign


WHERE = """
import os, time
def handler(event, context):
    time.sleep(1)
    return os.getpid(), os.path.realpath(__file__)
"""


def test_the_processes_of_a_function_share_its_package_and_new_code_is_a_new_one(
    ground: Ground,
) -> None:
    ground.function("where", WHERE)
    with ThreadPoolExecutor(2) as pool:
        (one, here), (other, there) = (answer for answer, _ in pool.map(ground.call, ["where"] * 2))
    assert one != other
    assert here == there
    update = ground.client("lambda").update_function_code
    update(FunctionName="where", ZipFile=packed(WHERE.replace("sleep(1)", "sleep(0)")))
    (_, now), _ = ground.call("where")
    assert now != here


def test_a_missing_package_is_an_init_error_as_on_aws(ground: Ground) -> None:
    ground.function("no-package", "import pandas\ndef handler(event, context): ...")
    answer, _ = ground.call("no-package")
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert "No module named 'pandas'" in answer["errorMessage"]


def test_a_function_gets_its_environment_and_not_the_grounds(ground: Ground) -> None:
    ground.function("env", ECHO, Environment={"Variables": {"BUCKET": "b", "SFN_SCALE": "1"}})
    environment, _ = ground.call("env", "environment")
    assert environment["BUCKET"] == "b"
    assert environment["AWS_ENDPOINT_URL"] == ground.url
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert not {"STATE_DIR", "AUTH", "S3_DATA_DIR", "VIRTUAL_ENV"} & environment.keys()


def test_an_answer_that_is_no_json_is_a_marshal_error(ground: Ground) -> None:
    ground.function("marshal", ECHO)
    answer, _ = ground.call("marshal", "unserializable")
    assert answer["errorType"] == "Runtime.MarshalError"


def test_a_function_that_ends_its_process_is_an_exit_error(ground: Ground) -> None:
    ground.function("exits", ECHO)
    answer, _ = ground.call("exits", "exit")
    assert answer["errorType"] == "Runtime.ExitError"
    assert ground.call("exits", 5) == (5, None)


def test_a_function_that_outgrows_its_memory_is_ended(ground: Ground) -> None:
    code = """
import time
def handler(event, context):
    held = b"x" * (event * 2**20)
    time.sleep(1)
    return len(held)
"""
    ground.function("grows", code, MemorySize=128)
    assert ground.call("grows", 20) == (20 * 2**20, None)
    answer, _ = ground.call("grows", 300)
    assert answer["errorType"] == "Runtime.ExitError"
    assert any("Memory Size: 128 MB Max Memory Used:" in s for s in ground.log("/aws/lambda/grows"))


def test_a_function_that_takes_too_long_times_out(ground: Ground) -> None:
    code = "import time\ndef handler(event, context): time.sleep(10)"
    ground.function("sleeps", code, Timeout=1)
    started = time.monotonic()
    answer, _ = ground.call("sleeps")
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]
    assert time.monotonic() - started < 8


def test_embedded_metrics_in_a_log_become_metrics(ground: Ground) -> None:
    code = """
import json, time
def handler(event, context):
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{
            "Namespace": "GroundTest", "Dimensions": [["Model"]],
            "Metrics": [{"Name": "Rows", "Unit": "Count"}]}]},
        "Model": "digits", "Rows": [2, 3]}))
"""
    ground.function("measures", code)
    ground.call("measures")
    now = datetime.now(UTC)
    found = ground.client("cloudwatch").get_metric_statistics(
        Namespace="GroundTest",
        MetricName="Rows",
        Dimensions=[{"Name": "Model", "Value": "digits"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=3600,
        Statistics=["Sum", "SampleCount"],
    )
    assert [(d["Sum"], d["SampleCount"], d["Unit"]) for d in found["Datapoints"]] == [
        (5.0, 2.0, "Count")
    ]


def test_an_embedded_metric_trips_an_alarm_that_tells_a_topic(ground: Ground) -> None:
    sns, sqs, cloudwatch = (ground.client(s) for s in ("sns", "sqs", "cloudwatch"))
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn["QueueArn"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    cloudwatch.put_metric_alarm(
        AlarmName="too-many-failures",
        Namespace="GroundTest",
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
            "Namespace": "GroundTest", "Dimensions": [[]], "Metrics": [{"Name": "RunsFailed"}]}]},
        "RunsFailed": 1}))
"""
    ground.function("fails-runs", code)
    ground.call("fails-runs")
    received = until(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    message = json.loads(json.loads(received[0]["Body"])["Message"])
    assert (message["AlarmName"], message["NewStateValue"]) == ("too-many-failures", "ALARM")
