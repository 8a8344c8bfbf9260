"""Load the models of the model folder, predict with them and combine their predictions.

Only XGBoost parses a model file. The image tries to unpickle it first, which would run any code
that the file contains.
"""

import ctypes
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit_local.algorithms.xgboost.xgboost_library import xgb

_log = logging.getLogger(__name__)

Floats = NDArray[np.float32]

# XGBoost's C library. For a small batch, half the time of Booster.inplace_predict is spent in
# Python before the call into this library.
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
_CLASS_OBJECTIVES = ("multi:softmax", "binary:hinge")


class ModelUnloadable(Exception):
    """The model folder contains no model that XGBoost can load."""


class VoteImpossible(Exception):
    """Several models predict classes, which cannot be combined (the image fails as well)."""


class ModelEnsemble:
    """The models of one folder: a single one, or one for each fold of a k-fold training."""

    def __init__(self, boosters: Sequence[xgb.Booster]) -> None:
        self._boosters = tuple(boosters)
        learner = _learner(boosters[0])
        self.objective: str = learner["objective"]["name"]
        self.classes = int(learner["learner_model_param"].get("num_class") or 0)
        self.features: int = boosters[0].num_features()
        self.are_trees = all(
            _learner(booster)["gradient_booster"]["name"] == "gbtree" for booster in boosters
        )

    @classmethod
    def load(cls, folder: Path, *, every: bool) -> "ModelEnsemble":
        """Load the files of the model folder, in the order in which the file system lists them.

        The image uses this order too. It decides which model is the first, and the last digit of a
        mean.

        Args:
            folder: of the unpacked model.tar.gz; files whose names start with a dot are ignored.
            every: load all files, and not only the first.

        Raises:
            ModelUnloadable: the folder has no file, or XGBoost cannot load one of them.
        """
        files = [path for path in _list(folder) if path.is_file()]
        paths = [path for path in files if not path.name.startswith(".")]
        if not paths:
            raise ModelUnloadable(f"No model found in {folder}")
        models = cls([_load(path) for path in (paths if every else paths[:1])])
        if len(models._boosters) > 1 and models.objective in _CLASS_OBJECTIVES:
            _log.warning(
                "The predictions of %d models of %s cannot be combined, here as in the image on "
                "AWS: every request will fail. Train with multi:softprob or binary:logistic.",
                len(models._boosters),
                models.objective,
            )
        return models

    def predict(self, matrix: xgb.DMatrix) -> list[Floats]:
        """Return each model's predictions for the rows of a matrix.

        Raises:
            XGBoostError: the rows have more columns than the model has features.
        """
        return [booster.predict(matrix, validate_features=False) for booster in self._boosters]

    def predict_dense(self, rows: Floats) -> list[Floats]:
        """Return the same predictions as `predict`; for tree models only.

        Args:
            rows: (n_rows, n_features), contiguous, NaN where a value is missing.
        """
        return [_predict_dense(booster, rows) for booster in self._boosters]

    def combine(self, predictions: Sequence[Floats]) -> Floats:
        """Return the mean of the models' predictions for the rows of one request.

        Raises:
            VoteImpossible: several models predict classes.
        """
        if len(predictions) == 1:
            return predictions[0]
        if self.objective in _CLASS_OBJECTIVES:
            raise VoteImpossible("'numpy.float32' object is not iterable")
        mean: Floats = np.mean(predictions, axis=0)
        return mean


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise ModelUnloadable(str(error)) from error


def _load(path: Path) -> xgb.Booster:
    _log.info("Loading the model from %s", path)
    booster = xgb.Booster()
    try:
        booster.load_model(path)
    except (xgb.core.XGBoostError, ValueError, TypeError) as error:
        raise ModelUnloadable(
            f"Model at {path} cannot be loaded. Save it with Booster.save_model; pickles are "
            f"never opened:\n{error}"
        ) from error
    booster.set_param("nthread", "1")
    return booster


def _learner(booster: xgb.Booster) -> dict[str, Any]:
    learner: dict[str, Any] = json.loads(booster.save_config())["learner"]
    return learner


def _predict_dense(booster: xgb.Booster, rows: Floats) -> Floats:
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
    # XGBoost writes its next prediction into the same memory.
    return np.ctypeslib.as_array(values, sizes).copy()
