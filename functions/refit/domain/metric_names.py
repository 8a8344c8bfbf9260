"""Names of the metrics that Refit publishes; functions, alarms and dashboard use the same ones.

Namespace `Refit`, dimension `Model`; `FailedMessages` has the dimension `FunctionName`.
"""

from __future__ import annotations

NAMESPACE = "Refit"

FAILED_MESSAGES = "FailedMessages"
"""Messages that a function could not handle, by the function's name. Count."""

PREDICTIONS = "Predictions"
"""Rows answered by the predict API. Count."""

PREDICTION_LATENCY = "PredictionLatency"
"""From the arrival of a request in the Lambda to its answer. Milliseconds."""

PREDICTIONS_REFUSED = "PredictionsRefused"
"""Requests answered with 4xx. Count."""

PREDICTIONS_UNANSWERED = "PredictionsUnanswered"
"""Requests answered with 503: the endpoint or a service was not ready. Count."""

RUN_SECONDS = "RunSeconds"
"""From the start of a run to its end. Seconds; one value for each run that ended."""

RUNS_FAILED = "RunsFailed"
"""Runs that ended in FAILED. Count."""

BATCH_PREDICTIONS = "BatchPredictions"
"""Rows that batch predictions have answered. Count."""

CACHED_PREDICTIONS = "CachedPredictions"
"""Rows that the predict API answered without the endpoint. Count."""

BATCHES_FAILED = "BatchesFailed"
"""Batch predictions that ended in FAILED. Count."""

CAPTURED = "Captured"
"""Predictions recorded from capture files. Count."""

CAPTURES_QUARANTINED = "CapturesQuarantined"
"""Captured records that could not be read. Count."""

CAPTURE_LAG = "CaptureLagSeconds"
"""From a prediction to its being recorded from a capture file. Seconds."""

AMBIGUOUS = "AmbiguousInferences"
"""Inference ids under which two different predictions arrived. Count."""

LABELS_NEW = "LabelsNew"
LABELS_REPEATED = "LabelsRepeated"
LABELS_CORRECTED = "LabelsCorrected"
LABELS_HELD = "LabelsHeld"
LABELS_REJECTED = "LabelsRejected"
"""Labels received, by outcome. Count."""

HELD_LABELS = "HeldLabels"
"""Labels that are waiting for their prediction. Count."""

HELD_LABELS_EXPIRED = "HeldLabelsExpired"
"""Labels discarded because their prediction did not arrive in time. Count."""

LABELS = "Labels"
"""Predictions joined with their label and counted. Count."""

LABEL_COVERAGE = "LabelCoverage"
"""Share of the live version's predictions in its latest cohorts that have a label. Percent."""

LABEL_DELAY = "LabelDelaySeconds"
"""From a prediction to its first label. Seconds."""

ACCURACY = "Accuracy"
RMSE = "RMSE"
"""Of the live version, over its latest cohorts. Percent, and the unit of the label."""

BASELINE_ACCURACY = "BaselineAccuracy"
BASELINE_RMSE = "BaselineRMSE"
"""The same on the held-out rows that the live version is compared with."""

ESTIMATED_ACCURACY = "EstimatedAccuracy"
"""Estimated from the captured probabilities, before labels arrive. Percent."""

ERROR_RATE = "ErrorRate"
TOLERATED_ERROR_RATE = "ToleratedErrorRate"
"""What the test for quality drift compares: the share of wrong predictions, and up to which share
the live version counts as no worse than on its held-out rows. Percent."""

DRIFT_EVIDENCE = "DriftEvidence"
"""log10 of the evidence that the live model is worse than its baseline. No unit."""

QUALITY_DRIFT = "QualityDrift"
"""1 while the evidence is above the alarm threshold, else 0. Count."""

LIVE_VERSION = "LiveVersion"
"""The number of the live version. No unit."""

INPUT_DRIFT = "InputDrift"
"""Features and predictions whose distribution has shifted, in the latest cohort. Count."""

CAPTURE_SILENCE = "CaptureSilenceSeconds"
"""Since the latest captured inference, or the promotion. Seconds."""

LABEL_SILENCE = "LabelSilenceSeconds"
"""Since the latest label, or the promotion. Seconds."""

RETRAINING_PENDING = "RetrainingPendingSeconds"
"""Since a pending retraining is waiting to start; 0 when none is pending. Seconds."""

RETRAINING_BLOCKED = "RetrainingBlocked"
"""1 while retraining is blocked until `refit unblock`, else 0. Count."""
