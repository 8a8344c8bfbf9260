"""A message that cannot be handled raises an alarm, and is soon tried again."""

from __future__ import annotations

import json
import time

from tests.e2e.driver import User, wait_for


def test_captures_that_firehose_refused_raise_an_alarm(user: User) -> None:
    queue, sqs = user.physical_id("CaptureStreamDeadLetters"), user.client("sqs")
    key = "_refused/capture/processing-failed/2026/11/20/failed"
    user.client("s3").put_object(Bucket=user.bucket, Key=key, Body=b"{}")
    alarm = "CaptureStreamDeadLettersAlarm"
    wait_for(lambda: user.alarm_state(alarm) == "ALARM" or None, "the alarm")
    messages = wait_for(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"), "a message")
    assert json.loads(messages[0]["Body"])["detail"]["object"]["key"] == key
    sqs.purge_queue(QueueUrl=queue)


def test_one_bad_message_is_counted_alarmed_and_tried_again_soon(user: User) -> None:
    queue, sqs = user.physical_id("RetrainQueue"), user.client("sqs")
    function, cloudwatch = user.physical_id("RetrainFunction"), user.client("cloudwatch")

    def failures() -> float:
        points = cloudwatch.get_metric_statistics(
            Namespace="Refit",
            MetricName="FailedMessages",
            Dimensions=[{"Name": "FunctionName", "Value": function}],
            StartTime=time.time() - 3600,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    sqs.send_message(QueueUrl=queue, MessageBody="{}")
    try:
        alarm = "RetrainFailedMessagesAlarm"
        wait_for(lambda: user.alarm_state(alarm) == "ALARM" or None, "the alarm")
        wait_for(lambda: failures() >= 2 or None, "the second try", timeout_s=400)
    finally:
        sqs.purge_queue(QueueUrl=queue)
