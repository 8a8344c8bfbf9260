"""EventBridge, Firehose, Lambda and Step Functions: refuse what is larger than AWS takes.

AWS        takes 1 MB of entries in a PutEvents request; 4 MB of records in a PutRecordBatch; 6 MB
           in a synchronous and 1 MB in an asynchronous invocation; 6 MB and a little from a
           function; 256 KiB as the input of an execution and as the result of a task
MiniStack  takes any size
Source     botocore's models of PutEvents, PutRecordBatch, Invoke and StartExecution
           (SensitiveData). EventBridge User Guide, "Calculating PutEvents event entry size". The
           messages: awslabs/aws-service-catalog-puppet, issue 563; ASFHyP3/hyp3, issue 2241, with
           the limit of today in aws-solutions-library-samples/
           accelerated-intelligent-document-processing-on-aws, pull request 611;
           pelmers/streetwarp-web, issue 14; DataBiosphere/azul, issue 8258 (6,291,556 bytes);
           NASA-IMPACT/csdap-cumulus, issue 296; osquery/osquery, issue 3568 (Firehose). Step
           Functions Developer Guide, "Handling errors in Step Functions workflows",
           States.DataLimitExceeded

SQS and SNS check their sizes themselves.
"""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.execution_scope import execution_error
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from refit_local.ministack.hooks import Document, Response

EVENTS_BYTES = 1024 * 1024
FIREHOSE_BYTES = 4 * 1024 * 1024
SYNCHRONOUS_BYTES = 6 * 1024 * 1024
ASYNCHRONOUS_BYTES = 1024 * 1024
RESPONSE_BYTES = SYNCHRONOUS_BYTES + 100
STATE_BYTES = 256 * 1024
_TIME_BYTES = 14


def install() -> None:
    """Install these patches into MiniStack."""
    handlers = Hook.SERVICE_HANDLERS.get()
    for name, refusal in (("events", _of_events), ("lambda", _of_call), ("states", _of_start)):
        handlers[name] = partial(_handle, refusal, handlers[name])
    firehose = Hook.FIREHOSE_ACTIONS.get()
    firehose["PutRecordBatch"] = partial(_put_records, firehose["PutRecordBatch"])
    Hook.EXECUTE_WARM.wrap(_execute)
    Hook.INVOKE_RESOURCE.wrap(_run_task)


async def _handle(
    refusal_of: Callable[[str, Mapping[str, str], bytes], Response | None],
    original: Callable[..., Awaitable[Response]],
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: Document,
) -> Response:
    refusal = refusal_of(path, headers, body)
    return refusal if refusal else await original(method, path, headers, body, query)


def entry_bytes(entry: Mapping[str, Any]) -> int:
    """Return the size of an entry of PutEvents, as the User Guide calculates it."""
    texts = [entry.get(name) or "" for name in ("Source", "DetailType", "Detail")]
    texts += entry.get("Resources") or []
    return (_TIME_BYTES if entry.get("Time") else 0) + sum(len(t.encode()) for t in texts)


def _of_events(path: str, headers: Mapping[str, str], body: bytes) -> Response | None:
    if not _is_operation(headers, "PutEvents"):
        return None
    if sum(map(entry_bytes, json.loads(body).get("Entries", []))) < EVENTS_BYTES:
        return None
    message = "Total size of the entries in the request is over the limit."
    return _refused(400, "ValidationException", message)


def _of_call(path: str, headers: Mapping[str, str], body: bytes) -> Response | None:
    if not path.endswith("/invocations"):
        return None
    is_event = headers.get("x-amz-invocation-type") == "Event"
    size, limit = len(body), ASYNCHRONOUS_BYTES if is_event else SYNCHRONOUS_BYTES
    if size <= limit:
        return None
    message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
    if is_event:
        message = f"{size} byte payload is too large for the Event invocation type "
        message += f"(limit {limit} bytes)"
    return _refused(413, "RequestEntityTooLargeException", message)


def _of_start(path: str, headers: Mapping[str, str], body: bytes) -> Response | None:
    if not _is_operation(headers, "StartExecution"):
        return None
    if len((json.loads(body).get("input") or "").encode()) <= STATE_BYTES:
        return None
    message = (
        "1 validation error detected: Value at 'input' failed to satisfy constraint: "
        f"Member must have length less than or equal to {STATE_BYTES}"
    )
    return _refused(400, "ValidationException", message)


def _put_records(original: Callable[[Document], Response], request: Document) -> Response:
    # Before base64: zwass in kolide/fleet, pull request 2022, put 4 MB.
    sizes = (len(base64.b64decode(record["Data"])) for record in request.get("Records", []))
    if sum(sizes) <= FIREHOSE_BYTES:
        return original(request)
    return _refused(400, "InvalidArgumentException", "Records size exceeds 4 MB limit")


def _is_operation(headers: Mapping[str, str], name: str) -> bool:
    return headers.get("x-amz-target", "").endswith(f".{name}")


def _execute(original: Callable[..., Document], *invocation: Any) -> Document:
    outcome = original(*invocation)
    if outcome.get("error") or json_bytes(outcome.get("body")) <= RESPONSE_BYTES:
        return outcome
    message = (
        f"Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES} bytes)."
    )
    error = {"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message}
    return {**outcome, "error": True, "body": error}


def _run_task(original: Callable[..., Any], resource: str, *arguments: Any) -> Any:
    result = original(resource, *arguments)
    if json_bytes(result) <= STATE_BYTES:
        return result
    raise execution_error(
        "States.DataLimitExceeded",
        f"The state/task '{resource}' returned a result with a size exceeding the maximum number "
        "of bytes service limit.",
    )


def json_bytes(value: Any) -> int:
    """Return the size of a value as JSON; of bytes and texts, their own."""
    if isinstance(value, bytes):
        return len(value)
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return len(text.encode())


def _refused(status: int, code: str, message: str) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    body = {"__type": code, "message": message, "Message": message}
    return status, headers, json.dumps(body).encode()
