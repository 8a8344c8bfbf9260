"""Bring the containers' output to CloudWatch Logs, in batches."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from refit_local.sagemaker.host import PutLogLines

TRAINING_GROUP = "/aws/sagemaker/TrainingJobs"
TRANSFORM_GROUP = "/aws/sagemaker/TransformJobs"


def endpoint_group(endpoint: str) -> str:
    """Return the log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


@dataclass
class LogBuffer:
    """Lines waiting for the next flush."""

    put: PutLogLines
    _waiting: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _flushing: threading.Lock = field(default_factory=threading.Lock)

    def write(self, group: str, stream: str, line: str) -> None:
        """Add a line. A tab becomes `#011`, as the log driver of AWS writes it."""
        with self._lock:
            self._waiting[group, stream].append(line.replace("\t", "#011"))

    def writer(self, group: str, stream: str) -> Callable[[str], None]:
        """Return a function that adds lines to one stream."""
        return lambda line: self.write(group, stream, line)

    def flush(self) -> None:
        """Send what waits; lines of one stream keep their order."""
        with self._flushing:
            with self._lock:
                waiting, self._waiting = self._waiting, defaultdict(list)
            for (group, stream), lines in waiting.items():
                self.put(group, stream, lines)
