"""The logs of training jobs in CloudWatch Logs: group `/aws/sagemaker/TrainingJobs`.

A job has one stream for each container, `<job>/algo-1-<time>`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from refit.stores.clients import error_code, translate_transient_errors

LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class LoggedLine(NamedTuple):
    """A line of a log, and when it was written."""

    at: datetime
    line: str


class TrainingLogs:
    """Reads the logs of training jobs.

    Methods raise ServiceThrottled when CloudWatch Logs throttles, which it does at 25 requests a
    second.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def newest_stream(self, prefix: str) -> str | None:
        """Return the newest stream whose name has the prefix; None while there is none.

        Neither the group nor the stream exists before the first line of the first job arrives.
        """
        try:
            with translate_transient_errors():
                pages = self._client.get_paginator("describe_log_streams").paginate(
                    logGroupName=LOG_GROUP, logStreamNamePrefix=prefix
                )
                streams = [stream for page in pages for stream in page["logStreams"]]
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return None
        created = [(stream["creationTime"], str(stream["logStreamName"])) for stream in streams]
        return max(created)[1] if created else None

    def lines_after(
        self, stream: str, token: str | None, most_pages: int | None = None
    ) -> tuple[list[str], str]:
        """Return the lines of a stream after a token, as `events_after` does, without times."""
        events, next_token = self.events_after(stream, token, most_pages)
        return [event.line for event in events], next_token

    def events_after(
        self, stream: str, token: str | None, most_pages: int | None = None
    ) -> tuple[list[LoggedLine], str]:
        """Return the lines of a stream after a token, from its beginning if it is None.

        Args:
            stream: name of the stream.
            token: where to continue; None for the beginning.
            most_pages: number of pages, of 1 MB each, that are read at most; None for all.

        Returns:
            The lines, and the token from which to continue.
        """
        lines: list[LoggedLine] = []
        for read in count(1):
            with translate_transient_errors():
                page = self._client.get_log_events(
                    logGroupName=LOG_GROUP,
                    logStreamName=stream,
                    startFromHead=True,
                    **({"nextToken": token} if token else {}),
                )
            lines += [
                LoggedLine(datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["message"])
                for event in page["events"]
            ]
            # A page may be empty before the end. At the end, the token stays the same.
            next_token = str(page["nextForwardToken"])
            if next_token == token or read == most_pages:
                break
            token = next_token
        return lines, next_token

    def lines_of(self, job: str) -> list[str]:
        """Return all lines of a job's newest stream that have arrived."""
        stream = self.newest_stream(f"{job}/")
        return self.lines_after(stream, None)[0] if stream else []
