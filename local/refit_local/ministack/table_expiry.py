"""DynamoDB: delete expired items; only the way in which they are looked for changes.

MiniStack reads each item of a table once a minute. Here the database looks for those that have
expired, while other requests use it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook
from refit_local.state.table_items import has_expired

if TYPE_CHECKING:
    from types import TracebackType

    from refit_local.state.database import Database

_EVERY_S = 60.0
_REAPER_OF_MINISTACK = "dynamodb-ttl-reaper"

log = logging.getLogger("refit.stack.tables")


class _LockThatEndsReaper:
    """MiniStack's lock of the tables. Its own search for expired items ends when it takes it."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if threading.current_thread().name == _REAPER_OF_MINISTACK:
            raise SystemExit
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()


def install(database: Database) -> None:
    """Install these patches into MiniStack, and delete expired items once a minute."""
    Hook.TABLES_LOCK.put(_LockThatEndsReaper(Hook.TABLES_LOCK.get()))
    threading.Thread(target=partial(_delete_regularly, database), daemon=True).start()


def _delete_regularly(database: Database) -> None:
    while True:
        time.sleep(_EVERY_S)
        try:
            delete_expired(database, time.time())
        except sqlite3.Error as error:
            log.error("expired items of DynamoDB were not deleted: %s", error)


def delete_expired(database: Database, now: float) -> None:
    """Delete the items of all tables that have expired.

    Args:
        database: where the items are stored.
        now: Unix time.
    """
    for key, setting in Hook.TIME_TO_LIVE.get().all_items():
        table = Hook.TABLES.get().get_scoped(*key)
        attribute = setting.get("AttributeName")
        if table is None or setting.get("TimeToLiveStatus") != "ENABLED" or not attribute:
            continue
        items = table["items"]
        with closing(database.reader()) as reader:
            keys = items.expired(reader, attribute, now)
        for pk, sk in keys:
            with database.transaction():
                item = items[pk].get(sk)
                if item is not None and has_expired(item, attribute, now):
                    Hook.REMOVE_ITEM.get()(table, pk, sk)
