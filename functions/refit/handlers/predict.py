"""Answer a prediction request with the model's live endpoint.

Invoked by  API Gateway, POST /models/{model}/predictions
Input       a REST proxy event: JSON or CSV (domain/inferences/request_rows.py)  events/predict.json
Output      200 {"model", "modelVersion", "predictions": [{"inferenceId", "prediction",
            "probabilities"?}…]}, or {"error": {"code", "message"}} with 400, 403, 404, 405, 413
            or 503
Raises      AnswerMalformed, and every defect: API Gateway then answers 502, and the function's
            Errors metric counts it for the alarm
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.handlers.http import post
from refit.usecases.predict import predict

if TYPE_CHECKING:
    from refit.domain.inferences.payload import RequestBody
    from refit.usecases.services import Services


def _answer(services: Services, model: str, body: RequestBody) -> dict[str, Any]:
    predictions = predict(services, model, body)
    return {
        "model": model,
        "modelVersion": predictions.version,
        "predictions": predictions.rows,
    }


handler = post("/models/{model}/predictions", _answer)
