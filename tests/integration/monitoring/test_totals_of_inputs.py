"""Inputs over seasons: the totals beside each cohort, and what a check reads and reports."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from refit.domain.inferences.cohort_key import cohort_start
from refit.domain.moments import utc_now
from refit.domain.monitoring.input_counts import InputCounter, columns_of
from refit.domain.monitoring.input_totals import InputTotals
from refit.domain.monitoring.inputs_record import InputsRecord
from refit.domain.naming import ModelKeys
from refit.usecases import judge_inputs
from refit.usecases.check_drift import check_drift

from tests.integration.monitoring.live_model import (
    BASELINE,
    COHORT_S,
    MODEL,
    PROFILE,
    SETTINGS,
    count_cohort,
    go_live,
)

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.monitoring.verdict import InputVerdict

    from tests.support.aws_stack import Stack

SEASON = 10
"""Cohorts in a season."""

COHORT = timedelta(seconds=COHORT_S)
SEASONAL = SETTINGS | {"monitoring": SETTINGS["monitoring"] | {"season_s": SEASON * COHORT_S}}
KEYS = ModelKeys(MODEL)
FIRST = cohort_start(utc_now() - timedelta(hours=1), COHORT_S)


@pytest.fixture
def live(stack: Stack) -> Stack:
    go_live(1, SEASONAL)
    return stack


def start_of(index: int) -> datetime:
    return FIRST + index * COHORT


def predict(stack: Stack, index: int, values: Any = None, rows: int = 100) -> None:
    """Count the predictions of a cohort, and their inputs."""
    count_cohort(1, start_of(index), labelled=rows, errors=0)
    random = np.random.default_rng(index)
    counted = random.uniform(0, 1, rows) if values is None else np.asarray(values, dtype=float)
    counter = InputCounter(columns_of(PROFILE, BASELINE))
    counter.add(counted.reshape(-1, 1), np.arange(len(counted)) % 2)
    key = KEYS.input_counts(1, start_of(index), "a")
    stack.services.bucket.put(key, counter.counts().to_bytes())


def check(stack: Stack, index: int) -> InputVerdict:
    """Check the model when a cohort has closed and its captures have arrived."""
    check_drift(stack.at(start_of(index) + 2 * COHORT), MODEL)
    verdict = stack.services.monitoring.verdict(MODEL)
    assert verdict is not None
    assert verdict.inputs is not None
    return verdict.inputs


def totals(stack: Stack, index: int) -> InputTotals:
    return InputTotals.from_bytes(stack.read(KEYS.input_totals(1, start_of(index))))


def totalled(stack: Stack) -> list[str]:
    return [key for key in stack.keys(f"{MODEL}/monitoring/") if key.endswith("totals.zip")]


def rows_of(stack: Stack, *indices: int) -> list[int]:
    return [totals(stack, index).counts.rows for index in indices]


def reads_of_a_check(stack: Stack, index: int) -> list[str]:
    """Run a check, and return the keys of counts and totals that it read, in order."""
    keys: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        if params["Key"].endswith((".npz", "totals.zip")):
            keys.append(params["Key"])

    events = stack.services.client("s3").meta.events
    events.register("provide-client-params.s3.GetObject", note)
    check(stack, index)
    events.unregister("provide-client-params.s3.GetObject", note)
    return keys


def test_the_totals_stand_beside_each_cohort_and_a_season_is_compared_as_a_whole(
    live: Stack,
) -> None:
    for index in range(12):
        predict(live, index, rows=10 + index)
    inputs = check(live, 11)
    assert rows_of(live, 0, 1, 11) == [10, 21, sum(range(10, 22))]
    assert totals(live, 11).since == start_of(0)
    assert (inputs.cohort, inputs.since, inputs.until) == (start_of(11), start_of(2), start_of(12))
    assert (inputs.rows, inputs.compared_from) == (sum(range(12, 22)), None)
    record = live.get(KEYS.inputs(1, start_of(11)))
    assert record["rows"] == inputs.rows
    assert InputsRecord.model_validate(record).since == start_of(2)
    assert sum(record["columns"][0]["live"]) == inputs.rows


def test_a_check_of_a_cohort_reads_its_counts_and_two_totals_only(live: Stack) -> None:
    for index in range(14):
        predict(live, index)
    check(live, 12)
    assert reads_of_a_check(live, 13) == [
        KEYS.input_totals(1, start_of(12)),
        KEYS.input_counts(1, start_of(13), "a"),
        KEYS.input_totals(1, start_of(3)),
    ]
    assert reads_of_a_check(live, 13) == []


@pytest.mark.parametrize(("season_s", "is_flagged"), [(SEASON * COHORT_S, False), (0, True)])
def test_inputs_that_move_within_a_season_are_a_shift_only_without_one(
    stack: Stack, season_s: int, is_flagged: bool
) -> None:
    go_live(1, SETTINGS | {"monitoring": SETTINGS["monitoring"] | {"season_s": season_s}})
    for index in range(2 * SEASON):
        part = np.random.default_rng(index).uniform(index % SEASON, index % SEASON + 1, 100)
        predict(stack, index, part / SEASON)
    flagged = [check(stack, index).flagged > 0 for index in range(SEASON, 2 * SEASON)]
    assert flagged == [is_flagged] * SEASON


def forget_verdict(stack: Stack) -> None:
    """Delete the verdict, as if the check had failed before it was stored."""
    key = {"pk": {"S": f"MODEL#{MODEL}"}, "sk": {"S": "MONITOR"}}
    stack.services.client("dynamodb").delete_item(TableName=stack.table, Key=key)


def test_a_check_that_is_repeated_writes_the_same_totals(live: Stack) -> None:
    for index in range(12):
        predict(live, index)
    check(live, 11)
    before = {key: live.read(key) for key in totalled(live)}
    assert len(before) == 12
    forget_verdict(live)
    inputs = check(live, 11)
    assert {key: live.read(key) for key in totalled(live)} == before
    assert inputs.rows == SEASON * 100


def test_totals_are_not_counted_as_counts(live: Stack) -> None:
    predict(live, 0)
    check(live, 0)
    forget_verdict(live)
    assert check(live, 0).rows == 100


def test_cohorts_that_a_check_skips_enter_the_totals(
    live: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(live, 0)
    check(live, 0)
    monkeypatch.setattr(judge_inputs, "_MAX_COHORTS", 2)
    monkeypatch.setattr(judge_inputs, "_MAX_TOTALLED", 8)
    for index in range(1, 16):
        predict(live, index)
    assert check(live, 15).cohort == start_of(8), "the next check continues"
    judged = [key for key in live.keys(f"{MODEL}/monitoring/") if key.endswith("inputs.json")]
    assert judged == [KEYS.inputs(1, start_of(index)) for index in (0, 7, 8)]
    check_drift(live.at(start_of(15) + 3 * COHORT), MODEL)
    assert rows_of(live, *range(16)) == [100 * (index + 1) for index in range(16)]
    verdict = live.services.monitoring.verdict(MODEL)
    assert verdict is not None
    assert verdict.inputs is not None
    assert (verdict.inputs.cohort, verdict.inputs.rows) == (start_of(15), 1000)


def test_a_cohort_without_counts_does_not_break_the_totals(live: Stack) -> None:
    for index in range(14):
        predict(live, index)
    live.delete(KEYS.input_counts(1, start_of(3), "a"))
    inputs = check(live, 13)
    assert KEYS.input_totals(1, start_of(3)) not in totalled(live)
    assert rows_of(live, 2, 4, 13) == [300, 400, 1300]
    assert (inputs.since, inputs.rows) == (start_of(4), 1000)


def test_a_version_that_was_judged_before_there_were_totals_starts_them(live: Stack) -> None:
    for index in range(12):
        predict(live, index)
    check(live, 11)
    for key in totalled(live):
        live.delete(key)
    for index in range(12, 22):
        predict(live, index)
    first = check(live, 12)
    assert (first.since, first.rows) == (start_of(12), 100)
    assert first.compared_from == start_of(22)
    whole = check(live, 21)
    assert (whole.since, whole.rows, whole.compared_from) == (start_of(12), 1000, None)
    assert totals(live, 21).since == start_of(12)


def test_totals_start_again_if_those_before_the_season_were_deleted(live: Stack) -> None:
    for index in range(14):
        predict(live, index)
    check(live, 12)
    for index in range(4):
        live.delete(KEYS.input_totals(1, start_of(index)))
    inputs = check(live, 13)
    assert (inputs.rows, inputs.since) == (100, start_of(13))
    assert inputs.compared_from == start_of(23)


def test_totals_that_began_at_different_times_are_not_subtracted(live: Stack) -> None:
    for index in range(14):
        predict(live, index)
    check(live, 12)
    begun_later = InputTotals(start_of(3), totals(live, 3).counts)
    live.put(KEYS.input_totals(1, start_of(3)), begun_later.to_bytes())
    inputs = check(live, 13)
    assert (inputs.rows, inputs.since) == (100, start_of(13))


def test_a_version_that_is_live_again_continues_its_totals(
    live: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(12):
        predict(live, index)
    check(live, 11)
    go_live(2, SEASONAL)
    check_drift(live.at(start_of(11) + 2.5 * COHORT), MODEL)
    go_live(1, SEASONAL)
    monkeypatch.setattr(judge_inputs, "_MAX_TOTALLED", 3)
    predict(live, 12)
    read = reads_of_a_check(live, 12)
    assert KEYS.input_counts(1, start_of(0), "a") not in read
    assert (totals(live, 12).counts.rows, totals(live, 12).since) == (1300, start_of(0))


def test_counts_that_were_deleted_do_not_stop_later_checks(
    live: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(live, 0)
    check(live, 0)
    monkeypatch.setattr(judge_inputs, "_MAX_TOTALLED", 3)
    for index in range(1, 8):
        predict(live, index)
    for index in range(1, 5):
        live.delete(KEYS.input_counts(1, start_of(index), "a"))
    assert check(live, 7).cohort == start_of(7)
    assert rows_of(live, 0, 5, 7) == [100, 200, 400]


def test_unseen_values_are_a_violation_within_the_cohort(live: Stack) -> None:
    predict(live, 0, rows=1000)
    predict(live, 1, np.full(1000, 99.0), rows=1000)
    inputs = check(live, 1)
    assert [shift.feature_name for shift in inputs.shifts] == ["f0"]
    assert inputs.compared_from == start_of(SEASON)
    (violation,) = live.get(KEYS.violations(1, start_of(1)))["violations"]
    assert (violation["constraint_check_type"], violation["value"]) == ("baseline_drift_check", 1.0)
    assert KEYS.violations(1, start_of(0)) not in live.keys(f"{MODEL}/monitoring/")
    record = live.get(KEYS.inputs(1, start_of(1)))
    unseen = {column["name"]: column["unseen"] for column in record["columns"]}
    assert unseen == {"f0": 1.0, "prediction": 0.0}
