"""Answer requests for predictions: those that wait together are predicted together.

A request is answered as if it were alone. Only rows of clean CSV with as many columns as the model
has features share a prediction, and XGBoost predicts each row by itself; every other request takes
the exact way on its own, errors and their wording included.
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
from refit_local.algorithms.xgboost.library import xgb
from refit_local.algorithms.xgboost.serving import answers, clean_csv, payload
from refit_local.algorithms.xgboost.serving.models import Models, ModelUnloadable, VoteImpossible
from refit_local.algorithms.xgboost.serving.settings import ServeSettings

_log = logging.getLogger(__name__)
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")
_TEXT = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """A request for predictions."""

    body: bytes
    content_type: str | None
    accept: str | None


@dataclass(frozen=True)
class Answer:
    """Status, headers and body of an answer; without a body it is the page of its status."""

    status: HTTPStatus
    content_type: str = _TEXT
    body: bytes | None = None
    allow: str | None = None


class Scorer:
    """The models, and the answers that they give."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self._models: Models | None = None

    def load(self) -> Models:
        """Return the models, loaded at the first call that succeeds.

        Raises:
            ModelUnloadable: they cannot be loaded, as yet.
        """
        if self._models is None:
            self._models = Models.load(self._settings.model, every=self._settings.use_every_model)
        return self._models

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer requests in their order. Raises nothing for a bad one."""
        found: list[Answer | None] = [None] * len(requests)
        try:
            models = self.load()
        except ModelUnloadable:
            models = None
        if models is not None and models.are_trees:
            clean = [n for n, request in enumerate(requests) if _may_be_clean(request)]
            bodies = [requests[n].body.strip() for n in clean]
            for numbers, rows in _read_together(bodies):
                if rows.shape[1] != models.features:
                    continue
                predictions = models.predict_dense(rows)
                start = 0
                for number in numbers:
                    end = start + bodies[number].count(b"\n") + 1
                    # Put together for one request at a time: in which order NumPy adds up a mean
                    # depends on the shape.
                    own = [prediction[start:end] for prediction in predictions]
                    found[clean[number]] = self._encode(models, own, requests[clean[number]])
                    start = end
        return [found[n] or self._answer_alone(request) for n, request in enumerate(requests)]

    def _answer_alone(self, request: Request) -> Answer:
        if not request.body or _is_form(request.content_type):
            return Answer(HTTPStatus.NO_CONTENT, body=b"")
        try:
            matrix = payload.read(request.body, request.content_type)
        except (payload.UnreadablePayload, UserError) as error:
            return _refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error))
        try:
            models = self.load()
        except ModelUnloadable as error:
            return _refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"Unable to load model: {error}")
        try:
            predictions = models.predict(matrix)
        except (xgb.core.XGBoostError, ValueError, TypeError) as error:
            return _refuse(HTTPStatus.BAD_REQUEST, f"Unable to evaluate payload provided: {error}")
        return self._encode(models, predictions, request)

    def _encode(
        self, models: Models, predictions: Sequence[np.ndarray], request: Request
    ) -> Answer:
        settings = self._settings
        try:
            accept = answers.choose_accept(request.accept, settings.default_accept)
        except answers.NotAcceptable as error:
            return _refuse(HTTPStatus.NOT_ACCEPTABLE, str(error))
        try:
            together = models.combine(predictions)
            if settings.selected is not None:
                body = answers.encode_selected(
                    together,
                    settings.selected,
                    accept,
                    objective=models.objective,
                    classes=models.classes,
                    for_transform=settings.batch,
                )
            elif settings.batch:
                body = answers.encode_for_transform(together)
            else:
                body = answers.encode(together, accept)
        except (answers.Unencodable, VoteImpossible) as error:
            _log.error("%s", error)
            # The image catches this for selected keys only, and answers the rest with a page.
            text = str(error).encode() if settings.selected is not None else None
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, body=text)
        return Answer(HTTPStatus.OK, _with_charset(accept), body)


def _read_together(bodies: Sequence[bytes]) -> Iterator[tuple[Sequence[int], np.ndarray]]:
    """Yield which bodies of one width are clean CSV, and their rows one below the other."""
    widths: dict[int, list[int]] = defaultdict(list)
    for number, body in enumerate(bodies):
        widths[body.partition(b"\n")[0].count(b",")].append(number)
    for numbers in widths.values():
        rows = clean_csv.read([bodies[number] for number in numbers])
        if rows is not None:
            yield numbers, rows
            continue
        # One of them is not clean: the others are still predicted together.
        each = {number: clean_csv.read([bodies[number]]) for number in numbers}
        clean = {number: rows for number, rows in each.items() if rows is not None}
        if clean:
            yield list(clean), np.vstack(list(clean.values()))


def _may_be_clean(request: Request) -> bool:
    return bool(request.body) and _is_csv(request.content_type)


@lru_cache(maxsize=256)
def _is_csv(content_type: str | None) -> bool:
    try:
        return data_format(content_type) == CSV
    except UserError:
        return False


def _is_form(content_type: str | None) -> bool:
    """Whether the image's framework would take the body away, as that of an HTML form."""
    return content_type is not None and parse_header(content_type.lower())[0] in _FORM_TYPES


def _refuse(status: HTTPStatus, message: str) -> Answer:
    _log.error("%s", message)
    return Answer(status, body=message.encode())


def _with_charset(content_type: str) -> str:
    return f"{content_type}; charset=utf-8" if content_type.startswith("text/") else content_type
