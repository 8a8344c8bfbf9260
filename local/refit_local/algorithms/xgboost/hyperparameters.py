"""Parse and validate the hyperparameters of a training job.

Order of the checks, of which the first error is reported: aliases, required, parse, range,
dependencies. No defaults are filled in.

Source  the image's verdicts on recorded hyperparameters, exact messages included;
        docs/sagemaker-contract.md, "Hyperparameters"
"""

import ast
import builtins
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from refit_local.algorithms.xgboost.errors import AlgorithmError, UserError
from refit_local.algorithms.xgboost.hyperparameter_rules import RULES
from refit_local.algorithms.xgboost.hyperparameter_table import Hyperparameter, table


def validate(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Parse and validate the hyperparameters of a job.

    Args:
        raw: name to value, both strings, as in the job's hyperparameters.json.

    Returns:
        Canonical name to parsed value. The hyperparameters that a rule reads come before it.

    Raises:
        UserError: a name is missing or unknown; a value cannot be parsed, is out of range or
            contradicts another.
        AlgorithmError: the type of a value cannot be compared with its range.
        KeyError: `eval_metric` without `objective` (a defect of the image).
        SyntaxError, NameError: `monotone_constraints` or `interaction_constraints` is not an
            expression; the image reports Python's own error.
    """
    rows, aliases = table().rows, table().aliases
    named = {aliases.get(name, name): value for name, value in raw.items()}
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
        if name in RULES:
            dependencies = {
                other: checked[other] for other in rows[name].depends_on if other in checked
            }
            RULES[name](parsed[name], dependencies)
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
    """Parse `(1,0,-1)` without evaluating it; the image calls `eval`."""
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
