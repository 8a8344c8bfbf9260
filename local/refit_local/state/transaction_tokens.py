"""The tokens by which DynamoDB recognizes a repeated transaction, in the database."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refit_local.state.database import Database

_LAYOUT = """
CREATE TABLE IF NOT EXISTS transaction_tokens (
    account TEXT, region TEXT, token TEXT, completed_at REAL NOT NULL, digest BLOB NOT NULL,
    outcome TEXT NOT NULL, PRIMARY KEY (account, region, token)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS transaction_tokens_by_age ON transaction_tokens (completed_at);
"""


@dataclass(frozen=True)
class RequestDigest:
    """Equal to a request with the same content. It takes the place of the request in memory."""

    digest: bytes

    @classmethod
    def of(cls, request: Any) -> RequestDigest:
        """Return the digest of a request."""
        text = json.dumps(request, sort_keys=True)
        return cls(hashlib.blake2b(text.encode(), digest_size=16).digest())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RequestDigest):
            return self.digest == other.digest
        return self == RequestDigest.of(other)

    __hash__ = None  # type: ignore[assignment]


class TransactionTokens:
    """The tokens of completed transactions."""

    def __init__(self, database: Database) -> None:
        """Create the table of the database, if it is missing."""
        self._database = database
        database.create(_LAYOUT)

    def store(self, scope: tuple[str, str], token: str, entry: dict[str, Any], at: float) -> None:
        """Store the request and the response of a transaction.

        Args:
            scope: account and region.
            token: the token of the request.
            entry: the request as `signature`, and what a repetition is answered from.
            at: Unix time.
        """
        outcome = json.dumps({name: entry[name] for name in entry if name != "signature"})
        digest = RequestDigest.of(entry["signature"]).digest
        self._database.write(
            "REPLACE INTO transaction_tokens VALUES (?, ?, ?, ?, ?, ?)",
            (*scope, token, at, digest, outcome),
        )

    def read(self, scope: tuple[str, str], token: str, since: float) -> dict[str, Any] | None:
        """Return the entry of a transaction that was completed later than `since`, or None."""
        rows = self._database.read(
            "SELECT digest, outcome FROM transaction_tokens "
            "WHERE account = ? AND region = ? AND token = ? AND completed_at > ?",
            (*scope, token, since),
        )
        if not rows:
            return None
        digest, outcome = rows[0]
        return {"signature": RequestDigest(digest), **json.loads(outcome)}

    def delete_before(self, at: float) -> None:
        """Delete the tokens of transactions that were completed before."""
        self._database.write("DELETE FROM transaction_tokens WHERE completed_at <= ?", (at,))
