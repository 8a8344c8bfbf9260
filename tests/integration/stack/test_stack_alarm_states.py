from __future__ import annotations

import operator

import pytest
from refit_local.ministack.alarms import state_of


@pytest.mark.parametrize(
    ("periods", "required", "missing", "state"),
    [
        ([2.0], 1, "missing", "ALARM"),
        ([1.0], 1, "missing", "OK"),
        ([None], 1, "missing", "INSUFFICIENT_DATA"),
        ([None], 1, "notBreaching", "OK"),
        ([None], 1, "breaching", "ALARM"),
        ([None], 1, "ignore", None),
        ([2.0, 0.0, 2.0], 2, "missing", "ALARM"),
        ([2.0, 0.0, 0.0], 2, "missing", "OK"),
        ([2.0, None, 0.0], 2, "breaching", "ALARM"),
        ([2.0, None, 0.0], 2, "notBreaching", "OK"),
        ([2.0, None, 0.0], 2, "ignore", None),
        ([2.0, None, None], 3, "missing", "OK"),
    ],
)
def test_an_alarm_counts_breaching_periods_and_treats_missing_data_as_configured(
    periods: list[float | None], required: int, missing: str, state: str | None
) -> None:
    assert state_of(periods, operator.gt, 1.0, required=required, missing=missing) == state
