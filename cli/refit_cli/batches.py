"""Follow a batch prediction until it ends, and download its result."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from refit.domain.naming import BatchKeys
from refit.domain.pipeline.batch import BatchStatus
from rich.markup import escape

from refit_cli import terminal
from refit_cli.errors import BadInput, RunFailed, TimedOut
from refit_cli.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from refit.domain.pipeline.batch import Batch

    from refit_cli.connection import StackConnection

_BLOCK_BYTES = 1024**2
_STYLES = {BatchStatus.SUCCEEDED: "green", BatchStatus.FAILED: "red"}


def follow_batch(
    connection: StackConnection,
    model: str,
    batch: str | None,
    *,
    timeout_s: float | None,
    json: bool,
) -> Batch:
    """Wait until a batch has ended, and show each status that it has.

    Args:
        connection: the stack.
        model: name of the model.
        batch: id of the batch; None for the newest one.
        timeout_s: how long to wait; None for no limit.
        json: whether each status is written to stdout as a line of JSON.

    Raises:
        BadInput: when there is no batch to follow.
        RunFailed: when the batch failed.
        TimedOut: when the timeout has expired.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    if batch is None:
        batches = connection.batches.of_model(model)
        if not batches:
            raise BadInput(
                f"no file of {model} was predicted on {connection.location}",
                f"refit batch {model} FILE",
            )
        batch = batches[0].batch
    shown: BatchStatus | None = None
    with _keeps_running(model, batch):
        while True:
            found = connection.batches.get(model, batch)
            if found is not None and found.status is not shown:
                shown = found.status
                _show(found, json=json)
            if found is not None and found.status.is_final:
                break
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut(
                    f"batch {batch} of {model} has not ended within {timeout_s:g} s"
                    + (" (it has not started: check the file's name)" if found is None else ""),
                    _how_to_follow(model, batch),
                )
            time.sleep(connection.poll_s)
    if found.status is BatchStatus.FAILED:
        raise RunFailed(
            f"batch {batch} of {model} failed: {found.error}: {found.message}",
            f"mend the cause, then put the file again: refit batch {model} FILE",
        )
    return found


def download_result(connection: StackConnection, found: Batch, target: Path) -> None:
    """Write the result of a batch to a file, which appears when it is complete."""
    key = BatchKeys(found.model, found.batch).result(found.file)
    part = target.with_name(f"{target.name}.part")
    stream = connection.bucket.open(key)
    try:
        with part.open("wb") as out:
            while block := stream.read(_BLOCK_BYTES):
                out.write(block)
        part.replace(target)
    except OSError as error:
        raise BadInput(
            f"{target} cannot be written: {error.strerror}",
            f"the result is in s3://{connection.stack.bucket}/{key}",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def batch_json(found: Batch) -> dict[str, Any]:
    """Return a batch as the commands print it."""
    return {
        "batch": found.batch,
        "file": found.file,
        "status": found.status,
        "version": found.version,
        "rows": found.rows,
        "refused": found.refused,
        "startedAt": found.started_at.isoformat(),
        "finishedAt": found.finished_at.isoformat() if found.finished_at else None,
        "output": found.output,
        "quarantine": found.quarantine,
        "error": found.error,
        "message": found.message,
    }


def batch_line(found: Batch) -> str:
    """Return a batch as one line with markup."""
    style = _STYLES.get(found.status, "cyan")
    parts = [f"{found.batch}  [{style}]{found.status}[/]  {escape(found.file)}"]
    if found.version is not None:
        parts.append(f"version {found.version}")
    if found.rows is not None:
        parts.append(counted(found.rows, "row"))
    if found.refused:
        parts.append(f"[yellow]{found.refused:,} refused[/]")
    if found.finished_at is not None:
        took = terminal.duration((found.finished_at - found.started_at).total_seconds())
        parts.append(f"[dim]took {took}[/]")
    return "  ".join(parts)


def _show(found: Batch, *, json: bool) -> None:
    if json:
        terminal.write_json({"event": "batch", "model": found.model, **batch_json(found)})
    else:
        terminal.inform(batch_line(found))


@contextmanager
def _keeps_running(model: str, batch: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        terminal.inform(f"the batch goes on; follow it with `{_how_to_follow(model, batch)}`")
        raise


def _how_to_follow(model: str, batch: str) -> str:
    return f"refit watch {model} --batch --run {batch}"
