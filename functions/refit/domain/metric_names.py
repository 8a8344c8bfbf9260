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
