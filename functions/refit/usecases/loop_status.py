"""The state of monitoring and retraining of a live version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.answers.loop import (
    AlarmOfDrift,
    EvidenceAnswer,
    InputsAnswer,
    LabelsAnswer,
    LoopAnswer,
    RetrainingAnswer,
)

if TYPE_CHECKING:
    from refit.domain.monitoring.verdict import Verdict
    from refit.domain.retraining.state import RetrainingState
    from refit.stores.labels import LabelCounters


def loop_answer(
    version: int, verdict: Verdict | None, labels: LabelCounters, retraining: RetrainingState
) -> LoopAnswer:
    """Return the state of a live version.

    Args:
        version: the live version.
        verdict: of the newest check of the model; it may be on an earlier version.
        labels: counters of the model.
        retraining: its state.
    """
    of_version = verdict if verdict and verdict.version == version else None
    alarm, inputs = verdict and verdict.alarm, of_version and of_version.inputs
    request = retraining.request
    return LoopAnswer(
        version=version,
        looked_at=of_version and of_version.checked_at,
        quality=of_version and of_version.live,
        evidence=of_version and EvidenceAnswer.model_validate(of_version.quality),
        alarm=alarm and AlarmOfDrift.model_validate(alarm),
        inputs=inputs and InputsAnswer.model_validate(inputs),
        labels=LabelsAnswer.model_validate(labels),
        retraining=RetrainingAnswer.model_validate(retraining).model_copy(
            update={"requested_by": request and request.by}
        ),
    )
