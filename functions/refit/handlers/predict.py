"""Answer a prediction request by the model's live endpoint.

Invoked by  API Gateway, POST /models/{model}/predictions
Input       a REST proxy event: instances as JSON or CSV (domain/payload.py)  events/predict.json
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
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from refit import answers
from refit.aws import endpoint, s3, store
from refit.capturing import capture
from refit.domain import metric_names, payload
from refit.domain.capture_line import Invocation
from refit.domain.errors import (
    EndpointNotReady,
    ModelNameInvalid,
    ModelNotFound,
    PayloadInvalid,
    PayloadTooLarge,
    RefitError,
    ServiceThrottled,
)
from refit.domain.inference import inference_ids
from refit.domain.naming import ResourceNames, RunKeys, checked_model_name
from refit.domain.schema import Schema
from refit.domain.spec import ModelSettings
from refit.telemetry import count, logger

if TYPE_CHECKING:
    from refit.answers import Response
    from refit.aws.store import Champion
    from refit.domain.spec import MonitoringSettings

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


@dataclass(frozen=True)
class Terms:
    """What holds for the predictions of a version: by the run that made it."""

    schema: Schema
    monitoring: MonitoringSettings


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
    terms = _terms(model, champion.run)
    for _ in range(_ATTEMPTS):
        calls = _asked(champion.endpoint, instances, terms.schema)
        variants = {call.variant for call in calls}
        if len(variants) > 1:
            continue  # traffic moved between two parts of this request
        version = ResourceNames.version_of(variants.pop())
        asked, terms = terms, _terms_of(model, version, champion)
        if asked.schema.changes_to(terms.schema):
            continue  # other columns: what was answered is a guess, ask in its own
        predictions = [one for call in calls for one in _decoded(call, terms.schema)]
        if terms.monitoring.capture == "api":
            capture(model, champion.endpoint, calls, terms.monitoring.capture_percent)
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


@lru_cache(maxsize=256)
def _champion(model: str, _period: int) -> Champion:
    """Return the live version, remembered for at most one period."""
    champion = store.load_champion(model)
    if champion is None:
        raise ModelNotFound(f"no model {model!r} is deployed")
    return champion


def _terms_of(model: str, version: int, champion: Champion) -> Terms:
    if version == champion.version:
        return _terms(model, champion.run)
    return _terms(model, _run_of(model, version))


@lru_cache(maxsize=64)
def _terms(model: str, run: str) -> Terms:
    keys = RunKeys(model, run)
    return Terms(
        Schema.model_validate_json(s3.get_bytes(keys.schema)),
        ModelSettings.model_validate(s3.get_json(keys.manifest)["settings"]).monitoring,
    )


@lru_cache(maxsize=256)
def _run_of(model: str, version: int) -> str:
    run = store.run_of_version(model, version)
    if run is None:
        raise EndpointNotReady(f"version {version} of {model} answered and is not registered (yet)")
    return run


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
