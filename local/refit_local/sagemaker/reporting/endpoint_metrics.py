"""CloudWatch metrics of the endpoints, collected on the request path and published in batches.

An invocation publishes 0 or 1 to `Invocation4XXErrors` and `Invocation5XXErrors`, so that their
Sum is a count and their Average a rate, as on AWS.

Source  docs/sagemaker-contract.md, "Endpoints"
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refit_local.sagemaker.host import PutMetric

NAMESPACE = "AWS/SageMaker"
_COUNTS = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")
_SIGNIFICANT_DIGITS = 3


@dataclass
class EndpointMetrics:
    """Collects values by endpoint and variant until the next flush."""

    put: PutMetric
    _pending: dict[tuple[str, str], dict[str, Counter[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(
        self,
        endpoint: str,
        variant: str,
        status: int,
        model_latency_us: float,
        overhead_latency_us: float,
    ) -> None:
        """Count one invocation.

        Args:
            endpoint: the endpoint's name.
            variant: the production variant that answered.
            status: the HTTP status of the container; 500 when it did not answer.
            model_latency_us: time until the container answered, in microseconds.
            overhead_latency_us: time that the service added before the request, in microseconds.
        """
        with self._lock:
            values = self._pending[endpoint, variant]
            values["Invocations"][1.0] += 1
            values["Invocation4XXErrors"][float(400 <= status < 500)] += 1
            values["Invocation5XXErrors"][float(status >= 500)] += 1
            values["ModelLatency"][_rounded(model_latency_us)] += 1
            values["OverheadLatency"][_rounded(overhead_latency_us)] += 1

    def flush(self) -> None:
        """Publish the collected values."""
        with self._lock:
            pending = self._pending
            self._pending = defaultdict(lambda: defaultdict(Counter))
        for (endpoint, variant), metrics in pending.items():
            dimensions = {"EndpointName": endpoint, "VariantName": variant}
            for name, value_counts in metrics.items():
                unit = "None" if name in _COUNTS else "Microseconds"
                counts = [float(count) for count in value_counts.values()]
                self.put(NAMESPACE, name, list(value_counts), unit, dimensions, counts=counts)


def _rounded(value: float) -> float:
    """Round to three significant digits, so that a batch has few different values."""
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
