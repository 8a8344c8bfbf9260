"""The notebook runs from top to bottom: with Refit, and by hand with boto3."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.e2e import hostility

if TYPE_CHECKING:
    from tests.e2e.driver import User

RUNNER = Path(__file__).parents[2] / "notebooks/run.py"
SAID = (
    "It was rejected, and none of its code was run",
    "same answers as the endpoint: True",
    "continued the training of version 1",
    "accuracy over 2 folds: ",
    "Drift: ",
    " after the retraining",
    "95% interval",
    "same as the endpoint: True",
    "continued on further rows",
    "accuracy out of fold: ",
    "of them with a label",
    "probability without drift",
    "wrong on the same ",
    "after the retraining: ",
    "removed the bucket and the role",
    "nothing is left",
)
"""What its cells print, in this order."""


@pytest.mark.skipif(hostility.is_wanted(), reason="the cells do not repeat what a fault ends")
def test_the_notebook_runs_from_top_to_bottom_on_the_local_stack(
    user: User, tmp_path: Path
) -> None:
    executed = tmp_path / "executed.ipynb"
    options = ["--port", user.stack.port, "--folds", 2, "--trials", 2, "--output", executed]
    done = subprocess.run(
        [sys.executable, RUNNER, *map(str, options)], capture_output=True, text=True, check=False
    )
    assert executed.exists(), done.stderr
    outputs = [
        output
        for cell in nbformat.read(executed, as_version=4).cells
        for output in cell.get("outputs", [])
    ]
    # The kernel may deliver what a command prints in pieces.
    text = "".join(output["text"] for output in outputs if output["output_type"] == "stream")
    assert done.returncode == 0, done.stderr + text[-4000:]
    position = 0
    for said in SAID:
        position = text.find(said, position)
        assert position >= 0, said
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 5
