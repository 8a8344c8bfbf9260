"""Compare the planned hyperparameters with the defaults of XGBoost, LightGBM and scikit-learn.

    nice -n 19 python benchmarks/defaults.py                      all tables
    nice -n 19 python benchmarks/defaults.py wine titanic --seeds 3

Each table is split ten times: 70 % of the rows train, 10 % validate (`validation_fraction` of a
run without settings), 20 % test. Refit's plan stops early on the validation rows, as in a run. The
others are measured twice:

`as used`    fitted on training and validation rows together with nothing set, as people use them.
             They have a seventh more rows than Refit, whose validation rows only stop the training.
`same rows`  fitted on the training rows, stopped after 10 rounds without a better validation loss.

The loss is the log loss of classes and the RMSE of numbers on the test rows. A difference is
paired by split; its standard error is that over the splits. Times are CPU seconds, one thread. The
planned hyperparameters were chosen on one half of the tables, so the other half counts.

The packages are installed into benchmarks/.venv at the first run.
"""
# ruff: noqa: E402 (the imports need the environment of the packages)

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
PYTHON = HERE / ".venv" / "bin" / "python"
if __name__ == "__main__" and Path(sys.executable) != PYTHON:
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", PYTHON.parents[1]], check=True)
    requirements = ["-r", HERE / "requirements.txt"]
    subprocess.run([PYTHON, "-m", "pip", "install", "-q", *requirements], check=True)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
os.environ["OMP_NUM_THREADS"] = "1"
sys.path[:0] = [str(HERE), str(HERE.parent / "functions")]

import lightgbm as lgb
import numpy as np
import xgboost as xgb
from defaults_tables import CHOOSING, REPORTED, Table, table
from refit.domain.data_settings import DataSettings
from refit.domain.pipeline.training_plan import DataShape, plan_training
from refit.domain.training_settings import TrainingSettings
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CONTAINER_ONLY = ("num_round", "early_stopping_rounds", "eval_metric")
PATIENCE = 10
READINGS = ("as used", "same rows")
METHODS = ("Refit", "XGBoost", "LightGBM", "HistGradientBoosting")


@dataclass(frozen=True)
class Split:
    """One split of a table: rows and labels to train, to validate and to test."""

    classes: int | None
    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]

    @property
    def both(self) -> tuple[np.ndarray, np.ndarray]:
        """Training and validation rows together."""
        rows, labels = zip(self.train, self.validation, strict=True)
        return np.concatenate(rows), np.concatenate(labels)

    @property
    def shape(self) -> DataShape:
        rows, labels = self.train
        share = None
        if self.classes:
            share = np.bincount(labels.astype(int), minlength=self.classes).min() / len(labels)
        return DataShape(
            "classification" if self.classes else "regression",
            len(rows),
            rows.shape[1],
            self.classes,
            rows.nbytes,
            self.validation[0].nbytes,
            has_validation=True,
            validation_rows=len(self.validation[0]),
            rare_share=share,
        )


def split(table: Table, seed: int) -> Split:
    """Split a table at random, each class evenly; a fifth of the rows test."""

    def cut(rows: np.ndarray, labels: np.ndarray, share: float) -> list[np.ndarray]:
        even = labels if table.classes else None
        return train_test_split(rows, labels, test_size=share, random_state=seed, stratify=even)

    rows, test_rows, labels, test_labels = cut(table.rows, table.labels, 0.2)
    share = DataSettings().validation_fraction / 0.8
    train, validation, train_labels, validation_labels = cut(rows, labels, share)
    return Split(
        table.classes,
        (train, train_labels),
        (validation, validation_labels),
        (test_rows, test_labels),
    )


def planned(part: Split) -> dict[str, str]:
    """Return the hyperparameters of Refit's training job."""
    metric = "log_loss" if part.classes else "rmse"
    return plan_training(part.shape, TrainingSettings(), metric).hyperparameters


def refit(part: Split, _: str, hyperparameters: dict[str, str] | None = None) -> np.ndarray:
    """Train as the container does, and predict."""
    hyperparameters = hyperparameters or planned(part)
    stopping = hyperparameters["eval_metric"].split(",")[-1]
    parameters = {k: v for k, v in hyperparameters.items() if k not in CONTAINER_ONLY}
    model = xgb.train(
        parameters | {"eval_metric": stopping, "nthread": 1},
        xgb.DMatrix(*part.train),
        int(hyperparameters["num_round"]),
        evals=[(xgb.DMatrix(*part.validation), "validation")],
        callbacks=[
            xgb.callback.EarlyStopping(
                rounds=int(hyperparameters["early_stopping_rounds"]),
                metric_name=stopping,
                save_best=True,
            )
        ],
        verbose_eval=False,
    )
    return model.predict(xgb.DMatrix(part.test[0]))


def xgboost(part: Split, reading: str) -> np.ndarray:
    kind = xgb.XGBClassifier if part.classes else xgb.XGBRegressor
    if reading == "as used":
        return _predicted(kind(n_jobs=1).fit(*part.both), part)
    model = kind(n_jobs=1, early_stopping_rounds=PATIENCE)
    return _predicted(model.fit(*part.train, eval_set=[part.validation], verbose=False), part)


def lightgbm(part: Split, reading: str) -> np.ndarray:
    model = (lgb.LGBMClassifier if part.classes else lgb.LGBMRegressor)(n_jobs=1, verbosity=-1)
    if reading == "as used":
        return _predicted(model.fit(*part.both), part)
    stop = lgb.early_stopping(PATIENCE, verbose=False)
    rows, labels = part.validation
    return _predicted(model.fit(*part.train, eval_X=rows, eval_y=labels, callbacks=[stop]), part)


def histogram(part: Split, reading: str) -> np.ndarray:
    kind = HistGradientBoostingClassifier if part.classes else HistGradientBoostingRegressor
    if reading == "as used":
        return _predicted(kind(random_state=1).fit(*part.both), part)
    model = kind(random_state=1, early_stopping=True, n_iter_no_change=PATIENCE)
    rows, labels = part.validation
    return _predicted(model.fit(*part.train, X_val=rows, y_val=labels), part)


def _predicted(model: Any, part: Split) -> np.ndarray:
    return (model.predict_proba if part.classes else model.predict)(part.test[0])


TRAIN: tuple[Callable[[Split, str], np.ndarray], ...] = (refit, xgboost, lightgbm, histogram)


def loss(part: Split, predicted: np.ndarray) -> float:
    """Return the log loss or the RMSE on the test rows."""
    if not part.classes:
        return float(root_mean_squared_error(part.test[1], predicted))
    if predicted.ndim == 1:
        predicted = np.column_stack([1 - predicted, predicted])
    return float(log_loss(part.test[1], predicted, labels=range(part.classes)))


def measure(table: Table, seed: int) -> np.ndarray:
    """Return losses and seconds of a split, (2, n_readings, n_methods); Refit is trained once."""
    warnings.filterwarnings("ignore", category=UserWarning)  # names of columns, rounding of sums
    part = split(table, seed)
    values = np.empty((2, len(READINGS), len(METHODS)))
    for reading, name in enumerate(READINGS):
        for method, train in enumerate(TRAIN):
            if method == 0 and reading > 0:
                values[:, reading, 0] = values[:, 0, 0]
                continue
            began = time.process_time()
            predicted = train(part, name)
            values[1, reading, method] = time.process_time() - began
            values[0, reading, method] = loss(part, predicted)
    return values


def kept(folder: Path | None, name: str, seeds: int, pool: ProcessPoolExecutor) -> Result:
    """Return what an earlier run has kept of a table, or measure it."""
    read = table(name)
    path = folder / f"{name.replace(' ', '-')}-{seeds}.npy" if folder else None
    if path and path.exists():
        return Result(read, np.load(path))
    values = np.stack(list(pool.map(partial(measure, read), range(seeds))))
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values)
    return Result(read, values)


@dataclass(frozen=True)
class Result:
    """The splits of a table: losses and seconds, (n_splits, 2, n_readings, n_methods)."""

    table: Table
    values: np.ndarray

    def losses(self, reading: int) -> np.ndarray:
        """Mean losses by method."""
        return self.values[:, 0, reading].mean(axis=0)

    def rank(self, reading: int) -> int:
        """Refit's rank among the methods, 1 is the best."""
        losses = self.losses(reading)
        return 1 + int((losses < losses[0]).sum())

    def difference(self, reading: int, method: int) -> float:
        """Mean paired difference to a method in standard errors; positive: Refit is worse."""
        differences = self.values[:, 0, reading, 0] - self.values[:, 0, reading, method]
        error = differences.std(ddof=1) / len(differences) ** 0.5
        return float(differences.mean() / error) if error else 0.0

    def times(self, reading: int, method: int) -> float:
        """Refit's seconds relative to a method's."""
        seconds = self.values[:, 1, reading].mean(axis=0)
        return float(seconds[0] / seconds[method])

    def line(self, reading: int) -> str:
        """A line of the table."""
        losses = self.losses(reading)
        best = losses.min()
        cells = [f"**{value:.4g}**" if value == best else f"{value:.4g}" for value in losses]
        worse = [METHODS[m] for m in range(1, len(METHODS)) if self.difference(reading, m) > 2]
        kind = f", {self.table.classes} classes" if self.table.classes else ""
        rows, columns = self.table.rows.shape
        return " | ".join(
            [
                f"| {self.table.name} ({rows:,} × {columns}{kind})",
                *cells,
                str(self.rank(reading)),
                ", ".join(worse) or "–",
                f"{self.times(reading, 1):.1f} |",
            ]
        )


def summary(results: list[Result], reading: int) -> Iterable[str]:
    """Sentences on a half of the tables."""
    ranks = [
        [
            1 + int((losses < losses[method]).sum())
            for losses in (r.losses(reading) for r in results)
        ]
        for method in range(len(METHODS))
    ]
    medians = ", ".join(
        f"{name} {np.median(rank):g}" for name, rank in zip(METHODS, ranks, strict=True)
    )
    yield f"median rank: {medians}"
    for method in range(1, len(METHODS)):
        differences = [result.difference(reading, method) for result in results]
        worse = [r.table.name for r, d in zip(results, differences, strict=True) if d > 2]
        times = [result.times(reading, method) for result in results]
        yield (
            f"{METHODS[method]}: better on {sum(d < 0 for d in differences)} of {len(results)} "
            f"({sum(d < -2 for d in differences)} by more than two standard errors), worse by more "
            f"than two on {len(worse)}{': ' * bool(worse)}{', '.join(worse)}; "
            f"time × {np.median(times):.1f} (median), × {max(times):.1f} (largest)"
        )


def main() -> None:
    """Print the tables of both readings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help="words in the names of tables; all without")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--keep", type=Path, help="folder of finished tables; those in it are not measured again"
    )
    arguments = parser.parse_args()
    halves: dict[str, list[Result]] = {"chosen on": [], "reported": []}
    with ProcessPoolExecutor(arguments.workers) as pool:
        for half, names in zip(halves, (CHOOSING, REPORTED), strict=True):
            for name in names:
                if arguments.names and not any(word in name for word in arguments.names):
                    continue
                halves[half].append(kept(arguments.keep, name, arguments.seeds, pool))
                print(halves[half][-1].line(0), file=sys.stderr, flush=True)
    for reading, title in enumerate(READINGS):
        print(f"\n{title}\n\n| table | {' | '.join(METHODS)} | rank | worse than | time |")
        print("|---|" + "---|" * (len(METHODS) + 3))
        for half, results in halves.items():
            print(f"| **{half}** |" + " |" * (len(METHODS) + 3))
            print("\n".join(result.line(reading) for result in results))
        for half, results in halves.items():
            if results:
                print(f"\n{half}, {title}:\n")
                print("\n".join(f"- {sentence}" for sentence in summary(results, reading)))


if __name__ == "__main__":
    main()
