"""Start the batch prediction of each file that is dropped below {model}/batch/in/.

Invoked by  StartBatchQueue (batches of up to 10)
Input       SQS records around "Object Created" events                events/start_batch.json
Output      the ids of the failed messages
Raises      nothing: a message that keeps failing is moved to the dead-letter queue
"""

from __future__ import annotations

from typing import Any

from refit.handlers.queues import per_message, written_object
from refit.handlers.wiring import services
from refit.usecases.start_batch import start_batch


def _start(message: dict[str, Any]) -> None:
    written = written_object(message)
    start_batch(services(), written.key, written.version)


handler = per_message(_start)
