"""Choose the hyperparameters of SageMaker's linear learner from the shape of the data.

Source  SageMaker Developer Guide, "Linear learner hyperparameters" and "Linear learner algorithm"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.vocabulary import Task

EPOCHS = 15
DEFAULT_BATCH = 1000
_BATCHES = 10
"""Of few batches little is learned, and one of more rows than there are may be refused."""

# Only the scores of these are probabilities, which the gate and the monitoring need.
_LOSSES = {
    "binary_classifier": ("auto", "logistic"),
    "multiclass_classifier": ("auto", "softmax_loss"),
}
_LOSSES_OF_NUMBERS = (
    "auto",
    "squared_loss",
    "absolute_loss",
    "eps_insensitive_squared_loss",
    "eps_insensitive_absolute_loss",
    "quantile_loss",
    "huber_loss",
)


def linear_learner_hyperparameters(
    task: Task, classes: int | None, features: int, rows: int, given: Mapping[str, str]
) -> dict[str, str]:
    """Return all hyperparameters.

    Args:
        task: classification or regression.
        classes: number of classes; None for a regression.
        features: number of columns without the label.
        rows: number of training rows.
        given: those of the settings, which take precedence.

    Raises:
        SettingsInvalid: when the loss does not fit the task.
    """
    kind = _predictor_type(task, classes)
    planned = {
        "predictor_type": kind,
        "feature_dim": str(features),
        "mini_batch_size": str(max(1, min(DEFAULT_BATCH, rows // _BATCHES))),
        "epochs": str(EPOCHS),
        **({"num_classes": str(classes)} if kind == "multiclass_classifier" else {}),
        **given,
    }
    loss, allowed = planned.get("loss", "auto"), _LOSSES.get(kind, _LOSSES_OF_NUMBERS)
    if loss not in allowed:
        raise SettingsInvalid(
            f"model.toml: [training.hyperparameters] loss = {loss!r} does not fit a {kind}; "
            f"allowed: {', '.join(allowed)}"
        )
    return planned


def _predictor_type(task: Task, classes: int | None) -> str:
    if task == "regression":
        return "regressor"
    return "binary_classifier" if classes == 2 else "multiclass_classifier"
