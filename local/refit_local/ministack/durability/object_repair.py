"""S3: take back the write of an object that a kill has cut in two.

MiniStack writes an object's content, and then its description beside it. Each is replaced as a
whole, but a kill between the two leaves a new content with the description of the version before,
or with none. No request was answered with it, so the version before is put back.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_VERSIONS = ".versions"
_DESCRIPTION = ".meta.json"
_DRAFT = ".tmp"


def repair(folder: Path) -> None:
    """Repair the objects in a folder of MiniStack's S3. Call it before S3 loads them."""
    for owner in folder.iterdir():
        if owner.name != _VERSIONS:
            for path in [path for path in owner.glob("*/**/*") if path.is_file()]:
                _remove_undescribed(path)
    for path in (folder / _VERSIONS).glob("*/*/*/**/*"):
        if path.is_file():
            account, bucket, version, *key = path.relative_to(folder / _VERSIONS).parts
            _put_back(path, version, folder.joinpath(account, bucket, *key))


def _remove_undescribed(path: Path) -> None:
    is_description = path.name.endswith(_DESCRIPTION)
    described = is_description or _description_of(path).exists()
    if path.name.endswith(_DRAFT) or not described:
        path.unlink()


def _put_back(replaced: Path, version: str, current: Path) -> None:
    """Put a replaced version back if the description of the key still names it."""
    try:
        description = json.loads(_description_of(current).read_text())
    except FileNotFoundError:
        return
    names_it = (description.get("version_id") or "null") == version
    if not names_it or description.get("is_delete_marker") or not current.exists():
        return
    if not current.samefile(replaced):
        draft = current.with_name(f"{current.name}{_DRAFT}")
        os.link(replaced, draft)
        draft.replace(current)


def _description_of(path: Path) -> Path:
    return path.with_name(f"{path.name}{_DESCRIPTION}")
