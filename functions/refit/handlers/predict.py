"""Answer a prediction request by the model's live endpoint.

Invoked by  API Gateway, POST /models/{model}/predictions
Input       a REST proxy event: JSON or CSV (domain/inferences/payload.py)  events/predict.json
Output      200 {"model", "modelVersion", "predictions": [{"inferenceId", "prediction",
            "probabilities"?}…]}, or {"error": {"code", "message"}} with 400, 404, 405, 413 or 503
Raises      AnswerMalformed, and every defect: API Gateway then answers 502, and the Lambda's Errors
            metric counts it for the alarm

Rows are encoded by the schema of the live version and decoded by that of the version which
answered: during a deployment these can differ. What was asked and answered is captured, unless the
version's settings leave that to the endpoint or to nobody.
"""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from refit.domain import metric_names
from refit.domain.errors import (
    EndpointNotReady,
    ModelNameInvalid,
    ModelNotFound,
    PayloadInvalid,
    PayloadTooLarge,
    RefitError,
    ServiceThrottled,
    VersionNotRegistered,
)
from refit.domain.inferences import payload
from refit.domain.inferences.capture_line import Invocation
from refit.domain.inferences.inference import inference_ids
from refit.domain.naming import ResourceNames, checked_model_name
from refit.handlers import http as answers
from refit.stores import endpoint
from refit.stores import run_artifacts as versions
from refit.telemetry import count, logger
from refit.usecases.capture_predictions import capture

if TYPE_CHECKING:
    from refit.domain.schema import Schema
    from refit.handlers.http import Response

_STATUSES: dict[type[RefitError], int] = {
    ModelNameInvalid: 400,
    PayloadInvalid: 400,
    ModelNotFound: 404,
    PayloadTooLarge: 413,
    EndpointNotReady: 503,
    ServiceThrottled: 503,
    VersionNotRegistered: 503,
}
_ATTEMPTS = 3


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Response:
    """Answer one request."""
    began = time.perf_counter()
    if refused := answers.only_post("/models/{model}/predictions", event):
        return refused
    model = event["pathParameters"]["model"]
    try:
        answer = _predicted(model, event)
    except tuple(_STATUSES) as error:
        return _refused(model, error)
    count(metric_names.PREDICTIONS, model, len(answer["predictions"]))
    elapsed_ms = (time.perf_counter() - began) * 1000
    count(metric_names.PREDICTION_LATENCY, model, elapsed_ms, MetricUnit.Milliseconds)
    return answers.response(200, answer)


def _predicted(model: str, event: dict[str, Any]) -> dict[str, Any]:
    champion = versions.live_version(checked_model_name(model))
    content = payload.body_bytes(event.get("body"), bool(event.get("isBase64Encoded")))
    instances = payload.instances_of(content, _content_type(event))
    schema = versions.schema_of(model, champion.run)
    for _ in range(_ATTEMPTS):
        calls = _asked(champion.endpoint, instances, schema)
        variants = {call.variant for call in calls}
        if len(variants) > 1:
            continue  # traffic moved between two parts of this request
        version = ResourceNames.version_of(variants.pop())
        run = champion.run if version == champion.version else versions.run_of(model, version)
        asked, schema = schema, versions.schema_of(model, run)
        if asked.changes_to(schema):
            continue  # other columns: what was answered is a guess, ask in its own
        predictions = [one for call in calls for one in _decoded(call, schema)]
        monitoring = versions.monitoring_of(model, run)
        if monitoring.capture == "api":
            capture(model, champion.endpoint, calls, monitoring.capture_percent)
        return {"model": model, "modelVersion": version, "predictions": predictions}
    raise EndpointNotReady(f"model {model} is being replaced: ask again in a few seconds")


def _asked(endpoint_name: str, instances: list[Any], schema: Schema) -> list[Invocation]:
    """Ask the endpoint in as many calls as it takes."""
    lines = payload.encoded_lines(instances, schema)
    payload.check_answer_fits(len(lines), schema)
    calls = []
    for _, body in payload.endpoint_bodies(lines):
        call_id, at = uuid.uuid4().hex, datetime.now(UTC)
        try:
            answer = endpoint.invoke(endpoint_name, body, "text/csv", "text/csv", call_id)
        except PayloadInvalid as error:
            # The rows fit the schema, so it is the live model that has other columns by now.
            raise EndpointNotReady(f"the model is being replaced: {error}") from error
        calls.append(
            Invocation(call_id, body, answer.body, answer.content_type, answer.variant, at)
        )
    return calls


def _decoded(call: Invocation, schema: Schema) -> list[dict[str, Any]]:
    ids = inference_ids(call.id, call.body.count(b"\n") + 1)
    return payload.decoded_predictions(call.answer, schema, ids)


def _content_type(event: dict[str, Any]) -> str | None:
    headers = event.get("headers") or {}
    return next((value for name, value in headers.items() if name.lower() == "content-type"), None)


def _refused(model: str, error: RefitError) -> Response:
    status, code = _STATUSES[type(error)], type(error).__name__
    logger.info("prediction refused", extra={"model": model, "code": code, "reason": str(error)})
    if not isinstance(error, ModelNameInvalid | ModelNotFound):
        # What is no model must not become a metric of its own.
        transient = status == 503
        refusals = metric_names.PREDICTIONS_REFUSED
        count(metric_names.PREDICTIONS_UNANSWERED if transient else refusals, model)
    return answers.error(status, code, str(error))
