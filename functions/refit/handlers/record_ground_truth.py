"""Record ground-truth labels of predictions.

Invoked by  API Gateway, POST /models/{model}/ground-truth
Input       a REST proxy event: {"labels": [{"inferenceId", "label", "observedAt"?}…]}, 1 to 500
            events/record_ground_truth.json
Output      202 {"model", "results": [{"inferenceId", "status", "reason"?}…], "counts": {status:
            number}}, or {"error": {"code", "message"}} with 400, 403, 404, 405,
            413 or 503
Raises      every defect: API Gateway then answers 502, and the function's Errors metric counts it
            for the alarm

A malformed body is refused as a whole; a record with wrong values is rejected by itself. After a
503 some records may have been recorded: sent again, they are repeats.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from refit.domain.inferences.label_outcome import LabelOutcome, LabelStatus
from refit.domain.inferences.label_records import MAX_RECORDS, LabelRecord, records_of
from refit.domain.inferences.payload import body_bytes
from refit.handlers.http import post
from refit.usecases.quarantine_labels import RejectedLabels
from refit.usecases.record_labels import record_labels

if TYPE_CHECKING:
    from refit.domain.inferences.payload import RequestBody
    from refit.usecases.services import Services

_EXPECTED = f'{{"labels": [{{"inferenceId": …, "label": …}}]}}, with 1 to {MAX_RECORDS} records'


def answer(services: Services, model: str, body: RequestBody) -> dict[str, Any]:
    """Record the labels of a body, and return what became of each."""
    records = records_of(body_bytes(body, _EXPECTED))
    outcomes = record_labels(services, model, records)
    rejected = RejectedLabels(model)
    rejected.add(records, outcomes)
    rejected.publish(services, services.now())
    counts = Counter(outcome.status for outcome in outcomes)
    return {
        "model": model,
        "results": [_result(*pair) for pair in zip(records, outcomes, strict=True)],
        "counts": {status.value: counts[status] for status in LabelStatus},
    }


def _result(record: LabelRecord, outcome: LabelOutcome) -> dict[str, Any]:
    result = {"inferenceId": record.as_sent()["inferenceId"], "status": outcome.status.value}
    return result if outcome.reason is None else result | {"reason": outcome.reason}


handler = post("/models/{model}/ground-truth", answer, success=202)
