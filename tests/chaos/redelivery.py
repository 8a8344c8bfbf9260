"""Send messages to the queues of a stack, and the events of objects again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.subject import Subject

COPIES = 3
"""How often an event is sent again."""


def objects(subject: Subject, prefix: str) -> list[dict[str, Any]]:
    """Return the objects of the model below a prefix, each as the detail of its S3 event."""
    s3, bucket = subject.user.client("s3"), subject.user.bucket
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=f"{subject.model}/{prefix}"
    )
    return [
        {
            "bucket": {"name": bucket},
            "object": {
                "key": entry["Key"],
                "version-id": entry["VersionId"],
                "size": entry["Size"],
                "etag": entry["ETag"].strip('"'),
            },
            "reason": "PutObject",
        }
        for page in pages
        for entry in page.get("Versions", [])
    ]


def send(subject: Subject, queue: str, bodies: Iterable[str]) -> int:
    sqs, url = subject.user.client("sqs"), subject.user.physical_id(queue)
    times = 0
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)
        times += 1
    return times


def send_events_again(subject: Subject, queue: str, prefix: str) -> int:
    """Send the events of objects again, several times and shuffled; return how many."""
    details = objects(subject, prefix) * COPIES
    subject.random.shuffle(details)
    events = (
        json.dumps({"detail-type": "Object Created", "source": "aws.s3", "detail": detail})
        for detail in details
    )
    return send(subject, queue, events)


def messages_in(subject: Subject, queue: str) -> int:
    """Return the number of messages in a queue, with those that are hidden."""
    sqs, url = subject.user.client("sqs"), subject.user.physical_id(queue)
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    names.append("ApproximateNumberOfMessagesDelayed")
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(attributes[name]) for name in names)
