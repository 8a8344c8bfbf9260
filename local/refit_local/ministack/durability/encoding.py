"""The form in which the state of a service is stored: JSON, with large contents in files.

A file has the digest of its content as its name, so that functions with the same code share one.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from pathlib import Path

LARGE_BYTES = 64 * 1024
_BLOB = "__blob__"


class Blobs:
    """Contents by their digest, in files of one folder.

    Args:
        folder: is created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, bytes] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes) -> str:
        """Store a content, unless it is stored; return its digest."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._folder / digest
        if not path.exists():
            # The server may be killed at any time: a file under its final name is complete.
            draft = path.with_suffix(".draft")
            draft.write_bytes(content)
            draft.replace(path)
        return digest

    def get(self, digest: str) -> bytes:
        """Return a stored content: the same object each time, which saves memory.

        Raises:
            FileNotFoundError: when there is none of this digest.
        """
        if digest not in self._read:
            self._read[digest] = (self._folder / digest).read_bytes()
        return self._read[digest]

    def keep_only_read(self) -> None:
        """Delete all contents that were not read, which nothing refers to after a start."""
        for path in list(self._folder.iterdir()):
            if path.name not in self._read:
                path.unlink()
        self._read.clear()


def encoded(state: Any, blobs: Blobs) -> bytes:
    """Return the stored form of a state.

    Raises:
        TypeError: when the state holds an object that MiniStack cannot store.
    """
    other = Hook.STATE_TO_JSON.get()
    digests: dict[int, str] = {}

    def of_object(value: Any) -> Any:
        if not isinstance(value, bytes) or len(value) < LARGE_BYTES:
            return other(value)
        # Records that share their code share the object: it is hashed once.
        if id(value) not in digests:
            digests[id(value)] = blobs.put(value)
        return {_BLOB: digests[id(value)]}

    return json.dumps(state, default=of_object).encode()


def decoded(payload: bytes, blobs: Blobs) -> Any:
    """Return the state of a stored form."""
    other = Hook.STATE_FROM_JSON.get()

    def of_document(document: dict[str, Any]) -> Any:
        digest = document.get(_BLOB)
        return other(document) if digest is None else blobs.get(digest)

    return json.loads(payload, object_hook=of_document)
