"""Count labelled predictions in the counters of their cohorts, exactly once.

Invoked by  the stream of InferenceTable: items that have a prediction and are not counted as they
            are (batches of up to 10,000)
Input       DynamoDB stream records            events/count_labels.json
Output      the failed sequence numbers only
Raises      ServiceThrottled, when everything is counted and the drift check could not be enqueued;
            the position of a record that keeps failing goes to the dead-letter queue, and `refit
            recount` has it counted
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import StreamRecord

from refit.handlers.wiring import services
from refit.stores.inference_items import uncounted_inference_of
from refit.telemetry import logger, put_failed_message
from refit.usecases.count_labels import count_labels

if TYPE_CHECKING:
    from refit.domain.inferences.inference import Inference


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Count a batch, model by model."""
    latest: dict[str, dict[str, Inference]] = defaultdict(dict)
    sequence_numbers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in event["Records"]:
        inference = uncounted_inference_of(StreamRecord(record["dynamodb"]).new_image)
        if inference is None:
            continue
        model, inference_id = inference.model, inference.inference_id
        sequence_numbers[model, inference_id].append(record["dynamodb"]["SequenceNumber"])
        known = latest[model].get(inference_id)
        if known is None or inference.seq >= known.seq:
            latest[model][inference_id] = inference
    failed: list[str] = []
    for model, inferences in sorted(latest.items()):
        for uncounted in count_labels(services(), model, list(inferences.values())):
            failed += sequence_numbers[model, uncounted.inference.inference_id]
            if not uncounted.is_transient:  # what is throttled shows as age of the stream
                put_failed_message(context.function_name)
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
