"""The files of a local stack in the project: `.refit/<port>/stack.json` and `stack.log`.

`stack.log.1` is the log of the server before.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parents[3]
# psutil derives a process's start from the system clock, which may be adjusted slightly.
_SAME_START_S = 2.0


@dataclass(frozen=True)
class StackInfo:
    """Where a running local stack is, and the credentials of its administrator.

    Attributes:
        api_keys: the value of each API key, by its purpose, such as `predict`.
    """

    port: int
    pid: int
    state_dir: Path
    endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    stack_name: str
    api_url: str
    api_keys: dict[str, str]


@dataclass(frozen=True)
class Record:
    """The recorded state of a local stack that runs or is being started.

    Attributes:
        started_at: when the process started, Unix time in seconds. Process ids are reused, so the
            id alone does not identify a process.
        keep: whether the state is kept when the stack stops.
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


def endpoint_url(port: int) -> str:
    """Return the URL of all services of a local stack."""
    return f"http://127.0.0.1:{port}"


def folder(port: int) -> Path:
    """Return the folder of all files of a port's local stack."""
    return PROJECT / ".refit" / str(port)


def log_path(port: int) -> Path:
    """Return the file that the server's output is written to."""
    return folder(port) / "stack.log"


def rotate_log(port: int) -> Path:
    """Return the file of a new log; the log of the server before is kept beside it."""
    path = log_path(port)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))
    return path


def _record_path(port: int) -> Path:
    return folder(port) / "stack.json"


def write(record: Record) -> None:
    """Write the record, readable by this user only since it contains credentials."""
    path = _record_path(record.info.port)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = dataclasses.asdict(record)
    content["info"]["state_dir"] = str(record.info.state_dir)
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    draft.replace(path)


def read(port: int) -> Record | None:
    """Return the record of a port; None when there is none or it is not readable."""
    try:
        content = json.loads(_record_path(port).read_text())
        if not isinstance(content, dict):
            return None
        info = content.pop("info")
        return Record(StackInfo(**{**info, "state_dir": Path(info["state_dir"])}), **content)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def remove(port: int) -> None:
    """Delete the record of a port."""
    _record_path(port).unlink(missing_ok=True)
