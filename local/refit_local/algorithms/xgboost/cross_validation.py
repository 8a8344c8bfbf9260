"""Train one model for each fold of the data (`_kfold`, `_num_cv_round`).

The metric lines of the folds show the full channels and not the fold that was held out, here as in
the image: they are in-sample. The predictions of the held-out rows stand in predictions.csv.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

_log = logging.getLogger(__name__)

Results = dict[str, dict[str, list[float]]]


def folds(labels: np.ndarray, count: int, repeats: int, *, stratified: bool) -> Iterator[Any]:
    """Yield (rows to train on, rows held out) as index arrays; each call splits differently.

    Args:
        labels: (n_rows,), looked at for stratification only.
        count: folds of one repeat.
        repeats: how often all folds are drawn anew.
        stratified: keep the classes' shares in every fold.

    Raises:
        ValueError: a class or the data set has fewer rows than there are folds.
    """
    from sklearn import model_selection  # noqa: PLC0415 - a second's import that few jobs need

    if stratified:
        splitter = model_selection.RepeatedStratifiedKFold(n_splits=count, n_repeats=repeats)
        return splitter.split(range(len(labels)), labels)
    return model_selection.RepeatedKFold(n_splits=count, n_repeats=repeats).split(
        range(len(labels))
    )


def train_folds(
    splits: Iterator[Any],
    matrix: Any,
    *,
    train_fold: Callable[[int, Any], tuple[Any, Results]],
    held_out: "HeldOut",
    count: int,
    num_round: int,
) -> list[Any]:
    """Train a model for each split and print the mean metrics of each repeat and of all.

    Args:
        splits: of `folds`.
        matrix: an xgboost.DMatrix of the rows of both channels.
        train_fold: trains fold number n on a matrix; returns the booster and its metrics.
        held_out: takes the predictions for the rows that a fold left out.
        count: folds of one repeat.
        num_round: the number printed in front of the means.

    Returns:
        The boosters, in order.

    Raises:
        KeyError: there is no validation channel to print means of.
    """
    boosters: list[Any] = []
    results: list[Results] = []
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


class HeldOut:
    """Predictions for rows that the predicting model had not seen."""

    def __init__(self, labels: np.ndarray, repeats: int, *, classification: bool) -> None:
        self._labels = labels
        self._seen = np.zeros(len(labels), int)
        # Per row and repeat: the value, or the class and how sure it is.
        self._values = np.zeros((len(labels), repeats))
        self._sureness = np.zeros((len(labels), repeats)) if classification else None

    def record(self, rows: np.ndarray, predictions: np.ndarray) -> None:
        """Keep the predictions for some rows: (n_rows,) or, of all classes, (n_rows, n_classes).

        Classes of `multi:softmax` are taken for probabilities, as in the image: above 0.5 is 1.
        """
        repeat = self._seen[rows]
        if self._sureness is None:
            self._values[rows, repeat] = predictions
        elif predictions.ndim > 1:
            self._values[rows, repeat] = predictions.argmax(axis=-1)
            self._sureness[rows, repeat] = predictions.max(axis=-1)
        else:
            self._values[rows, repeat] = predictions > 0.5
            self._sureness[rows, repeat] = predictions
        self._seen[rows] += 1

    def write(self, path: Path) -> None:
        """Write label, mean probability and most frequent class, or label and mean value."""
        columns = [self._labels, self._values.mean(axis=-1)]
        if self._sureness is not None:
            columns = [self._labels, self._sureness.mean(axis=-1), _mode(self._values)]
        path.parent.mkdir(parents=True, exist_ok=True)
        _log.info("Storing predictions on validation set(s) in %s", path)
        np.savetxt(path, np.column_stack(columns), delimiter=",", fmt="%f")


def _mode(values: np.ndarray) -> np.ndarray:
    """Return each row's most frequent value, the smallest of several."""
    candidates = np.unique(values)
    counts = np.stack([(values == candidate).sum(axis=-1) for candidate in candidates])
    return candidates[counts.argmax(axis=0)]


def _mean_line(num_round: int, results: list[Results]) -> str:
    line = f"[{num_round}]"
    for metric in results[0]["train"]:
        for data_name in ("train", "validation"):
            mean = np.mean([result[data_name][metric][-1] for result in results])
            line += f"\t{data_name}-{metric}:{mean:.5f}"
    return line
