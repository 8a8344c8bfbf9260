"""Compare the planned hyperparameters with the best of 12 trials, on held-out rows.

    nice -n 10 python benchmarks/tuning.py [--data mnist.pkl.gz [--rows 10000]] [--seeds 5]
    nice -n 10 python benchmarks/tuning.py --tables weather "doctor visits"   those of defaults.py

Both models are trained on the same rows with early stopping on the same validation rows, which also
choose among the trials. The figures are of test rows that neither has seen: log loss (classes) or
RMSE (numbers), and accuracy. The plan, the ranges and the search are those of a run with
`[tuning] max_jobs = 12` on the local stack; the boosting is done in this process.
"""

from __future__ import annotations

import argparse
import gzip
import json
import pickle
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb
from refit.domain.pipeline.training_plan import DataShape, plan_training
from refit.domain.pipeline.tuning_plan import plan_tuning
from refit.domain.pipeline.tuning_request import tuning_request
from refit.domain.training_settings import TrainingSettings
from refit.domain.tuning_settings import TuningSettings
from refit_local.sagemaker.tuning.search import Search
from sklearn import datasets
from sklearn.metrics import log_loss, root_mean_squared_error

_CONTAINER_ONLY = ("num_round", "early_stopping_rounds", "eval_metric", "csv_weights")
_EMPTY_REQUEST: dict[str, Any] = {"HyperParameters": {}, "Tags": []}


@dataclass
class Table:
    """A data set: train, validation and test rows."""

    name: str
    task: Any
    rows: list[np.ndarray[Any, Any]]
    labels: list[np.ndarray[Any, Any]]

    @property
    def shape(self) -> DataShape:
        train, validation = self.rows[:2]
        classes = len(np.unique(self.labels[0])) if self.task == "classification" else None
        counts = np.unique(self.labels[0], return_counts=True)[1]
        return DataShape(
            self.task,
            len(train),
            train.shape[1],
            classes,
            train.nbytes,
            validation.nbytes,
            has_validation=True,
            validation_rows=len(validation),
            rare_share=counts.min() / counts.sum() if classes else None,
        )


@dataclass
class Result:
    """A model on the test rows: log loss or RMSE, accuracy, and the seconds that it took."""

    loss: float
    accuracy: float | None
    seconds: float


def split(name: str, task: str, rows: Any, labels: Any, seed: int) -> Table:
    """Return 60 % of the rows for training, 20 % for validation, 20 % for the test."""
    order = np.random.default_rng(seed).permutation(len(labels))
    cuts = [int(0.6 * len(order)), int(0.8 * len(order))]
    parts = np.split(order, cuts)
    return Table(name, task, [rows[part] for part in parts], [labels[part] for part in parts])


def shipped(seed: int) -> list[Table]:
    """Return three tables that ship in scikit-learn."""
    digits, cancer = datasets.load_digits(), datasets.load_breast_cancer()
    diabetes = datasets.load_diabetes()
    return [
        split("digits", "classification", digits.data, digits.target, seed),
        split("breast cancer", "classification", cancer.data, cancer.target, seed),
        split("diabetes", "regression", diabetes.data, diabetes.target, seed),
    ]


def packaged(names: list[str], seed: int) -> list[Table]:
    """Return tables of defaults.py, whose first run installs their packages in benchmarks/.venv."""
    for packages in Path(__file__).parent.glob(".venv/lib/python*/site-packages"):
        sys.path.append(str(packages))
    from defaults_tables import table

    found = [table(name) for name in names]
    tasks = ["classification" if each.classes else "regression" for each in found]
    return [
        split(each.name, task, each.rows, each.labels, seed)
        for each, task in zip(found, tasks, strict=True)
    ]


def mnist(path: Path, train_rows: int) -> Table:
    """Return MNIST with its own validation and test rows, and its first training rows."""
    with gzip.open(path) as file:
        parts = pickle.load(file, encoding="latin1")
    (rows, labels), *others = parts
    parts = [(rows[:train_rows], labels[:train_rows]), *others]
    rows, labels = zip(*parts, strict=True)
    return Table("MNIST", "classification", list(rows), list(labels))


def boosted(table: Table, hyperparameters: dict[str, str], metric: str) -> tuple[Any, float]:
    """Train as the container does; return the model and the last validation value."""
    parameters = {k: v for k, v in hyperparameters.items() if k not in _CONTAINER_ONLY}
    train, validation = (
        xgb.DMatrix(rows, labels)
        for rows, labels in zip(table.rows[:2], table.labels[:2], strict=True)
    )
    stop = xgb.callback.EarlyStopping(
        rounds=int(hyperparameters["early_stopping_rounds"]), metric_name=metric, save_best=True
    )
    history: dict[str, Any] = {}
    model = xgb.train(
        {**parameters, "eval_metric": metric},
        train,
        int(hyperparameters["num_round"]),
        evals=[(validation, "validation")],
        evals_result=history,
        callbacks=[stop],
        verbose_eval=False,
    )
    return model, history["validation"][metric][-1]


def measured(table: Table, model: Any, seconds: float) -> Result:
    """Measure a model on the test rows."""
    rows, labels = table.rows[2], table.labels[2]
    predicted = model.predict(xgb.DMatrix(rows))
    if table.task == "regression":
        return Result(float(root_mean_squared_error(labels, predicted)), None, seconds)
    if predicted.ndim == 1:
        predicted = np.column_stack([1 - predicted, predicted])
    accuracy = float((predicted.argmax(axis=1) == labels).mean())
    return Result(float(log_loss(labels, predicted)), accuracy, seconds)


@dataclass
class Best:
    """The best trial of a search; the seconds are those of all trials."""

    hyperparameters: dict[str, str]
    result: Result


def searched(table: Table, training: TrainingSettings, settings: TuningSettings) -> Best:
    """Return the best trial on the validation rows."""
    metric = "rmse" if table.task == "regression" else "log_loss"
    planned = plan_training(table.shape, training, metric).hyperparameters
    plan = plan_tuning(table.shape, planned, training, settings)
    config = tuning_request(_EMPTY_REQUEST, plan, settings)["HyperParameterTuningJobConfig"]
    search = Search(config)
    tried = []
    began = time.process_time()
    for _ in range(settings.max_jobs):
        suggestion = search.ask()
        hyperparameters = plan.static | suggestion.values
        model, value = boosted(table, hyperparameters, plan.metric)
        search.tell(suggestion, value)
        tried.append((value, hyperparameters, model))
    _, hyperparameters, model = (max if plan.maximize else min)(tried, key=lambda trial: trial[0])
    return Best(hyperparameters, measured(table, model, time.process_time() - began))


def compare(table: Table, trials: int, seed: int) -> tuple[Result, Result]:
    """Return the planned model and the best of the trials."""
    training = TrainingSettings()
    metric = "rmse" if table.task == "regression" else "log_loss"
    planned = plan_training(table.shape, training, metric).hyperparameters
    began = time.process_time()
    model, _ = boosted(table, planned, planned["eval_metric"].split(",")[-1])
    default = measured(table, model, time.process_time() - began)
    return default, searched(table, training, TuningSettings(max_jobs=trials, seed=seed)).result


def summary(name: str, pairs: list[tuple[Result, Result]]) -> dict[str, Any]:
    """Return the means of one table, and how often the tuned model was better."""

    def mean(index: int, member: str) -> float | None:
        values = [getattr(pair[index], member) for pair in pairs]
        return None if None in values else float(np.mean(values))

    return {
        "table": name,
        "loss": [mean(0, "loss"), mean(1, "loss")],
        "accuracy": [mean(0, "accuracy"), mean(1, "accuracy")],
        "seconds": [mean(0, "seconds"), mean(1, "seconds")],
        "better": sum(tuned.loss < default.loss for default, tuned in pairs),
        "seeds": len(pairs),
    }


def main() -> None:
    """Print one line of JSON for each table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="mnist.pkl.gz; without it, MNIST is left out")
    parser.add_argument("--rows", type=int, default=50_000, help="training rows of MNIST")
    parser.add_argument("--tables", nargs="+", help="tables of defaults.py, in place of the others")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=12)
    arguments = parser.parse_args()
    pairs: dict[str, list[tuple[Result, Result]]] = {}
    for seed in range(arguments.seeds):
        for table in packaged(arguments.tables, seed) if arguments.tables else shipped(seed):
            pairs.setdefault(table.name, []).append(compare(table, arguments.trials, seed))
    for name, results in pairs.items():
        print(json.dumps(summary(name, results)), flush=True)
    if arguments.data:
        result = compare(mnist(arguments.data, arguments.rows), arguments.trials, 0)
        print(json.dumps(summary("MNIST", [result])), flush=True)


if __name__ == "__main__":
    main()
