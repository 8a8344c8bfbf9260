"""The labels that Prepare refuses are those that the library of the image refuses."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost
from refit.domain.hyperparameters import RULES
from refit.domain.label_limits import label_limits

LABELS = (-2.0, -1.0, -0.999, -1e-9, 0.0, 1e-9, 1.0, 1.000001, 1.5, 1e9)
OBJECTIVES = sorted(
    objective
    for objective in RULES["objective"].texts  # type: ignore[union-attr]
    if objective.startswith(("reg:", "count:"))
)


def refuses(objective: str, label: float) -> bool:
    labels = np.full(8, 0.5)
    labels[3] = label
    matrix = xgboost.DMatrix(np.arange(8.0).reshape(8, 1), labels)
    try:
        xgboost.train({"objective": objective, "verbosity": 0}, matrix, 1)
    except xgboost.core.XGBoostError:
        return True
    return False


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_label_is_refused_exactly_if_xgboost_refuses_it(objective: str) -> None:
    limits = label_limits("xgboost", {"objective": objective})
    refused = [label for label in LABELS if limits.is_outside(f"{label:.9f}")]
    assert refused == [label for label in LABELS if refuses(objective, label)]
