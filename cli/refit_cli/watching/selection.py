"""Select the run to follow, and find out why uploaded data has no run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from refit.domain.errors import ObjectNotFound
from refit.domain.naming import ModelKeys
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from refit.domain.pipeline.manifest import ObjectVersion
    from refit.domain.pipeline.run import Run
    from refit.stores.bucket import Bucket

    from refit_cli.connection import StackConnection

ENDED = frozenset({RunStatus.DEPLOYED, RunStatus.REFUSED, RunStatus.FAILED, RunStatus.SUPERSEDED})
_LATEST_REFUSALS = 200

# S3 rounds times to whole seconds, and its clock differs from the clock of the table's writer.
_CLOCK_TOLERANCE = timedelta(seconds=2)


def has_ended(run: Run) -> bool:
    """Return whether a run has ended. A run that awaits approval has not."""
    return run.status in ENDED


def newest_file(bucket: Bucket, model: str) -> ObjectVersion | None:
    """Return the data file that was uploaded last and still exists, or None."""
    files = [file for file in bucket.list(ModelKeys(model).raw) if not file.key.endswith("/")]
    return max(files, key=lambda file: file.last_modified, default=None)


def run_to_follow(connection: StackConnection, model: str, runs: list[Run]) -> Run | None:
    """Return the run to follow: the newest, or None while newer data has no run yet.

    The uploaded files and the files of each run are read from the bucket. So `refit watch` waits
    for the run of a `refit put` just before it, and does not report the outcome of the run before.
    `runs` are the model's runs, newest first.
    """
    if not runs:
        return None
    newest = newest_file(connection.bucket, model)
    if newest is None:
        return runs[0]
    for run in runs:
        files = _files_of_run(connection, model, run.run)
        started_after = run.started_at >= newest.last_modified - _CLOCK_TOLERANCE
        if (files is None and started_after) or (newest.key, newest.version) in (files or ()):
            return runs[0]
        if not started_after:
            return None
    return None


def _files_of_run(
    connection: StackConnection, model: str, run: str
) -> frozenset[tuple[str, str]] | None:
    """Return (key, version) of the files of a run; None before drop.json is written."""
    try:
        drop = connection.artifacts.drop(model, run)
    except ObjectNotFound:
        return None
    return frozenset((file.key, file.version) for file in drop.files)


def refusal(bucket: Bucket, folder: str) -> str | None:
    """Return why files in a folder whose name is no model name were refused, or None."""
    entries = bucket.list("_refused/")
    entries.sort(key=lambda entry: entry.last_modified, reverse=True)
    for entry in entries[:_LATEST_REFUSALS]:
        refused = bucket.read_json(entry.key)
        if str(refused.get("key", "")).startswith(f"{folder}/"):
            return str(refused.get("reason"))
    return None
