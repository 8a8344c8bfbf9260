"""One batch prediction of a model, as its BATCH item records it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from refit.domain.moments import Moment
from refit.domain.pipeline.reconciliation import GRACE

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.pipeline.failure import Failure
    from refit.domain.pipeline.reconciliation import ExecutionState

MAX_FILE_BYTES = 1024**3
"""Largest file that is predicted; the functions read and write it within their time limit."""

MAX_ROWS = 20_000_000
"""Most rows of a file that is predicted, for the same reason."""

CAPTURED_ROWS_PER_FILE = 1000
"""A capture file is ingested by one call of a function."""


class BatchStatus(StrEnum):
    """State of a batch prediction."""

    STARTED = "STARTED"
    PREPARING = "PREPARING"
    PREDICTING = "PREDICTING"
    FINISHING = "FINISHING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        return self in {BatchStatus.SUCCEEDED, BatchStatus.FAILED}


class Batch(BaseModel):
    """The BATCH item of a model. An attribute that the item does not have (yet) is None.

    Attributes:
        file: path of the file below `batch/in/`.
        file_version: version of its object.
        run: the run that made the version that predicts.
        version: the version that predicts.
        rows: number of rows that are predicted.
        refused: number of rows that cannot be predicted.
        finished_rows_at: when the predictions were joined first, which is the time of the
            captured predictions.
        output: key of the result.
        quarantine: key of the refused rows; None if there are none.
        error: name of the error that failed the batch.
        message: why it failed, for a person.
    """

    model_config = ConfigDict(frozen=True)

    batch: str
    model: str
    file: str
    file_version: str
    status: BatchStatus
    started_at: Moment
    updated_at: Moment
    finished_at: Moment | None = None
    run: str | None = None
    version: int | None = None
    rows: int | None = None
    refused: int | None = None
    finished_rows_at: Moment | None = None
    output: str | None = None
    quarantine: str | None = None
    error: str | None = None
    message: str | None = None


def failure_of_batch(batch: Batch, execution: ExecutionState, now: datetime) -> Failure | None:
    """Return why a batch that has not ended cannot end by itself; None if it can.

    The message of a dropped file may be delivered late, so a missing execution may still begin.
    """
    is_waiting = execution.status == "GONE" and now - batch.started_at <= GRACE
    return None if is_waiting or not execution.has_ended else execution.explained()


class BatchParts(BaseModel):
    """What PrepareBatch wrote, as FinishBatch needs it (`prepared.json` of the batch).

    Attributes:
        run: the run that made the version.
        rows: number of rows of each part.
        refused: number of refused rows.
        id_column: name of the column that identifies the rows; None if there is none.
        is_gzip: whether the file is gzip, and the result is to be, too.
        cached_rows: number of rows, from the first one, whose predictions are cached.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    version: int
    rows: list[int]
    refused: int
    id_column: str | None
    is_gzip: bool
    cached_rows: int = 0
