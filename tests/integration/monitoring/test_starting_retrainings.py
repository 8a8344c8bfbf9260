"""From an alarm, or a person's word, to exactly one run."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from refit.domain.errors import ServiceThrottled
from refit.domain.naming import RunKeys
from refit.domain.retraining.state import State
from refit.handlers import retrain
from refit.stores import retraining, s3, store
from refit.stores.clients import client
from refit.usecases.finish_run import Ending, end_run

from tests.integration.monitoring.live_model import (
    MODEL,
    ago,
    count_cohort,
    go_live,
    put_slice,
    store_verdict,
)
from tests.support.aws_stack import CONTEXT
from tests.support.events import sample

if TYPE_CHECKING:
    from refit.domain.retraining.state import Retraining

    from tests.support.aws_stack import Stack


@pytest.fixture
def live(stack: Stack) -> Stack:
    """Version 1 is live; 150 of its answers were labelled since."""
    go_live(1)
    stack.put(f"{MODEL}/model.toml", "[retraining]\nmin_labels = 100\ncooldown_s = 0\n")
    count_cohort(1, ago(10), labelled=150, errors=60)
    put_slice("a" * 32)
    return stack


@pytest.fixture
def drifting(live: Stack) -> Stack:
    store_verdict(1)
    return live


def look() -> Retraining:
    assert retrain.handler(sample("retrain_check"), CONTEXT) == {"batchItemFailures": []}
    return retraining.load(MODEL)


def hear(name: str, **changes: Any) -> Retraining:
    event = sample(name)
    body = json.loads(event["Records"][0]["body"])
    event["Records"][0]["body"] = json.dumps(body | changes)
    assert retrain.handler(event, CONTEXT) == {"batchItemFailures": []}
    return retraining.load(MODEL)


def end_active_run(status: str, message: str = "it is no better") -> None:
    run = store.load_state(MODEL).active_run or ""
    end_run(Ending(MODEL, run, store.RunStatus(status), message))


def retrainings(stack: Stack) -> list[str]:
    return [name for name in stack.executions() if name.startswith(f"{MODEL}-")]


def test_an_alarm_starts_one_run_on_the_old_files_and_the_new_labels(drifting: Stack) -> None:
    found = look()
    assert found.state is State.RETRAINING
    assert retrainings(drifting) == [f"{MODEL}-{found.run}"]
    assert store.load_state(MODEL).active_run == found.run
    drop = drifting.get(RunKeys(MODEL, found.run or "").drop)
    assert drop["cause"] == "drift"
    assert drop["reason"] == "Drift: 40 of 100 answers are wrong."
    verdict = retraining.load_verdict(MODEL)
    assert verdict is not None
    assert verdict.quality is not None
    assert datetime.fromisoformat(drop["fresh_since"]) == verdict.quality.since
    assert [(file["key"], file["version"]) for file in drop["files"]] == [
        ("digits/raw/a.csv", "v-a")
    ]
    (part,) = drop["slices"]
    assert part["fresh"]
    assert part["size"] == len(s3.get_bytes(part["key"], part["version"]))
    assert (drop["labels"], drop["episode"]) == (150, 1)
    (told,) = [it for it in drifting.messages(drifting.bus_queue) if "Started" in it["detail-type"]]
    assert told["detail"] == {"model": MODEL, "run": found.run, "cause": "drift"}


def test_what_the_champion_was_trained_on_is_taken_along_and_is_not_fresh(stack: Stack) -> None:
    old = put_slice("a" * 32)
    known = {"key": old, "version": "v-old", "size": 20, "fresh": True}
    go_live(2, slices=[known], labels=150)
    count_cohort(1, ago(20), labelled=150, errors=0)
    count_cohort(2, ago(10), labelled=600, errors=300)
    new = put_slice("b" * 32)
    store_verdict(2)
    drop = stack.get(RunKeys(MODEL, look().run or "").drop)
    assert [(part["key"], part["fresh"]) for part in drop["slices"]] == [(old, False), (new, True)]
    assert drop["slices"][0]["version"] == "v-old"
    assert drop["labels"] == 750


def test_labels_that_the_champion_was_trained_on_are_not_new(stack: Stack) -> None:
    go_live(2, labels=150)
    count_cohort(1, ago(20), labelled=150, errors=0)
    count_cohort(2, ago(10), labelled=40, errors=20)
    store_verdict(2)
    found = look()
    assert found.owed is not None
    why = "40 of 500 labels have come of what was predicted since the change"
    assert found.owed.why == why
    assert stack.executions() == []


def test_labels_of_cohorts_before_the_change_do_not_start_a_retraining(live: Stack) -> None:
    count_cohort(1, ago(60 * 48), labelled=9000, errors=90)
    live.put(f"{MODEL}/model.toml", "[retraining]\nmin_labels = 151\n")
    store_verdict(1)
    found = look()
    assert found.owed is not None
    assert found.owed.why.startswith("150 of 151 labels")


def test_looks_that_come_again_and_again_start_nothing_more(drifting: Stack) -> None:
    for _ in range(3):
        look()
    hear("retrain", **{"detail-type": "Drift Detected", "detail": {"model": MODEL}})
    assert len(retrainings(drifting)) == 1


def test_dropped_files_still_count_as_new_after_a_retraining_began(drifting: Stack) -> None:
    before = store.load_state(MODEL).consumed_until
    look()
    assert store.load_state(MODEL).consumed_until == before


def test_an_alarm_of_the_version_before_indicts_nobody(drifting: Stack) -> None:
    go_live(2)
    assert look().is_plainly_healthy
    assert drifting.executions() == []


WRITES = ["PutObject", "TransactWriteItems", "StartExecution", "PutEvents", "UpdateItem", "PutItem"]
SERVICES = {
    "PutObject": "s3",
    "StartExecution": "stepfunctions",
    "PutEvents": "events",
}


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_two_who_look_together_start_one_run_whichever_is_sooner(
    drifting: Stack, operation: str, when: str
) -> None:
    """The other one takes all its steps just before, or just after, a write of the first."""
    look_once_at(operation, when, drifting)
    found = look()
    assert found.state is State.RETRAINING
    assert retrainings(drifting) == [f"{MODEL}-{found.run}"]
    assert found.episodes == 1
    assert len(found.started) == 1


def look_once_at(operation: str, when: str, stack: Stack) -> None:
    events = client(SERVICES.get(operation, "dynamodb")).meta.events
    seen = []

    def other(**_: Any) -> None:
        if not seen:
            seen.append(operation)
            retrain.handler(sample("retrain_check"), CONTEXT)

    name = f"{when}-call.{SERVICES.get(operation, 'dynamodb')}.{operation}"
    events.register(name, other)
    retrain.handler(sample("retrain_check"), CONTEXT)
    events.unregister(name, other)
    assert seen, f"{operation} was never called"


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_look_that_breaks_off_at_any_write_is_finished_by_the_next(
    drifting: Stack, operation: str, when: str
) -> None:
    service = SERVICES.get(operation, "dynamodb")
    events = client(service).meta.events

    def break_off(**_: Any) -> None:
        raise ServiceThrottled("gone")

    events.register(f"{when}-call.{service}.{operation}", break_off)
    with pytest.raises((BatchProcessingError, ServiceThrottled)):
        retrain.handler(sample("retrain_check"), CONTEXT)
    events.unregister(f"{when}-call.{service}.{operation}", break_off)
    found = look()
    assert found.state is State.RETRAINING
    assert retrainings(drifting) == [f"{MODEL}-{found.run}"]
    assert "train_execution_arn" in (store.load_run(MODEL, found.run or "") or {})


def test_a_version_that_goes_live_just_before_the_start_ends_the_episode(
    drifting: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = store.begin_run

    def too_late(*arguments: Any, **options: Any) -> Any:
        if arguments[2] == "drift":
            with monkeypatch.context() as undone:
                undone.setattr(store, "begin_run", begin)
                go_live(2)
        return begin(*arguments, **options)

    monkeypatch.setattr(store, "begin_run", too_late)
    found = look()
    assert (found.state, found.version) == (State.HEALTHY, 2)
    assert drifting.executions() == []
    assert store.load_state(MODEL).active_run is None


def test_during_another_run_it_is_owed_and_the_end_of_that_begins_it(drifting: Stack) -> None:
    store.begin_run(MODEL, "adrop0000000", "drop", "2026-11-20T11:00:00+00:00")
    found = look()
    assert found.owed is not None
    assert found.owed.why == "run adrop0000000 is under way"
    assert drifting.executions() == []
    # The end is told before the lock is given back: the next look must come by itself.
    told = {"detail": {"model": MODEL, "run": "adrop0000000", "status": "REFUSED"}}
    assert hear("retrain", **told).owed is not None
    waiting = client("sqs").get_queue_attributes(
        QueueUrl=drifting.retrain_queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )
    assert waiting["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}
    store.release_run(MODEL, "adrop0000000")
    assert look().state is State.RETRAINING


def test_a_failed_run_is_followed_by_one_more_then_a_person_is_needed(drifting: Stack) -> None:
    runs = set()
    for _ in range(2):
        runs.add(look().run)
        end_active_run("FAILED", "out of disk")
    found = look()
    assert (found.state, found.failures, len(runs)) == (State.BLOCKED, 2, 2)
    assert found.last is not None
    assert found.last.message == "out of disk"
    notices = [it["Message"] for it in drifting.messages(drifting.notices_queue)]
    assert sum("in a row brought no better model" in text for text in notices) == 1
    look()
    assert len(retrainings(drifting)) == 2


def test_a_person_unblocks(drifting: Stack) -> None:
    drifting.put(f"{MODEL}/model.toml", "[retraining]\ncooldown_s = 0\nmin_labels = 100\n")
    for _ in range(2):
        look()
        end_active_run("FAILED")
    assert look().state is State.BLOCKED
    store_verdict(1, drifted=False)
    found = hear("retrain_unblocked")
    assert (found.state, found.failures, found.note) == (State.HEALTHY, 0, "ada let it go on.")


def test_a_person_asks_and_is_named_as_the_cause(live: Stack) -> None:
    found = hear("retrain_requested")
    assert (found.state, found.reason) == (State.RETRAINING, "ada asked for it.")
    drop = live.get(RunKeys(MODEL, found.run or "").drop)
    assert (drop["cause"], drop["reason"]) == ("request", "ada asked for it.")
    assert (store.load_run(MODEL, found.run or "") or {})["cause"] == "request"


def test_a_request_delivered_again_is_one_request(live: Stack) -> None:
    hear("retrain_requested")
    end_active_run("REFUSED")
    hear("retrain_requested")
    assert len(retrainings(live)) == 1
    hear("retrain_requested", id="another")
    assert len(retrainings(live)) == 2


def test_a_settings_file_that_cannot_be_read_leaves_the_live_version_s(drifting: Stack) -> None:
    drifting.put(f"{MODEL}/model.toml", "[retraining]\nmin_lables = 5\n")
    assert look().state is State.RETRAINING


def test_switched_off_nothing_starts(drifting: Stack) -> None:
    drifting.put(f"{MODEL}/model.toml", "[retraining]\nenabled = false\n")
    assert look().state is State.DRIFTING
    assert drifting.executions() == []


def test_an_unknown_message_fails_alone(drifting: Stack) -> None:
    event = sample("retrain_check")
    bad = event["Records"][0] | {"messageId": "bad", "body": '{"detail-type": "Something"}'}
    event["Records"].append(bad)
    answer = retrain.handler(event, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert retraining.load(MODEL).state is State.RETRAINING
