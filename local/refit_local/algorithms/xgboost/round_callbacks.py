"""Callbacks after each boosting round: metric lines, checkpoints, early stopping."""

import logging
import os
import re
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from refit_local.algorithms.xgboost.hyperparameter_table import table
from refit_local.algorithms.xgboost.xgboost_library import xgb

_log = logging.getLogger(__name__)
_CHECKPOINT_NAME = "xgboost-checkpoint"
_RESUMABLE = re.compile(rf"{_CHECKPOINT_NAME}\.([0-9]+)")

MODEL_NAME = "xgboost-model"

# Data set to metric to its value after each round.
EvaluationLog = dict[str, dict[str, list[float] | list[tuple[float, float]]]]


@dataclass(frozen=True)
class EarlyStoppingRule:
    """Stop when a metric of a data set has not improved for `rounds` rounds."""

    rounds: int
    metric: str
    data_name: str


@dataclass(frozen=True)
class RoundPlan:
    """What one training saves, and when it stops early.

    `checkpoints` is None if the job has no checkpoint folder.
    """

    model: Path
    save_each_round: bool
    checkpoints: Path | None
    stopping: EarlyStoppingRule | None


@dataclass(frozen=True)
class StartingModel:
    """The model from which a training resumes and its rounds; None and 0 without one."""

    model: str | None
    rounds: int


def start_from(checkpoints: Path | None) -> StartingModel:
    """Return the checkpoint from which training resumes.

    Only files named like `xgboost-checkpoint.7` are resumed from, as in the image. The image itself
    writes `xgboost-checkpoint_0.ubj` and therefore always starts at round 0. A file that the user
    placed in the folder is resumed from.
    """
    if checkpoints is None or not checkpoints.exists():
        return StartingModel(None, 0)
    by_round = {
        int(match[1]): path
        for path in checkpoints.iterdir()
        if (match := _RESUMABLE.fullmatch(path.name))
    }
    if not by_round:
        if any(checkpoints.iterdir()):
            _log.warning(
                "%s contains no file that training can resume from. Training starts at round 0, as "
                "in the image on AWS",
                checkpoints,
            )
        return StartingModel(None, 0)
    last = max(by_round)
    _log.info("Checkpoint loaded from %s", by_round[last])
    _log.info("Resuming from iteration %d", last + 1)
    return StartingModel(str(by_round[last]), last + 1)


def callbacks(plan: RoundPlan, start: StartingModel) -> list[xgb.callback.TrainingCallback]:
    """Return the callback of one training, which calls its parts in the image's order."""
    parts: list[xgb.callback.TrainingCallback] = [xgb.callback.EvaluationMonitor()]
    if plan.checkpoints is not None:
        plan.checkpoints.mkdir(parents=True, exist_ok=True)
        parts.append(
            xgb.callback.TrainingCheckPoint(
                directory=plan.checkpoints, interval=start.rounds, name=_CHECKPOINT_NAME
            )
        )
    if plan.save_each_round:
        parts.append(_SaveEachRound(plan.model))
        _exit_with_model_on_sigterm(plan.model.parent)
    if plan.stopping is not None:
        parts.append(
            xgb.callback.EarlyStopping(
                rounds=plan.stopping.rounds,
                data_name=plan.stopping.data_name,
                metric_name=plan.stopping.metric,
                maximize=plan.stopping.metric in table().maximized_metrics,
                save_best=True,
            )
        )
    return [_InOrder(parts)]


class _InOrder(xgb.callback.TrainingCallback):
    """Several callbacks as one, called in a fixed order.

    XGBoost keeps callbacks in a set and stops calling them at the first that ends the training. By
    chance, the metric line of the last round would then be missing.
    """

    def __init__(self, parts: Sequence[xgb.callback.TrainingCallback]) -> None:
        super().__init__()
        self._parts = parts

    def before_training(self, model: xgb.Booster) -> xgb.Booster:
        for part in self._parts:
            model = part.before_training(model)
        return model

    def after_training(self, model: xgb.Booster) -> xgb.Booster:
        for part in self._parts:
            model = part.after_training(model)
        return model

    def before_iteration(self, model: xgb.Booster, epoch: int, evals_log: EvaluationLog) -> bool:
        return any([part.before_iteration(model, epoch, evals_log) for part in self._parts])

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: EvaluationLog) -> bool:
        return any([part.after_iteration(model, epoch, evals_log) for part in self._parts])


class _SaveEachRound(xgb.callback.TrainingCallback):
    """Replaces the model in the model folder after each round, atomically."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: EvaluationLog) -> bool:
        with tempfile.NamedTemporaryFile(dir=self._path.parent, delete=False) as file:
            model.save_model(file.name)
        Path(file.name).rename(self._path)
        return False


def _exit_with_model_on_sigterm(folder: Path) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        for path in folder.iterdir():
            if path.is_file() and not path.name.startswith(MODEL_NAME):
                path.unlink(missing_ok=True)
        # The service waits for the exit and the model is complete: skip the interpreter's clean-up.
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
