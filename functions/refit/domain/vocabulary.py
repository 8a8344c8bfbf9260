"""Names and constants that several packages share. Imports nothing of Refit."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

Task: TypeAlias = Literal["classification", "regression"]

RetrainingCause: TypeAlias = Literal["drift", "request"]
RunCause: TypeAlias = Literal["drop", "drift", "request"]

SMALLEST_PROBABILITY = 1e-15
"""Smallest probability in the log loss, of held-out rows and of live rows alike."""


class RunStatus(StrEnum):
    """State of a run. In the last five its executions of TRAIN and DEPLOY do no more work."""

    STARTED = "STARTED"
    PREPARING = "PREPARING"
    TRAINING = "TRAINING"
    EVALUATING = "EVALUATING"
    REGISTERING = "REGISTERING"
    DEPLOYING = "DEPLOYING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    DEPLOYED = "DEPLOYED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"

    @property
    def is_final(self) -> bool:
        return self in _FINAL


_FINAL = frozenset(
    {
        RunStatus.AWAITING_APPROVAL,
        RunStatus.DEPLOYED,
        RunStatus.REFUSED,
        RunStatus.FAILED,
        RunStatus.SUPERSEDED,
    }
)


class EventName(StrEnum):
    """Detail types of the events that Refit publishes (source `refit`)."""

    RUN_STARTED = "Run Started"
    RUN_FINISHED = "Run Finished"
    MODEL_PROMOTED = "Model Promoted"
    DEPLOYMENT_ROLLED_BACK = "Deployment Rolled Back"
    DRIFT_DETECTED = "Drift Detected"
    GROUND_TRUTH_REJECTED = "Ground Truth Rejected"
    RETRAINING_REQUESTED = "Retraining Requested"
    RETRAINING_UNBLOCKED = "Retraining Unblocked"
    BATCH_FINISHED = "Batch Finished"
    RETRY_REQUESTED = "Run Retry Requested"
