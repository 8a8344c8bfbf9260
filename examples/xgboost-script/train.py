"""Train a forecast for which too little costs four times as much as too much.

The loss is asymmetric, which no objective of the image's built-in mode is. The model is saved as
the built-in mode saves one, so Refit evaluates, serves and monitors it like any other.
"""

import json
import os
from pathlib import Path

import numpy as np
import xgboost as xgb

TOO_LITTLE, TOO_MUCH = 4.0, 1.0


def rows_of(channel):
    """Return the rows of a channel: CSV files without a header, label first."""
    return xgb.DMatrix(f"{channel}?format=csv&label_column=0&delimiter=,")


def asymmetric(predicted, rows):
    """Return gradient and Hessian of the squared error, weighed by its sign."""
    error = predicted - rows.get_label()
    weight = np.where(error < 0, TOO_LITTLE, TOO_MUCH)
    return 2 * weight * error, 2 * weight


def main():
    """Read the channels, train, and save the model."""
    parameters = json.loads(os.environ["SM_HPS"])
    rounds = int(parameters.pop("num_round"))
    parameters.pop("early_stopping_rounds", None)
    parameters["eval_metric"] = ["rmse"]
    train = rows_of(os.environ["SM_CHANNEL_TRAIN"])
    evaluated = [(train, "train")]
    if "SM_CHANNEL_VALIDATION" in os.environ:
        evaluated.append((rows_of(os.environ["SM_CHANNEL_VALIDATION"]), "validation"))
    booster = xgb.train(parameters, train, rounds, evals=evaluated, obj=asymmetric)
    booster.save_model(Path(os.environ["SM_MODEL_DIR"], "xgboost-model"))


if __name__ == "__main__":
    main()
