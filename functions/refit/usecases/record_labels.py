"""Record ground-truth labels: decide what each label changes, write it once, and count it.

Records can be sent again: known labels are repeats and are not counted twice. So a sender that does
not know whether its labels were received sends them again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from refit.domain import metric_names
from refit.domain.errors import ServiceThrottled
from refit.domain.inferences.label_change import label_change
from refit.domain.inferences.label_outcome import LabelOutcome, LabelStatus
from refit.domain.inferences.label_records import Receipt, check_record
from refit.stores.retries import WRITE_CONFLICTS
from refit.telemetry import put_metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from refit.domain.inferences.inference import Inference
    from refit.domain.inferences.label_change import LabelChange
    from refit.domain.inferences.label_records import Observation, Sent
    from refit.domain.pipeline.model_state import Champion
    from refit.domain.schema import Schema
    from refit.usecases.services import Services

_METRICS = {
    LabelStatus.NEW: metric_names.LABELS_NEW,
    LabelStatus.REPEAT: metric_names.LABELS_REPEATED,
    LabelStatus.CORRECTED: metric_names.LABELS_CORRECTED,
    LabelStatus.HELD: metric_names.LABELS_HELD,
    LabelStatus.REJECTED: metric_names.LABELS_REJECTED,
}


def record_labels(
    services: Services, model: str, records: Sequence[Sent], observed_at: datetime | None = None
) -> list[LabelOutcome]:
    """Record labels, and publish how many there were of each status.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        records: records of labels. Several records of the same inference are decided together, and
            the label that was observed last is effective.
        observed_at: time of observation for records that do not state one; None for now.

    Returns:
        One outcome per record, in the order of the records.

    Raises:
        ModelNotFound: when no version of the model is live, so that labels cannot be checked.
        VersionNotRegistered: when a labelled prediction is of a version that no run has registered.
        ServiceThrottled: when DynamoDB throttles requests, or inferences keep changing. Labels that
            were written remain, and are repeats when they are sent again.
    """
    champion = services.artifacts.recent_champion(model)
    settings = services.artifacts.settings(model, champion.run).monitoring
    now = services.now()
    receipt = Receipt(model, now, observed_at or now, timedelta(seconds=settings.max_label_age_s))
    outcomes: dict[int, LabelOutcome] = {}
    observations: dict[str, list[Observation]] = defaultdict(list)
    indexes: dict[str, list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        checked = check_record(record, receipt)
        if isinstance(checked, LabelOutcome):
            outcomes[index] = checked
        else:
            observations[checked.inference_id].append(checked)
            indexes[checked.inference_id].append(index)
    if outcomes:
        services.labels.count_outcomes(model, outcomes.values())
    held_for = timedelta(seconds=settings.held_label_s)
    for change in _write(services, champion, receipt, observations, held_for):
        outcomes |= zip(indexes[change.inference_id], change.outcomes, strict=True)
    for status, number in Counter(outcome.status for outcome in outcomes.values()).items():
        put_metric(_METRICS[status], model, number)
    return [outcomes[index] for index in range(len(records))]


def _write(
    services: Services,
    champion: Champion,
    receipt: Receipt,
    observations: Mapping[str, Sequence[Observation]],
    held_for: timedelta,
) -> list[LabelChange]:
    """Decide on each inference and write it; decide again if it has changed meanwhile."""
    written: list[LabelChange] = []
    pending = list(observations)
    if not pending:
        return written
    for _ in WRITE_CONFLICTS.attempts():
        related = [
            related_id
            for inference_id in pending
            for observation in observations[inference_id]
            for related_id in observation.related_ids
        ]
        known = services.labels.load(receipt.model, [*pending, *related])
        changes = [
            label_change(
                observations[inference_id],
                known,
                _schema_for(services, champion, receipt.model, known.get(inference_id)),
                receipt,
            )
            for inference_id in pending
        ]
        some_written, conflicted = services.labels.write(receipt.model, changes, held_for)
        written += some_written
        pending = [change.inference_id for change in conflicted]
        if not pending:
            return written
    raise ServiceThrottled(f"inferences of {receipt.model} kept changing while they were labelled")


def _schema_for(
    services: Services, champion: Champion, model: str, inference: Inference | None
) -> Schema:
    """Return the schema of the version that predicted, or of the live version if none has."""
    if inference is None or inference.prediction is None:
        return services.artifacts.schema(model, champion.run)
    version = inference.prediction.version
    run = champion.run
    if version != champion.version:
        run = services.artifacts.run_of(model, version)
    return services.artifacts.schema(model, run)
