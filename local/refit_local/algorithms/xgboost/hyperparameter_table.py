"""The table of hyperparameters that the image knows, read from hyperparameters.json.

Source  the image's own table
"""

import json
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from refit_local.algorithms.xgboost.errors import UserError

_TABLE = Path(__file__).with_name("hyperparameters.json")
_INTERVAL = re.compile(r"([\[(])(\S+), (\S+)([\])])")
_THRESHOLD_METRICS = ("error", "ndcg", "map")


@dataclass(frozen=True)
class Interval:
    """A range of numbers in the notation of the table: `[0, 1]`, `(0, +inf)`."""

    text: str
    low: float
    high: float
    low_is_open: bool
    high_is_open: bool

    @classmethod
    def parse(cls, text: str) -> "Interval":
        match = _INTERVAL.fullmatch(text)
        if match is None:
            raise ValueError(f"not an interval: {text!r}")
        opening, low, high, closing = match.groups()
        # An infinite end excludes nothing, whether its bracket is open or closed.
        high_is_open = closing == ")" and float(high) != float("inf")
        return cls(text, float(low), float(high), opening == "(", high_is_open)

    def __contains__(self, value: Any) -> bool:
        # Both comparisons are false for NaN, so that every range contains NaN, as in the image.
        too_low = value <= self.low if self.low_is_open else value < self.low
        too_high = value >= self.high if self.high_is_open else value > self.high
        return not (too_low or too_high)

    def __str__(self) -> str:
        return self.text


class MetricNames(list[str]):
    """The values of `eval_metric`: the listed names, some also with a threshold: `error@0.3`."""

    def __contains__(self, metric: object) -> bool:
        """Whether XGBoost or the container computes this metric.

        Raises:
            UserError: the threshold is not a number, or the metric has no threshold.
        """
        text = str(metric)
        if "<function" in text:
            raise UserError(f"User defined evaluation metric {text} is not supported yet.")
        if "@" not in text:
            return super().__contains__(text)
        name, threshold = (part.strip() for part in text.split("@")[:2])
        if name not in _THRESHOLD_METRICS:
            raise UserError(
                f"Metric '{text}' is not supported. Parameter 'eval_metric' with customized "
                "threshold should be one of these options: 'error', 'ndcg', 'map'."
            )
        try:
            float(threshold)
        except ValueError:
            raise UserError(f"Threshold value 't' in '{name}@t' expects float input.") from None
        return True


@dataclass(frozen=True)
class Hyperparameter:
    """One row of the table; `depends_on` names the hyperparameters that its rule reads."""

    name: str
    kind: str
    allowed: Container[Any]
    required: bool
    depends_on: tuple[str, ...]

    def check_range(self, value: Any) -> None:
        """Check that a parsed value is allowed.

        Raises:
            UserError: the value is outside its range.
        """
        if self.kind in ("list", "tuple", "nested list"):
            parts = [part for group in value for part in group] if "nested" in self.kind else value
            # All parts are checked before the error: a later one may raise another error.
            if [part for part in parts if part not in self.allowed]:
                raise UserError(
                    f"Hyperparameter {self.name}: value {value} not in range {self.allowed}"
                )
        elif value not in self.allowed:
            raise UserError(f"Hyperparameter {self.name}: {value} is not in {self.allowed}")


@dataclass(frozen=True)
class HyperparameterTable:
    """All hyperparameters, their aliases and the metrics for which larger values are better."""

    rows: Mapping[str, Hyperparameter]
    aliases: Mapping[str, str]
    maximized_metrics: frozenset[str]


@cache
def table() -> HyperparameterTable:
    """Return the hyperparameters that the image knows."""
    raw = json.loads(_TABLE.read_text())
    rows = {}
    for name, row in raw["hyperparameters"].items():
        allowed = row["range"]
        if isinstance(allowed, str):
            allowed = Interval.parse(allowed)
        elif name == "eval_metric":
            allowed = MetricNames(allowed)
        depends_on = tuple(row.get("depends_on", ()))
        rows[name] = Hyperparameter(
            name, row["kind"], allowed, row.get("required", False), depends_on
        )
    return HyperparameterTable(rows, raw["aliases"], frozenset(raw["maximized_metrics"]))
