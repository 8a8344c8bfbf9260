"""A message that cannot be handled raises an alarm, and is soon tried again."""

from __future__ import annotations

import time

from tests.e2e.driver import User, wait_for


def physical_id(user: User, logical_id: str) -> str:
    described = user.client("cloudformation").describe_stack_resource(
        StackName=user.stack.stack_name, LogicalResourceId=logical_id
    )
    return str(described["StackResourceDetail"]["PhysicalResourceId"])


def test_one_bad_message_is_counted_alarmed_and_tried_again_soon(user: User) -> None:
    queue, sqs = physical_id(user, "RetrainQueue"), user.client("sqs")
    function, cloudwatch = physical_id(user, "RetrainFunction"), user.client("cloudwatch")
    alarm = physical_id(user, "RetrainFailedMessagesAlarm")

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

    def state() -> str:
        [described] = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        return str(described["StateValue"])

    sqs.send_message(QueueUrl=queue, MessageBody="{}")
    try:
        wait_for(lambda: state() == "ALARM" or None, "the alarm on failed messages")
        # The queue itself would deliver the message again after 360 s.
        wait_for(lambda: failures() >= 2 or None, "the second try", timeout_s=180)
    finally:
        sqs.purge_queue(QueueUrl=queue)
