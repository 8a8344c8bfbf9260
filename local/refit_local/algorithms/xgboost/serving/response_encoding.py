"""Encode predictions in the content type that the client accepts.

The number formats, the final newline of some content types and `NaN` in JSON, which is invalid, are
those of the image.

Source  recorded responses of the image
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from refit_local.algorithms.xgboost import recordio
from refit_local.algorithms.xgboost.content_types import parse_header
from refit_local.algorithms.xgboost.serving.models import Floats

JSON = "application/json"
JSON_LINES = "application/jsonlines"
RECORDIO = "application/x-recordio-protobuf"
CSV = "text/csv"
SUPPORTED_ACCEPTS = [JSON, JSON_LINES, RECORDIO, CSV]

_SCORE_KEYS = ("predicted_score",)
_CLASS_KEYS = ("predicted_label", "labels", "raw_score", "raw_scores")
_PROBABILITY_KEYS = (
    "predicted_label",
    "labels",
    "probability",
    "probabilities",
    "raw_score",
    "raw_scores",
)
_KEYS_OF_OBJECTIVE = {
    "reg:squarederror": _SCORE_KEYS,
    "reg:logistic": _SCORE_KEYS,
    "reg:gamma": _SCORE_KEYS,
    "reg:absoluteerror": _SCORE_KEYS,
    "reg:tweedie": _SCORE_KEYS,
    "binary:logistic": _PROBABILITY_KEYS,
    "binary:logitraw": _CLASS_KEYS,
    "binary:hinge": _CLASS_KEYS,
    "multi:softmax": _CLASS_KEYS,
    "multi:softprob": _PROBABILITY_KEYS,
}


class NotAcceptable(Exception):
    """The client accepts no content type that the server can produce."""


class Unencodable(Exception):
    """The predictions have no form in the content type."""


@lru_cache(maxsize=256)
def choose_accept(header: str | None, default: str) -> str:
    """Return the content type of the response.

    Raises:
        NotAcceptable: the header names a content type that is not supported, or several.
    """
    accept, _ = parse_header(header or "")
    if not accept or accept == "*/*":
        return default
    if accept.lower() not in SUPPORTED_ACCEPTS:
        raise NotAcceptable(
            f"Accept type {accept} is not supported. "
            f"Please use supported accept types: {SUPPORTED_ACCEPTS}."
        )
    return accept.lower()


def encode(predictions: Floats, accept: str) -> bytes:
    """Encode predictions of shape (n_rows,) or (n_rows, n_classes).

    Raises:
        Unencodable: the content type requires selected keys.
    """
    values = predictions.tolist()
    if accept == CSV:
        if predictions.ndim > 1:
            lines = [",".join(map(repr, row)) for row in values]
        else:
            lines = list(map(repr, values))
        return ("\n".join(lines) + "\n").encode()
    if accept == JSON:
        return json.dumps({"predictions": [{"score": value} for value in values]}).encode()
    raise Unencodable(f"Cannot encode predictions into accept type '{accept}'.")


def encode_for_transform(predictions: Floats) -> bytes:
    """Encode for batch transform: one Python literal a line, for every content type."""
    return ("\n".join(map(str, predictions.tolist())) + "\n").encode()


def encode_selected(
    predictions: Floats,
    keys: Sequence[str],
    accept: str,
    *,
    objective: str,
    classes: int,
    for_transform: bool,
) -> bytes:
    """Encode the keys of SAGEMAKER_INFERENCE_OUTPUT; a key without a value is NaN.

    Raises:
        Unencodable: the objective has no keys, or the content type is not supported.
    """
    if objective not in _KEYS_OF_OBJECTIVE:
        raise Unencodable(
            f"Objective `{objective}` unsupported for selectable inference predictions."
        )
    known = [key for key in _KEYS_OF_OBJECTIVE[objective] if key in keys]
    unknown = [key for key in dict.fromkeys(keys) if key not in known]
    rows = [
        {key: _select(key, prediction, objective, classes) for key in known}
        | dict.fromkeys(unknown, math.nan)
        for prediction in predictions
    ]
    if accept == JSON:
        return json.dumps({"predictions": rows}).encode()
    if accept == JSON_LINES:
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if accept == RECORDIO:
        return recordio.write([_as_lists(row) for row in rows])
    if accept == CSV:
        lines = [",".join(_csv_field(row[key]) for key in keys) for row in rows]
        return ("\n".join(lines) + ("\n" if for_transform else "")).encode()
    raise Unencodable(f"Cannot encode selected predictions into accept type '{accept}'.")


def _select(key: str, prediction: Any, objective: str, classes: int) -> Any:
    if objective == "multi:softprob":
        return _select_of_many(key, prediction)
    score = prediction.item()
    match key:
        case "predicted_label":
            thresholds = {"binary:logistic": 0.5, "binary:logitraw": 0}
            return int(score > thresholds[objective]) if objective in thresholds else score
        case "labels":
            return [0, 1] if objective.startswith("binary:") else list(range(classes))
        case "probabilities" | "raw_scores":
            return [1.0 - score, score]
        case _:
            return score


def _select_of_many(key: str, probabilities: Floats) -> Any:
    match key:
        case "predicted_label":
            return int(probabilities.argmax())
        case "labels":
            return list(range(len(probabilities)))
        case "probability" | "raw_score":
            return probabilities.max().item()
        case _:
            return probabilities.tolist()


def _csv_field(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)


def _as_lists(row: Mapping[str, Any]) -> dict[str, list[float]]:
    return {key: value if isinstance(value, list) else [value] for key, value in row.items()}
