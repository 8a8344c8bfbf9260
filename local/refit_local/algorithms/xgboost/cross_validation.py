"""Train one model for each fold of the data (`_kfold`, `_num_cv_round`).

The metric lines of the folds are computed on the full channels and not on the held-out fold, as in
the image: they are in-sample. predictions.csv contains the predictions of the held-out rows.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refit_local.algorithms.xgboost.round_callbacks import EvaluationLog
from refit_local.algorithms.xgboost.xgboost_library import xgb

_log = logging.getLogger(__name__)

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def folds(
    labels: NDArray[np.float32], count: int, repeats: int, *, stratified: bool
) -> Iterator[Split]:
    """Return pairs of index arrays, rows to train on and held-out rows; each call splits anew.

    Args:
        labels: (n_rows,), used for stratification only.
        count: number of folds of one repeat.
        repeats: number of times that the rows are split into folds.
        stratified: keep the share of each class in every fold.

    Raises:
        ValueError: a class or the data set has fewer rows than there are folds.
    """
    from sklearn import model_selection  # noqa: PLC0415 - takes a second to import, and few jobs need it

    if stratified:
        splitter = model_selection.RepeatedStratifiedKFold(n_splits=count, n_repeats=repeats)
    else:
        splitter = model_selection.RepeatedKFold(n_splits=count, n_repeats=repeats)
    splits: Iterator[Split] = splitter.split(range(len(labels)), labels)
    return splits


def train_folds(
    splits: Iterator[Split],
    matrix: xgb.DMatrix,
    *,
    train_fold: Callable[[int, xgb.DMatrix], tuple[xgb.Booster, EvaluationLog]],
    held_out: "HeldOutPredictions",
    count: int,
    num_round: int,
) -> list[xgb.Booster]:
    """Train a model for each split and print the mean metrics of each repeat and of all repeats.

    Args:
        splits: as returned by `folds`.
        matrix: the rows of both channels.
        train_fold: trains the fold of the given number on a matrix; returns booster and metrics.
        held_out: records the predictions for the held-out rows of each fold.
        count: number of folds of one repeat.
        num_round: the round number printed before the means.

    Returns:
        The boosters, in the order of the splits.

    Raises:
        KeyError: the job has no validation channel, of which to print means.
    """
    boosters: list[xgb.Booster] = []
    results: list[EvaluationLog] = []
    for train_rows, held_out_rows in splits:
        _log.info("Train cross validation fold %d", len(boosters) % count + 1)
        booster, result = train_fold(len(boosters), matrix.slice(train_rows))
        boosters.append(booster)
        results.append(result)
        held_out.record(held_out_rows, booster.predict(matrix.slice(held_out_rows)))
        if len(boosters) % count == 0:
            _log.info("The metrics of round %d cross validation", len(boosters) // count)
            print(_mean_line(num_round, results[-count:]), flush=True)
    if len(boosters) > count:
        _log.info("The overall metrics of %d-round cross validation", len(boosters) // count)
        print(_mean_line(num_round, results), flush=True)
    return boosters


class HeldOutPredictions:
    """Predictions for rows by models that were not trained on them."""

    def __init__(self, labels: NDArray[np.float32], repeats: int, *, classification: bool) -> None:
        self._labels = labels
        self._recorded = np.zeros(len(labels), int)
        # For each row and repeat: the predicted value, or the class and its probability.
        self._values = np.zeros((len(labels), repeats))
        self._probabilities = np.zeros((len(labels), repeats)) if classification else None

    def record(self, rows: NDArray[np.int64], predictions: NDArray[np.float32]) -> None:
        """Record the predictions for rows: (n_rows,), or (n_rows, n_classes) of all classes.

        Classes of `multi:softmax` are interpreted as probabilities, as in the image: more than 0.5
        is class 1.
        """
        repeat = self._recorded[rows]
        if self._probabilities is None:
            self._values[rows, repeat] = predictions
        elif predictions.ndim > 1:
            self._values[rows, repeat] = predictions.argmax(axis=-1)
            self._probabilities[rows, repeat] = predictions.max(axis=-1)
        else:
            self._values[rows, repeat] = predictions > 0.5
            self._probabilities[rows, repeat] = predictions
        self._recorded[rows] += 1

    def write(self, path: Path) -> None:
        """Write label, mean probability and most frequent class, or label and mean value."""
        columns = [self._labels, self._values.mean(axis=-1)]
        if self._probabilities is not None:
            columns = [self._labels, self._probabilities.mean(axis=-1), _mode(self._values)]
        path.parent.mkdir(parents=True, exist_ok=True)
        _log.info("Storing predictions on validation set(s) in %s", path)
        np.savetxt(path, np.column_stack(columns), delimiter=",", fmt="%f")


def _mode(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the most frequent value of each row, the smallest one on a tie."""
    candidates = np.unique(values)
    counts = np.stack([(values == candidate).sum(axis=-1) for candidate in candidates])
    most_frequent: NDArray[np.float64] = candidates[counts.argmax(axis=0)]
    return most_frequent


def _mean_line(num_round: int, results: list[EvaluationLog]) -> str:
    line = f"[{num_round}]"
    for metric in results[0]["train"]:
        for data_name in ("train", "validation"):
            mean = np.mean([result[data_name][metric][-1] for result in results])
            line += f"\t{data_name}-{metric}:{mean:.5f}"
    return line
