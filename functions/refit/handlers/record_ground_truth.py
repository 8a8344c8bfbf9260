"""Take the labels of predictions that were made.

Invoked by  API Gateway, POST /models/{model}/ground-truth
Input       a REST proxy event: {"labels": [{"inferenceId", "label", "observedAt"?}…]}, 1 to 500
            events/record_ground_truth.json
Output      202 {"model", "results": [{"inferenceId", "status", "reason"?}…], "counts": {status:
            number}}, or {"error": {"code", "message"}} with 400, 404, 405, 413 or 503
Raises      every defect: API Gateway then answers 502, and the Lambda's Errors metric counts it for
            the alarm

A body that is malformed is refused whole, and a record whose values are wrong by itself. After a
503 some records may have been taken: sent again, they are repeats.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from refit.domain.errors import (
    ModelNameInvalid,
    ModelNotFound,
    PayloadInvalid,
    PayloadTooLarge,
    RefitError,
    ServiceThrottled,
    VersionNotRegistered,
)
from refit.domain.inferences import payload
from refit.domain.inferences.ground_truth import Outcome, Status
from refit.domain.inferences.ground_truth_records import MAX_RECORDS, LabelRecord, records_of
from refit.domain.naming import checked_model_name
from refit.handlers import http as answers
from refit.telemetry import logger
from refit.usecases.record_labels import Rejections, record_labels

if TYPE_CHECKING:
    from refit.handlers.http import Response

_STATUSES: dict[type[RefitError], int] = {
    ModelNameInvalid: 400,
    PayloadInvalid: 400,
    ModelNotFound: 404,
    PayloadTooLarge: 413,
    ServiceThrottled: 503,
    VersionNotRegistered: 503,
}


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Response:
    """Answer one request."""
    if refused := answers.only_post("/models/{model}/ground-truth", event):
        return refused
    model = event["pathParameters"]["model"]
    try:
        return answers.response(202, _recorded(checked_model_name(model), event))
    except tuple(_STATUSES) as error:
        status, code = _STATUSES[type(error)], type(error).__name__
        logger.info("labels refused", extra={"model": model, "code": code, "reason": str(error)})
        return answers.error(status, code, str(error))


def _recorded(model: str, event: dict[str, Any]) -> dict[str, Any]:
    if not event.get("body"):
        raise PayloadInvalid(
            'the body is empty: send {"labels": [{"inferenceId": …, "label": …}]}, with 1 to '
            f"{MAX_RECORDS} records"
        )
    records = records_of(payload.body_bytes(event["body"], bool(event.get("isBase64Encoded"))))
    outcomes = record_labels(model, records)
    rejections = Rejections(model)
    rejections.add(records, outcomes)
    rejections.tell(datetime.now(UTC))
    counted = Counter(outcome.status for outcome in outcomes)
    return {
        "model": model,
        "results": [_result(*one) for one in zip(records, outcomes, strict=True)],
        "counts": {status.value: counted[status] for status in Status},
    }


def _result(record: LabelRecord, outcome: Outcome) -> dict[str, Any]:
    result = {"inferenceId": record.as_sent()["inferenceId"], "status": outcome.status.value}
    return result if outcome.reason is None else result | {"reason": outcome.reason}
