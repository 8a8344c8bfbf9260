"""Lambda: run Python functions as AWS's runtime does, and publish the metrics in their logs.

AWS        reports an error by its class, and a process that ended, also while it started, as
           Runtime.ExitError; keeps the environment after a handler's error, logs all that an
           invocation wrote, and publishes embedded metrics; see also `lambda_worker`
MiniStack  reports each error as Runtime.HandlerError, ends the process, may lose log lines, and
           ignores metrics in logs; when a process ends while it starts, it reports an error of its
           own and ends the function's other processes
Source     Lambda Developer Guide, "Lambda function errors in Python" and "Understanding the Lambda
           execution environment lifecycle"; CloudWatch User Guide, "Embedding metrics within logs"
"""

from __future__ import annotations

import contextvars
import queue
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refit_local.ministack.emf import metrics_of
from refit_local.ministack.hooks import on_lambda_log, put_metric
from refit_local.ministack.names import Hook, log_of, process_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document

SDK_FOLDER_VARIABLE = "REFIT_LAMBDA_SDK"
_END_OF_LOG = "\x00end of invocation\x00"
_LOG_DEADLINE_S = 2.0
_LOG_POLL_S = 0.05
# The packages that AWS's Python runtimes contain.
_SDK_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")

_peak_mb: contextvars.ContextVar[int] = contextvars.ContextVar("peak_mb", default=0)

# MiniStack's type of all that ends an invocation without a response of the worker, which reports
# every error of the function itself.
_TYPE_OF_LOST_WORKERS = "Runtime.HandlerError"
_END_OF_WORKER_S = 1.0


def install() -> None:
    """Install these patches into MiniStack."""
    Hook.WORKER_SCRIPT.put((Path(__file__).with_name("lambda_worker.py")).read_text())
    Hook.EXECUTE_WARM.wrap(_execute)
    Hook.WORKER_INVOKE.put(_reporting_lost_workers(Hook.WORKER_INVOKE.get()))
    Hook.DRAIN_LOG.put(_drain_log)
    Hook.PEAK_MEMORY.put(lambda function: _peak_mb.get())
    on_lambda_log(_publish_embedded_metrics)


def provide_sdk(folder: Path) -> None:
    """Make the folder of the AWS SDK, which functions import without packaging it."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in _SDK_PACKAGES:
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        link = folder / source.name
        if not link.is_symlink():
            link.symlink_to(source)


def _execute(
    original: Callable[..., Document], function: Document, event: Any, request_id: str
) -> Document:
    outcome = original(function, event, request_id)
    body = outcome.get("body")
    if outcome.get("error"):
        if isinstance(body, dict) and body.get("errorType") == _TYPE_OF_LOST_WORKERS:
            message = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
            outcome["body"] = {"errorMessage": message, "errorType": "Runtime.ExitError"}
        return outcome
    if not isinstance(body, dict) or not {"value", "failure"} & body.keys():
        return outcome
    _peak_mb.set(body.get("peak_mb", 0))
    if "value" in body:
        return {**outcome, "body": body["value"]}
    return {**outcome, "body": {**body["failure"], "requestId": request_id}, "error": True}


def _reporting_lost_workers(original: Callable[..., Document]) -> Callable[..., Document]:
    """Report a process that ended while it started as one that ended later.

    MiniStack raises an error of its own, and ends the other processes of the function with it.
    """

    def invoke(worker: Any, *args: Any, **options: Any) -> Document:
        before = process_of(worker)
        try:
            return original(worker, *args, **options)
        except Exception:  # it has no type of its own: RuntimeError, or what a dead pipe raises
            process = process_of(worker)
            if process is before or not _has_ended(process):
                raise  # the process could not be started
            return {"status": "error", "error": "Worker process died", "log": _drain_log(worker)}

    return invoke


def _has_ended(process: subprocess.Popen[str] | None) -> bool:
    if process is None:
        return True
    try:
        process.wait(_END_OF_WORKER_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _drain_log(worker: Any) -> str:
    """Return what the invocation wrote, up to the end mark that the worker writes."""
    log, reader = log_of(worker)
    lines: list[str] = []
    deadline = time.monotonic() + _LOG_DEADLINE_S
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            line = log.get(timeout=min(left_s, _LOG_POLL_S))
        except queue.Empty:
            if not reader.is_alive() and log.empty():
                break
            continue
        if line == _END_OF_LOG:
            break
        lines.append(line)
    return "\n".join(lines)


def _publish_embedded_metrics(function_name: str, lines: list[str]) -> None:
    for line in lines:
        for metric in metrics_of(line):
            put_metric(
                metric.namespace,
                metric.name,
                metric.values,
                metric.unit,
                metric.dimensions,
                timestamp_s=metric.timestamp_s,
            )
