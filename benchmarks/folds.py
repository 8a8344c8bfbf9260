"""Scores by folds beside scores on the held-out rows, and the ensemble beside the single model.

Each run prepares a table of scikit-learn as Refit does, with folds and another seed, and trains
XGBoost with the plan that Refit makes for it. It measures the models of the folds out of fold, and
the model of all training rows and the ensemble on the held-out test rows, which are the same in
each run.

    python benchmarks/folds.py                 about two minutes on two idle cores
    python benchmarks/folds.py --runs 2        a quick look
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent / "functions"))

import numpy as np
import xgboost as xgb
from refit.domain.data_settings import DataSettings
from refit.domain.pipeline.training_plan import DataShape, plan_training
from refit.domain.training_settings import TrainingSettings
from refit.tabular.dataset import tables_of
from refit.tabular.preparation import FoldSinks, prepare
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.table import DroppedFile
from sklearn import datasets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDS = 5


@dataclass(frozen=True)
class Case:
    """A table of scikit-learn; the score is the accuracy in percent, or the RMSE."""

    name: str
    load: Callable[[], Any]
    classes: int | None

    def score(self, predictions: np.ndarray, labels: np.ndarray) -> float:
        if self.classes is None:
            return float(np.sqrt(np.mean((predictions - labels) ** 2)))
        predicted = predictions.argmax(axis=1) if predictions.ndim > 1 else predictions > 0.5
        return 100 * float(np.mean(predicted == labels))


CASES = (
    Case("breast cancer, accuracy in %", datasets.load_breast_cancer, 2),
    Case("digits, accuracy in %", datasets.load_digits, 10),
    Case("diabetes, RMSE", datasets.load_diabetes, None),
)


@dataclass(frozen=True)
class Scores:
    """Scores of one run: of each fold, and of both final models on the test rows."""

    folds: list[float]
    single: float
    ensemble: float


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    print("| table | folds: mean ± spread | test rows: single model | test rows: ensemble |")
    print("|---|---|---|---|")
    for case in CASES:
        scores = [scores_of(case, seed) for seed in range(runs)]
        mean = fmean(fmean(run.folds) for run in scores)
        spread = fmean(stdev(run.folds) for run in scores)
        single, ensemble = fmean(r.single for r in scores), fmean(r.ensemble for r in scores)
        print(f"| {case.name} | {mean:.2f} ± {spread:.2f} | {single:.2f} | {ensemble:.2f} |")


def scores_of(case: Case, seed: int) -> Scores:
    """Return the scores of one run."""
    data = case.load()
    rows = np.column_stack([data.target, data.data])
    text = "".join(",".join(map(repr, row.tolist())) + "\n" for row in rows).encode()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = DroppedFile("drop.csv", len(text), lambda: io.BytesIO(text))
        done = prepare(
            tables_of([file], folder).tables,
            DataSettings(label=0),
            None,
            folder,
            seed,
            Quarantine(io.BytesIO()),
            folds=FOLDS,
        )
        train, validation, test = (io.BytesIO() for _ in range(3))
        done.write_train(train)
        done.write_validation(validation)
        done.write_test(test, io.BytesIO(), io.BytesIO())
        sinks = [FoldSinks(io.BytesIO(), io.BytesIO(), io.BytesIO(), None) for _ in range(FOLDS)]
        done.write_folds(sinks)
    shape = DataShape(
        "regression" if case.classes is None else "classification",
        done.rows["train"],
        data.data.shape[1],
        case.classes,
        train.tell(),
        validation.tell(),
        has_validation=True,
    )
    metric = "rmse" if case.classes is None else "accuracy"
    planned = plan_training(shape, TrainingSettings(), metric).hyperparameters
    held_out, watched = matrix([test]), matrix([validation])
    models = [trained(planned, matrix([sink.train]), watched, seed) for sink in sinks]
    scores = []
    for model, sink in zip(models, sinks, strict=True):
        labels = numbers(sink.labels)[:, 0]
        scores.append(case.score(model.predict(xgb.DMatrix(numbers(sink.features))), labels))
    single = trained(planned, matrix([train]), watched, seed)
    labels = held_out.get_label()
    together = np.mean([model.predict(held_out) for model in models], axis=0)
    return Scores(
        scores, case.score(single.predict(held_out), labels), case.score(together, labels)
    )


def trained(
    planned: dict[str, str], rows: xgb.DMatrix, watched: xgb.DMatrix, seed: int
) -> xgb.Booster:
    """Train as the container does: stopped early on the last metric, with the best rounds only."""
    values: dict[str, Any] = {**planned, "seed": seed}
    rounds, patience = int(values.pop("num_round")), int(values.pop("early_stopping_rounds"))
    values["eval_metric"] = planned["eval_metric"].split(",")
    stop = xgb.callback.EarlyStopping(rounds=patience, save_best=True)
    evals = [(watched, "validation")]
    return xgb.train(
        values,
        rows,
        num_boost_round=rounds,
        evals=evals,
        callbacks=[stop],
        verbose_eval=False,
    )


def matrix(parts: Sequence[io.BytesIO]) -> xgb.DMatrix:
    rows = np.concatenate([numbers(part) for part in parts])
    return xgb.DMatrix(rows[:, 1:], label=rows[:, 0])


def numbers(sink: Any) -> np.ndarray:
    return np.loadtxt(io.BytesIO(sink.getvalue()), delimiter=",", ndmin=2)


if __name__ == "__main__":
    main()
