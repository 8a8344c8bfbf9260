"""Turn records of runs into answers, which have bounded sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.answers.runs import DataAnswer, FileAnswer, RunSummary
from refit.domain.answers.stage import cause_text

if TYPE_CHECKING:
    from refit.domain.pipeline.manifest import Drop, Manifest
    from refit.domain.pipeline.run import Run

_MAX_TEXT = 2000
_MAX_FILES = 100


def run_summary(run: Run) -> RunSummary:
    """Return what a list shows of a run."""
    return RunSummary(
        run=run.run,
        status=run.status,
        cause=run.cause,
        cause_text=shortened(cause_text(run)),
        version=run.version,
        started_at=run.started_at,
        finished_at=run.finished_at,
        metrics=metrics_of(run),
        error=run.error,
        message=run.message and shortened(run.message),
    )


def metrics_of(run: Run) -> dict[str, float | str]:
    """Return the headline metrics of a run as plain values."""
    return {
        name: value if isinstance(value, str) else float(value)
        for name, value in run.metrics.items()
    }


def shortened(text: str) -> str:
    """Return a text of at most 2,000 characters."""
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def data_answer(
    drop: Drop | None, manifest: Manifest | None, most_files: int = _MAX_FILES
) -> DataAnswer | None:
    """Return the data of a run, from what is written of it."""
    source = manifest or drop
    if source is None:
        return None
    return DataAnswer(
        files=tuple(FileAnswer.model_validate(file) for file in source.files[:most_files]),
        files_total=len(source.files),
        rows=manifest and manifest.rows,
        labelled=manifest.labelled.total if manifest else 0,
        lost=manifest.lost() if manifest else {},
    )
