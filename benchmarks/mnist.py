"""Train MNIST with the planned and with tuned hyperparameters, as it is and without slant.

    nice -n 10 python benchmarks/mnist.py mnist.pkl.gz                    all of it
    nice -n 10 python benchmarks/mnist.py mnist.pkl.gz --only planned     without the search

The search sees the first 10,000 training rows and stops on the validation rows, as `[tuning]` does
with ranges. The hyperparameters of its best trial are then trained once on all 50,000 training
rows. Each line has the accuracy on the 10,000 test images, which decide nothing. The images lose
their slant by examples/deskew/deskew.py.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples" / "deskew"))

import tuning
from deskew import deskewed_rows
from refit.domain.model_settings import TrainingSettings
from refit.domain.pipeline.training_plan import plan_training
from refit.domain.tuning_settings import NumberRange, TuningSettings

RANGES = {
    "eta": NumberRange(min=0.08, max=0.15, scaling="logarithmic"),
    "max_depth": NumberRange(min=8, max=10),
    "subsample": NumberRange(min=0.6, max=0.8),
    "colsample_bynode": NumberRange(min=0.1, max=0.3),
}
FIXED = {"max_bin": 32, "num_round": 900, "early_stopping_rounds": 30}


def straight(table: tuning.Table) -> tuning.Table:
    """Return the images without slant, in the same units."""
    rows = [(deskewed_rows(part * 255.0) / 255).astype(np.float32) for part in table.rows]
    return replace(table, name=f"{table.name}, deskewed", rows=rows)


def first(table: tuning.Table, rows: int) -> tuning.Table:
    """Return the table with its first training rows only."""
    return replace(
        table,
        rows=[table.rows[0][:rows], *table.rows[1:]],
        labels=[table.labels[0][:rows], *table.labels[1:]],
    )


def report(name: str, result: tuning.Result, note: str) -> None:
    """Print a line of the table."""
    print(
        f"| {name} | {result.accuracy:.2%} | {result.loss:.4f} | {result.seconds:,.0f} | {note} |",
        flush=True,
    )


def trained(
    table: tuning.Table, hyperparameters: dict[str, str], threads: int
) -> tuple[tuning.Result, str]:
    """Train once on all rows; return the figures of the test rows, and the number of rounds."""
    began = time.perf_counter()
    model, _ = tuning.boosted(table, hyperparameters | {"nthread": str(threads)}, "mlogloss")
    result = tuning.measured(table, model, time.perf_counter() - began)
    return result, f"{model.num_boosted_rounds()} rounds"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="mnist.pkl.gz")
    parser.add_argument("--rows", type=int, default=10_000, help="training rows of the search")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["planned", "tuned"], help="one half of the table")
    arguments = parser.parse_args()
    plain = tuning.mnist(arguments.data, 50_000)
    deskewed = straight(plain)
    print("| | accuracy | log loss | seconds | |\n|---|---|---|---|---|", flush=True)
    if arguments.only != "tuned":
        for table in (plain, deskewed):
            planned = plan_training(table.shape, TrainingSettings(), "accuracy").hyperparameters
            report(f"{table.name}, planned", *trained(table, planned, arguments.threads))
    if arguments.only != "planned":
        training = TrainingSettings(hyperparameters=FIXED | {"nthread": arguments.threads})
        settings = TuningSettings(max_jobs=arguments.trials, seed=0, ranges=RANGES)
        sample = first(deskewed, arguments.rows)
        best = tuning.searched(sample, training, settings)
        found = {name: best.hyperparameters[name] for name in RANGES}
        report(f"the best of {arguments.trials} trials", best.result, str(found))
        report(
            "MNIST, deskewed, tuned", *trained(deskewed, best.hyperparameters, arguments.threads)
        )


if __name__ == "__main__":
    main()
