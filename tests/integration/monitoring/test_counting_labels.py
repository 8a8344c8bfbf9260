"""Counting labelled predictions from the stream: counters of cohorts, and the ledger."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.inferences.count_change import count_change
from refit.domain.model_settings import MonitoringSettings
from refit.domain.monitoring.live_quality import quality_of
from refit.domain.naming import RunKeys
from refit.domain.schema import Feature, Schema
from refit.handlers import count_labels
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT
from tests.support.events import sample
from tests.support.joined import rows_that_hold
from tests.support.stores import do_not_wait, dynamodb_events
from tests.support.traffic import NOON, Traffic, add_version, observed_label, prediction

if TYPE_CHECKING:
    from refit.domain.monitoring.cohort import Cohort

    from tests.support.aws_stack import Stack

FEATURES = (Feature(name="f0", type="number"),)
CLASSES = ("cat", "dog", "owl")
ANIMALS = Schema(task="classification", label="label", features=FEATURES, classes=CLASSES)
PRICES = Schema(task="regression", label="label", features=FEATURES)
AGE = {"cohort_s": 3600, "label_age_s": 600}


@pytest.fixture
def zoo(stack: Stack) -> Traffic:
    """A classifier with two versions, of which the second has one more class."""
    more = ANIMALS.model_copy(update={"classes": (*CLASSES, "yak")})
    add_version("zoo", 1, ANIMALS, **AGE)
    add_version("zoo", 2, more, cohort_s=60, label_age_s=10)
    return Traffic("zoo", more, {1: 3600, 2: 60})


@pytest.fixture
def homes(stack: Stack) -> Traffic:
    """A regression; a prediction whose error is larger than 2.5 is wrong."""
    add_version("homes", 1, PRICES, 2.5, **AGE)
    return Traffic("homes", PRICES, {1: 3600})


def handed_over(records: list[dict[str, Any]]) -> list[str]:
    answer = count_labels.handler({"Records": records}, CONTEXT)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def cohort(model: str = "zoo", version: int = 1) -> Cohort:
    (only,) = services().monitoring.cohorts(model, version)
    return only


# Hard case 1: records that are delivered twice, late or in several batches


def test_a_record_that_is_delivered_twice_counts_once(zoo: Traffic) -> None:
    zoo.predict("a", prediction("dog"))
    zoo.label("a", observed_label("owl"))
    records = zoo.deliverable()
    assert handed_over(records + records) == []
    assert handed_over(records) == []
    assert (cohort().predictions, cohort().shown.labelled, cohort().shown.errors) == (1, 1, 1)
    assert cohort().shown.confusion == {(2, 1): 1}


def test_a_late_stream_record_counts_the_current_state_of_the_inference(zoo: Traffic) -> None:
    zoo.predict("a", prediction("dog"))
    zoo.label("a", observed_label("owl"))
    zoo.label("a", observed_label("dog", observed_s=1))
    old, new = zoo.deliverable()
    assert handed_over([old]) == []
    assert zoo.item("a")["counted"]["M"]["seq"] == zoo.item("a")["seq"]
    assert cohort().shown.confusion == {(1, 1): 1}
    assert handed_over([new, old]) == []
    assert cohort().shown.confusion == {(1, 1): 1}


def test_an_inference_that_has_changed_is_not_marked_as_counted(zoo: Traffic) -> None:
    zoo.predict("a", prediction("dog"))
    zoo.label("a", observed_label("owl"))
    store = services().inferences
    schema = services().artifacts.schema("zoo", "run1")
    outdated = count_change(store.load("zoo", ["a"])["a"], schema, MonitoringSettings(), None)
    assert outdated is not None
    zoo.label("a", observed_label("dog", observed_s=1))
    assert list(store.count([outdated])) == [([], [outdated])]
    assert zoo.item("a")["uncounted"] == {"N": "1"}
    assert cohort().shown.labelled == 0


def test_a_burst_is_counted_in_several_transactions(zoo: Traffic) -> None:
    do_not_wait(services(), max_writes=8)
    sizes: list[int] = []

    def noted(params: dict[str, Any], **_: Any) -> None:
        sizes.append(len(params["TransactItems"]))

    for number in range(20):
        at = NOON + timedelta(seconds=15 * number)
        zoo.predict(f"i{number}", prediction("dog", version=2, at=at))
        zoo.label(f"i{number}", observed_label("dog", at))
    dynamodb_events().register("provide-client-params.*.TransactWriteItems", noted)
    assert handed_over(zoo.deliverable()) == []
    assert len(sizes) >= 4
    assert max(sizes) <= 8
    assert [cohort.shown.labelled for cohort in services().monitoring.cohorts("zoo", 2)] == [4] * 5
    assert len(rows_that_hold(zoo.ledger())) == 20


def test_what_could_not_be_counted_is_found_and_counted_once_however_often_it_is_asked_for(
    zoo: Traffic,
) -> None:
    for name in ("a", "b"):
        zoo.predict(name, prediction("dog"))
        zoo.label(name, observed_label("dog"))
    lost, counted = zoo.deliverable()
    assert handed_over([counted]) == []
    labels = services().labels
    assert list(labels.uncounted()) == list(labels.uncounted("zoo")) == [("zoo", "a")]
    assert list(labels.uncounted("zo")) == []
    for _ in range(2):
        assert labels.count_again("zoo", "a")
        zoo.observe("a")
    assert handed_over(zoo.deliverable()) == []
    assert handed_over([lost]) == []
    assert cohort().shown.labelled == 2
    assert list(labels.uncounted()) == []
    assert not labels.count_again("zoo", "a"), "it was counted meanwhile"
    assert not labels.count_again("zoo", "removed"), "and no item is created"


# Hard case 2: a label before its prediction


def test_a_label_that_arrived_before_its_prediction_counts_when_the_prediction_arrives(
    zoo: Traffic,
) -> None:
    zoo.label("a", observed_label("dog"))
    assert zoo.deliverable() == []
    zoo.predict("a", prediction("dog"))
    assert handed_over(zoo.deliverable()) == []
    assert (cohort().shown.labelled, cohort().shown.errors) == (1, 0)


# Hard case 3: wrong predictions are labelled earlier than correct ones


def test_the_drift_test_uses_the_labels_at_the_label_age_and_live_quality_uses_all(
    zoo: Traffic,
) -> None:
    for index in range(4):
        zoo.predict(f"i{index}", prediction("dog"))
        zoo.label(
            f"i{index}", observed_label("owl" if index == 0 else "dog", received_s=60 + 400 * index)
        )
    handed_over(zoo.deliverable())
    assert (cohort().shown.labelled, cohort().shown.errors) == (4, 1)
    assert (cohort().matured.labelled, cohort().matured.errors) == (2, 1)
    assert cohort().matured.classes == {1: (1, 0), 2: (1, 1)}


def test_a_correction_after_the_label_age_does_not_change_the_drift_test(zoo: Traffic) -> None:
    zoo.predict("a", prediction("dog"))
    zoo.label("a", observed_label("owl"))
    handed_over(zoo.deliverable())
    zoo.label("a", observed_label("dog", observed_s=1, received_s=7000))
    handed_over(zoo.deliverable())
    assert (cohort().shown.errors, cohort().matured.errors) == (0, 1)


# Hard case 4: contradictory and corrected labels


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_contradictory_labels_the_last_observed_one_counts(
    zoo: Traffic, order: tuple[int, ...]
) -> None:
    zoo.predict("a", prediction("dog"))
    for index in order:
        zoo.label("a", observed_label(["owl", "cat", "dog"][index], observed_s=index))
        handed_over(zoo.deliverable())
    assert cohort().shown.confusion == {(1, 1): 1}
    assert (cohort().shown.labelled, cohort().shown.errors) == (1, 0)
    assert [row.label for row in rows_that_hold(zoo.ledger())] == ["dog"]


def test_the_label_delay_is_counted_once_for_the_first_label(zoo: Traffic) -> None:
    zoo.predict("a", prediction("dog"))
    for index, text in enumerate(["owl", "cat", "dog"]):
        zoo.label("a", observed_label(text, observed_s=index, received_s=60 + index))
        handed_over(zoo.deliverable())
    assert (cohort().shown.delay_sum, cohort().shown.delay_n) == (60, 1)


# Hard case 5: a second, different prediction with the same id


def test_a_second_prediction_with_the_same_id_subtracts_the_first(zoo: Traffic) -> None:
    zoo.predict("a", prediction("dog", probabilities=[0.25, 0.5, 0.25]))
    zoo.label("a", observed_label("owl"))
    handed_over(zoo.deliverable())
    assert cohort().shown.labelled == 1
    assert len(rows_that_hold(zoo.ledger())) == 1
    zoo.predict("a", prediction("owl", digest="another"))
    assert handed_over(zoo.deliverable()) == []
    assert cohort().predictions == 1
    assert cohort().shown == type(cohort().shown)()
    assert cohort().matured == type(cohort().matured)()
    assert rows_that_hold(zoo.ledger()) == []


def test_the_same_prediction_captured_again_changes_nothing(zoo: Traffic) -> None:
    zoo.predict("a", prediction("dog"))
    zoo.label("a", observed_label("dog"))
    zoo.predict("a", prediction("dog"))
    handed_over(zoo.deliverable())
    assert (cohort().predictions, cohort().shown.labelled) == (1, 1)


# Hard case 6: labels of an old version after a deployment


def test_a_late_label_counts_for_the_version_that_predicted_by_its_own_settings(
    zoo: Traffic,
) -> None:
    zoo.predict("old", prediction("dog", version=1))
    zoo.predict("new", prediction("dog", version=2))
    zoo.label("old", observed_label("owl", received_s=300))
    zoo.label("new", observed_label("dog", received_s=300))
    handed_over(zoo.deliverable())
    assert (cohort(version=1).seconds, cohort(version=1).shown.errors) == (3600, 1)
    assert (cohort(version=2).seconds, cohort(version=2).shown.errors) == (60, 0)
    assert cohort(version=1).matured.labelled == 1, "its label age is 600 seconds"
    assert cohort(version=2).matured.labelled == 0, "its label age is 10 seconds"


def test_a_class_that_is_newer_than_the_version_counts_as_an_error(zoo: Traffic) -> None:
    zoo.label("a", observed_label("yak"))
    zoo.predict("a", prediction("dog", version=1))
    assert handed_over(zoo.deliverable()) == []
    assert cohort().shown.confusion == {(-1, 1): 1}
    assert rows_that_hold(zoo.ledger())[0].label == "yak"


# Hard case 7: encodings and data types


def test_captured_probabilities_survive_the_stream_and_give_the_log_loss(zoo: Traffic) -> None:
    zoo.predict("a", prediction("dog", probabilities=[0.25, 0.5, 0.25]))
    zoo.label("a", observed_label("dog"))
    handed_over(zoo.deliverable())
    figures = quality_of([cohort()], ANIMALS)
    assert figures.metrics == {"accuracy": 1.0, "log_loss": pytest.approx(0.693147, abs=1e-6)}


@pytest.mark.parametrize("spelling", ["1", "1.0"])
def test_a_numeric_class_is_the_same_in_each_spelling(stack: Stack, spelling: str) -> None:
    digits = ANIMALS.model_copy(update={"classes": ("0", "1")})
    add_version("zoo", 1, digits, **AGE)
    traffic = Traffic("zoo", digits, {1: 3600})
    traffic.predict("a", prediction("1"))
    traffic.label("a", observed_label(spelling))
    handed_over(traffic.deliverable())
    assert cohort().shown.confusion == {(1, 1): 1}


def test_records_that_the_event_filter_should_have_removed_are_ignored(stack: Stack) -> None:
    event = sample("count_labels_nothing_to_count")
    assert len(event["Records"]) == 3
    assert count_labels.handler(event, CONTEXT) == {"batchItemFailures": []}
    assert services().monitoring.cohorts("digits", 3) == []


# Hard case 8: missing labels and extreme values


def test_unlabelled_predictions_reduce_the_coverage(zoo: Traffic) -> None:
    for index in range(4):
        zoo.predict(f"i{index}", prediction("dog"))
    zoo.label("i0", observed_label("dog"))
    handed_over(zoo.deliverable())
    figures = quality_of([cohort()], ANIMALS)
    assert (figures.predictions, figures.labelled, figures.coverage) == (4, 1, 0.25)
    assert cohort().files == {7}, "the file number of the capture file is counted"


def test_one_enormous_label_does_not_stop_the_counting(homes: Traffic) -> None:
    for name, text in {"a": "3e38", "b": "1.5", "c": "1e-30"}.items():
        homes.predict(name, prediction("1"))
        homes.label(name, observed_label(text))
        assert handed_over(homes.deliverable()) == []
    assert cohort("homes").shown.labelled == 3


# Regression


def test_the_metrics_of_a_regression_follow_from_its_counters(homes: Traffic) -> None:
    for name, text in {"a": "98", "b": "104", "c": "100"}.items():
        homes.predict(name, prediction("100"))
        homes.label(name, observed_label(text))
    handed_over(homes.deliverable())
    figures = quality_of([cohort("homes")], PRICES)
    assert figures.metrics == {
        "rmse": pytest.approx((20 / 3) ** 0.5),
        "mae": pytest.approx(2),
        "bias": pytest.approx(-2 / 3),
    }
    assert (cohort("homes").shown.errors, cohort("homes").matured.errors) == (1, 1)


def test_a_corrected_label_of_a_regression_subtracts_the_old_sums(homes: Traffic) -> None:
    homes.predict("a", prediction("0.3"))
    homes.label("a", observed_label("7.1"))
    handed_over(homes.deliverable())
    homes.label("a", observed_label("0.3", observed_s=1))
    handed_over(homes.deliverable())
    shown = cohort("homes").shown
    assert (shown.labelled, shown.errors) == (1, 0)
    assert (shown.error_sum, shown.abs_sum, shown.square_sum) == (0, 0, 0)


def test_after_a_change_of_settings_and_baseline_a_correction_subtracts_what_was_added(
    homes: Traffic,
) -> None:
    homes.predict("a", prediction("1"))
    homes.label("a", observed_label("7"))
    handed_over(homes.deliverable())
    add_version("homes", 1, PRICES, 100.0, cohort_s=60, label_age_s=600)
    homes.predict("a", prediction("2", digest="another"))
    handed_over(homes.deliverable())
    shown = cohort("homes").shown
    assert (shown.labelled, shown.errors, shown.square_sum) == (0, 0, 0)


# Ledger, metrics, enqueued drift checks, and failures


def test_the_ledger_states_the_label_and_where_the_features_are(stack: Stack) -> None:
    digits = ANIMALS.model_copy(update={"classes": ("0", "1", "2")})
    add_version("digits", 3, digits, **AGE)
    table = services().client("dynamodb")
    event = sample("count_labels")
    image = event["Records"][0]["dynamodb"]["NewImage"]
    stored = {name: value for name, value in image.items() if name != "probabilities"}
    table.put_item(TableName=stack.inference_table, Item=stored)
    assert count_labels.handler(event, CONTEXT) == {"batchItemFailures": []}
    (key,) = stack.keys("digits/labelled/")
    assert stack.get(key) == {
        "inferenceId": "5f0c2f7be1a94e2c8f2b7f6f3d1c9a10-0",
        "seq": 1,
        "label": "2",
        "prediction": "1",
        "version": 3,
        "predictedAt": "2026-11-20T12:00:00.000+00:00",
        "observedAt": "2026-11-20T12:00:30.000+00:00",
        "source": {
            "key": "digits/capture/refit-digits/v3/2026/11/20/12/00-05-120-0d4c7f52.jsonl",
            "line": 4,
            "row": 0,
        },
    }
    assert cohort("digits", 3).shown.confusion == {(2, 1): 1}


def test_a_batch_that_is_retried_overwrites_its_slice(zoo: Traffic, stack: Stack) -> None:
    zoo.predict("a", prediction("dog"))
    zoo.label("a", observed_label("owl"))
    handed_over(zoo.deliverable())
    handed_over(zoo.deliverable())
    zoo.predict("b", prediction("dog"))
    zoo.label("b", observed_label("owl"))
    handed_over(zoo.deliverable())
    assert len(stack.keys("zoo/labelled/")) == 2


def test_a_newly_labelled_prediction_is_published_once_with_its_delay(
    zoo: Traffic, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.predict("a", prediction("dog"))
    zoo.label("a", observed_label("owl"))
    handed_over(zoo.deliverable())
    zoo.label("a", observed_label("dog", observed_s=1))
    handed_over(zoo.deliverable())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [line for line in lines if line.get("Model") == "zoo"]
    assert [line["Labels"] for line in found if "Labels" in line] == [[1.0]]
    assert [line["LabelDelaySeconds"] for line in found if "LabelDelaySeconds" in line] == [[60.0]]


def test_drift_is_checked_once_per_cohort_length(zoo: Traffic, stack: Stack) -> None:
    for index in range(3):
        zoo.predict(f"i{index}", prediction("dog"))
        zoo.label(f"i{index}", observed_label("owl"))
        handed_over(zoo.deliverable())
    assert stack.messages(stack.detect_queue) == [{"model": "zoo"}]


def test_only_one_of_two_callers_claims_the_check(stack: Stack) -> None:
    assert services().monitoring.claim_check("zoo", NOON, 60)
    assert not services().monitoring.claim_check("zoo", NOON, 60)
    assert not services().monitoring.claim_check("zoo", NOON + timedelta(seconds=59), 60)
    assert services().monitoring.claim_check("zoo", NOON + timedelta(seconds=60), 60)
    assert services().monitoring.claim_check("homes", NOON, 60)


def test_only_the_record_whose_version_is_unknown_has_failed(zoo: Traffic) -> None:
    zoo.cohort_s[9] = 60
    zoo.predict("a", prediction("dog", version=9))
    zoo.predict("b", prediction("dog", version=1))
    zoo.label("b", observed_label("dog"))
    zoo.label("a", observed_label("dog"))
    records = zoo.deliverable()
    by_id = {entry["dynamodb"]["Keys"]["id"]["S"]: entry for entry in records}
    assert handed_over(records) == [by_id["zoo#a"]["dynamodb"]["SequenceNumber"]]
    assert cohort(version=1).shown.labelled == 1
    add_version("zoo", 9, ANIMALS, **AGE)
    assert handed_over(records) == []
    assert services().monitoring.cohorts("zoo", 9)


@pytest.mark.parametrize("artifact", ["schema", "baseline", "manifest"])
def test_a_model_is_counted_although_an_artifact_of_another_is_missing(
    zoo: Traffic, homes: Traffic, stack: Stack, artifact: str
) -> None:
    key = getattr(RunKeys("homes", "run1"), artifact)
    services().client("s3").delete_object(Bucket=stack.bucket, Key=key)
    zoo.predict("a", prediction("dog"))
    zoo.label("a", observed_label("dog"))
    homes.predict("a", prediction("1"))
    homes.label("a", observed_label("1"))
    lost = homes.deliverable()[0] | {"dynamodb": homes.deliverable()[0]["dynamodb"].copy()}
    lost["dynamodb"]["SequenceNumber"] = "of homes"
    assert handed_over([lost, *zoo.deliverable()]) == ["of homes"]
    assert cohort().shown.labelled == 1


def failed_messages(output: str) -> list[str]:
    """Return the function of each failed message that was counted."""
    lines = [json.loads(line) for line in output.splitlines() if '"FailedMessages"' in line]
    return [line["FunctionName"] for line in lines]


def test_a_prediction_that_cannot_be_counted_is_counted_as_a_failed_message(
    homes: Traffic, stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    key = RunKeys("homes", "run1").schema
    services().client("s3").delete_object(Bucket=stack.bucket, Key=key)
    homes.predict("a", prediction("1"))
    homes.label("a", observed_label("1"))
    assert len(handed_over(homes.deliverable())) == 1
    assert failed_messages(capsys.readouterr().out) == [CONTEXT.function_name]


def test_a_prediction_of_a_version_that_is_not_registered_yet_sets_off_no_alarm(
    zoo: Traffic, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.cohort_s[9] = 60
    zoo.predict("a", prediction("dog", version=9))
    zoo.label("a", observed_label("dog"))
    assert len(handed_over(zoo.deliverable())) == 1
    assert failed_messages(capsys.readouterr().out) == []
