"""Check live versions for drift of quality and inputs, and for silence of captures and labels.

Invoked by  CheckDriftQueue (batches of up to 10): CountLabels, at most once per cohort, and a
            schedule
Input       SQS records around {"model"}                   events/check_drift.json
            or a "Scheduled Event": all models             events/check_drift_scheduled.json
Output      the failed message ids only
Raises      nothing of its own: a message that keeps failing goes to the dead-letter queue
"""

from __future__ import annotations

from typing import Any

from refit.handlers.queues import per_message
from refit.handlers.wiring import services
from refit.usecases.check_drift import check_drift, check_drift_of_all_models


def _handle(message: dict[str, Any]) -> None:
    if "model" in message:
        check_drift(services(), message["model"])
    else:
        check_drift_of_all_models(services())


handler = per_message(_handle)
