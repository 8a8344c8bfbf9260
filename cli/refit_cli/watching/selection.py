"""Select the run to follow, and find out why uploaded data has no run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.naming import ModelKeys
from refit.domain.pipeline.drop_files import is_marker
from refit.domain.vocabulary import RunStatus

if TYPE_CHECKING:
    from refit.domain.pipeline.manifest import ObjectVersion
    from refit.domain.pipeline.run import Run
    from refit.stores.bucket import Bucket

    from refit_cli.connection import StackConnection

ENDED = frozenset({RunStatus.DEPLOYED, RunStatus.REFUSED, RunStatus.FAILED, RunStatus.SUPERSEDED})
_LATEST_REFUSALS = 200


def has_ended(run: Run) -> bool:
    """Return whether a run has ended. A run that awaits approval has not."""
    return run.status in ENDED


def run_to_follow(connection: StackConnection, model: str) -> Run | None:
    """Return the run to follow: the newest, or None while there is data that no run has taken.

    So `refit watch` waits for the run of a `refit put` just before it, and does not report the
    outcome of the run before. The runs are read last, so that the run that has taken the data is
    among them.
    """
    state = connection.models.state(model)
    consumed = connection.artifacts.consumed_files(model, state.consumed_by)
    files = dropped_files(connection.bucket, model)
    if any(file not in consumed for file in files):
        return None
    return next(iter(connection.models.runs(model)), None)


def dropped_files(bucket: Bucket, model: str) -> list[ObjectVersion]:
    """Return the files in the drop folder that can start a run."""
    folder = ModelKeys(model).raw
    return [file for file in bucket.list(folder) if not is_marker(file.key.removeprefix(folder))]


def refusal(bucket: Bucket, folder: str) -> str | None:
    """Return why files in a folder whose name is no model name were refused, or None."""
    entries = bucket.list("_refused/")
    entries.sort(key=lambda entry: entry.last_modified, reverse=True)
    for entry in entries[:_LATEST_REFUSALS]:
        refused = bucket.read_json(entry.key)
        if str(refused.get("key", "")).startswith(f"{folder}/"):
            return str(refused.get("reason"))
    return None
