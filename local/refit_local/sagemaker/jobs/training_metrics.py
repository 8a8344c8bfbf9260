"""Read the metrics that a training prints, and state the built-in algorithm's metric definitions.

Source  docs/sagemaker-contract.md, "Metrics"
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.records.naming import now

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_METRICS = 40
OBJECTIVE_METRIC = "ObjectiveMetric"
"""The name by which a training job of a tuning job shows the tuned metric."""
_ROUND = re.compile(r"\[\d+\](?=[\t ])")
_FIELD = re.compile(r"(train|validation)-([^:\s]+):(\S+)")
_METRICS = (
    "accuracy auc aucpr balanced_accuracy f1 f1_binary f1_macro map ndcg precision r2 recall "
    "precision_macro precision_micro recall_macro recall_micro aft-nloglik cox-nloglik error "
    "gamma-deviance gamma-nloglik interval-regression-accuracy logloss mae mape merror mlogloss "
    "mphe mse poisson-nloglik rmse rmsle tweedie-nloglik"
).split()


def metric_definitions() -> list[dict[str, str]]:
    """Return the MetricDefinitions that DescribeTrainingJob shows for XGBoost."""
    return [
        {
            "Name": f"validation:{metric}",
            "Regex": rf".*\[[0-9]+\].*#011validation-{metric}:(\S+)",
        }
        for metric in _METRICS
    ]


@dataclass
class MetricLines:
    r"""Reads metrics from lines; the last value of each counts.

    Attributes:
        definitions: MetricDefinitions of a container of one's own; None for XGBoost, whose lines
            are such as `[0]\ttrain-auc:0.9\tvalidation-auc:0.8`.
    """

    definitions: list[dict[str, str]] | None = None
    _last: dict[str, dict[str, Any]] = field(default_factory=dict)
    _values: dict[str, list[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, line: str) -> None:
        """Read the metrics of a line, which may have none."""
        moment = now()
        for name, text in self._found(line):
            try:
                value = float(text)
            except ValueError:
                continue
            # JSON cannot represent NaN and infinity, and AWS omits them.
            if not math.isfinite(value):
                continue
            with self._lock:
                self._last[name] = {"MetricName": name, "Value": value, "Timestamp": moment}
                self._values.setdefault(name, []).append(value)

    def _found(self, line: str) -> Iterator[tuple[str, str]]:
        if self.definitions is not None:
            for definition in self.definitions:
                if match := re.search(definition["Regex"], line):
                    yield definition["Name"], match[1]
            return
        if head := _ROUND.match(line):
            for channel, metric, text in _FIELD.findall(line, head.end()):
                yield f"{channel}:{metric}", text

    def values_of(self, name: str) -> list[float]:
        """Return a metric after each round, e.g. `validation:auc`."""
        with self._lock:
            return list(self._values.get(name, ()))

    def final(self, objective: str | None) -> list[dict[str, Any]]:
        """Return the FinalMetricDataList, with the objective of a tuning job again by that name."""
        with self._lock:
            if objective in self._last:
                tuned = self._last[objective] | {"MetricName": OBJECTIVE_METRIC}
                self._last[OBJECTIVE_METRIC] = tuned
            return sorted(self._last.values(), key=lambda m: m["MetricName"])[:MAX_METRICS]
