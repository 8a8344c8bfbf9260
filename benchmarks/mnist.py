"""Train MNIST after the preparations of examples/deskew: with its hyperparameters, tuned, planned.

    nice -n 10 python benchmarks/mnist.py mnist.pkl.gz [--trials 12] [--tuning-rows 10000]

The preparations are images without slant, and the directions of their edges. All 50,000 training
rows are trained on, and the 10,000 validation rows stop the training. The tuned hyperparameters are
the best of some trials on fewer training rows, by the validation rows. Each line has accuracy and
log loss on the 10,000 test images, which decide nothing, and CPU seconds of one thread; those of
the tuning are in a line of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "deskew"
sys.path.append(str(EXAMPLE))

import tuning  # noqa: E402 (beside this file)
from deskew import deskewed_rows, prepared  # noqa: E402 (in the example)
from refit.domain.pipeline.training_plan import plan_training  # noqa: E402
from refit.domain.training_settings import TrainingSettings  # noqa: E402
from refit.domain.tuning_settings import TuningSettings  # noqa: E402

ONE_THREAD = {"nthread": 1}
SEARCHED = frozenset(
    "eta max_depth min_child_weight subsample colsample_bynode lambda num_round".split()
)
PREPARED = {
    "deskewed": deskewed_rows,
    "directions": lambda pixels: prepared(pixels, with_directions=True),
}


def after(table: tuning.Table, preparation: str) -> tuning.Table:
    """Return the table of the prepared images."""
    rows = [PREPARED[preparation](part * 255.0).astype(np.float32) for part in table.rows]
    return replace(table, name=f"MNIST, {preparation}", rows=rows)


def report(table: tuning.Table, name: str, hyperparameters: dict[str, str | int | float]) -> None:
    """Train a table, and print a line."""
    settings = TrainingSettings(hyperparameters=hyperparameters | ONE_THREAD)
    planned = plan_training(table.shape, settings, "accuracy").hyperparameters
    began = time.process_time()
    model, _ = tuning.boosted(table, planned, "mlogloss")
    result = tuning.measured(table, model, time.process_time() - began)
    print(
        f"| {table.name} | {name} | {model.num_boosted_rounds()} | {result.accuracy:.2%} | "
        f"{result.loss:.4f} | {result.seconds:,.0f} |",
        flush=True,
    )


def tuned(table: tuning.Table, rows: int, trials: int) -> dict[str, str]:
    """Return the best hyperparameters of a search on the first training rows; print its line."""
    few = replace(
        table,
        rows=[table.rows[0][:rows], *table.rows[1:]],
        labels=[table.labels[0][:rows], *table.labels[1:]],
    )
    training = TrainingSettings(hyperparameters=ONE_THREAD)
    best = tuning.searched(few, training, TuningSettings(max_jobs=trials, seed=1))
    print(
        f"| {table.name}, {rows:,} rows | best of {trials} trials | | {best.result.accuracy:.2%} | "
        f"{best.result.loss:.4f} | {best.result.seconds:,.0f} |",
        flush=True,
    )
    return best.hyperparameters


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="mnist.pkl.gz")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--tuning-rows", type=int, default=10_000)
    arguments = parser.parse_args()
    example = tomllib.loads((EXAMPLE / "model.toml").read_text())["training"]["hyperparameters"]
    plain = tuning.mnist(arguments.data, 50_000)
    directions = after(plain, "directions")
    print("| | hyperparameters | rounds | accuracy | log loss | seconds |", flush=True)
    print("|---|---|---|---|---|---|", flush=True)
    report(directions, "of the example", example)
    found = tuned(directions, arguments.tuning_rows, arguments.trials)
    chosen = {name: value for name, value in found.items() if name in SEARCHED}
    print(f"tuned: {chosen}", file=sys.stderr)
    report(directions, "tuned on fewer rows", chosen)
    for table in (directions, after(plain, "deskewed"), plain):
        report(table, "planned", {})


if __name__ == "__main__":
    main()
