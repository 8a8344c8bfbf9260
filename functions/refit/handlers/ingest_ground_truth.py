"""Ingest files of ground-truth labels.

Invoked by  GroundTruthQueue, for each object below {model}/ground-truth/ (batches of up to 10)
Input       SQS records around "Object Created" events    events/ingest_ground_truth.json
Output      the failed message ids only
Raises      nothing of its own: a message that keeps failing goes to the dead-letter queue
"""

from __future__ import annotations

from typing import Any

from refit.handlers.queues import per_message, written_object
from refit.handlers.wiring import services
from refit.usecases.ingest_label_file import ingest_label_file


def _ingest(message: dict[str, Any]) -> None:
    written = written_object(message)
    ingest_label_file(services(), written.key, written.version)


handler = per_message(_ingest)
