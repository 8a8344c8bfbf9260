"""Fifty thousand labelled predictions of a world that stays as it is: nothing is retrained."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

MODEL = "steady"
CALLS = 100
ROWS = 500
SETTINGS = """
[monitoring]
cohort_s = 2
label_age_s = 4
label_wait_s = 12

[retraining]
min_labels = 50
cooldown_s = 0
"""


@pytest.mark.timeout(600)
def test_without_drift_nothing_is_retrained(user: User, digits: Digits) -> None:
    user.drop(MODEL, {"a.csv": digits.csv(slice(0, 900))}, SETTINGS)
    assert user.ended_run(MODEL)["status"] == "DEPLOYED"
    order = np.random.default_rng(11)
    errors = 0

    def call(chosen: list[int]) -> int:
        answer = user.predict(MODEL, digits.images[chosen].tolist()).json()
        labels = [str(digits.labels[place]) for place in chosen]
        found = answer["predictions"]
        statuses = user.label(
            MODEL,
            [
                {"inferenceId": row["inferenceId"], "label": label}
                for row, label in zip(found, labels, strict=True)
            ],
        )
        assert {status["status"] for status in statuses} <= {"new", "held"}
        return sum(row["prediction"] != label for row, label in zip(found, labels, strict=True))

    chosen = [order.integers(900, 1797, ROWS).tolist() for _ in range(CALLS)]
    with ThreadPoolExecutor(2) as pool:
        errors = sum(pool.map(call, chosen))
    wanted = {"predictions": CALLS * ROWS, "labelled": CALLS * ROWS, "errors": errors}
    user.wait_until_counted(MODEL, 1, wanted, timeout_s=300)
    items = user.items(MODEL)
    assert len(user.runs(MODEL)) == 1
    assert items.get("RETRAINING", {}).get("state", "healthy") == "healthy"
    assert items["STATE"]["champion"]["version"] == 1
