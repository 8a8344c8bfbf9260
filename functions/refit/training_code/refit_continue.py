"""Continue the boosting of an earlier model. Runs in SageMaker's XGBoost image, in script mode.

The image's built-in mode takes no earlier model. This script trains as that mode does: the same
reader, metric lines, early stopping and model file. `num_round` is the number of further rounds.
PlanTraining sends it to the job as the channel `code`. It uses only what the image has.
"""

from __future__ import annotations

import json
import os
import tarfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xgboost as xgb

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL = "xgboost-model"
MAXIMIZED = ("auc", "aucpr", "map", "ndcg")


class StopEarly(xgb.callback.EarlyStopping):
    """Early stopping that prints each round before it decides, so the last one is printed, too."""

    def __init__(self, rounds: int, metric: str) -> None:
        super().__init__(
            rounds=rounds,
            metric_name=metric,
            data_name="validation",
            maximize=metric.partition("@")[0] in MAXIMIZED,
            save_best=True,
        )
        self.monitor = xgb.callback.EvaluationMonitor()

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Print the metrics of the round; return whether to stop."""
        self.monitor.after_iteration(model, epoch, evals_log)
        return bool(super().after_iteration(model, epoch, evals_log))


def rows_of(channel: str, weighted: bool) -> xgb.DMatrix:
    """Return the rows of a channel: CSV, label first, then the weight if rows have weights."""
    weights = "&weight_column=1" if weighted else ""
    return xgb.DMatrix(f"{channel}?format=csv&label_column=0&delimiter=,{weights}")


def earlier_model(channel: str) -> xgb.Booster:
    """Return the model that the channel `model` holds, as a training job of the image saved it."""
    with tarfile.open(Path(channel, "model.tar.gz")) as archive:
        file = archive.extractfile(MODEL)
        if file is None:
            raise ValueError(f"model.tar.gz holds no file {MODEL}")
        booster = xgb.Booster()
        booster.load_model(bytearray(file.read()))
    return booster


def main(variables: Mapping[str, str]) -> None:
    """Train, and save the model."""
    parameters = json.loads(variables["SM_HPS"])
    rounds = int(parameters.pop("num_round"))
    patience = parameters.pop("early_stopping_rounds", None)
    weighted = int(parameters.pop("csv_weights", 0)) == 1
    metrics = str(parameters.pop("eval_metric", "")).split(",")
    if metrics != [""]:
        parameters["eval_metric"] = metrics
    train = rows_of(variables["SM_CHANNEL_TRAIN"], weighted)
    evaluated = [(train, "train")]
    if "SM_CHANNEL_VALIDATION" in variables:
        evaluated.append((rows_of(variables["SM_CHANNEL_VALIDATION"], weighted), "validation"))
    callback: Any = xgb.callback.EvaluationMonitor()
    if patience and len(evaluated) > 1 and metrics != [""]:
        callback = StopEarly(int(patience), metrics[-1])
    earlier = earlier_model(variables["SM_CHANNEL_MODEL"])
    print(f"Continuing a model of {earlier.num_boosted_rounds()} rounds", flush=True)
    booster = xgb.train(
        parameters,
        train,
        num_boost_round=rounds,
        evals=evaluated,
        xgb_model=earlier,
        callbacks=[callback],
        verbose_eval=False,
    )
    print(f"Saving a model of {booster.num_boosted_rounds()} rounds", flush=True)
    warnings.filterwarnings("ignore", ".*Saving model in the UBJSON format as default")
    booster.save_model(Path(variables["SM_MODEL_DIR"], MODEL))


if __name__ == "__main__":
    main(os.environ)  # noqa: TID251 (it runs in a training container)
