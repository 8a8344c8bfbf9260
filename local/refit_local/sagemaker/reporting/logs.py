"""Write the output of the containers to CloudWatch Logs, in batches."""

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
    """Collects lines by log stream until the next flush."""

    put: PutLogLines
    _pending: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _flushing: threading.Lock = field(default_factory=threading.Lock)

    def write(self, group: str, stream: str, line: str) -> None:
        """Add a line. A tab becomes `#011`, as in the logs of SageMaker."""
        with self._lock:
            self._pending[group, stream].append(line.replace("\t", "#011"))

    def writer(self, group: str, stream: str) -> Callable[[str], None]:
        """Return a function that adds lines to one stream."""
        return lambda line: self.write(group, stream, line)

    def flush(self) -> None:
        """Write the collected lines; the lines of one stream keep their order."""
        with self._flushing:
            with self._lock:
                pending, self._pending = self._pending, defaultdict(list)
            for (group, stream), lines in pending.items():
                self.put(group, stream, lines)
