"""Decide which version should be live, and whether the live endpoint answers as it should."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refit.domain.naming import ResourceNames

# Batch and live predictions come from the same library on the same bytes; a different instance
# family may round differently in the last digits of a float32.
TOLERANCE = 1e-4

CHANGING_STATUSES = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
"""Statuses of an endpoint in which SageMaker takes no other change of it."""


class Action(StrEnum):
    """What a deployment has to do."""

    NONE = "none"
    CREATE = "create"
    UPDATE = "update"


@dataclass(frozen=True)
class Mismatch:
    """The first row that the live endpoint answered differently."""

    row: int
    expected: list[float]
    answered: list[float]


def action_for(
    wanted: int | None, live: int | None, endpoint_exists: bool, *, has_fault: bool = False
) -> Action:
    """Decide from the present state, not from the event, which may arrive twice or late.

    Args:
        wanted: the newest approved version, if any.
        live: the version of the champion, if any.
        endpoint_exists: whether the endpoint of the model exists.
        has_fault: whether it does not serve the champion (`fault_of_endpoint`).
    """
    if wanted is None or (wanted == live and endpoint_exists and not has_fault):
        return Action.NONE
    return Action.UPDATE if endpoint_exists else Action.CREATE


def fault_of_endpoint(
    names: ResourceNames, expected: str, status: str | None, config: str | None
) -> str | None:
    """Say why an endpoint does not serve the live version; None if it does.

    A config that no deployment of Refit created is the choice of a person, and no fault.

    Args:
        names: of the model.
        expected: endpoint config of the live version.
        status: of the endpoint; None if it does not exist.
        config: live config of the endpoint.
    """
    if status is None:
        return f"endpoint {names.endpoint} does not exist"
    if status == "Failed":
        return f"endpoint {names.endpoint} is Failed"
    if config and config != expected and names.is_deployed(config):
        return (
            f"endpoint {names.endpoint} has the config {config} of a deployment that ended before "
            "its version was live"
        )
    return None


def scores(text: str) -> list[list[float]]:
    """Parse the answer of a model, one row a line.

    XGBoost answers `0.1,0.9` from a live endpoint and `[0.1, 0.9]` in a batch transform. JSON Lines
    have `{"score": [0.1, 0.9]}` in both.

    Raises:
        ValueError: when a cell is not a number.
    """
    return [_scores_of(line.strip()) for line in text.splitlines() if line.strip()]


def _scores_of(line: str) -> list[float]:
    if line.startswith("{"):
        score = json.loads(line).get("score")
        return [float(value) for value in (score if isinstance(score, list) else [score])]
    return [float(cell) for cell in line.strip("[]").split(",")]


def first_mismatch(expected: list[list[float]], answered: list[list[float]]) -> Mismatch | None:
    """Return the first row on which two lists of scores differ by more than the tolerance.

    The tolerance is relative to the larger value, and absolute below 1. Rows missing on either side
    are a mismatch.
    """
    for row in range(max(len(expected), len(answered))):
        left = expected[row] if row < len(expected) else []
        right = answered[row] if row < len(answered) else []
        if len(left) != len(right) or any(
            abs(a - b) > TOLERANCE * max(1.0, abs(a), abs(b))
            for a, b in zip(left, right, strict=True)
        ):
            return Mismatch(row, left, right)
    return None
