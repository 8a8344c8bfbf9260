"""The folder in which a local stack keeps its state.

The file `refit-stack` marks a folder as ours and holds the port; a folder without it is never
deleted. The file `kept` marks state that is kept when the stack stops, and holds its layout.
"""

from __future__ import annotations

import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from refit_local.stack import record
from refit_local.stack.errors import StateFolderInUse, StateFolderUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LAYOUT = "2"
"""Changes when a version of Refit cannot read the state of the version before."""
_DELETED_S = 2.0
_POLL_S = 0.1
_OURS = "refit-stack"
_KEPT = "kept"


def prepare(port: int, state: Path, *, keep: bool, log: Callable[[str], None]) -> bool:
    """Reuse kept state, or create an empty folder; return whether the state is to be kept.

    Raises:
        StateFolderInUse: when the folder belongs to a running stack or holds other files.
        StateFolderUnusable: when it cannot be read or written, or has another layout.
    """
    with _with_a_sentence(state):
        _check_unused(state)
        if is_kept(state):
            _check_layout(port, state)
            (state / _OURS).write_text(str(port))
            log(f"using the state kept in {state}")
            return True
        delete(state)
        if state.exists() and any(state.iterdir()):
            raise StateFolderInUse(
                f"{state} holds files that are not the state of a local stack; name an empty "
                "folder with --state"
            )
        state.mkdir(parents=True, exist_ok=True)
        (state / _OURS).write_text(str(port))
    return keep


def keep_from_now_on(state: Path) -> None:
    """Mark state as kept. Before its first deployment has ended, there is nothing to keep."""
    (state / _KEPT).write_text(LAYOUT)


def is_kept(state: Path) -> bool:
    """Return whether the state is kept when the stack stops."""
    return (state / _KEPT).exists()


def delete(state: Path) -> None:
    """Delete a state folder; do nothing with a folder that is not marked as ours.

    Raises:
        StateFolderUnusable: when files cannot be deleted. The folder stays marked as ours then.
    """
    if not (state / _OURS).exists():
        return
    deadline = time.monotonic() + _DELETED_S
    while True:
        try:
            _delete_marked(state)
        except OSError as error:
            # A process that has just been ended may still have written a file.
            if time.monotonic() < deadline:
                time.sleep(_POLL_S)
                continue
            raise StateFolderUnusable(
                f"the state in {state} cannot be deleted ({error.strerror}: {error.filename}); "
                "delete the folder, or make that possible and try again"
            ) from error
        return


def _delete_marked(state: Path) -> None:
    for path in sorted(state.iterdir(), key=lambda path: path.name == _OURS):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    state.rmdir()


@contextmanager
def _with_a_sentence(state: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateFolderUnusable(
            f"the state of the local stack cannot be kept in {state} ({error.strerror}: "
            f"{error.filename}); name a folder that you may write with --state"
        ) from error


def _check_layout(port: int, state: Path) -> None:
    layout = (state / _KEPT).read_text()
    if layout != LAYOUT:
        raise StateFolderUnusable(
            f"the state in {state} was kept by another version of Refit (its layout is "
            f"{layout or '1'}, this version reads {LAYOUT}); use that version, name another "
            f"folder with --state, or delete the state with `refit down --port {port} --discard`"
        )


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
