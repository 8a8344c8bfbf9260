"""Ingest capture files: one inference per predicted row.

Invoked by  IngestCapturesQueue, for each capture file of a model (batches of up to 1)
Input       SQS records around "Object Created" events    events/ingest_captures.json
Output      the failed message ids only
Raises      nothing of its own: a message that keeps failing goes to the dead-letter queue

The lines of a file have the format of SageMaker's data capture, whether the predict API or the
endpoint wrote them. A file that is delivered again changes nothing.
"""

from __future__ import annotations

from typing import Any

from refit.handlers.queues import per_message, written_object
from refit.handlers.wiring import services
from refit.usecases.ingest_captures import ingest_captures


def _ingest(message: dict[str, Any]) -> None:
    written = written_object(message)
    ingest_captures(services(), written.key, written.version)


handler = per_message(_ingest)
