"""FilterLogEvents answers in pages, and selects streams by the start of their names."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from stack_under_test import LocalAws

GROUP = "log-pages"


@pytest.fixture(scope="module")
def group(aws: LocalAws) -> str:
    """A log group of two streams with three lines each, which alternate in time."""
    logs = aws.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    now_ms = int(time.time() * 1000)
    for offset, stream in enumerate(("flowers-a", "digits-a")):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
        events = [
            {"timestamp": now_ms + 10 * number + offset, "message": f"{stream} {number}"}
            for number in range(3)
        ]
        logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    return GROUP


def test_the_pages_together_have_every_line_in_the_order_of_time(aws: LocalAws, group: str) -> None:
    logs = aws.client("logs")
    pages = list(
        logs.get_paginator("filter_log_events").paginate(
            logGroupName=group, PaginationConfig={"PageSize": 2}
        )
    )
    assert [len(page["events"]) for page in pages] == [2, 2, 2]
    messages = [event["message"] for page in pages for event in page["events"]]
    assert messages == [
        f"{name}-a {number}" for number in range(3) for name in ("flowers", "digits")
    ]


def test_streams_are_selected_by_the_start_of_their_names(aws: LocalAws, group: str) -> None:
    logs = aws.client("logs")
    found = logs.filter_log_events(logGroupName=group, logStreamNamePrefix="digits-")
    assert {event["logStreamName"] for event in found["events"]} == {"digits-a"}
    with pytest.raises(ClientError, match="InvalidParameterException"):
        logs.filter_log_events(
            logGroupName=group, logStreamNamePrefix="digits-", logStreamNames=["digits-a"]
        )


def test_lines_are_selected_by_a_word_and_a_moment(aws: LocalAws, group: str) -> None:
    logs = aws.client("logs")
    found = logs.filter_log_events(logGroupName=group, filterPattern='"flowers"')["events"]
    assert [event["message"] for event in found] == [f"flowers-a {number}" for number in range(3)]
    late = logs.filter_log_events(logGroupName=group, startTime=found[2]["timestamp"])["events"]
    assert [event["message"] for event in late] == ["flowers-a 2", "digits-a 2"]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        logs.filter_log_events(logGroupName="no-such-group")
