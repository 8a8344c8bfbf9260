"""Write the output of the containers to CloudWatch Logs, in batches.

On AWS a line arrives some time after it was written, the last lines of a job also after the job has
ended. Here it is `lag_s` later.
"""

from __future__ import annotations

import threading
import time
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
    """Collects lines by log stream until the next flush.

    Attributes:
        lag_s: returns how many seconds after it was written a line of a stream arrives.
    """

    put: PutLogLines
    lag_s: Callable[[str], float] = lambda _: 0.0
    _pending: dict[tuple[str, str], list[tuple[float, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _flushing: threading.Lock = field(default_factory=threading.Lock)

    def write(self, group: str, stream: str, line: str) -> None:
        """Add a line. A tab becomes `#011`, as in the logs of SageMaker."""
        with self._lock:
            written = (time.monotonic(), line.replace("\t", "#011"))
            self._pending[group, stream].append(written)

    def writer(self, group: str, stream: str) -> Callable[[str], None]:
        """Return a function that adds lines to one stream."""
        return lambda line: self.write(group, stream, line)

    def flush(self, *, everything: bool = False) -> None:
        """Write the lines that arrive by now; the lines of one stream keep their order.

        Args:
            everything: whether lines that would arrive later are written, too.
        """
        with self._flushing:
            arrived: dict[tuple[str, str], list[str]] = {}
            with self._lock:
                for stream, lines in list(self._pending.items()):
                    lag_s = 0.0 if everything else self.lag_s(stream[1])
                    arrived_until = time.monotonic() - lag_s
                    arrived[stream] = [line for at, line in lines if at <= arrived_until]
                    self._pending[stream] = lines[len(arrived[stream]) :]
                    if not self._pending[stream]:
                        del self._pending[stream]
            for (group, name), texts in arrived.items():
                if texts:
                    self.put(group, name, texts)
