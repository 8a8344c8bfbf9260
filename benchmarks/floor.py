"""How often the gate's floor lets noise pass, and how often a weak signal.

Each run makes a table, splits it by the hash of its rows, trains XGBoost with the plan that Refit
makes for it, and lets the gate decide on the held-out rows, with default settings. Beside it stands
the former rule: any value better than the most frequent class or the mean of the held-out rows.

    python benchmarks/floor.py                 three to five minutes on two idle cores
    python benchmarks/floor.py --runs 20       a quick look
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "functions"))

import numpy as np
import xgboost as xgb
from refit.domain.evaluation import chance, naive_baseline
from refit.domain.evaluation.deciding_metric import deciding_metric
from refit.domain.evaluation.gate import decide
from refit.domain.evaluation.measured_rows import ClassifiedRows, NumberRows
from refit.domain.evaluation.metrics import (
    classification_quality,
    regression_quality,
    wilson_interval,
)
from refit.domain.evaluation.outcomes import outcome_of
from refit.domain.evaluation.report import EvaluatedRows, Evaluation
from refit.domain.evaluation.training_labels import TrainingLabels
from refit.domain.model_settings import GateSettings
from refit.domain.pipeline.training_plan import DataShape, plan_training
from refit.domain.training_settings import TrainingSettings
from refit.tabular.split import Fractions, row_hash, split_of

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = GateSettings()
COLUMNS = 1
FRACTIONS = Fractions(validation=0.1, test=0.1)

Table = tuple[np.ndarray, np.ndarray]
"""Features (n_rows, n_features) and labels (n_rows,), class indices or numbers."""


@dataclass(frozen=True)
class Case:
    """A kind of table; `classes` is None for a regression."""

    name: str
    is_noise: bool
    classes: int | None
    table: Callable[[np.random.Generator], Table]


def noise_classes(generator: np.random.Generator, classes: int, rows: int = 400) -> Table:
    return generator.normal(size=(rows, COLUMNS)), generator.integers(0, classes, rows)


def noise_rare(generator: np.random.Generator, rows: int = 1000) -> Table:
    return generator.normal(size=(rows, COLUMNS)), (generator.random(rows) < 0.05).astype(np.int64)


def noise_numbers(generator: np.random.Generator, rows: int = 400) -> Table:
    return generator.normal(size=(rows, COLUMNS)), generator.normal(size=rows)


def weak_classes(generator: np.random.Generator, rows: int = 400) -> Table:
    """One of five columns decides: the best possible accuracy is 75 %."""
    features = generator.normal(size=(rows, 5))
    is_right = generator.random(rows) < 0.75
    return features, ((features[:, 0] > 0) == is_right).astype(np.int64)


def weak_numbers(generator: np.random.Generator, rows: int = 400) -> Table:
    """One of five columns explains 30 % of the variance."""
    features = generator.normal(size=(rows, 5))
    return features, 0.3**0.5 * features[:, 0] + 0.7**0.5 * generator.normal(size=rows)


def iris(generator: np.random.Generator) -> Table:
    """Return 150 flowers in another order of the columns' last digits, so the split differs."""
    from sklearn.datasets import load_iris

    features, labels = load_iris(return_X_y=True)
    return features + generator.normal(scale=1e-6, size=features.shape), labels


CASES = (
    Case("noise, two classes, 400 rows", True, 2, partial(noise_classes, classes=2)),
    Case("noise, ten classes, 400 rows", True, 10, partial(noise_classes, classes=10)),
    Case("noise, regression, 400 rows", True, None, noise_numbers),
    Case("noise, a class of 5 %, 1,000 rows", True, 2, noise_rare),
    Case("signal: at best 75 % right, 400 rows", False, 2, weak_classes),
    Case("signal: 30 % of the variance, 400 rows", False, None, weak_numbers),
    Case("signal: iris, 150 rows", False, 3, iris),
)


@dataclass(frozen=True)
class Outcome:
    """Whether each rule lets a run pass; None without rows to train or to evaluate on."""

    passed: bool
    passed_before: bool
    test_rows: int


def one_run(case: Case, seed: int) -> Outcome:
    features, labels = case.table(np.random.default_rng([seed, 8]))
    lines = [",".join(map(repr, row)).encode() for row in features.tolist()]
    sides = np.array([split_of(row_hash(line), FRACTIONS) for line in lines])
    train, validation, test = (sides == side for side in ("train", "validation", "test"))
    training = _training_labels(case, labels[train])
    metric = deciding_metric(_task(case), SETTINGS, case.classes, training.imbalance())
    predicted = _predictions(case, features, labels, train, validation, test, training, metric)
    evaluated = _evaluated(case, labels[test], predicted, training, metric)
    evaluation = Evaluation(
        model="m",
        run="0" * 12,
        task=_task(case),
        classes=_texts(case),
        confidence=SETTINGS.confidence,
        champion=None,
        comparable=False,
        imbalance=training.imbalance(),
        new=evaluated,
        base=None,
    )
    before = _passed_before(case, labels[test], evaluated)
    return Outcome(decide(evaluation, SETTINGS).passed, before, int(test.sum()))


def _task(case: Case) -> str:
    return "regression" if case.classes is None else "classification"


def _texts(case: Case) -> tuple[str, ...] | None:
    return None if case.classes is None else tuple(map(str, range(case.classes)))


def _training_labels(case: Case, labels: np.ndarray) -> TrainingLabels:
    if case.classes is None:
        return TrainingLabels(mean=float(labels.mean()))
    counts = np.bincount(labels, minlength=case.classes).tolist()
    return TrainingLabels(classes=dict(zip(_texts(case), counts, strict=True)))


def _predictions(
    case: Case,
    features: np.ndarray,
    labels: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
    test: np.ndarray,
    training: TrainingLabels,
    metric: str,
) -> np.ndarray:
    """Train as the container does with Refit's plan, and predict the held-out rows."""
    shape = DataShape(
        task=_task(case),
        train_rows=int(train.sum()),
        features=features.shape[1],
        classes=case.classes,
        train_bytes=1,
        validation_bytes=1,
        has_validation=bool(validation.any()),
        validation_rows=int(validation.sum()),
        rare_share=training.rare_share,
    )
    plan = dict(plan_training(shape, TrainingSettings(), metric).hyperparameters)
    rounds = int(plan.pop("num_round"))
    patience = int(plan.pop("early_stopping_rounds", 0))
    metrics = plan.pop("eval_metric").split(",")
    callbacks = []
    if patience:
        maximize = metrics[-1] in {"auc", "aucpr"}
        callbacks.append(
            xgb.callback.EarlyStopping(
                rounds=patience,
                metric_name=metrics[-1],
                data_name="validation",
                maximize=maximize,
                save_best=True,
            )
        )
    matrices = [xgb.DMatrix(features[side], labels[side]) for side in (train, validation)]
    booster = xgb.train(
        plan | {"eval_metric": metrics, "nthread": 1, "verbosity": 0},
        matrices[0],
        rounds,
        evals=list(zip(matrices, ("train", "validation"), strict=True))[: 2 if patience else 1],
        callbacks=callbacks,
        verbose_eval=False,
    )
    predicted = booster.predict(xgb.DMatrix(features[test])).astype(np.float64)
    return np.column_stack([1 - predicted, predicted]) if case.classes == 2 else predicted


def _evaluated(
    case: Case,
    labels: np.ndarray,
    predicted: np.ndarray,
    training: TrainingLabels,
    metric: str,
) -> EvaluatedRows:
    confidence, ones = SETTINGS.confidence, np.ones(len(labels))
    if case.classes is None:
        return EvaluatedRows(
            rows=len(labels),
            baseline=naive_baseline.regression_baseline(labels, training),
            challenger=regression_quality(labels, predicted, confidence),
            chance=chance.chance_of_regression(
                metric, NumberRows(labels, predicted, ones), confidence
            ),
        )
    outcome = outcome_of(labels, predicted, case.classes)
    rows = ClassifiedRows(labels, outcome, case.classes, ones)
    return EvaluatedRows(
        rows=len(labels),
        baseline=naive_baseline.classification_baseline(labels, _texts(case), training),
        challenger=classification_quality(labels, outcome, _texts(case), confidence),
        chance=chance.chance_of_classifier(metric, rows, confidence),
    )


def _passed_before(case: Case, labels: np.ndarray, evaluated: EvaluatedRows) -> bool:
    metrics = evaluated.challenger.metrics
    if case.classes is None:
        return metrics["rmse"].value < labels.std()
    return metrics["accuracy"].value > np.bincount(labels).max() / len(labels)


def _share(outcomes: list[bool]) -> str:
    low, high = wilson_interval(sum(outcomes), len(outcomes), 0.95)
    return f"{np.mean(outcomes):6.1%} ({low:5.1%} to {high:5.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help="runs of each case")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first run")
    arguments = parser.parse_args()
    began = time.perf_counter()
    print(f"{arguments.runs} runs each; share that passes, with its 95 % interval\n")
    print(f"{'':40} {'the gate':26} {'the former rule':26} held-out rows")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for case in CASES:
            seeds = range(arguments.seed, arguments.seed + arguments.runs)
            outcomes = list(pool.map(partial(one_run, case), seeds, chunksize=10))
            now, before = (
                _share([getattr(outcome, name) for outcome in outcomes])
                for name in ("passed", "passed_before")
            )
            rows = np.median([outcome.test_rows for outcome in outcomes])
            print(f"{case.name:40} {now:26} {before:26} {rows:.0f}", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
