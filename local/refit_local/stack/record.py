"""The file that says which ground stands on a port: `.refit/<port>/ground.json` in the project."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[3]
# psutil reads the start of a process from the system's clock, which may be adjusted a little.
_SAME_START_S = 2.0


@dataclass(frozen=True)
class StackInfo:
    """A ground that stands, and how to speak to it."""

    port: int
    pid: int
    state_dir: Path
    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    stack_name: str
    api_url: str
    api_key: str


@dataclass(frozen=True)
class Record:
    """A ground as it is on file: also one that is being started.

    Attributes:
        started_at: when the process started, Unix time in seconds: ids of processes come again.
        keep: whether the state outlives the ground.
        ready: whether the template is deployed.
    """

    info: StackInfo
    started_at: float
    keep: bool
    ready: bool

    def process(self) -> psutil.Process | None:
        """Return the server's process, or None when it has ended."""
        try:
            process = psutil.Process(self.info.pid)
            same = abs(process.create_time() - self.started_at) < _SAME_START_S
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None


def folder(port: int) -> Path:
    """Return where everything of a port's ground lies."""
    return PROJECT / ".refit" / str(port)


def _path(port: int) -> Path:
    return folder(port) / "ground.json"


def write(record: Record) -> None:
    """Put the record on file, readable by this user only: it holds the ground's keys."""
    path = _path(record.info.port)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dataclasses.asdict(record)
    content["info"]["state_dir"] = str(record.info.state_dir)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    draft.replace(path)


def read(port: int) -> Record | None:
    """Return what is on file for a port; None when there is nothing that can be read."""
    try:
        content = json.loads(_path(port).read_text())
        info = content.pop("info")
        return Record(StackInfo(**{**info, "state_dir": Path(info["state_dir"])}), **content)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def remove(port: int) -> None:
    """Take the record off file."""
    _path(port).unlink(missing_ok=True)
