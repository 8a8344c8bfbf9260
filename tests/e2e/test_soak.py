"""Many labelled predictions without drift start no retraining, and take no memory.

`make soak` does this with 200,000.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest

from tests.e2e.driver import wait_for

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

MODEL = "steady"
ROWS = 100
CALLS = int(os.environ.get("REFIT_SOAK_ROWS", "3000")) // ROWS
FIRST_CALLS = CALLS // 10
SECONDS_PER_CALL = 10
MOST_GROWTH_BYTES = 150_000_000
SETTINGS = """
[monitoring]
cohort_s = 2
season_s = 0
label_age_s = 4
label_wait_s = 12

[retraining]
min_labels = 50
cooldown_s = 0
"""


def memory_of(user: User) -> int:
    """Return the resident bytes of the local stack's server; 0 on AWS."""
    if user.stack.endpoint_url is None:
        return 0
    return int(psutil.Process(user.stack.pid).memory_info().rss)


def label_until_accepted(user: User, records: list[dict[str, Any]]) -> None:
    """Post labels; again, if a busy machine needs more than the 29 s of an API call."""

    def is_accepted() -> bool | None:
        response = user.post_labels(MODEL, records)
        assert response.status_code in {202, 504}, response.text
        return response.status_code == 202 or None

    wait_for(is_accepted, "accepted labels")


@pytest.mark.timeout(1200 + CALLS * SECONDS_PER_CALL)
def test_many_labelled_predictions_without_drift_start_no_retraining_and_take_no_memory(
    user: User, digits: Digits
) -> None:
    user.drop(MODEL, {"a.csv": digits.csv(slice(0, 900))}, SETTINGS)
    assert user.wait_for_end(MODEL)["status"] == "DEPLOYED"
    generator = np.random.default_rng(11)

    def predict_and_label(indices: list[int]) -> int:
        """Return the number of wrong predictions."""
        predictions = user.predict(MODEL, digits.images[indices].tolist()).json()["predictions"]
        labelled = [
            (prediction, str(digits.labels[index]))
            for prediction, index in zip(predictions, indices, strict=True)
        ]
        records = [
            {"inferenceId": prediction["inferenceId"], "label": label}
            for prediction, label in labelled
        ]
        label_until_accepted(user, records)
        return sum(prediction["prediction"] != label for prediction, label in labelled)

    batches = [generator.integers(900, 1797, ROWS).tolist() for _ in range(CALLS)]
    with ThreadPoolExecutor(2) as pool:
        errors = sum(pool.map(predict_and_label, batches[:FIRST_CALLS]))
        memory = memory_of(user)
        errors += sum(pool.map(predict_and_label, batches[FIRST_CALLS:]))
    expected = {"predictions": CALLS * ROWS, "labelled": CALLS * ROWS, "errors": errors}
    # Reading all cohorts takes time from counting them.
    user.wait_until_counted(MODEL, 1, expected, timeout_s=600, poll_s=2)
    growth = memory_of(user) - memory
    print(f"{memory / 1e6:.0f} MB after {FIRST_CALLS * ROWS:,} rows; then {growth / 1e6:+.0f} MB")
    assert growth < MOST_GROWTH_BYTES
    items = user.items(MODEL)
    assert len(user.runs(MODEL)) == 1
    assert items.get("RETRAINING", {}).get("state", "healthy") == "healthy"
    assert items["STATE"]["champion"]["version"] == 1
