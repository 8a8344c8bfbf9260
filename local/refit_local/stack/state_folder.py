"""The folder in which a local stack keeps its state.

The file `refit-stack` marks a folder as ours and holds the port; a folder without it is never
deleted. The file `kept` marks state that is kept when the stack stops.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from refit_local.stack import record
from refit_local.stack.errors import StateFolderInUse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OURS = "refit-stack"
_KEPT = "kept"


def prepare(port: int, state: Path, *, keep: bool, log: Callable[[str], None]) -> bool:
    """Reuse kept state, or create an empty folder; return whether the state is to be kept.

    Raises:
        StateFolderInUse: when the folder belongs to a running stack or holds other files.
    """
    _check_unused(state)
    if is_kept(state):
        (state / _OURS).write_text(str(port))
        log(f"using the state kept in {state}")
        return True
    delete(state)
    if state.exists() and any(state.iterdir()):
        raise StateFolderInUse(
            f"{state} holds files that are not the state of a local stack; name an empty folder "
            "with --state"
        )
    state.mkdir(parents=True, exist_ok=True)
    (state / _OURS).write_text(str(port))
    if keep:
        (state / _KEPT).touch()
    return keep


def is_kept(state: Path) -> bool:
    """Return whether the state was started with `keep`."""
    return (state / _KEPT).exists()


def delete(state: Path) -> None:
    """Delete a state folder; do nothing with a folder that is not marked as ours."""
    if (state / _OURS).exists():
        shutil.rmtree(state, ignore_errors=True)


def _check_unused(state: Path) -> None:
    try:
        recorded = record.read(int((state / _OURS).read_text()))
    except (OSError, ValueError):
        return
    if recorded is not None and recorded.info.state_dir == state and recorded.process() is not None:
        raise StateFolderInUse(
            f"the local stack on port {recorded.info.port} keeps its state in {state}; name "
            "another folder with --state"
        )
