"""Predict rows with the live endpoint of a model.

Rows are encoded by the schema of the live version, and answers are decoded by the schema and the
decision rule of the version that answered, because the two can differ during a deployment. Request
and answer are captured, unless the settings of the version leave capturing to the endpoint or
disable it. With `[data] features_from` the endpoint also serves the pinned version of another
model, which is asked first and whose answers are appended to the rows.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from refit.domain import metric_names
from refit.domain.errors import (
    EndpointNotReady,
    ModelNotFound,
    PayloadInvalid,
    PayloadTooLarge,
    TransientError,
)
from refit.domain.inferences import payload
from refit.domain.inferences.capture_writer import EndpointCall
from refit.domain.inferences.request_rows import instances_of
from refit.domain.naming import ResourceNames, RunKeys
from refit.domain.pipeline.algorithms import algorithm_of
from refit.stores.retries import RetryPolicy
from refit.telemetry import put_metric
from refit.usecases.add_features import with_features
from refit.usecases.cached_answers import cached_call
from refit.usecases.capture_predictions import capture_predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.pipeline.model_state import Champion
    from refit.usecases.services import Services

_VERSION_CHANGES = RetryPolicy(max_attempts=3)


@dataclass(frozen=True)
class Predictions:
    """Predictions as the API returns them, in row order, and the version that made them."""

    version: int
    rows: list[dict[str, Any]]


def predict(
    services: Services,
    model: str,
    body: payload.RequestBody,
    endpoint_bytes: int = payload.ENDPOINT_BYTES,
) -> Predictions:
    """Predict the rows of a request, and publish the latency or the failure as a metric.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        body: body in JSON or CSV (domain/inferences/request_rows.py).
        endpoint_bytes: largest request to the endpoint; more rows are sent in several requests.

    Raises:
        ModelNotFound: when no version of the model is live.
        PayloadInvalid: when the rows do not match the schema of the model.
        PayloadTooLarge: when the request, a row of it, or the answer is too large.
        TransientError: when the endpoint or a service is not ready.
        AnswerMalformed: when the endpoint's answer does not match the rows.
    """
    start_s = time.perf_counter()
    try:
        champion = services.artifacts.recent_champion(model)
        predictions = _predict(services, model, champion, body, endpoint_bytes)
    except ModelNotFound:
        raise  # no metric, because its dimension would be the name of a model that does not exist
    except (PayloadInvalid, PayloadTooLarge):
        put_metric(metric_names.PREDICTIONS_REFUSED, model)
        raise
    except TransientError:
        put_metric(metric_names.PREDICTIONS_UNANSWERED, model)
        raise
    put_metric(metric_names.PREDICTIONS, model, len(predictions.rows))
    elapsed_ms = (time.perf_counter() - start_s) * 1000
    put_metric(metric_names.PREDICTION_LATENCY, model, elapsed_ms, MetricUnit.Milliseconds)
    return predictions


def _predict(
    services: Services,
    model: str,
    champion: Champion,
    body: payload.RequestBody,
    endpoint_bytes: int,
) -> Predictions:
    content = payload.body_bytes(body, payload.EXPECTED_INSTANCES)
    run = champion.run
    schema = services.artifacts.schema(model, run)
    accept = algorithm_of(services.artifacts.settings(model, run).training).accept
    for _ in _VERSION_CHANGES.attempts():
        instances = instances_of(content, body.content_type, schema.own)
        lines = payload.encoded_lines(instances, schema.own, endpoint_bytes)
        payload.check_answer_fits(len(lines), schema)
        if schema.features_from is not None:
            lines = with_features(
                services, champion.endpoint, RunKeys(model, run), lines, endpoint_bytes
            )
        cached = cached_call(services, model, champion, lines)
        calls = (
            [cached]
            if cached
            else _call_endpoint(services, champion.endpoint, lines, endpoint_bytes, accept)
        )
        variants = {call.variant for call in calls}
        if len(variants) > 1:
            continue  # another version began to answer between two calls
        version = ResourceNames.version_of(variants.pop())
        run = champion.run
        if version != champion.version:
            run = services.artifacts.run_of(model, version)
        used_schema, schema = schema, services.artifacts.schema(model, run)
        if used_schema.changes_to(schema):
            continue  # the version has other columns, so its answers are wrong
        rule = services.artifacts.decision_rule(model, run)
        rows = [
            row
            for call in calls
            for row in payload.decoded_predictions(
                call.answer, schema, call.inference_ids, rule, call.content_type
            )
        ]
        settings = services.artifacts.settings(model, run).monitoring
        if settings.capture == "api":
            percent = settings.capture_percent
            capture_predictions(services, model, champion.endpoint, calls, percent)
        return Predictions(version, rows)
    raise EndpointNotReady(f"model {model} is being replaced: try again in a few seconds")


def _call_endpoint(
    services: Services, endpoint: str, lines: Sequence[str], endpoint_bytes: int, accept: str
) -> list[EndpointCall]:
    """Send encoded rows to the endpoint in as many calls as necessary."""
    calls = []
    for rows, body in payload.endpoint_bodies(lines, endpoint_bytes):
        call_id, at = uuid.uuid4().hex, services.now()
        try:
            answer = services.endpoints.invoke(endpoint, body, call_id, accept=accept)
        except PayloadInvalid as error:
            # The rows match the schema that was read, so a version with other columns is live now.
            raise EndpointNotReady(f"the model is being replaced: {error}") from error
        calls.append(
            EndpointCall(
                id=call_id,
                rows=rows,
                body=body,
                answer=answer.body,
                content_type=answer.content_type,
                variant=answer.variant,
                at=at,
            )
        )
    return calls
