"""SQS: the policy of a queue."""

from __future__ import annotations

import json

from tests.verify.probes.base import DIFFERS, HOLDS, Answer, Lab, Probe


class QueuePolicyWithTwoResources(Probe):
    name = "queue-policy-with-two-resources"
    assumption = "A statement of a queue's policy may name one queue only."
    question = "Does SQS refuse a policy whose statement has two resources?"

    def ask(self, lab: Lab) -> Answer:
        sqs = lab.client("sqs")
        urls, arns = [], []
        for suffix in ("first", "second"):
            url = sqs.create_queue(QueueName=lab.name(suffix))["QueueUrl"]
            lab.undo.callback(sqs.delete_queue, QueueUrl=url)
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
            urls.append(url)
            arns.append(attributes["Attributes"]["QueueArn"])
        refused = lab.attempt(
            "SetQueueAttributes, two resources in one statement",
            sqs.set_queue_attributes,
            QueueUrl=urls[0],
            Attributes={"Policy": policy(arns, lab.target.account)},
        )
        if refused:
            return Answer(HOLDS, f"It is refused: {refused}.")
        return Answer(DIFFERS, "It is accepted.")


def policy(queues: list[str], account: str) -> str:
    """Return a policy that lets EventBridge send to queues for an account."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queues[0] if len(queues) == 1 else queues,
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
