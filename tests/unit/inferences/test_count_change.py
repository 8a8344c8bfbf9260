"""What a labelled prediction adds to its cohort's counters, and what a correction subtracts."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.evaluation import outcomes
from refit.domain.inferences import count_change as counting
from refit.domain.inferences.cohort_key import CohortKey, cohort_start
from refit.domain.inferences.count_change import CountChange, count_change, summed
from refit.domain.inferences.inference import MAX_LABELS, Inference, limited
from refit.domain.monitoring.cohort import Cohort
from refit.stores.dynamodb import MAX_TRANSACTION_WRITES
from refit.stores.inference_items import counted_map, counted_of
from refit.stores.inferences import MAX_COUNTERS, transaction_groups

from tests.support.joined import (
    ANIMALS,
    ERROR_BOUND,
    NOON,
    PRICES,
    SETTINGS,
    after,
    inference,
    label,
    predicted,
)

if TYPE_CHECKING:
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.schema import Schema

KEY = CohortKey("zoo", 1, NOON, 3600)


def animal_change(known: Inference, schema: Schema = ANIMALS) -> CountChange | None:
    return count_change(known, schema, SETTINGS, None)


def price_change(
    known: Inference,
    error_bound: float | None = ERROR_BOUND,
    settings: MonitoringSettings = SETTINGS,
) -> CountChange | None:
    return count_change(known, PRICES, settings, error_bound)


def added(known: Inference, schema: Schema = ANIMALS) -> dict[str, float]:
    """Return what an inference adds to the only cohort that it changes."""
    return added_by(animal_change(known, schema))


def added_to_prices(known: Inference, error_bound: float | None = ERROR_BOUND) -> dict[str, float]:
    return added_by(price_change(known, error_bound))


def added_by(change: CountChange | None) -> dict[str, float]:
    assert change is not None
    sums = summed([change])
    assert set(sums) <= {KEY}
    return {name: float(value) for name, value in sums.get(KEY, {}).items()}


def test_a_correct_prediction_is_counted_as_labelled_now_and_in_time() -> None:
    assert added(inference(predicted("dog", [0.25, 0.5, 0.25]), label("dog"))) == {
        "labelled": 1,
        "delay_sum": 60,
        "delay_n": 1,
        "loss_sum": round(math.log(2), 6),
        "loss_n": 1,
        "s|1|n": 1,
        "c|1|1": 1,
        "t_labelled": 1,
        "t|1|n": 1,
    }


def test_a_wrong_prediction_is_counted_for_its_actual_class() -> None:
    found = added(inference(predicted("dog"), label("owl")))
    assert found["errors"] == found["t_errors"] == 1
    assert found["c|2|1"] == found["t|2|n"] == found["t|2|k"] == 1
    assert "loss_n" not in found


@pytest.mark.parametrize("spelling", ["1", "1.0", "01"])
def test_a_class_is_the_same_in_each_of_its_spellings(spelling: str) -> None:
    schema = ANIMALS.model_copy(update={"classes": ("0", "1")})
    assert "errors" not in added(inference(predicted("1"), label(spelling)), schema)


def test_a_class_that_the_version_does_not_know_is_an_error_with_the_largest_loss() -> None:
    found = added(inference(predicted("dog", [0.0, 1.0, 0.0]), label("yak")))
    assert found["errors"] == found["c|-1|1"] == found["t|-1|k"] == 1
    assert found["loss_sum"] == pytest.approx(34.538776)


def test_live_and_held_out_rows_have_the_same_smallest_probability() -> None:
    assert counting.SMALLEST_PROBABILITY == outcomes.SMALLEST_PROBABILITY


def test_a_label_that_arrives_after_the_label_age_is_not_counted_in_the_drift_test() -> None:
    found = added(inference(predicted("dog"), label("owl", received_s=600.001)))
    assert found["labelled"] == 1
    assert not [name for name in found if name.startswith("t")]


def test_a_late_correction_changes_the_live_counters_and_not_the_drift_test() -> None:
    first = inference(predicted("dog"), label("owl"))
    change = animal_change(first)
    assert change is not None
    corrected = after(first, change.counted, label("dog", observed_s=5, received_s=900))
    assert added(corrected) == {
        "errors": -1,
        "s|2|n": -1,
        "s|2|k": -1,
        "s|1|n": 1,
        "c|2|1": -1,
        "c|1|1": 1,
    }


def test_a_label_with_an_older_observation_that_arrives_later_changes_nothing() -> None:
    first = inference(predicted("dog"), label("dog", observed_s=50))
    change = animal_change(first)
    assert change is not None
    assert added(after(first, change.counted, label("owl", observed_s=10))) == {}


def test_the_label_delay_is_that_of_the_first_label_even_after_a_correction() -> None:
    labels = [label(text, index, 60 + index) for index, text in enumerate(["cat", "owl"])]
    assert added(inference(predicted("dog"), *labels))["delay_sum"] == 60


def test_a_label_that_came_before_its_prediction_has_no_delay() -> None:
    found = added(inference(predicted("dog"), label("dog", -30, -20)))
    assert "delay_sum" not in found
    assert found["delay_n"] == 1
    assert found["t_labelled"] == 1


def test_an_inference_that_becomes_ambiguous_subtracts_what_it_has_added() -> None:
    first = inference(predicted("dog", [0.2, 0.7, 0.1]), label("owl"))
    change = animal_change(first)
    assert change is not None
    back = added(after(first, change.counted, ambiguous=True))
    assert back == {name: -value for name, value in added(first).items()}


def test_an_ambiguous_inference_without_a_label_adds_nothing() -> None:
    change = animal_change(inference(predicted("dog"), ambiguous=True))
    assert change is not None
    assert summed([change]) == {}


def test_an_inference_that_was_counted_with_this_seq_is_not_counted_again() -> None:
    first = inference(predicted("dog"), label("owl"))
    change = animal_change(first)
    assert change is not None
    assert animal_change(replace(first, counted=change.counted)) is None


def test_a_label_without_its_prediction_is_not_counted() -> None:
    assert animal_change(inference(None, label("owl"))) is None


def test_a_prediction_of_a_regression_is_wrong_beyond_the_error_bound() -> None:
    assert added_to_prices(inference(predicted("10"), label("7.5"))) == {
        "labelled": 1,
        "delay_sum": 60,
        "delay_n": 1,
        "error_sum": 2.5,
        "abs_sum": 2.5,
        "square_sum": 6.25,
        "t_labelled": 1,
    }
    wrong = added_to_prices(inference(predicted("10"), label("13")))
    assert wrong["errors"] == wrong["t_errors"] == 1
    assert (wrong["error_sum"], wrong["abs_sum"], wrong["square_sum"]) == (-3, 3, 9)


@pytest.mark.parametrize("bound", [None, 0.0])
def test_a_regression_without_a_bound_still_has_sums(bound: float | None) -> None:
    found = added_to_prices(inference(predicted("1"), label("4")), bound)
    assert found["abs_sum"] == 3
    assert found.get("errors", 0) == (bound is not None)


def test_errors_in_a_tiny_unit_keep_their_digits() -> None:
    found = added_to_prices(inference(predicted("4e-12"), label("1.5e-12")), 3e-12)
    assert found["abs_sum"] == pytest.approx(2.5e-12, rel=1e-6)
    assert found["square_sum"] == pytest.approx(6.25e-24, rel=1e-6)


def test_an_enormous_label_does_not_reduce_the_precision_of_the_sums() -> None:
    """DynamoDB's numbers have 38 digits, so one enormous error must not displace the others."""
    poisoned = inference(predicted("0"), label("3.4e38"), inference_id="p")
    plain = inference(predicted("0"), label("0.000001"), inference_id="q")
    changes = [price_change(poisoned)] + [price_change(plain)] * 99
    total = summed([change for change in changes if change])[KEY]
    assert total["square_sum"] == Decimal(10) ** 18
    assert total["abs_sum"] == Decimal(10) ** 9 + 99 * Decimal("0.000001")
    assert max(len(value.as_tuple().digits) for value in total.values()) <= 28


def test_after_a_change_of_the_settings_a_correction_subtracts_what_was_added_before() -> None:
    first = inference(predicted("10"), label("13"))
    change = price_change(first)
    assert change is not None
    settings = SETTINGS.model_copy(update={"cohort_s": 60})
    again = price_change(after(first, change.counted, ambiguous=True), 100.0, settings)
    assert again is not None
    total = summed([change, again])
    assert total == {}


def test_the_attribute_counted_is_read_back_as_it_was_written() -> None:
    change = price_change(inference(predicted("10"), label("13")))
    assert change is not None
    assert counted_of(counted_map(change.counted)) == change.counted


TEXTS = st.sampled_from(["cat", "dog", "owl", "yak"])
STEPS = st.lists(
    st.one_of(
        st.builds(
            label,
            TEXTS,
            st.integers(0, 50),
            st.floats(-50, 1200, allow_nan=False).map(lambda value: round(value, 3)),
        ),
        st.just("ambiguous"),
    ),
    min_size=1,
    max_size=2 * MAX_LABELS,
)


@given(STEPS, st.lists(st.booleans(), min_size=2 * MAX_LABELS, max_size=2 * MAX_LABELS))
def test_counting_after_some_steps_gives_the_same_sums_as_counting_once(
    steps: list[Inference | str], counted_at: list[bool]
) -> None:
    known = inference(predicted("dog", [0.1, 0.7, 0.2]), seq=0)
    changes = []
    for index, step in enumerate(steps):
        known = (
            replace(known, ambiguous=True, seq=known.seq + 1)
            if step == "ambiguous"
            else replace(known, labels=limited((*known.labels, step)), seq=known.seq + 1)
        )
        if counted_at[index] or index == len(steps) - 1:
            change = animal_change(known)
            assert change is not None
            changes.append(change)
            known = replace(known, counted=change.counted)
    at_once = animal_change(replace(known, counted=inference(None).counted))
    assert at_once is not None
    assert summed(changes) == summed([at_once])


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.integers(1, 604_800))
def test_a_moment_lies_within_its_cohort(moment: datetime, cohort_s: int) -> None:
    at = moment.replace(tzinfo=UTC)
    start = cohort_start(at, cohort_s)
    assert start <= at < start + timedelta(seconds=cohort_s)
    assert start == cohort_start(start, cohort_s)
    assert start.microsecond == 0


def many(count: int, versions: int) -> list[CountChange]:
    found = [
        animal_change(
            inference(
                replace(
                    predicted("dog", version=1 + index % versions),
                    at=NOON + timedelta(hours=index % versions),
                ),
                label(f"{index % 3}"),
                inference_id=str(index),
            )
        )
        for index in range(count)
    ]
    return [change for change in found if change]


@pytest.mark.parametrize("versions", [1, 7, 250])
def test_each_group_fits_a_transaction_and_no_change_is_lost(versions: int) -> None:
    changes = many(250, versions)
    groups = list(transaction_groups(changes, MAX_TRANSACTION_WRITES))
    for group in groups:
        assert 1 <= len(group) + len(summed(group)) <= MAX_TRANSACTION_WRITES
    assert sorted(it.inference.inference_id for group in groups for it in group) == sorted(
        change.inference.inference_id for change in changes
    )
    assert len(groups) <= 250 / (MAX_TRANSACTION_WRITES / 2) + 1


def test_a_group_updates_no_more_counters_than_an_update_expression_can_hold() -> None:
    classes = tuple(f"class {code}" for code in range(400))
    schema = ANIMALS.model_copy(update={"classes": classes})
    changes = [
        animal_change(
            inference(predicted(classes[code]), label(classes[-1 - code]), inference_id=str(code)),
            schema,
        )
        for code in range(400)
    ]
    groups = list(
        transaction_groups([change for change in changes if change], MAX_TRANSACTION_WRITES)
    )
    assert sum(map(len, groups)) == 400
    assert max(len(sums) for group in groups for sums in summed(group).values()) <= MAX_COUNTERS


def test_a_cohort_contains_the_sums_that_were_added() -> None:
    changes = [
        animal_change(inference(predicted("dog", [0.2, 0.5, 0.3]), label(text), inference_id=text))
        for text in ("dog", "owl", "yak")
    ]
    sums = summed([change for change in changes if change])[KEY]
    cohort = Cohort.from_items(
        [
            {
                "pk": "MODEL#zoo",
                "sk": "COHORT#0000000001#2026-11-20T12:00:00#03",
                "seconds": Decimal(3600),
                "predictions": Decimal(5),
            }
            | {"files": {Decimal(4), Decimal(60)}, "c|0|0": Decimal(0)}
            | sums
        ]
    )
    assert (cohort.version, cohort.start, cohort.end) == (1, NOON, NOON + timedelta(hours=1))
    assert (cohort.predictions, cohort.files) == (5, {4, 60})
    assert (cohort.shown.labelled, cohort.shown.errors) == (3, 2)
    assert cohort.shown.confusion == {(1, 1): 1, (2, 1): 1, (-1, 1): 1}
    assert cohort.shown.classes == {1: (1, 0), 2: (1, 1), -1: (1, 1)}
    assert (cohort.matured.labelled, cohort.matured.errors) == (3, 2)
    assert cohort.matured.classes == {1: (1, 0), 2: (1, 1), -1: (1, 1)}
