"""Execute the notebook from top to bottom: `make notebook`, and the tests.

The parts that are not chosen are left out: their cells have the part's name as a tag.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nbformat
import papermill
from refit_local.stack import lifecycle

NOTEBOOK = Path(__file__).with_name("handwritten_digits.ipynb")
PARTS = ("refit", "boto3", "sdk")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=4566, help="port of the local stack")
    parser.add_argument("--data", default="", help="path of mnist.pkl.gz")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["refit", "boto3"])
    parser.add_argument("--kernel", default="python3", help="name of the Jupyter kernel")
    parser.add_argument("--output", type=Path, help="the notebook with its outputs")
    return parser.parse_args()


def main() -> None:
    """Run the chosen parts on the local stack of the port, which is started if there is none."""
    arguments = read_arguments()
    output = arguments.output or Path(tempfile.mkdtemp()) / NOTEBOOK.name
    left_out = set(PARTS) - set(arguments.parts)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = [
        cell for cell in notebook.cells if not left_out & set(cell.metadata.get("tags", []))
    ]
    was_running = lifecycle.info(arguments.port) is not None
    if not was_running:
        lifecycle.up(arguments.port)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            chosen = Path(folder) / NOTEBOOK.name
            nbformat.write(notebook, chosen)
            papermill.execute_notebook(
                chosen,
                output,
                {
                    "PORT": arguments.port,
                    "DATA": arguments.data and str(Path(arguments.data).resolve()),
                    "FOLDS": arguments.folds,
                    "TRIALS": arguments.trials,
                },
                kernel_name=arguments.kernel,
                cwd=folder,
                progress_bar=False,
                autosave_cell_every=0,
            )
    finally:
        if not was_running:
            lifecycle.down(arguments.port)
    print(f"ran {', '.join(arguments.parts)} in {time.monotonic() - began:.0f} s: {output}")


if __name__ == "__main__":
    main()
