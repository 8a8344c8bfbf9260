"""Lambda: unpack a function's package and its layers once; no behaviour changes.

MiniStack unpacks some ten thousand files for each Lambda process it starts. On AWS `/var/task` and
`/opt` are read-only, so here processes share one folder, with the bytecode that Python writes.
It also holds the package of each function in memory: here equal packages are one object.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from refit_local.ministack.names import Hook

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_SHARED = 16


def install(folder: Path) -> None:
    """Install this patch into MiniStack; packages are unpacked in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    packages = Packages(folder)
    Hook.WORKER_ZIPFILE.put(
        SimpleNamespace(
            ZipFile=lambda archive: nullcontext(_Archive(packages, Path(archive))),
            BadZipFile=zipfile.BadZipFile,
            LargeFileError=zipfile.LargeZipFile,
        )
    )
    code: dict[str, bytes] = {}
    Hook.FETCH_CODE.wrap(
        lambda original, *source, **version: _shared(code, original, source, version)
    )


def _shared(
    code: dict[str, bytes], original: Callable[..., bytes | None], source: Any, version: Any
) -> bytes | None:
    """Fetch a package; return the same object for the same content."""
    content = original(*source, **version)
    if content is None:
        return None
    if len(code) > _MOST_SHARED:
        code.clear()  # packages in use stay in their functions
    return code.setdefault(hashlib.sha256(content).hexdigest(), content)


class Packages:
    """Folders of unpacked archives, named by the digest of the archive."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()

    def unpacked(self, archive: Path) -> Path:
        """Return the folder of an unpacked archive; unpack it if it is new.

        Raises:
            BadZipFile: when the file is not a zip archive.
        """
        with archive.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        target = self._folder / digest
        with self._lock:
            if not target.exists():
                # The server may be killed at any time: a folder under its final name is complete.
                partial = self._folder / f"{digest}.partial"
                shutil.rmtree(partial, ignore_errors=True)
                with zipfile.ZipFile(archive) as zipped:
                    zipped.extractall(partial)
                partial.replace(target)
        return target


class _Archive:
    """The part of `zipfile.ZipFile` that MiniStack uses when it starts a process."""

    def __init__(self, packages: Packages, archive: Path) -> None:
        self._packages = packages
        self._archive = archive

    def namelist(self) -> list[str]:
        """Return no names to check: `extractall` keeps every member inside its folder."""
        return []

    def extractall(self, path: str) -> None:
        shared = self._packages.unpacked(self._archive)
        Path(path).rmdir()
        Path(path).symlink_to(shared, target_is_directory=True)
