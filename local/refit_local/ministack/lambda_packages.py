"""Unpack a function's package and its layers once, not once for every process that runs them.

MiniStack unpacks some ten thousand files for each Lambda process it starts. On AWS `/var/task` and
`/opt` are read-only, so processes can share one folder; what Python compiles stays there as well.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from types import SimpleNamespace

from refit_local.ministack.names import Hook


def install(folder: Path) -> None:
    """Have Lambda processes share what is unpacked in a folder. Called once, before any request."""
    folder.mkdir(parents=True, exist_ok=True)
    packages = Packages(folder)
    Hook.WORKER_ZIPFILE.put(
        SimpleNamespace(
            ZipFile=lambda archive: nullcontext(_Archive(packages, Path(archive))),
            BadZipFile=zipfile.BadZipFile,
            LargeFileError=zipfile.LargeZipFile,
        )
    )


class Packages:
    """Folders of unpacked archives, by content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()

    def unpacked(self, archive: Path) -> Path:
        """Return where an archive is unpacked.

        Raises:
            BadZipFile: when it is none.
        """
        with archive.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        target = self._folder / digest
        with self._lock:
            if not target.exists():
                # Whole or not at all: a ground may be killed at any moment.
                half = self._folder / f"{digest}.half"
                shutil.rmtree(half, ignore_errors=True)
                with zipfile.ZipFile(archive) as zipped:
                    zipped.extractall(half)
                half.replace(target)
        return target


class _Archive:
    """What MiniStack asks of `zipfile.ZipFile` when it starts a process."""

    def __init__(self, packages: Packages, archive: Path) -> None:
        self._packages = packages
        self._archive = archive

    def namelist(self) -> list[str]:
        """Return none to be checked: `extractall` lets no member leave its folder."""
        return []

    def extractall(self, path: str) -> None:
        shared = self._packages.unpacked(self._archive)
        Path(path).rmdir()
        Path(path).symlink_to(shared, target_is_directory=True)
