"""Predict the rows of requests, those of waiting requests together.

Each request gets the response that it would get alone. Only rows of plain numeric CSV with as many
columns as the model has features are predicted together, and XGBoost predicts each row
independently. Every other request is decoded and predicted on its own, as the image does it, with
the image's error messages.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus

import numpy as np

from refit_local.algorithms.xgboost.content_types import CSV, data_format, parse_header
from refit_local.algorithms.xgboost.errors import UserError
from refit_local.algorithms.xgboost.serving import fast_csv, request_decoding, response_encoding
from refit_local.algorithms.xgboost.serving.http_messages import ServerResponse
from refit_local.algorithms.xgboost.serving.models import (
    Floats,
    ModelEnsemble,
    ModelUnloadable,
    VoteImpossible,
)
from refit_local.algorithms.xgboost.serving.settings import ServeSettings
from refit_local.algorithms.xgboost.xgboost_library import xgb

_log = logging.getLogger(__name__)
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True)
class PredictionRequest:
    """A request to /invocations; headers are None if the client sent none."""

    body: bytes
    content_type: str | None
    accept: str | None


class Scorer:
    """The models of the model folder, and the responses with their predictions."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._models: ModelEnsemble | None = None

    def load(self) -> ModelEnsemble:
        """Return the models; they are loaded by the first call that succeeds.

        Raises:
            ModelUnloadable: they cannot be loaded. A later call tries again.
        """
        if self._models is None:
            self._models = ModelEnsemble.load(
                self._settings.model, every=self._settings.use_every_model
            )
        return self._models

    def respond(self, requests: Sequence[PredictionRequest]) -> list[ServerResponse]:
        """Return the responses in the order of the requests; an invalid request raises nothing."""
        responses: list[ServerResponse | None] = [None] * len(requests)
        try:
            models = self.load()
        except ModelUnloadable:
            models = None
        if models is not None and models.are_trees:
            csv_indexes = [
                index
                for index, request in enumerate(requests)
                if request.body and _is_csv(request.content_type)
            ]
            bodies = [requests[index].body.strip() for index in csv_indexes]
            for body_indexes, rows in _read_together(bodies):
                if rows.shape[1] != models.features:
                    continue
                predictions = models.predict_dense(rows)
                start = 0
                for body_index in body_indexes:
                    end = start + bodies[body_index].count(b"\n") + 1
                    # Combined for each request alone: the order in which NumPy adds the values of
                    # a mean depends on the shape of the array.
                    own = [prediction[start:end] for prediction in predictions]
                    index = csv_indexes[body_index]
                    responses[index] = self._encode(models, own, requests[index])
                    start = end
        return [
            responses[index] or self._respond_alone(request)
            for index, request in enumerate(requests)
        ]

    def _respond_alone(self, request: PredictionRequest) -> ServerResponse:
        if not request.body or _is_form(request.content_type):
            return ServerResponse(HTTPStatus.NO_CONTENT, body=b"")
        try:
            matrix = request_decoding.read(request.body, request.content_type)
        except (request_decoding.UnreadablePayload, UserError) as error:
            return _error_response(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error))
        try:
            models = self.load()
        except ModelUnloadable as error:
            return _error_response(
                HTTPStatus.INTERNAL_SERVER_ERROR, f"Unable to load model: {error}"
            )
        try:
            predictions = models.predict(matrix)
        except (xgb.core.XGBoostError, ValueError, TypeError) as error:
            return _error_response(
                HTTPStatus.BAD_REQUEST, f"Unable to evaluate payload provided: {error}"
            )
        return self._encode(models, predictions, request)

    def _encode(
        self, models: ModelEnsemble, predictions: Sequence[Floats], request: PredictionRequest
    ) -> ServerResponse:
        settings = self._settings
        try:
            accept = response_encoding.choose_accept(request.accept, settings.default_accept)
        except response_encoding.NotAcceptable as error:
            return _error_response(HTTPStatus.NOT_ACCEPTABLE, str(error))
        try:
            combined = models.combine(predictions)
            if settings.selected is not None:
                body = response_encoding.encode_selected(
                    combined,
                    settings.selected,
                    accept,
                    objective=models.objective,
                    classes=models.classes,
                    for_transform=settings.for_transform,
                )
            elif settings.for_transform:
                body = response_encoding.encode_for_transform(combined)
            else:
                body = response_encoding.encode(combined, accept)
        except (response_encoding.Unencodable, VoteImpossible) as error:
            _log.error("%s", error)
            # The image sends this message for selected keys only, otherwise an error page.
            text = str(error).encode() if settings.selected is not None else None
            return ServerResponse(HTTPStatus.INTERNAL_SERVER_ERROR, body=text)
        return ServerResponse(HTTPStatus.OK, _with_charset(accept), body)


def _read_together(bodies: Sequence[bytes]) -> Iterator[tuple[Sequence[int], Floats]]:
    """Yield the indexes of plain CSV bodies of one width, and their rows in this order."""
    by_width: dict[int, list[int]] = defaultdict(list)
    for index, body in enumerate(bodies):
        by_width[body.partition(b"\n")[0].count(b",")].append(index)
    for indexes in by_width.values():
        rows = fast_csv.read([bodies[index] for index in indexes])
        if rows is not None:
            yield indexes, rows
            continue
        # One of the bodies is not plain CSV; the others are still predicted together.
        each = {index: fast_csv.read([bodies[index]]) for index in indexes}
        readable = {index: rows for index, rows in each.items() if rows is not None}
        if readable:
            yield list(readable), np.vstack(list(readable.values()))


@lru_cache(maxsize=256)
def _is_csv(content_type: str | None) -> bool:
    try:
        return data_format(content_type) == CSV
    except UserError:
        return False


def _is_form(content_type: str | None) -> bool:
    """Whether the image's web framework parses the body as an HTML form, which leaves it empty."""
    return content_type is not None and parse_header(content_type.lower())[0] in _FORM_TYPES


def _error_response(status: HTTPStatus, message: str) -> ServerResponse:
    _log.error("%s", message)
    return ServerResponse(status, body=message.encode())


def _with_charset(content_type: str) -> str:
    return f"{content_type}; charset=utf-8" if content_type.startswith("text/") else content_type
