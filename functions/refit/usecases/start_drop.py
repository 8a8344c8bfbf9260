"""Start the run of dropped files, unless they are too large to be prepared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import DropTooLarge
from refit.domain.naming import ModelKeys
from refit.domain.pipeline.drop_limits import check_drop_size
from refit.domain.pipeline.failure import Failure
from refit.domain.vocabulary import RunStatus
from refit.usecases.finish_run import finish_run
from refit.usecases.record_outcome import RunOutcome
from refit.usecases.start_run import start_run

if TYPE_CHECKING:
    from refit.domain.pipeline.manifest import Drop
    from refit.usecases.services import Services


def start_or_refuse(services: Services, drop: Drop) -> None:
    """Start the execution of a run, or fail the run at once if its files are too large.

    If the process ends before the run has failed, the execution is started later, and Prepare
    refuses the files.
    """
    raw = ModelKeys(drop.model).raw
    try:
        check_drop_size({file.key.removeprefix(raw): file.size for file in drop.files})
    except DropTooLarge as error:
        failure = Failure(type(error).__name__, str(error))
        outcome = RunOutcome(drop.model, drop.run, RunStatus.FAILED, failure.message, failure)
        finish_run(services, outcome)
        return
    start_run(services, drop.model, drop.run)
