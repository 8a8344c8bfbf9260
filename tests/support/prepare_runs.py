"""Begin runs of dropped files, and invoke Prepare for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from refit.domain.naming import RunKeys
from refit.handlers import prepare
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT
from tests.support.events import sample
from tests.support.model_files import object_version

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

RUN = RunKeys("digits", sample("prepare")["run"])
CHAMPION_RUN = RunKeys("digits", "a1b2c3d4e5f6")


def csv_table(
    rows: int = 400, names: str = "", classes: tuple[str, ...] = ("0", "1", "2")
) -> bytes:
    """Return rows of a label and four integers, with a header if names are given."""
    cells = np.random.default_rng(5).integers(0, 10_000, (rows, 4))
    lines = [",".join([classes[row % len(classes)], *map(str, cells[row])]) for row in range(rows)]
    return "\n".join([names, *lines] if names else lines).encode() + b"\n"


def drop_files(stack: Stack, files: dict[str, bytes], keys: RunKeys = RUN) -> None:
    """Put files into the drop folder, and begin a run for them, as Ingest does."""
    entries = []
    for name, data in files.items():
        key = f"digits/raw/{name}"
        version = stack.put(key, data)
        entries.append(object_version(key, version, len(data)))
    services().models.begin_run("digits", keys.run, "drop", None)
    stack.put(
        keys.drop,
        {"model": "digits", "run": keys.run, "cause": "drop", "files": entries},
    )


def prepare_run(keys: RunKeys = RUN) -> dict[str, Any]:
    """Invoke Prepare for a run that has begun."""
    return prepare.handler(sample("prepare") | {"run": keys.run}, CONTEXT)
