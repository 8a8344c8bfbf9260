"""Answer a prediction request by the model's live endpoint.

Invoked by  API Gateway, POST /models/{model}/predictions
Input       a REST proxy event: instances as JSON or CSV (domain/payload.py)  events/predict.json
Output      200 {"model", "modelVersion", "predictions": [{"inferenceId", "prediction",
            "probabilities"?}…]}, or {"error": {"code", "message"}} with 400, 404, 405, 413 or 503
Raises      AnswerMalformed, and every defect: API Gateway then answers 502, and the Lambda's Errors
            metric counts it for the alarm

Rows are encoded by the schema of the live version and decoded by that of the version which
answered: during a deployment these can differ.
"""

from __future__ import annotations

import time
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from refit import answers
from refit.aws import endpoint, s3, store
from refit.domain import metric_names, payload
from refit.domain.errors import (
    EndpointNotReady,
    ModelNameInvalid,
    ModelNotFound,
    PayloadInvalid,
    PayloadTooLarge,
    RefitError,
    ServiceThrottled,
)
from refit.domain.naming import ResourceNames, RunKeys, checked_model_name
from refit.domain.schema import Schema
from refit.telemetry import count, logger

if TYPE_CHECKING:
    from refit.answers import Response
    from refit.aws.store import Champion

_STATUSES: dict[type[RefitError], int] = {
    ModelNameInvalid: 400,
    PayloadInvalid: 400,
    ModelNotFound: 404,
    PayloadTooLarge: 413,
    EndpointNotReady: 503,
    ServiceThrottled: 503,
}
_CHAMPION_AGE_S = 10
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
    champion = _champion(checked_model_name(model), int(time.monotonic() // _CHAMPION_AGE_S))
    content = payload.body_bytes(event.get("body"), bool(event.get("isBase64Encoded")))
    instances = payload.instances_of(content, _content_type(event))
    schema = _schema(model, champion.run)
    for _ in range(_ATTEMPTS):
        calls = _asked(champion.endpoint, instances, schema)
        variants = {answer.variant for _, answer in calls}
        if len(variants) > 1:
            continue  # traffic moved between two parts of this request
        version = ResourceNames.version_of(variants.pop())
        answering = schema if version == champion.version else _schema_of(model, version)
        if not schema.changes_to(answering):
            predictions = [
                prediction
                for ids, answer in calls
                for prediction in payload.decoded_predictions(answer.body, answering, ids)
            ]
            return {"model": model, "modelVersion": version, "predictions": predictions}
        schema = answering  # other columns: what was answered is a guess, ask in its own
    raise EndpointNotReady(f"model {model} is being replaced: ask again in a few seconds")


def _asked(
    endpoint_name: str, instances: list[Any], schema: Schema
) -> list[tuple[list[str], endpoint.Answer]]:
    """Ask the endpoint; return each call's inference ids and answer.

    A captured record carries its call's id, so a row's id is that and the row's place in the call.
    """
    lines = payload.encoded_lines(instances, schema)
    payload.check_answer_fits(len(lines), schema)
    calls = []
    for rows, body in payload.endpoint_bodies(lines):
        call_id = uuid.uuid4().hex
        try:
            answer = endpoint.invoke(endpoint_name, body, "text/csv", "text/csv", call_id)
        except PayloadInvalid as error:
            # The rows fit the schema, so it is the live model that has other columns by now.
            raise EndpointNotReady(f"the model is being replaced: {error}") from error
        calls.append(([f"{call_id}-{row}" for row in range(rows)], answer))
    return calls


@lru_cache(maxsize=256)
def _champion(model: str, _period: int) -> Champion:
    """Return the live version, remembered for at most one period."""
    champion = store.load_champion(model)
    if champion is None:
        raise ModelNotFound(f"no model {model!r} is deployed")
    return champion


@lru_cache(maxsize=64)
def _schema(model: str, run: str) -> Schema:
    return Schema.model_validate_json(s3.get_bytes(RunKeys(model, run).schema))


@lru_cache(maxsize=256)
def _schema_of(model: str, version: int) -> Schema:
    run = store.run_of_version(model, version)
    if run is None:
        raise EndpointNotReady(f"version {version} of {model} answered and is not registered (yet)")
    return _schema(model, run)


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
