"""A model whose predictions are features of model `digits`, and a stand-in for its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.schema import Schema
from refit.handlers.wiring import services

from tests.support.prepare_runs import RUN
from tests.support.versions import promote_version, register_version

if TYPE_CHECKING:
    from refit.domain.naming import RunKeys

    from tests.support.aws_stack import Stack

SEGMENTS = Schema.model_validate(
    {
        "task": "classification",
        "label": "segment",
        "features": [{"name": "c", "type": "number"}, {"name": "a", "type": "number"}],
        "classes": ["low", "high"],
    }
)
FROM_SEGMENTS = "[data]\nlabel = 'y'\nfeatures_from = 'segments'\n"


def put_version(
    model: str, version: int, schema: Schema = SEGMENTS, status: str = "DEPLOYED"
) -> None:
    """Register a version whose run has ended with this status; make it live if it is DEPLOYED."""
    run = f"run{version}"
    services().models.begin_run(model, run, "drop", None)
    services().models.release_run(model, run)
    register_version(model, version, schema)
    services().models.update_run(model, run, status=status)
    if status == "DEPLOYED":
        promote_version(model, version, run)


def high(line: bytes) -> float:
    """Return what the stand-in answers to a line of its columns: the probability of `high`."""
    c, a = map(float, line.split(b","))
    return (c * 7919 + a) % 10_007 / 10_007


def answer_questions(stack: Stack, keys: RunKeys = RUN) -> None:
    """Write the answers to the questions of a run, as a transform job does."""
    for key in stack.keys(keys.features_input):
        lines = stack.read(key).splitlines()
        name = key.removeprefix(keys.features_input)
        answers = "".join(f"{high(line)!r}\n" for line in lines)
        stack.put(f"{keys.features_output}{name}.out", answers)
