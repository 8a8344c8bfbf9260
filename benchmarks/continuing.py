"""Compare trainings that continue an earlier model with trainings from the first round.

    OMP_NUM_THREADS=1 nice -n 10 python benchmarks/continuing.py [--seeds 5] [--data mnist.pkl.gz]

The earlier model is trained on half of the training rows. Then the other half arrives, and a model
is trained on the new rows or on all of them, from the first round or continuing the earlier one.
With a drift, the pixels of the new rows and of the test rows are in another order (images), or the
sign of the label's distance to its mean changes (numbers). All trainings stop early on the same
validation rows, which have the drift, too. The figures are of test rows that no model has seen: log
loss (classes) or RMSE (numbers), rounds that were trained, and seconds.

Then the digits arrive in ten parts, each of which continues the model before it: the size of the
model and the time of a prediction of one row.
"""

from __future__ import annotations

import argparse
import json
import time
import timeit
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from refit.domain.pipeline.continuation import ROUNDS
from refit.domain.pipeline.training_plan import plan_training
from refit.domain.training_settings import TrainingSettings
from tuning import Table, measured, mnist, shipped

_CONTAINER_ONLY = ("num_round", "early_stopping_rounds", "eval_metric")
PARTS = 10


@dataclass
class Trained:
    """A model, the rounds that were boosted for it (early stopping included), and the seconds."""

    model: Any
    rounds: int
    seconds: float


def train(table: Table, rows: Any, labels: Any, earlier: Any = None) -> Trained:
    """Train as the container does, or as Refit's script does with an earlier model."""
    metric = "rmse" if table.task == "regression" else "log_loss"
    planned = plan_training(table.shape, TrainingSettings(), metric).hyperparameters
    parameters = {k: v for k, v in planned.items() if k not in _CONTAINER_ONLY}
    stopping = planned["eval_metric"].rpartition(",")[2]
    stop = xgb.callback.EarlyStopping(
        rounds=int(planned["early_stopping_rounds"]), metric_name=stopping, save_best=True
    )
    history: dict[str, Any] = {}
    began = time.perf_counter()
    model = xgb.train(
        {**parameters, "eval_metric": stopping},
        xgb.DMatrix(rows, labels),
        ROUNDS if earlier else int(planned["num_round"]),
        evals=[(xgb.DMatrix(table.rows[1], table.labels[1]), "validation")],
        evals_result=history,
        callbacks=[stop],
        xgb_model=earlier,
        verbose_eval=False,
    )
    rounds = len(history["validation"][stopping])
    return Trained(model, rounds, time.perf_counter() - began)


def halves(table: Table, seed: int) -> tuple[Any, Any]:
    """Return the indexes of the earlier and of the new training rows."""
    order = np.random.default_rng(seed).permutation(len(table.labels[0]))
    return np.array_split(order, 2)


def drifted(table: Table, new: Any, seed: int) -> Table:
    """Return the table with a drift in its new training rows and in all held-out rows."""
    rows, labels = [part.copy() for part in table.rows], [part.copy() for part in table.labels]
    if table.task == "regression":
        mean = labels[0].mean()
        labels = [2 * mean - part for part in labels]
        labels[0] = np.where(np.isin(np.arange(len(labels[0])), new), labels[0], table.labels[0])
    else:
        order = np.random.default_rng(seed).permutation(rows[0].shape[1])
        rows[0][new] = rows[0][new][:, order]
        rows[1:] = [part[:, order] for part in rows[1:]]
    return replace(table, rows=rows, labels=labels)


def compare(table: Table, seed: int, drift: bool) -> dict[str, tuple[float, float, float]]:
    """Return loss, rounds and seconds of each way to train."""
    old, new = halves(table, seed)
    earlier = train(table, table.rows[0][old], table.labels[0][old])
    if drift:
        table = drifted(table, new, seed)
    rows, labels = table.rows[0], table.labels[0]
    ways = {
        "earlier": earlier,
        "new rows, first round": train(table, rows[new], labels[new]),
        "new rows, continued": train(table, rows[new], labels[new], earlier.model),
        "all rows, first round": train(table, rows, labels),
        "all rows, continued": train(table, rows, labels, earlier.model),
    }
    return {
        name: (measured(table, way.model, way.seconds).loss, way.rounds, way.seconds)
        for name, way in ways.items()
    }


def chain(table: Table, seed: int) -> list[dict[str, float]]:
    """Continue a model with each of ten parts of the training rows."""
    parts = np.array_split(np.random.default_rng(seed).permutation(len(table.labels[0])), PARTS)
    model, found = None, []
    row = table.rows[2][:1].astype(np.float32)
    for part in parts:
        trained = train(table, table.rows[0][part], table.labels[0][part], model)
        model = trained.model
        model.set_param("nthread", "1")
        seconds = min(timeit.repeat(lambda m=model: m.inplace_predict(row), number=1, repeat=300))
        found.append(
            {
                "rounds": model.num_boosted_rounds(),
                "MB": len(model.save_raw("ubj")) / 1e6,
                "ms": seconds * 1e3,
                "loss": measured(table, model, 0).loss,
            }
        )
    all_rows = train(table, table.rows[0], table.labels[0])
    loss = measured(table, all_rows.model, 0).loss
    size = len(all_rows.model.save_raw("ubj")) / 1e6
    return [*found, {"rounds": all_rows.model.num_boosted_rounds(), "MB": size, "loss": loss}]


def summarize(name: str, drift: bool, results: list[dict[str, tuple[float, ...]]]) -> None:
    """Print the means of one table."""
    means = {way: np.mean([result[way] for result in results], axis=0) for way in results[0]}
    shown = {way: [round(float(value), 4) for value in mean] for way, mean in means.items()}
    print(json.dumps({"table": name, "drift": drift, "runs": len(results), **shown}), flush=True)


def main() -> None:
    """Print a line of JSON for each table, with and without a drift."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="mnist.pkl.gz; without it, MNIST is left out")
    parser.add_argument("--rows", type=int, default=5000, help="training rows of MNIST")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    for step in chain(shipped(0)[0], 0):
        print(json.dumps({name: round(value, 4) for name, value in step.items()}), flush=True)
    for tables in zip(*map(shipped, range(arguments.seeds)), strict=True):
        for drift in (False, True):
            results = [compare(table, seed, drift) for seed, table in enumerate(tables)]
            summarize(tables[0].name, drift, results)
    if arguments.data:
        for drift in (False, True):
            table = mnist(arguments.data, arguments.rows)
            summarize("MNIST", drift, [compare(table, 0, drift)])


if __name__ == "__main__":
    main()
