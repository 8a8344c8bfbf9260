"""The items of DynamoDB tables, in the database instead of in memory.

`StoredItems` looks like the dictionaries in which MiniStack keeps the items of a table, by
partition key and sort key. It reads and writes the database at each access, so its size in memory
does not depend on the number of items.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from refit_local.state.database import Database

Item = dict[str, Any]

_LAYOUT = """
CREATE TABLE IF NOT EXISTS tables (
    id INTEGER PRIMARY KEY, account TEXT, region TEXT, name TEXT, UNIQUE (account, region, name)
);
CREATE TABLE IF NOT EXISTS items (
    owner INTEGER, pk TEXT, sk TEXT, item TEXT NOT NULL, PRIMARY KEY (owner, pk, sk)
) WITHOUT ROWID;
"""

_PAGE = 500
_RECENT_CHARACTERS = 2_000_000
_CHARACTERS_OF_KEY = 100

_to_text = json.JSONEncoder(separators=(",", ":")).encode
_from_text = json.JSONDecoder().decode


class TableItems:
    """The items of all tables."""

    def __init__(self, database: Database) -> None:
        """Create the tables of the database, if they are missing."""
        self.database = database
        self._tables: dict[int, StoredItems] = {}
        database.create(_LAYOUT)

    def of(self, account: str, region: str, name: str) -> StoredItems:
        """Return the items of a DynamoDB table; none if it is not known yet."""
        key = (account, region, name)
        new = "INSERT OR IGNORE INTO tables (account, region, name) VALUES (?, ?, ?)"
        self.database.write(new, key)
        known = "SELECT id FROM tables WHERE account = ? AND region = ? AND name = ?"
        ((owner,),) = self.database.read(known, key)
        return self._tables.setdefault(owner, StoredItems(self.database, owner))

    def forget(self) -> None:
        """Read all items again, after a transaction that failed."""
        for items in self._tables.values():
            items.forget()


class _Rows:
    """Statements on the rows of a table, and the items that were read or written last."""

    def __init__(self, database: Database, owner: int) -> None:
        self.database = database
        self.owner = owner
        self._recent: dict[tuple[str, str], Item | None] = {}
        self._recent_characters = 0

    def read(self, statement: str, *values: Any) -> list[Any]:
        return self.database.read(statement, (self.owner, *values))

    def write(self, statement: str, *values: Any) -> sqlite3.Cursor:
        return self.database.write(statement, (self.owner, *values))

    def item(self, pk: str, sk: str) -> Item | None:
        with self.database.reading():
            if (pk, sk) in self._recent:
                return self._recent[pk, sk]
            query = "SELECT item FROM items WHERE owner = ? AND pk = ? AND sk = ?"
            rows = self.read(query, pk, sk)
            text = rows[0][0] if rows else ""
            item = _from_text(text) if text else None
            self._remember(pk, sk, item, len(text))
            return item

    def put(self, pk: str, sk: str, item: Item) -> None:
        text = _to_text(item)
        with self.database.reading():
            self.write("REPLACE INTO items VALUES (?, ?, ?, ?)", pk, sk, text)
            self._remember(pk, sk, item, len(text))

    def delete(self, pk: str, sk: str) -> bool:
        with self.database.reading():
            statement = "DELETE FROM items WHERE owner = ? AND pk = ? AND sk = ?"
            deleted = self.write(statement, pk, sk).rowcount > 0
            self._remember(pk, sk, None, 0)
            return deleted

    def delete_all(self, pk: str | None = None) -> None:
        with self.database.reading():
            self.forget()
            if pk is None:
                self.write("DELETE FROM items WHERE owner = ?")
            else:
                self.write("DELETE FROM items WHERE owner = ? AND pk = ?", pk)

    def forget(self) -> None:
        self._recent = {}
        self._recent_characters = 0

    def _remember(self, pk: str, sk: str, item: Item | None, characters: int) -> None:
        self._recent_characters += characters + _CHARACTERS_OF_KEY
        if self._recent_characters > _RECENT_CHARACTERS:
            self.forget()
        self._recent[pk, sk] = item


class StoredItems(MutableMapping[str, "Partition"]):
    """The items of a DynamoDB table, by partition key.

    As in a `defaultdict`, a partition that is read and has no items is empty.
    """

    def __init__(self, database: Database, owner: int) -> None:
        """Give access to the items of the table with this id."""
        self._rows = _Rows(database, owner)

    def get(self, pk: str, default: Any = None) -> Any:
        """Return the partition."""
        return Partition(self._rows, pk)

    def __getitem__(self, pk: str) -> Partition:
        return Partition(self._rows, pk)

    def setdefault(self, pk: str, default: Any = None) -> Any:
        """Return the partition; fill it if it has no items."""
        partition = Partition(self._rows, pk)
        if default and not partition:
            partition.update(default)
        return partition

    def __setitem__(self, pk: str, items: Mapping[str, Item]) -> None:
        with self._rows.database.transaction():
            replacement = dict(items)
            del self[pk]
            Partition(self._rows, pk).update(replacement)

    def __delitem__(self, pk: str) -> None:
        self._rows.delete_all(pk)

    def __contains__(self, pk: object) -> bool:
        return bool(Partition(self._rows, str(pk)))

    def __iter__(self) -> Iterator[str]:
        rows = self._rows.read("SELECT DISTINCT pk FROM items WHERE owner = ? ORDER BY pk")
        return iter([pk for (pk,) in rows])

    def __len__(self) -> int:
        rows = self._rows.read("SELECT count(DISTINCT pk) FROM items WHERE owner = ?")
        return int(rows[0][0])

    def clear(self) -> None:
        """Delete all items."""
        self._rows.delete_all()

    def forget(self) -> None:
        """Read all items again, after a transaction that failed."""
        self._rows.forget()

    def count(self) -> int:
        """Return the number of items."""
        rows = self._rows.read("SELECT count(*) FROM items WHERE owner = ?")
        return int(rows[0][0])

    def replace(self, items: Mapping[str, Mapping[str, Item]]) -> None:
        """Replace all items."""
        with self._rows.database.transaction():
            replacement = {pk: dict(partition) for pk, partition in items.items()}
            self.clear()
            for pk, partition in replacement.items():
                Partition(self._rows, pk).update(partition)

    def with_attributes(self, names: list[str]) -> list[tuple[str, str, Item]]:
        """Return partition key, sort key and item of all items that have these attributes."""
        paths = [_json_path(name) for name in names if _has_json_path(name)]
        has = " AND json_type(item, ?) IS NOT NULL" * len(paths)
        rows = self._rows.read(f"SELECT pk, sk, item FROM items WHERE owner = ?{has}", *paths)
        items = ((pk, sk, _from_text(text)) for pk, sk, text in rows)
        return [(pk, sk, item) for pk, sk, item in items if all(name in item for name in names)]

    def expired(
        self, reader: sqlite3.Connection, attribute: str, now: float
    ) -> list[tuple[str, str]]:
        """Return the keys of the items whose time in an attribute has passed.

        Args:
            reader: the connection to search with.
            attribute: attribute with a Unix time.
            now: Unix time.
        """
        if not _has_json_path(attribute):
            items = self.with_attributes([attribute])
            return [(pk, sk) for pk, sk, item in items if has_expired(item, attribute, now)]
        path = _json_path(attribute) + ".N"
        return reader.execute(
            "SELECT pk, sk FROM items WHERE owner = ? AND CAST(json_extract(item, ?) AS REAL) <= ?",
            (self._rows.owner, path, now),
        ).fetchall()

    def since(self, pk: str, sk: str) -> Iterator[tuple[str, str, Item]]:
        """Yield keys and items in the order of a scan, from a key on."""
        comparison, last = ">=", [pk, sk]
        while rows := self._rows.read(
            f"SELECT pk, sk, item FROM items WHERE owner = ? AND (pk, sk) {comparison} (?, ?) "
            "ORDER BY pk, sk LIMIT ?",
            *last,
            _PAGE,
        ):
            for *last, item in rows:
                yield last[0], last[1], _from_text(item)
            comparison = ">"

    def __deepcopy__(self, memo: object) -> dict[str, dict[str, Item]]:
        """Return no items: a snapshot of their table needs none."""
        return {}


class Partition(MutableMapping[str, Item]):
    """The items of a DynamoDB table with the same partition key, by sort key.

    An item that was read must not be changed. MiniStack changes a copy, and assigns it.
    """

    __slots__ = ("_pk", "_rows")

    def __init__(self, rows: _Rows, pk: str) -> None:
        """Give access to the items with this partition key."""
        self._rows = rows
        self._pk = pk

    def get(self, sk: str, default: Any = None) -> Any:
        """Return the item, or the default if there is none."""
        item = self._rows.item(self._pk, sk)
        return default if item is None else item

    def __getitem__(self, sk: str) -> Item:
        item = self._rows.item(self._pk, sk)
        if item is None:
            raise KeyError(sk)
        return item

    def __setitem__(self, sk: str, item: Item) -> None:
        self._rows.put(self._pk, sk, item)

    def __delitem__(self, sk: str) -> None:
        if not self._rows.delete(self._pk, sk):
            raise KeyError(sk)

    def __contains__(self, sk: object) -> bool:
        return self._rows.item(self._pk, str(sk)) is not None

    def __bool__(self) -> bool:
        return bool(
            self._rows.read("SELECT 1 FROM items WHERE owner = ? AND pk = ? LIMIT 1", self._pk)
        )

    def __iter__(self) -> Iterator[str]:
        rows = self._rows.read(
            "SELECT sk FROM items WHERE owner = ? AND pk = ? ORDER BY sk", self._pk
        )
        return iter([sk for (sk,) in rows])

    def __len__(self) -> int:
        rows = self._rows.read("SELECT count(*) FROM items WHERE owner = ? AND pk = ?", self._pk)
        return int(rows[0][0])

    def items(self) -> Any:
        """Return pairs of sort key and item, read at once."""
        rows = self._rows.read(
            "SELECT sk, item FROM items WHERE owner = ? AND pk = ? ORDER BY sk", self._pk
        )
        return [(sk, _from_text(item)) for sk, item in rows]

    def values(self) -> Any:
        """Return the items, read at once."""
        return [item for _, item in self.items()]

    def __deepcopy__(self, memo: object) -> dict[str, Item]:
        """Return the items in memory."""
        return dict(self.items())


def has_expired(item: Item, attribute: str, now: float) -> bool:
    """Return whether the time in an attribute of an item has passed."""
    return float(item.get(attribute, {}).get("N", "inf")) <= now


def _has_json_path(attribute: str) -> bool:
    """Return whether all versions of SQLite find an attribute by its path."""
    return '"' not in attribute and "\\" not in attribute


def _json_path(attribute: str) -> str:
    return f"$.{_to_text(attribute)}"
