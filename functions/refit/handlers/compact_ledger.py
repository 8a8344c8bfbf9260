"""Write each closed day of the ledgers into one object.

Invoked by  a schedule, every hour
Input       the "Scheduled Event"              events/compact_ledger.json
Output      {"days": number of days that were compacted}
Raises      ServiceThrottled, ObjectNotFound; the next hour continues
"""

from __future__ import annotations

from typing import Any

from refit.handlers.wiring import services
from refit.telemetry import logger
from refit.usecases.compact_ledger import compact_ledgers


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Compact the ledgers of all models."""
    return {"days": compact_ledgers(services())}
