"""What happens after each round of boosting: metric lines, checkpoints, the model so far."""

import logging
import os
import re
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from refit_local.algorithms.xgboost.hyperparameters import table
from refit_local.algorithms.xgboost.library import xgb

_log = logging.getLogger(__name__)
_CHECKPOINT_NAME = "xgboost-checkpoint"
_RESUMABLE = re.compile(rf"{_CHECKPOINT_NAME}\.([0-9]+)")

MODEL_NAME = "xgboost-model"


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a metric of a data set has not improved for some rounds."""

    rounds: int
    metric: str
    data_name: str


@dataclass(frozen=True)
class RoundPlan:
    """What one training keeps and watches while it runs."""

    model: Path
    save_each_round: bool
    checkpoints: Path | None
    stopping: EarlyStopping | None


@dataclass(frozen=True)
class Start:
    """Where a training begins: with a model of so many rounds, or with none."""

    model: str | None
    rounds: int


def start_from(checkpoints: Path | None) -> Start:
    """Find a model to go on from.

    Only names such as `xgboost-checkpoint.7` are taken, which nothing writes any more: the image
    saves `xgboost-checkpoint_0.ubj` and so always starts again. A file placed by hand does resume.
    """
    if checkpoints is None or not checkpoints.exists():
        return Start(None, 0)
    found = {
        int(match[1]): path
        for path in checkpoints.iterdir()
        if (match := _RESUMABLE.fullmatch(path.name))
    }
    if not found:
        if any(checkpoints.iterdir()):
            _log.warning(
                "%s holds no file that training can resume from: it starts at round 0, as the "
                "image does on AWS",
                checkpoints,
            )
        return Start(None, 0)
    last = max(found)
    _log.info("Checkpoint loaded from %s", found[last])
    _log.info("Resuming from iteration %d", last + 1)
    return Start(str(found[last]), last + 1)


def callbacks(plan: RoundPlan, start: Start) -> list[Any]:
    """Return the callback of one training: each part of it in the image's order."""
    chosen: list[Any] = [xgb.callback.EvaluationMonitor()]
    if plan.checkpoints is not None:
        plan.checkpoints.mkdir(parents=True, exist_ok=True)
        chosen.append(
            xgb.callback.TrainingCheckPoint(
                directory=plan.checkpoints, interval=start.rounds, name=_CHECKPOINT_NAME
            )
        )
    if plan.save_each_round:
        chosen.append(_SaveEachRound(plan.model))
        _end_with_the_model_on_sigterm(plan.model.parent)
    if plan.stopping is not None:
        chosen.append(
            xgb.callback.EarlyStopping(
                rounds=plan.stopping.rounds,
                data_name=plan.stopping.data_name,
                metric_name=plan.stopping.metric,
                maximize=plan.stopping.metric in table().maximized_metrics,
                save_best=True,
            )
        )
    return [_InOrder(chosen)]


class _InOrder(xgb.callback.TrainingCallback):
    """Several callbacks as one.

    XGBoost keeps its callbacks in a set and stops at the first that ends the training, so that it
    is a matter of chance whether the last round still gets its line.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        super().__init__()
        self._parts = parts

    def before_training(self, model: Any) -> Any:
        for part in self._parts:
            model = part.before_training(model)
        return model

    def after_training(self, model: Any) -> Any:
        for part in self._parts:
            model = part.after_training(model)
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        return any([part.before_iteration(model, epoch, evals_log) for part in self._parts])

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        return any([part.after_iteration(model, epoch, evals_log) for part in self._parts])


class _SaveEachRound(xgb.callback.TrainingCallback):
    """Keeps the model so far in the model folder, never half written."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        with tempfile.NamedTemporaryFile(dir=self._path.parent, delete=False) as file:
            model.save_model(file.name)
        Path(file.name).rename(self._path)
        return False


def _end_with_the_model_on_sigterm(folder: Path) -> None:
    def end(_number: int, _frame: FrameType | None) -> None:
        for path in folder.iterdir():
            if path.is_file() and not path.name.startswith(MODEL_NAME):
                path.unlink(missing_ok=True)
        # No cleaning up by the interpreter: the service waits for the exit, and the model is whole.
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
