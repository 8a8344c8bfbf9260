r"""The metrics of each round of a training: how a job prints them, and the format of curves.json.

The XGBoost container prints `[0]\ttrain-auc:0.95\tvalidation-auc:0.94` after each round, with five
decimals; CloudWatch shows the tab as `#011` (docs/sagemaker-contract.md, "Metrics").

curves.json
├── model, run
└── jobs   one entry for each training job of the run
    ├── job, title   its name, and what it trained
    ├── rounds       number of rounds
    ├── metrics      by name, such as `validation-auc`: the value of each round; null where none
    │                was read, or where it is no number
    ├── best         the round with the best value of the last validation metric, or null
    └── missing      why there are no metrics, or null
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

VALIDATION = "validation-"

_ROUND = re.compile(r"^\[(\d{1,7})\]((?:(?:\t|#011)[\w@.-]+:\S+?)+)\s*$")
_MAX_LINE = 10_000
"""Characters of a line in which a regular expression of model.toml searches."""

_METRIC = re.compile(r"(?:\t|#011)([\w@.-]+):([^\s#]+)")

# Metrics of the XGBoost container, without a suffix such as `@0.3`. Of another metric it is not
# known which direction is better.
_HIGHER_IS_BETTER = frozenset(
    "accuracy auc aucpr balanced_accuracy f1 f1_binary f1_macro map ndcg precision precision_macro "
    "precision_micro r2 recall recall_macro recall_micro".split()
)
_LOWER_IS_BETTER = frozenset(
    "aft-nloglik cox-nloglik error gamma-deviance gamma-nloglik interval-regression-accuracy "
    "logloss mae mape merror mlogloss mphe mse poisson-nloglik rmse rmsle tweedie-nloglik".split()
)


@dataclass(frozen=True)
class BoostingRound:
    """One boosting round: its number from 0, and its metrics such as `validation-mlogloss`."""

    number: int
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainedJob:
    """A training job of a run.

    Attributes:
        name: its name.
        title: what it trained, for a person: `training`, `fold 1`.
    """

    name: str
    title: str


class CurvePart(BaseModel):
    """A part of curves.json."""

    model_config = ConfigDict(frozen=True)


class BestRound(CurvePart):
    """The first round with the best value of a metric, from 0."""

    metric: str
    round: int
    value: float


class JobCurves(CurvePart):
    """The metrics of one training job."""

    job: str
    title: str
    rounds: int = 0
    metrics: dict[str, tuple[float | None, ...]] = {}
    best: BestRound | None = None
    missing: str | None = None


class Curves(CurvePart):
    """All of curves.json."""

    model: str
    run: str
    jobs: tuple[JobCurves, ...]


def parse_round(line: str) -> BoostingRound | None:
    """Return the metrics in a log line; None for any other line.

    A value that is NaN or infinite (the AUC of rows of one class) is left out, because JSON has
    none.
    """
    match = _ROUND.match(line)
    if match is None:
        return None
    try:
        values = {name: float(value) for name, value in _METRIC.findall(match[2])}
    except ValueError:
        return None
    metrics = {name: value for name, value in values.items() if math.isfinite(value)}
    return BoostingRound(int(match[1]), metrics)


class DefinedMetrics:
    """Finds the metrics of a container of one's own in the lines of its log.

    Args:
        metrics: regular expressions by name; the only group of each is the value. A match is the
            next round of its metric, as SageMaker's metric definitions have it.
    """

    def __init__(self, metrics: Mapping[str, str]) -> None:
        self._patterns = {name: re.compile(regex) for name, regex in metrics.items()}
        self._values: dict[str, list[float | None]] = {name: [] for name in metrics}

    def read(self, lines: Iterable[str]) -> None:
        """Read the next lines of the log."""
        for line in lines:
            for name, pattern in self._patterns.items():
                if match := pattern.search(line[:_MAX_LINE]):
                    self._values[name].append(_finite(match[1]))

    @property
    def found(self) -> dict[str, list[float | None]]:
        """The values so far of each metric that has any; None is no finite number."""
        return {name: values for name, values in self._values.items() if values}

    @property
    def complete_rounds(self) -> list[BoostingRound]:
        """The rounds of which every metric in the log has been read."""
        rounds = zip(*self.found.values(), strict=False)
        return [
            BoostingRound(
                number,
                {
                    name: value
                    for name, value in zip(self.found, values, strict=True)
                    if value is not None
                },
            )
            for number, values in enumerate(rounds)
        ]


def curves_of(
    job: TrainedJob, lines: Iterable[str], metrics: Mapping[str, str] | None = None
) -> JobCurves:
    """Return the metrics in the log of a job.

    Args:
        job: the training job.
        lines: of its log.
        metrics: of the algorithm, by `DefinedMetrics`; None of XGBoost.
    """
    if metrics is None:
        return _curves_of_rounds(job, lines)
    if not metrics:
        return without_curves(job, "no metrics of its algorithm are known")
    reader = DefinedMetrics(metrics)
    reader.read(lines)
    rounds = max(map(len, reader.found.values()), default=0)
    if not rounds:
        return without_curves(job, "its log has no metrics that [training.container] defines")
    found = {
        name: (*points, *[None] * (rounds - len(points))) for name, points in reader.found.items()
    }
    return JobCurves(
        job=job.name, title=job.title, rounds=rounds, metrics=found, best=best_round(found)
    )


def _curves_of_rounds(job: TrainedJob, lines: Iterable[str]) -> JobCurves:
    """Return the metrics in the log of XGBoost.

    A line that was delivered twice counts once. Round 0 begins the training again, as after an
    interruption: the rounds before it are dropped. A round that is missing has no values.
    """
    by_number: dict[int, BoostingRound] = {}
    for line in lines:
        parsed = parse_round(line)
        if parsed is None:
            continue
        if parsed.number == 0:
            by_number = {}
        by_number[parsed.number] = parsed
    if not by_number:
        return without_curves(job, "its log has no metrics of rounds")
    rounds = max(by_number) + 1
    names = dict.fromkeys(
        name for number in sorted(by_number) for name in by_number[number].metrics
    )
    metrics = {
        name: tuple(
            by_number[number].metrics.get(name) if number in by_number else None
            for number in range(rounds)
        )
        for name in names
    }
    return JobCurves(
        job=job.name, title=job.title, rounds=rounds, metrics=metrics, best=best_round(metrics)
    )


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def without_curves(job: TrainedJob, reason: str) -> JobCurves:
    """Return the entry of a job whose metrics are not known."""
    return JobCurves(job=job.name, title=job.title, missing=reason)


def best_round(metrics: dict[str, tuple[float | None, ...]]) -> BestRound | None:
    """Return the best round by the metric on which the container stops early: the last one.

    None without validation metrics, and of a metric whose better direction is not known.
    """
    name = shown_metric(list(metrics))
    if name is None or not name.startswith(VALIDATION):
        return None
    metric = name.removeprefix(VALIDATION).partition("@")[0]
    if metric not in _HIGHER_IS_BETTER | _LOWER_IS_BETTER:
        return None
    sign = -1.0 if metric in _HIGHER_IS_BETTER else 1.0
    values = [(sign * value, at) for at, value in enumerate(metrics[name]) if value is not None]
    if not values:
        return None
    best, at = min(values)
    return BestRound(metric=name, round=at, value=sign * best)


def shown_metric(names: Sequence[str]) -> str | None:
    """Return the metric to show: the last one on validation data, or else on training data."""
    validation = [name for name in names if name.startswith(VALIDATION)]
    return next(iter(reversed(validation or list(names))), None)
