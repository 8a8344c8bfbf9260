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
REFIT_LOG_LAG_S) after it was written. A file such as `faults/refit-digits.json` has orders for the
jobs, endpoints and package groups whose names begin so; they come first. Without files nothing
fails.
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
OF_NAMES = "faults"
LIST_LAG_VARIABLE = "REFIT_LIST_LAG_S"
LOG_LAG_VARIABLE = "REFIT_LOG_LAG_S"


@dataclass(frozen=True)
class Faults:
    """The ordered faults of one local SageMaker."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take_failure(self, kind: str, name: str) -> str | None:
        """Return and remove the reason with which a job or endpoint fails, if one is ordered."""
        with self._lock:
            for path, ordered in self._orders_for(name):
                reasons = ordered.get(kind, [])
                if reasons:
                    ordered[kind] = reasons[1:]
                    path.write_text(json.dumps(ordered))
                    return str(reasons[0])
            return None

    def list_lag_s(self, group: str) -> float:
        """Return how long ListModelPackages does not show a new package of a group."""
        return self._seconds("ListLagSeconds", LIST_LAG_VARIABLE, group)

    def log_lag_s(self, stream: str) -> float:
        """Return how long a line of a log stream, which begins with its job, does not arrive."""
        return self._seconds("LogLagSeconds", LOG_LAG_VARIABLE, stream)

    def _seconds(self, kind: str, variable: str, name: str) -> float:
        with self._lock:
            for _, ordered in self._orders_for(name):
                if kind in ordered:
                    return float(ordered[kind])
        return float(os.environ.get(variable, "0"))

    def _orders_for(self, name: str) -> list[tuple[Path, dict[str, Any]]]:
        """Return the files that concern a name, and their orders."""
        own = sorted((self.folder / OF_NAMES).glob("*.json"))
        paths = [path for path in own if name.startswith(path.stem)]
        common = self.folder / FILE
        return [
            (path, json.loads(path.read_text()))
            for path in [*paths, *([common] if common.exists() else [])]
        ]
