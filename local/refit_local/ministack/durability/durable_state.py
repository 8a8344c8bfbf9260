"""Load the state of the services at the start, and store it from then on."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit_local.ministack import memory_limits
from refit_local.ministack.durability import full_disk, queue_messages, snapshots
from refit_local.ministack.durability.accepted_events import AcceptedEvents
from refit_local.ministack.durability.execution_records import ExecutionRecords
from refit_local.ministack.durability.log_events import LogEvents
from refit_local.ministack.durability.metric_points import MetricPoints
from refit_local.ministack.durability.snapshots import Snapshots
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from pathlib import Path

    from refit_local.state.database import Database

INTERVAL_S = 3.0
"""How often what changes without a request is stored: metrics, states of alarms, log lines."""

log = logging.getLogger("refit.stack.state")


@dataclass(frozen=True)
class DurableState:
    """The stored state of all emulated services but DynamoDB."""

    _snapshots: Snapshots
    _executions: ExecutionRecords
    _events: AcceptedEvents
    _logs: LogEvents
    _metrics: MetricPoints

    def resume(self) -> None:
        """Go on with what an earlier process has left. Call it when all services respond."""
        if Hook.FUNCTION_MAPPINGS.get().has_any():
            Hook.START_POLLING.get()()
        self._executions.resume()
        self._events.resume()

    def end(self) -> None:
        """Leave what is running for the next start. Call it before anything is ended."""
        self._executions.leave_running()

    async def store_regularly(self) -> None:
        """Store what changes without a request, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_S)
            await asyncio.to_thread(self.store)

    def store(self) -> None:
        """Store what changes without a request."""
        try:
            memory_limits.apply()
            self._logs.store()
            self._metrics.store()
            self._snapshots.save_changed_in_background()
            self._executions.offload()
        except Exception:  # the next request that changes something says so in its answer
            log.exception("the state of the local stack could not be stored")


def install(database: Database, state: Path) -> DurableState:
    """Load the stored state into the services, and store it from now on.

    Call it after all other corrections and before the first request.

    Args:
        database: of the state folder.
        state: the folder; the code of functions and layers is kept there.
    """
    stored = Snapshots(database, state / "code")
    stored.load()
    queue_messages.install(database)
    executions = ExecutionRecords(database)
    executions.install()
    events = AcceptedEvents(database)
    events.install()
    logs = LogEvents(database)
    logs.install()
    metrics = MetricPoints(database)
    metrics.install()
    full_disk.install()
    snapshots.install(stored)
    return DurableState(stored, executions, events, logs, metrics)
