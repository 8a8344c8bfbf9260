"""Reads of executions that miss the latest changes.

AWS        ListExecutions and DescribeExecution are eventually consistent
MiniStack  answers with the current state
Source     botocore's models of ListExecutions and DescribeExecution: "This operation is eventually
           consistent. The results are best effort and may not reflect very recent updates and
           changes."
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hostile.faults import Faults, Kind
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from refit_local.ministack.hooks import Document, Response

LAG_S = 2.0
"""How old a change is that every read shows. AWS states no figure."""

_END = ("stopDate", "output", "outputDetails", "error", "cause")


def install(faults: Faults) -> None:
    """Install this patch into MiniStack."""
    handlers = Hook.SERVICE_HANDLERS.get()
    handlers["states"] = partial(_handle, faults, handlers["states"])


async def _handle(
    faults: Faults,
    original: Callable[..., Awaitable[Response]],
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: Document,
) -> Response:
    response = await original(method, path, headers, body, query)
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    status, answered, content = response
    if status != 200 or operation not in {"ListExecutions", "DescribeExecution"}:
        return response
    answer = json.loads(content)
    stale = _stale_list(json.loads(body), answer) if "executions" in answer else _stale(answer)
    if stale is None or not faults.strikes(Kind.STALE_READ):
        return response
    kept = {name: value for name, value in answered.items() if name.lower() != "content-length"}
    return status, kept, json.dumps(stale).encode()


def _stale(execution: Document) -> Document | None:
    """Return a description as it was before the execution ended, if it ended just now."""
    if not execution.get("stopDate") or _is_old(execution["stopDate"]):
        return None
    return {k: v for k, v in execution.items() if k not in _END} | {"status": "RUNNING"}


def _stale_list(request: Document, answer: Document) -> Document | None:
    """Return a list without the executions that started or ended just now, if there are any."""
    wanted = request.get("statusFilter")
    shown = [
        _stale(execution) or execution
        for execution in answer["executions"]
        if _is_old(execution["startDate"])
    ]
    if wanted:
        shown = [execution for execution in shown if execution["status"] == wanted]
    return {**answer, "executions": shown} if shown != answer["executions"] else None


def _is_old(moment: Any) -> bool:
    at = datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else float(moment)
    return at < time.time() - LAG_S
