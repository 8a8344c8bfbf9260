"""The metrics that a training prints, and the definitions AWS shows for the built-in algorithm."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Any

from refit_local.sagemaker.records.naming import now

MAX_METRICS = 40
_ROUND = re.compile(r"\[\d+\](?=[\t ])")
_FIELD = re.compile(r"(train|validation)-([^:\s]+):(\S+)")
_METRICS = (
    "accuracy auc aucpr balanced_accuracy f1 f1_binary f1_macro map ndcg precision r2 recall "
    "precision_macro precision_micro recall_macro recall_micro aft-nloglik cox-nloglik error "
    "gamma-deviance gamma-nloglik interval-regression-accuracy logloss mae mape merror mlogloss "
    "mphe mse poisson-nloglik rmse rmsle tweedie-nloglik"
).split()


def metric_definitions() -> list[dict[str, str]]:
    """Return the MetricDefinitions that Describe fills in for XGBoost."""
    return [
        {
            "Name": f"validation:{metric}",
            "Regex": rf".*\[[0-9]+\].*#011validation-{metric}:(\S+)",
        }
        for metric in _METRICS
    ]


@dataclass
class MetricLines:
    r"""Reads `[round]\ttrain-auc:0.9\tvalidation-auc:0.8` lines; the last round wins."""

    _last: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, line: str) -> None:
        """Take the metrics of a line; other lines are passed over."""
        head = _ROUND.match(line)
        if head is None:
            return
        moment = now()
        for channel, metric, text in _FIELD.findall(line, head.end()):
            try:
                value = float(text)
            except ValueError:
                continue
            # JSON has no word for them, and AWS leaves them out of its metrics.
            if value - value != 0:
                continue
            name = f"{channel}:{metric}"
            with self._lock:
                self._last[name] = {"MetricName": name, "Value": value, "Timestamp": moment}

    def final(self) -> list[dict[str, Any]]:
        """Return the FinalMetricDataList."""
        with self._lock:
            return sorted(self._last.values(), key=lambda m: m["MetricName"])[:MAX_METRICS]
