"""The names of Refit's own metrics, shared by publisher, alarms and dashboard.

Namespace `Refit`, dimension `Model` (design 4.8).
"""

from __future__ import annotations

NAMESPACE = "Refit"

PREDICTIONS = "Predictions"
"""Rows answered by the predict API. Count."""

PREDICTION_LATENCY = "PredictionLatency"
"""From the request's arrival in the Lambda to its answer. Milliseconds."""

PREDICTIONS_REFUSED = "PredictionsRefused"
"""Requests answered 4xx: the caller's fault. Count."""

PREDICTIONS_UNANSWERED = "PredictionsUnanswered"
"""Requests answered 503: the endpoint or a service was not ready. Count."""

RUNS_FAILED = "RunsFailed"
"""Runs that ended in FAILED. Count."""

CAPTURED = "Captured"
"""Predicted rows that were taken from capture files. Count."""

CAPTURES_QUARANTINED = "CapturesQuarantined"
"""Captured records that could not be read. Count."""

CAPTURE_LAG = "CaptureLagSeconds"
"""From a prediction to its capture being consumed. Seconds."""

AMBIGUOUS = "AmbiguousInferences"
"""Inference ids under which two different predictions came. Count."""

LABELS_NEW = "LabelsNew"
LABELS_REPEATED = "LabelsRepeated"
LABELS_CORRECTED = "LabelsCorrected"
LABELS_HELD = "LabelsHeld"
LABELS_REJECTED = "LabelsRejected"
"""What became of each label that was sent. Count."""

HELD_LABELS = "HeldLabels"
"""Labels that wait for their prediction now. Count."""

HELD_LABELS_EXPIRED = "HeldLabelsExpired"
"""Labels given up since their prediction never came. Count."""

LABELS = "Labels"
"""Predictions joined with their label and counted. Count."""

LABEL_COVERAGE = "LabelCoverage"
"""Share of the live version's predictions that are labelled, in its newest cohorts. Percent."""

LABEL_DELAY = "LabelDelaySeconds"
"""From a prediction to its first label. Seconds."""

ACCURACY = "Accuracy"
RMSE = "RMSE"
"""Of the live version, over its newest cohorts. Percent, and the label's own unit."""

BASELINE_ACCURACY = "BaselineAccuracy"
BASELINE_RMSE = "BaselineRMSE"
"""The same on the held-out rows that it is held against."""

ESTIMATED_ACCURACY = "EstimatedAccuracy"
"""From the captured probabilities, before labels come. Percent."""

DRIFT_EVIDENCE = "DriftEvidence"
"""Evidence that the live model is worse than its baseline, log10; alarm at log10 of 1/α. None."""

QUALITY_DRIFT = "QualityDrift"
"""1 while the evidence is an alarm, 0 otherwise. Count."""

INPUT_DRIFT = "InputDrift"
"""Features and predictions whose distribution has shifted, in the newest cohort. Count."""

CAPTURE_SILENCE = "CaptureSilenceSeconds"
"""Since the newest captured inference, or the promotion. Seconds."""

LABEL_SILENCE = "LabelSilenceSeconds"
"""Since the newest label, or the promotion. Seconds."""

RETRAINING_OWED = "RetrainingOwedSeconds"
"""Since a retraining is owed that has not begun. Seconds; 0 when none is owed."""

RETRAINING_BLOCKED = "RetrainingBlocked"
"""1 while retraining is blocked and waits for a person. Count."""
