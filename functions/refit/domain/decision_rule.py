"""Which class a model predicts, given the probabilities of the classes: the one definition.

`decision.json` of a run holds the rule of its version if the settings have `[prediction]`. The
predict API, the reader of capture files and the evaluation call the functions below, so the
recorded, the returned and the evaluated prediction of a row are the same. This module does not
import NumPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class DecisionRule(BaseModel):
    """The format of `decision.json`.

    Attributes:
        positive: text of the positive class.
        threshold: the positive class is predicted if its probability is at least this; None: the
            most probable class is predicted.
        is_default: whether it is the second class because the settings name none.
        chosen: who chose the threshold: the settings, or the costs.
        chosen_on: the rows on which costs choose.
        expected_cost: mean cost of such a row at the threshold; None without costs.
    """

    model_config = ConfigDict(frozen=True)

    positive: str
    is_default: bool = False
    threshold: float | None = None
    chosen: Literal["settings", "costs"] | None = None
    chosen_on: Literal["validation", "out-of-fold"] = "validation"
    expected_cost: float | None = None


def predicted_class(
    probabilities: Sequence[float], classes: Sequence[str], rule: DecisionRule | None
) -> int:
    """Return the index of the predicted class of one row.

    Args:
        probabilities: one per class.
        classes: texts of the classes; two if the rule has a threshold.
        rule: rule of the version that answered; None: the most probable class, and of equally
            probable ones the first.
    """
    if rule is None or rule.threshold is None:
        return max(range(len(probabilities)), key=probabilities.__getitem__)
    positive = classes.index(rule.positive)
    return positive if probabilities[positive] >= rule.threshold else 1 - positive


def predicted_classes(
    probabilities: NDArray[np.float64], classes: Sequence[str], rule: DecisionRule | None
) -> NDArray[np.int64]:
    """Return `predicted_class` of many rows.

    Args:
        probabilities: (n_rows, n_classes).
        classes: texts of the classes.
        rule: rule of the version that answered, or None.

    Returns:
        (n_rows,) class indices.
    """
    if rule is None or rule.threshold is None:
        most_probable: NDArray[np.int64] = probabilities.argmax(axis=1).astype("int64")
        return most_probable
    positive = classes.index(rule.positive)
    is_positive: NDArray[np.int64] = (probabilities[:, positive] >= rule.threshold).astype("int64")
    return is_positive if positive == 1 else 1 - is_positive
