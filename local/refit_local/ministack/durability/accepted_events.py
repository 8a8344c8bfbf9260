"""Store what was accepted until it is delivered, and deliver it again after a kill.

AWS        keeps asynchronous invocations in a queue for up to six hours, delivers the events of S3
           at least once, and keeps records of Firehose for up to 24 hours until they are in S3
MiniStack  holds them in threads of its process
Source     Lambda Developer Guide, "How Lambda handles errors and retries with asynchronous
           invocation"; S3 User Guide, "Amazon S3 Event Notifications"; Firehose Developer Guide,
           "Troubleshoot errors in Amazon Data Firehose", Direct PUT
"""

from __future__ import annotations

import asyncio
import base64
import contextvars
import json
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refit_local.ministack.hooks import set_during
from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.ministack.hooks import Document
    from refit_local.state.database import Database

MAX_AGE_S = 6 * 60 * 60
INVOCATION, OBJECT, RECORDS = "invocation", "object", "records"
_LAYOUT = """
CREATE TABLE IF NOT EXISTS accepted_events (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    event TEXT NOT NULL,
    accepted_at REAL NOT NULL
)
"""
_invocation: contextvars.ContextVar[int | None] = contextvars.ContextVar("invocation", default=None)
_object: contextvars.ContextVar[int | None] = contextvars.ContextVar("object", default=None)

log = logging.getLogger("refit.stack.events")


@dataclass(frozen=True)
class AcceptedEvents:
    """The events that are accepted and not yet delivered."""

    database: Database
    _puts: set[asyncio.Task[None]] = field(default_factory=set)

    def install(self) -> None:
        """Store events from now on."""
        with self.database.transaction() as connection:
            connection.execute(_LAYOUT)
        Hook.INVOKE_ASYNC.wrap(self._invoke)
        Hook.EXECUTE_FUNCTION.wrap(self._execute)
        Hook.FAIL_ASYNC.wrap(self._fail)
        Hook.EMIT_S3_EVENT.wrap(self._emit)
        Hook.S3_EVENT.wrap(self._deliver)
        Hook.PUT_RECORDS.put(self._put_records)

    def resume(self) -> None:
        """Deliver again what an earlier process had accepted. Call it when all services respond."""
        with self.database.transaction() as connection:
            rows = connection.execute(
                "SELECT row, kind, event, accepted_at FROM accepted_events ORDER BY row"
            ).fetchall()
        for row, kind, text, accepted_at in rows:
            if time.time() - accepted_at < MAX_AGE_S:
                self._deliver_again(kind, json.loads(text))
            self._delivered(row)

    def _invoke(self, original: Callable[..., None], function: Document, event: Any) -> None:
        arn = (function.get("config") or function)["FunctionArn"]
        row = self._accepted(INVOCATION, {"function": arn, "event": event})
        # The thread that invokes the function gets a copy of this context.
        with set_during(_invocation, row):
            original(function, event)

    def _execute(self, original: Callable[..., Any], *request: Any, **settings: Any) -> Any:
        result = original(*request, **settings)
        if not result.get("error"):
            self._delivered(_invocation.get())
        return result

    def _fail(self, original: Callable[..., None], *failure: Any) -> None:
        original(*failure)
        self._delivered(_invocation.get())

    def _emit(
        self, original: Callable[..., None], bucket: str, *object_event: Any, **settings: Any
    ) -> None:
        if bucket not in Hook.BUCKET_NOTIFICATIONS.get():
            return
        row = self._accepted(OBJECT, {"event": [bucket, *object_event], "settings": settings})
        with set_during(_object, row):
            original(bucket, *object_event, **settings)

    def _deliver(self, original: Callable[..., None], *args: Any, **settings: Any) -> None:
        original(*args, **settings)
        self._delivered(_object.get())

    def _accepted(self, kind: str, event: Document) -> int:
        text = json.dumps(event)
        with self.database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO accepted_events (kind, event, accepted_at) VALUES (?, ?, ?)",
                (kind, text, time.time()),
            )
        return int(cursor.lastrowid or 0)

    def _delivered(self, row: int | None) -> None:
        if row is None:
            return
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM accepted_events WHERE row = ?", (row,))

    def _put_records(self, bucket: str, key: str, body: bytes) -> None:
        """Write records of Firehose to S3; MiniStack does so after its answer."""
        text = base64.b64encode(body).decode()
        row = self._accepted(RECORDS, {"bucket": bucket, "key": key, "body": text})
        headers = {
            "content-type": "application/octet-stream",
            "content-length": str(len(body)),
            "host": "s3.localhost",
        }

        async def put() -> None:
            path = f"/{bucket}/{key}"
            answer = await Hook.S3_HANDLE.get()("PUT", path, headers, body, {}, internal=True)
            if answer[0] == 200:
                self._delivered(row)

        try:
            task = asyncio.get_running_loop().create_task(put())
        except RuntimeError:
            asyncio.run(put())
        else:
            self._puts.add(task)
            task.add_done_callback(self._puts.discard)

    def _deliver_again(self, kind: str, stored: Document) -> None:
        if kind == OBJECT:
            Hook.EMIT_S3_EVENT.get()(*stored["event"], **stored["settings"])
            return
        if kind == RECORDS:
            self._put_records(stored["bucket"], stored["key"], base64.b64decode(stored["body"]))
            return
        function, config, _ = Hook.FUNCTION_RECORD.get()(stored["function"])
        if function is None:
            log.warning("an event is dropped, whose function is gone: %s", stored["function"])
            return
        Hook.INVOKE_ASYNC.get()(Hook.EXECUTION_RECORD.get()(function, config), stored["event"])
