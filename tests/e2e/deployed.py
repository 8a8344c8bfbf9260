"""The file that names a deployed stack: where it is, and the pace of its tests."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from refit_local.stack.record import StackInfo

from tests.e2e.driver import AWS, LOCAL, Pace


def write_deployed(path: Path, stack: StackInfo) -> None:
    """Write the file, readable by this user only since it contains keys."""
    content = dataclasses.asdict(stack) | {"state_dir": str(stack.state_dir)}
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file)


def read_deployed(path: str | Path) -> tuple[StackInfo, Pace]:
    """Return the stack, and the pace of AWS if it has no endpoint URL of its own."""
    content = json.loads(Path(path).read_text())
    stack = StackInfo(**{**content, "state_dir": Path(content["state_dir"])})
    return stack, LOCAL if stack.endpoint_url else AWS
