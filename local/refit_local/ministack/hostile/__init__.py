"""Make all services hostile: faults that AWS documents, at a stated rate and by a seed.

Every fault is one that AWS says can happen. docs/local-limits.md lists them with their sources.
Only faults that a client or a consumer can survive by trying again, or by taking what it has taken
before as done, are injected.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from refit_local.ministack.hostile import deliveries, invocations, reads, requests
from refit_local.ministack.hostile.faults import Faults

if TYPE_CHECKING:
    from pathlib import Path

SEED_VARIABLE = "REFIT_HOSTILE"
FACTOR_VARIABLE = "REFIT_HOSTILE_FACTOR"
_REPORT_INTERVAL_S = 1.0


def install_if_wanted(state: Path) -> Faults | None:
    """Make the services hostile if REFIT_HOSTILE names a seed; call it when all are registered.

    REFIT_HOSTILE_FACTOR multiplies the rates of all faults.

    Args:
        state: the folder of the local stack's state, for the report.
    """
    seed = os.environ.get(SEED_VARIABLE)
    if not seed:
        return None
    faults = Faults(int(seed), float(os.environ.get(FACTOR_VARIABLE) or 1), state)
    for part in (requests, invocations, deliveries, reads):
        part.install(faults)
    return faults


async def report_regularly(faults: Faults) -> None:
    """Write the report every second."""
    while True:
        faults.write_report()
        await asyncio.sleep(_REPORT_INTERVAL_S)
