"""Step Functions: store executions, and end those that a kill has cut off.

AWS        an execution goes on whatever machine fails
MiniStack  loses its executions when it is killed, and when it ends it marks the running ones as
           failed without their event

An execution that was running when the local stack ended is FAILED with `States.Runtime` after the
next start, and its "Step Functions Execution Status Change" event is published then, as for every
other execution that fails. So is an event that was not published before the end.

Source  Step Functions Developer Guide, "Automating Step Functions event delivery with EventBridge"
        and "Handling errors in Step Functions workflows" (States.Runtime)
"""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import account, region
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from refit_local.ministack.hooks import Document
    from refit_local.state.database import Database

CUT_OFF = "States.Runtime"
CAUSE = "The local stack ended while this execution was running."
SETTLED_S = 60.0
"""How long after its end the history of an execution stays in memory."""
_EVENTS = "events"
_RUNNING = "RUNNING"
_LAYOUT = """
CREATE TABLE IF NOT EXISTS executions (
    arn TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    region TEXT NOT NULL,
    description TEXT NOT NULL,
    history TEXT NOT NULL,
    published INTEGER NOT NULL
) WITHOUT ROWID
"""

log = logging.getLogger("refit.stack.executions")


@dataclass
class ExecutionRecords:
    """The stored executions."""

    database: Database
    _emit: Callable[[Document], None] = field(default=lambda _: None)
    _is_ending: bool = False

    def install(self) -> None:
        """Store executions from now on, and load the stored ones.

        Call it when the state machines are loaded.
        """
        with self.database.transaction() as connection:
            connection.execute(_LAYOUT)
        self._load()
        original = Hook.EMIT_STATUS.get()
        self._emit = lambda execution: self._store_and_emit(original, execution)
        Hook.EMIT_STATUS.put(self._emit)

    def resume(self) -> None:
        """End the executions that were cut off, and publish what was not published.

        Call it when all services respond.
        """
        with self.database.reading() as connection:
            rows = connection.execute("SELECT arn FROM executions WHERE NOT published").fetchall()
        executions = Hook.EXECUTIONS.get()
        for (arn,) in rows:
            execution = executions.get(arn)
            if execution is None:
                continue
            if execution["status"] == _RUNNING:
                log.warning("execution %s was cut off by the end of the local stack", arn)
                _fail(execution)
            self._emit(execution)

    def leave_running(self) -> None:
        """Leave what is running for the next start, because the local stack ends now.

        What its tasks fail with while their processes are ended is not how they would have ended.
        """
        self._is_ending = True

    def offload(self) -> None:
        """Free the memory of the histories of executions that have ended."""
        for _, execution in list(Hook.EXECUTIONS.get().all_items()):
            if _is_settled(execution) and isinstance(execution[_EVENTS], list):
                self._store(execution, published=True)
                execution[_EVENTS] = StoredHistory(self.database, execution["executionArn"])

    def _load(self) -> None:
        machines, executions = Hook.STATE_MACHINES.get(), Hook.EXECUTIONS.get()
        with self.database.transaction() as connection:
            rows = connection.execute("SELECT arn, account, region, description FROM executions")
            for arn, account_id, region_name, text in rows.fetchall():
                execution = json.loads(text)
                if not machines.contains_scoped(
                    account_id, region_name, execution["stateMachineArn"]
                ):
                    connection.execute("DELETE FROM executions WHERE arn = ?", (arn,))
                    continue
                execution[_EVENTS] = StoredHistory(self.database, arn)
                if execution["status"] == _RUNNING:
                    execution[_EVENTS] = list(execution[_EVENTS])
                executions.set_scoped(account_id, region_name, arn, execution)

    def _store_and_emit(self, original: Callable[[Document], None], execution: Document) -> None:
        if execution.get("sync"):
            original(execution)
            return
        if self._is_ending:
            return
        arn, starts = execution["executionArn"], execution["status"] == _RUNNING
        try:
            self._store(execution, published=False)
        except sqlite3.Error:
            if starts:
                # StartExecution fails, so there is no such execution.
                Hook.EXECUTIONS.get().pop(arn, None)
                raise
            log.exception("the end of execution %s could not be stored", arn)
        original(execution)
        if not starts:
            self._mark_published(arn)

    def _store(self, execution: Document, *, published: bool) -> None:
        description = {name: value for name, value in execution.items() if name != _EVENTS}
        arn = execution["executionArn"]
        texts = json.dumps(description), json.dumps(list(execution[_EVENTS]))
        with self.database.transaction() as connection:
            connection.execute(
                "REPLACE INTO executions VALUES (?, ?, ?, ?, ?, ?)",
                (arn, account(), region(), *texts, published),
            )

    def _mark_published(self, arn: str) -> None:
        try:
            with self.database.transaction() as connection:
                connection.execute("UPDATE executions SET published = 1 WHERE arn = ?", (arn,))
        except sqlite3.Error:
            log.exception("execution %s may publish its end again after a restart", arn)


class StoredHistory:
    """The history of an execution that has ended, read from the database when it is asked for."""

    def __init__(self, database: Database, arn: str) -> None:
        self._database = database
        self._arn = arn

    def __iter__(self) -> Iterator[Document]:
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT history FROM executions WHERE arn = ?", (self._arn,)
            ).fetchone()
        return iter(json.loads(row[0]) if row else [])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def append(self, event: Document) -> None:
        """Ignore an event of a branch that goes on after the end: the history is complete."""


def _is_settled(execution: Document) -> bool:
    """Return whether an execution has ended so long ago that nothing adds to its history."""
    if execution.get("sync") or not execution.get("stopDate"):
        return False
    stopped = datetime.fromisoformat(execution["stopDate"].replace("Z", "+00:00"))
    return (datetime.now(UTC) - stopped).total_seconds() > SETTLED_S


def _fail(execution: Document) -> None:
    execution |= {
        "status": "FAILED",
        "error": CUT_OFF,
        "cause": CAUSE,
        "output": json.dumps({"Error": CUT_OFF, "Cause": CAUSE}),
        "stopDate": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    details: Any = {"executionFailedEventDetails": {"error": CUT_OFF, "cause": CAUSE}}
    Hook.ADD_HISTORY.get()(execution, "ExecutionFailed", details)
