"""SQS: store each message before the answer to its sender, until it is deleted.

AWS        stores a message on several servers before it answers SendMessage
MiniStack  holds messages in memory
Source     SQS Developer Guide, "What is Amazon SQS": "Amazon SQS stores copies of your messages on
           multiple servers"; API Reference, SendMessage

How often and when a message was received is not stored: after a kill, a message that was being
processed can be received at once.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Iterable

    from refit_local.ministack.hooks import Document
    from refit_local.state.database import Database

_ROW = "refit_row"
_MESSAGES = "messages"
_JUST_SENT_S = 5.0
_LAYOUT = (
    "CREATE TABLE IF NOT EXISTS queue_messages "
    "(row INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, message TEXT NOT NULL)"
)


def install(database: Database) -> None:
    """Store messages from now on, and load the stored ones. Call it when the queues are loaded."""
    Messages.prepare(database)
    queues = _queues_of(database)
    for key, queue in list(Hook.QUEUES.get()._data.items()):
        queues._data[key] = _Queue(queue, database)
    Hook.QUEUES.put(queues)
    _load(database, {queue["url"]: queue for queue in queues._data.values()})


def _queues_of(database: Database) -> Any:
    """Return a store whose queues keep their messages in a database."""
    base: Any = type(Hook.QUEUES.get())

    class Queues(base):  # type: ignore[misc]
        def __setitem__(self, key: Any, queue: Document) -> None:
            super().__setitem__(key, _Queue(queue, database))

        def set_scoped(self, account: str, region: str, key: Any, queue: Document) -> None:
            super().set_scoped(account, region, key, _Queue(queue, database))

        def pop(self, key: Any, *default: Any) -> Any:
            return _emptied(super().pop(key, *default))

        def pop_scoped(self, account: str, region: str, key: Any, *default: Any) -> Any:
            return _emptied(super().pop_scoped(account, region, key, *default))

    return Queues()


def _emptied(queue: _Queue | None) -> _Queue | None:
    """Delete the messages of a queue that is deleted."""
    if queue is not None:
        queue[_MESSAGES].clear()
    return queue


def _load(database: Database, queues: dict[str, _Queue]) -> None:
    with database.transaction() as connection:
        rows = connection.execute("SELECT row, queue, message FROM queue_messages ORDER BY row")
        for row, url, text in rows.fetchall():
            queue = queues.get(url)
            if queue is None:
                connection.execute("DELETE FROM queue_messages WHERE row = ?", (row,))
            else:
                queue[_MESSAGES].load({**json.loads(text), _ROW: row})


class _Queue(dict[str, Any]):
    """A queue whose list of messages may be replaced."""

    def __init__(self, queue: Document, database: Database) -> None:
        super().__init__(queue)
        self._database = database
        super().__setitem__(_MESSAGES, Messages(queue["url"], database))
        self[_MESSAGES] = queue[_MESSAGES]

    def __setitem__(self, key: str, value: Any) -> None:
        if key == _MESSAGES:
            self[_MESSAGES].replace(value)
        else:
            super().__setitem__(key, value)


class Messages(list[Any]):
    """The messages of a queue. A message that is in the list is stored."""

    def __init__(self, url: str, database: Database) -> None:
        super().__init__()
        self._url = url
        self._database = database

    @staticmethod
    def prepare(database: Database) -> None:
        """Make the table, if there is none."""
        with database.transaction() as connection:
            connection.execute(_LAYOUT)

    def load(self, message: Document) -> None:
        """Add a message that is stored."""
        super().append(message)

    def append(self, message: Document) -> None:
        """Store a message and add it."""
        self._insert(message)
        super().append(message)

    def remove(self, message: Document) -> None:
        """Remove a message here and on disk."""
        super().remove(message)
        self._delete([message])

    def clear(self) -> None:
        """Remove all messages here and on disk."""
        removed = list(self)
        super().clear()
        self._delete(removed)

    def replace(self, messages: Iterable[Document]) -> None:
        """Take over a new list, which MiniStack makes to delete messages."""
        kept = list(messages)
        rows = {message.get(_ROW) for message in kept}
        missing = [message for message in self if message[_ROW] not in rows]
        # Another thread may have sent a message after the new list was made.
        sent = [message for message in missing if _is_just_sent(message)]
        gone = [message for message in missing if not _is_just_sent(message)]
        own = {message[_ROW] for message in self}
        for message in kept:
            if message.get(_ROW) not in own:
                self._insert(message)
        self[:] = [*kept, *sent]
        self._delete(gone)

    def _insert(self, message: Document) -> None:
        """Store a message, which may be a copy of one of another queue."""
        text = json.dumps(
            {name: value for name, value in message.items() if name != _ROW},
            default=Hook.STATE_TO_JSON.get(),
        )
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO queue_messages (queue, message) VALUES (?, ?)", (self._url, text)
            )
        message[_ROW] = cursor.lastrowid

    def _delete(self, messages: list[Document]) -> None:
        if not messages:
            return
        rows = [(message[_ROW],) for message in messages]
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM queue_messages WHERE row = ?", rows)


def _is_just_sent(message: Document) -> bool:
    """Return whether a message cannot be one that was deleted: nobody has received it yet."""
    received = message.get("receipt_handle") is not None
    return not received and time.time() - float(message.get("sent_at", 0)) < _JUST_SENT_S
