"""Faults of AWS's own that a test orders from the local SageMaker, in `faults.json` of its folder.

    {
      "TrainingJob": ["CapacityError: Unable to provision requested ML compute capacity."],
      "TransformJob": [],
      "HyperParameterTuningJob": [],
      "Endpoint": ["Unable to provision requested ML compute capacity due to Insuff…"],
      "LostEndpoint": [],
      "SpotInterruption": [0],
      "ListLagSeconds": 5,
      "LogLagSeconds": 5
    }

Each job takes the first reason of the list of its kind, and fails with it before its container
starts. Each CreateEndpoint and UpdateEndpoint takes one of `Endpoint`: a new endpoint ends as
Failed, an updated one goes back to InService with its old config. The reason "" is one that
DescribeEndpoint does not show. An update takes one of `LostEndpoint`, too, and then ends as Failed.
Each instance of a spot training job takes one of `SpotInterruption`, and is taken away so many
seconds after its container has started. The job then begins again.
ListModelPackages does not show packages that are younger than `ListLagSeconds`, or than
REFIT_LIST_LAG_S seconds if the file does not say. A line of a log arrives `LogLagSeconds` (or
REFIT_LOG_LAG_S) after it was written. Without the file nothing fails.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FILE = "faults.json"
LIST_LAG_VARIABLE = "REFIT_LIST_LAG_S"
LOG_LAG_VARIABLE = "REFIT_LOG_LAG_S"


@dataclass(frozen=True)
class Faults:
    """The ordered faults of one local SageMaker."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take_failure(self, kind: str) -> str | None:
        """Return and remove the reason with which the next job of a kind fails, if any."""
        with self._lock:
            ordered = self._read()
            reasons = ordered.get(kind, [])
            if not reasons:
                return None
            ordered[kind] = reasons[1:]
            self._path.write_text(json.dumps(ordered))
            return str(reasons[0])

    @property
    def list_lag_s(self) -> float:
        """How long ListModelPackages does not show a new package."""
        return self._seconds("ListLagSeconds", LIST_LAG_VARIABLE)

    @property
    def log_lag_s(self) -> float:
        """How long a line of a log does not arrive."""
        return self._seconds("LogLagSeconds", LOG_LAG_VARIABLE)

    def _seconds(self, name: str, variable: str) -> float:
        with self._lock:
            return float(self._read().get(name, os.environ.get(variable, "0")))

    @property
    def _path(self) -> Path:
        return self.folder / FILE

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        return dict(json.loads(self._path.read_text()))
