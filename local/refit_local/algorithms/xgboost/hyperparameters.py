"""Parse and check the hyperparameters of a training job.

The table stands in hyperparameters.json; this module holds the rules that no table can say. Order
of the checks, first error wins: aliases, required, parse, range, dependencies. No default is
filled in.

Source  the image's hyperparameter table and its recorded verdicts (exact messages included)
"""

import ast
import builtins
import json
import re
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from refit_local.algorithms.xgboost.errors import AlgorithmError, UserError

_TABLE = Path(__file__).with_name("hyperparameters.json")
_INTERVAL = re.compile(r"([\[(])(\S+), (\S+)([\])])")
_THRESHOLD_METRICS = ("error", "ndcg", "map")
_TREE_UPDATERS = (
    "grow_colmaker",
    "distcol",
    "grow_histmaker",
    "grow_skmaker",
    "sync",
    "refresh",
    "prune",
    "grow_quantile_histmaker",
)
_TREE_GROWERS = ("grow_colmaker", "distcol", "grow_histmaker", "grow_quantile_histmaker")
_LINEAR_UPDATERS = ("shotgun", "coord_descent")


@dataclass(frozen=True)
class Interval:
    """A range of numbers, written as in the table: `[0, 1]`, `(0, +inf)`."""

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
        # An infinite end refuses nothing, whichever way its bracket faces.
        high_is_open = closing == ")" and float(high) != float("inf")
        return cls(text, float(low), float(high), opening == "(", high_is_open)

    def __contains__(self, value: Any) -> bool:
        # Written as refusals, so that NaN, which compares false with everything, passes as it does
        # in the image.
        too_low = value <= self.low if self.low_is_open else value < self.low
        too_high = value >= self.high if self.high_is_open else value > self.high
        return not (too_low or too_high)

    def __str__(self) -> str:
        return self.text


class MetricNames(list[str]):
    """The values of `eval_metric`: the listed names, and some with a threshold, `error@0.3`."""

    def __contains__(self, metric: object) -> bool:
        """Whether xgboost or the container computes this metric.

        Raises:
            UserError: the threshold is not a number, or the metric takes none.
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
    """One row of the table."""

    name: str
    kind: str
    allowed: Container[Any]
    required: bool
    depends_on: tuple[str, ...]

    def check_range(self, value: Any) -> None:
        """Refuse a parsed value that the table does not allow.

        Raises:
            UserError: the value is outside its range.
        """
        if self.kind in ("list", "tuple", "nested list"):
            parts = [part for group in value for part in group] if "nested" in self.kind else value
            # Each part is looked at before the verdict: a later one may raise its own error.
            if [part for part in parts if part not in self.allowed]:
                raise UserError(
                    f"Hyperparameter {self.name}: value {value} not in range {self.allowed}"
                )
        elif value not in self.allowed:
            raise UserError(f"Hyperparameter {self.name}: {value} is not in {self.allowed}")


@dataclass(frozen=True)
class Table:
    """All hyperparameters, and what else the table says about them."""

    rows: Mapping[str, Hyperparameter]
    aliases: Mapping[str, str]
    maximized_metrics: frozenset[str]


@cache
def table() -> Table:
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
    return Table(rows, raw["aliases"], frozenset(raw["maximized_metrics"]))


def validate(given: Mapping[str, Any]) -> dict[str, Any]:
    """Parse and check a job's hyperparameters.

    Args:
        given: name to value, both texts, as they stand in hyperparameters.json.

    Returns:
        Canonical name to parsed value; what a rule depends on stands before it.

    Raises:
        UserError: a value is missing, unknown, unreadable, out of range or at odds with another.
        AlgorithmError: a value has a shape that its range cannot be compared with.
        KeyError: `eval_metric` without `objective` (the image's own slip, kept).
        SyntaxError, NameError: `monotone_constraints` or `interaction_constraints` is not an
            expression; the image reports Python's own error.
    """
    rows, aliases = table().rows, table().aliases
    named = {aliases.get(name, name): value for name, value in given.items()}
    for name, row in rows.items():
        if row.required and name not in named:
            raise UserError(f"Missing required hyperparameter: {name}")

    parsed = {}
    for name, text in named.items():
        if name not in rows:
            raise UserError(f"Extraneous hyperparameter found: {name}")
        try:
            parsed[name] = _PARSERS[rows[name].kind](text)
        except ValueError as error:
            raise UserError(f"Hyperparameter {name}: could not parse value", error) from error

    for name, value in parsed.items():
        try:
            rows[name].check_range(value)
        except (TypeError, AttributeError) as error:
            raise AlgorithmError(
                f"Hyperparameter {name}: unexpected failure when validating {value}", error
            ) from error

    checked: dict[str, Any] = {}
    for name in _dependencies_first(parsed, rows):
        if name in _RULES:
            known = {other: checked[other] for other in rows[name].depends_on if other in checked}
            _RULES[name](parsed[name], known)
        checked[name] = parsed[name]
    return checked


def _dependencies_first(
    names: Iterable[str], rows: Mapping[str, Hyperparameter]
) -> dict[str, None]:
    ordered: dict[str, None] = {}
    present = set(names)

    def visit(name: str) -> None:
        for other in rows[name].depends_on:
            if other in present and other not in ordered:
                visit(other)
        ordered.setdefault(name)

    for name in names:
        visit(name)
    return ordered


def _parse_tuple(text: Any) -> Any:
    """Read `(1,0,-1)`, for which the image runs `eval`, without running anything."""
    if not isinstance(text, str):
        return text if isinstance(text, tuple) else None
    expression = ast.parse(text.lstrip(" \t"), "<string>", "eval")
    try:
        return ast.literal_eval(expression)
    except ValueError:
        for node in ast.walk(expression):
            if isinstance(node, ast.Name) and not hasattr(builtins, node.id):
                raise NameError(f"name {node.id!r} is not defined") from None
        raise


def _parse_nested_list(text: Any) -> Any:
    if isinstance(text, str):
        return ast.literal_eval(text)
    return text if isinstance(text, list) else None


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "integer": int,
    "continuous": float,
    "categorical": lambda text: text,
    "list": lambda text: text.split(","),
    "tuple": _parse_tuple,
    "nested list": _parse_nested_list,
}


def _check_updater(updaters: list[str], known: Mapping[str, Any]) -> None:
    if known.get("booster") == "gblinear":
        if len(updaters) != 1 or updaters[0] not in _LINEAR_UPDATERS:
            options = ", ".join(f"'{updater}'" for updater in _LINEAR_UPDATERS)
            raise UserError(f"Linear updater should be one of these options: {options}.")
    elif known.get("process_type") == "update":
        if not set(updaters) <= {"refresh", "prune"}:
            raise UserError(
                "process_type 'update' can only be used with updater 'refresh' and 'prune'"
            )
    elif not set(updaters) <= set(_TREE_UPDATERS):
        raise UserError(
            "Tree updater should be selected from these options: 'grow_colmaker', 'distcol', "
            "'grow_histmaker', 'grow_skmaker', 'grow_quantile_histmaker', 'sync', 'refresh', "
            "'prune', 'shortgun', 'coord_descent'."
        )
    elif sum(updater in _TREE_GROWERS for updater in updaters) > 1:
        raise UserError(
            "Only one tree grow plugin can be selected. Choose one from the"
            "following: 'grow_colmaker', 'distcol', 'grow_histmaker', 'grow_skmaker'"
        )


def _check_objective(objective: str, known: Mapping[str, Any]) -> None:
    if objective in ("multi:softmax", "multi:softprob") and "num_class" not in known:
        raise UserError("Require input for parameter 'num_class' for multi-classification")


def _check_eval_metric(metrics: list[str], known: Mapping[str, Any]) -> None:
    objective = known["objective"]
    if "auc" in metrics and not objective.startswith(("binary:", "rank:")):
        raise UserError("Metric 'auc' can only be applied for classification and ranking problems.")
    if "aft-nloglik" in metrics and objective != "survival:aft":
        raise UserError("Metric 'aft-nloglik' can only be applied for 'survival:aft' objective.")


def _check_monotone_constraints(_: Any, known: Mapping[str, Any]) -> None:
    if known.get("tree_method") not in ("exact", "hist"):
        raise UserError(
            "monotone_constraints can be used only when the tree_method parameter is set to "
            "either 'exact' or 'hist'."
        )


def _check_interaction_constraints(_: Any, known: Mapping[str, Any]) -> None:
    if known.get("tree_method") not in ("exact", "hist", "approx"):
        raise UserError(
            "interaction_constraints can be used only when the tree_method parameter is set to "
            "either 'exact', 'hist' or 'approx'."
        )


_RULES: Mapping[str, Callable[[Any, Mapping[str, Any]], None]] = {
    "updater": _check_updater,
    "objective": _check_objective,
    "eval_metric": _check_eval_metric,
    "monotone_constraints": _check_monotone_constraints,
    "interaction_constraints": _check_interaction_constraints,
}
