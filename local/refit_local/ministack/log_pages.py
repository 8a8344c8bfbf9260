"""CloudWatch Logs: FilterLogEvents answers in pages, and selects streams by the start of a name.

AWS        answers up to 10,000 events or 1 MB a page, and a token if there may be more; takes
           `logStreamNamePrefix`, and refuses it together with `logStreamNames`
MiniStack  answers the first events only, without a token, and ignores `logStreamNamePrefix`
Source     botocore model, FilterLogEvents
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit_local.ministack.hooks import Document, Response

MAX_EVENTS = 10_000
MAX_BYTES = 1024 * 1024


def install() -> None:
    """Install this patch into MiniStack."""
    Hook.FILTER_LOGS.wrap(_filter)


def _filter(original: Callable[[Document], Response], request: Document) -> Response:
    prefix = request.get("logStreamNamePrefix")
    if prefix and request.get("logStreamNames"):
        return _refused("logStreamNames and logStreamNamePrefix exclude each other")
    group = Hook.LOG_GROUPS.get().get(Hook.LOG_GROUP_OF.get()(request))
    if group is None:
        return original(request)  # which names the group
    token = str(request.get("nextToken") or "0")
    if not token.isdigit():
        return _refused("The specified nextToken is invalid.")
    names = request.get("logStreamNames") or [
        name for name in group["streams"] if name.startswith(prefix or "")
    ]
    events = list(_events(group["streams"], names, request))
    page, end = _page(events, int(token), min(request.get("limit") or MAX_EVENTS, MAX_EVENTS))
    answer: Document = {"events": page, "searchedLogStreams": []}
    if end < len(events):
        answer["nextToken"] = str(end)
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()


def _events(streams: Document, names: list[str], request: Document) -> Iterator[Document]:
    """Yield the selected events in the order of time."""
    matches = Hook.LOG_PATTERN.get()(request.get("filterPattern") or "")
    start, end = request.get("startTime") or 0, request.get("endTime")
    found: list[tuple[int, str, int, Document]] = []
    for name in names:
        for number, event in enumerate(streams.get(name, {}).get("events", ())):
            moment = event["timestamp"]
            if moment >= start and (end is None or moment <= end) and matches(event["message"]):
                found.append((moment, name, number, event))
    for _, name, _, event in sorted(found, key=lambda each: each[:3]):
        yield {**event, "logStreamName": name}


def _page(events: list[Document], begin: int, limit: int) -> tuple[list[Document], int]:
    """Return the events of a page, and the place where the next one begins."""
    size, end = 0, begin
    while end < len(events) and end - begin < limit:
        size += len(events[end]["message"].encode())
        if size > MAX_BYTES and end > begin:
            break
        end += 1
    return events[begin:end], end


def _refused(message: str) -> tuple[int, dict[str, str], Any]:
    body = {"__type": "InvalidParameterException", "message": message}
    return 400, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode()
