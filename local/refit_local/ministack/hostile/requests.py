"""Requests that are throttled, meet a transaction, lose their answer, or succeed in part.

AWS        throttles any request; may have done what a request asked although the answer is a 5xx or
           never arrives; refuses single entries of a batch; may not see an endpoint config that
           was created just now
MiniStack  answers every request
Source     botocore's models, errors of each operation, and CreateEndpoint ("DynamoDB eventually
           consistent read"); botocore, `retries/standard.py`, the codes that it retries; DynamoDB
           Developer Guide, "Error handling with DynamoDB"; for batches `batches`
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from refit_local.ministack.hostile.batches import handle_in_part, is_batch
from refit_local.ministack.hostile.faults import Faults, Kind
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from refit_local.ministack.hooks import Document, Response

_Handle = Callable[..., Awaitable["Response"]]
_WRITES = re.compile(
    "(Put|Update|Delete|Transact.*Write|BatchWrite|Create|Start|Stop|Send|Publish|Invoke|Change)"
)


@dataclass(frozen=True)
class _Service:
    """The errors of a service: code and status of a throttle and of a failure of its own."""

    throttle: tuple[str, int]
    failure: tuple[str, int]
    is_xml: bool = False


_SERVICES = {
    "dynamodb": _Service(("ThrottlingException", 400), ("InternalServerError", 500)),
    "s3": _Service(("SlowDown", 503), ("InternalError", 500), is_xml=True),
    "sqs": _Service(("RequestThrottled", 400), ("InternalFailure", 500)),
    "sns": _Service(("Throttling", 400), ("InternalError", 500), is_xml=True),
    "events": _Service(("ThrottlingException", 400), ("InternalException", 500)),
    "states": _Service(("ThrottlingException", 400), ("InternalFailure", 500)),
    "lambda": _Service(("TooManyRequestsException", 429), ("ServiceException", 500)),
    "firehose": _Service(
        ("ServiceUnavailableException", 503), ("ServiceUnavailableException", 503)
    ),
    "sagemaker": _Service(("ThrottlingException", 400), ("InternalFailure", 500)),
}


def install(faults: Faults) -> None:
    """Install these patches into MiniStack."""
    handlers = Hook.SERVICE_HANDLERS.get()
    for name in _SERVICES.keys() - {"s3"}:
        handlers[name] = partial(_handle, faults, name, set(), handlers[name])
    # Firehose and virtual-hosted requests call S3's own function.
    Hook.S3_HANDLE.wrap(partial(_handle_s3, faults))


async def _handle_s3(
    faults: Faults, original: _Handle, *request: Any, internal: bool = False, **settings: Any
) -> Response:
    if internal:
        return await original(*request, internal=True, **settings)
    return await _handle(faults, "s3", set(), partial(original, **settings), *request)


async def _handle(
    faults: Faults,
    name: str,
    in_transactions: set[str],
    original: _Handle,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: Document,
) -> Response:
    operation = _operation(name, method, path, headers, body, query)
    refusal = _refusal(faults, name, in_transactions, operation, body)
    if refusal is not None:
        return refusal
    if is_batch(name, operation) and faults.strikes(Kind.PARTIAL_BATCH):
        return await handle_in_part(original, operation, method, path, headers, body, query)
    response = await original(method, path, headers, body, query)
    if response[0] >= 300 or not _is_write(name, method, operation, query):
        return response
    if faults.strikes(Kind.LOST_ANSWER):
        service = _SERVICES[name]
        return _error(service, *service.failure, "We encountered an internal error.")
    return response


def _refusal(
    faults: Faults, name: str, in_transactions: set[str], operation: str, body: bytes
) -> Response | None:
    """Return the fault of a request that is not carried out, if it gets one."""
    service = _SERVICES[name]
    if faults.strikes(Kind.THROTTLED_REQUEST):
        return _error(service, *service.throttle, "Rate exceeded")
    if operation == "CreateEndpoint" and faults.strikes(Kind.UNSEEN_CONFIG):
        config = json.loads(body).get("EndpointConfigName")
        message = f'Could not find endpoint configuration "{config}".'
        return _error(service, "ValidationException", 400, message)
    if name == "dynamodb":
        return _conflict(faults, in_transactions, operation, body)
    return None


def _operation(
    name: str, method: str, path: str, headers: dict[str, str], body: bytes, query: Document
) -> str:
    """Return the operation of a request; of S3 and Lambda, the method, or `Invoke`."""
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    if name in {"sqs", "sns"}:
        fields = parse_qs(body.decode(errors="replace")) | dict(query)
        return str((fields.get("Action") or [""])[0])
    return "Invoke" if path.endswith("/invocations") else method


def _is_write(name: str, method: str, operation: str, query: Document) -> bool:
    if name == "s3":
        # A repeated CompleteMultipartUpload succeeds on AWS and not in MiniStack.
        return method in {"PUT", "DELETE"} or (method == "POST" and "delete" in query)
    return _WRITES.match(operation) is not None and operation != "Invoke"


def _conflict(
    faults: Faults, in_transactions: set[str], operation: str, body: bytes
) -> Response | None:
    """Refuse a write as if a transaction were writing the same item.

    Only items that some transaction has written can meet one.
    """
    if operation == "TransactWriteItems":
        request = json.loads(body)
        writes = [write for element in request["TransactItems"] for write in element.values()]
        in_transactions.update(map(_key, writes))
        if faults.strikes(Kind.CANCELLED_TRANSACTION):
            return _cancelled(len(writes))
    elif operation in {"PutItem", "UpdateItem", "DeleteItem"}:
        is_shared = _key(json.loads(body)) in in_transactions
        if is_shared and faults.strikes(Kind.WRITE_CONFLICT):
            service = _SERVICES["dynamodb"]
            return _error(service, "TransactionConflictException", 400, _ONGOING)
    return None


_ONGOING = "Transaction is ongoing for the item"


def _key(write: Document) -> str:
    attributes = write.get("Key") or write.get("Item") or {}
    # The key attributes of Refit's tables are pk and sk, or id.
    key = [attributes.get(name) for name in ("pk", "sk", "id")]
    return json.dumps([write.get("TableName"), key])


def _cancelled(writes: int) -> Response:
    conflict = {"Code": "TransactionConflict", "Message": _ONGOING}
    reasons = [conflict, *({"Code": "None"} for _ in range(writes - 1))]
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = "Transaction cancelled, please refer cancellation reasons for specific reasons "
    message += f"[{codes}]"
    service, code = _SERVICES["dynamodb"], "TransactionCanceledException"
    return _error(service, code, 400, message, CancellationReasons=reasons)


def _error(service: _Service, code: str, status: int, message: str, **details: Any) -> Response:
    if service.is_xml:
        error = f"<Code>{code}</Code><Message>{message}</Message>"
        xml = f"<ErrorResponse><Error>{error}</Error></ErrorResponse>"
        if service is _SERVICES["s3"]:
            xml = f"<Error>{error}</Error>"
        headers = {"Content-Type": "application/xml"}
        return status, headers, f'<?xml version="1.0" encoding="UTF-8"?>{xml}'.encode()
    answer = {"__type": code, "message": message, "Message": message, **details}
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": code}
    return status, headers, json.dumps(answer).encode()
