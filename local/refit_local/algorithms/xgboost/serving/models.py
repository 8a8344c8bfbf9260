"""The models of the model folder: load them, predict with them, put their answers together.

A model is only ever parsed by XGBoost. The image tries to unpickle it first, which would run
whatever code the file holds.
"""

import ctypes
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refit_local.algorithms.xgboost.library import xgb

_log = logging.getLogger(__name__)

# The shared library itself: for one small batch, half the time of Booster.inplace_predict is spent
# on the way to this call.
_LIBRARY = xgb.core._LIB
_PREDICT_CONFIG = json.dumps(
    {
        "type": 0,
        "training": False,
        "iteration_begin": 0,
        "iteration_end": 0,
        "missing": float("nan"),
        "strict_shape": False,
        "cache_id": 0,
    }
).encode()
_VOTING_OBJECTIVES = ("multi:softmax", "binary:hinge")


class ModelUnloadable(Exception):
    """The model folder holds no model that XGBoost can load."""


class VoteImpossible(Exception):
    """Several models of classes cannot be put together (the image fails on them too)."""


class Models:
    """All models that answer together, one for each fold of a k-fold training."""

    def __init__(self, boosters: Sequence[Any]) -> None:
        self._boosters = tuple(boosters)
        learner = json.loads(boosters[0].save_config())["learner"]
        self.objective: str = learner["objective"]["name"]
        self.classes = int(learner["learner_model_param"].get("num_class") or 0)
        self.features: int = boosters[0].num_features()
        self.are_trees = all(_is_tree_model(booster) for booster in boosters)

    @classmethod
    def load(cls, folder: Path, *, every: bool) -> "Models":
        """Load the files of the model folder, in the order in which the folder lists them.

        It is the image's order, and decides over the last digit of a mean and over which model is
        the first.

        Args:
            folder: of the unpacked model.tar.gz; files whose names start with a dot are ignored.
            every: load all files, and not only the first.

        Raises:
            ModelUnloadable: there is no file, or one is no model of XGBoost.
        """
        files = [path for path in _list(folder) if path.is_file()]
        paths = [path for path in files if not path.name.startswith(".")]
        if not paths:
            raise ModelUnloadable(f"No model found in {folder}")
        models = cls([_load(path) for path in (paths if every else paths[:1])])
        if len(models._boosters) > 1 and models.objective in _VOTING_OBJECTIVES:
            _log.warning(
                "%d models of %s cannot be put together, here as in the image on AWS: every "
                "request will fail. Train with multi:softprob or binary:logistic.",
                len(models._boosters),
                models.objective,
            )
        return models

    def predict(self, matrix: Any) -> list[np.ndarray]:
        """Return each model's predictions for the rows of an xgboost.DMatrix.

        Raises:
            XGBoostError: the rows have more columns than the model has features.
        """
        return [booster.predict(matrix, validate_features=False) for booster in self._boosters]

    def predict_dense(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return each model's predictions, the same as `predict`, for models that are trees.

        Args:
            rows: float32 (n_rows, n_features), contiguous, NaN where a value is missing.
        """
        return [_predict_dense(booster, rows) for booster in self._boosters]

    def combine(self, predictions: Sequence[np.ndarray]) -> np.ndarray:
        """Put the models' predictions for the rows of one request together.

        Raises:
            VoteImpossible: several models predict classes.
        """
        if len(predictions) == 1:
            return predictions[0]
        if self.objective in _VOTING_OBJECTIVES:
            raise VoteImpossible("'numpy.float32' object is not iterable")
        return np.mean(predictions, axis=0)


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ModelUnloadable(str(error)) from error


def _load(path: Path) -> Any:
    _log.info("Loading the model from %s", path)
    booster = xgb.Booster()
    try:
        booster.load_model(path)
    except (xgb.core.XGBoostError, ValueError, TypeError) as error:
        raise ModelUnloadable(
            f"Model at {path} cannot be loaded; it has to be saved by Booster.save_model, and "
            f"pickles are never opened:\n{error}"
        ) from error
    booster.set_param("nthread", 1)
    return booster


def _is_tree_model(booster: Any) -> bool:
    learner = json.loads(booster.save_config())["learner"]
    return learner["gradient_booster"]["name"] == "gbtree"


def _predict_dense(booster: Any, rows: np.ndarray) -> np.ndarray:
    array = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}' % (
        rows.ctypes.data,
        *rows.shape,
    )
    shape = ctypes.POINTER(ctypes.c_uint64)()
    dimensions = ctypes.c_uint64()
    values = ctypes.POINTER(ctypes.c_float)()
    failed = _LIBRARY.XGBoosterPredictFromDense(
        booster.handle,
        array,
        _PREDICT_CONFIG,
        None,
        ctypes.byref(shape),
        ctypes.byref(dimensions),
        ctypes.byref(values),
    )
    if failed:
        raise xgb.core.XGBoostError(_LIBRARY.XGBGetLastError().decode())
    sizes = tuple(shape[: dimensions.value])
    # XGBoost writes the next prediction into the same memory.
    return np.ctypeslib.as_array(values, sizes).copy()
