"""An alarm or a user command starts exactly one run."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from refit.domain.errors import ServiceThrottled
from refit.domain.naming import RunKeys
from refit.domain.pipeline.manifest import UsedSlice
from refit.domain.retraining.state import RetrainingStatus
from refit.domain.vocabulary import RunStatus
from refit.handlers import retrain
from refit.handlers.wiring import services
from refit.usecases.finish_run import finish_run
from refit.usecases.record_outcome import RunOutcome

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
    from refit.domain.retraining.state import RetrainingState

    from tests.support.aws_stack import Stack


SETTINGS_NOW = {"retraining": {"min_labels": 100, "cooldown_s": 0}}


@pytest.fixture
def live(stack: Stack) -> Stack:
    """Version 1 is live, and 150 of its predictions have been labelled."""
    go_live(1)
    stack.put(f"{MODEL}/model.toml", "[retraining]\nmin_labels = 100\ncooldown_s = 0\n")
    count_cohort(1, ago(10), labelled=150, errors=60)
    put_slice("a" * 32)
    return stack


@pytest.fixture
def drifting(live: Stack) -> Stack:
    store_verdict(1)
    return live


def handled(event: dict[str, Any]) -> RetrainingState:
    assert retrain.handler(event, CONTEXT) == {"batchItemFailures": []}
    return services().monitoring.retraining(MODEL)


def advance() -> RetrainingState:
    return handled(sample("retrain_check"))


def receive(name: str, **changes: Any) -> RetrainingState:
    event = sample(name)
    body = json.loads(event["Records"][0]["body"])
    event["Records"][0]["body"] = json.dumps(body | changes)
    return handled(event)


def end_active_run(status: RunStatus, message: str = "it is no better") -> None:
    run = services().models.state(MODEL).active_run or ""
    finish_run(services(), RunOutcome(MODEL, run, status, message))


def retrainings(stack: Stack) -> list[str]:
    return [name for name in stack.executions() if name.startswith(f"{MODEL}-")]


def test_an_alarm_starts_one_run_on_the_old_files_and_the_new_labels(drifting: Stack) -> None:
    state = advance()
    assert state.state is RetrainingStatus.RETRAINING
    assert retrainings(drifting) == [f"{MODEL}-{state.run}"]
    assert services().models.state(MODEL).active_run == state.run
    drop = drifting.get(RunKeys(MODEL, state.run or "").drop)
    assert drop["cause"] == "drift"
    assert drop["reason"] == "Drift: 40 of 100 predictions are wrong."
    verdict = services().monitoring.verdict(MODEL)
    assert verdict is not None
    assert datetime.fromisoformat(drop["fresh_since"]) == verdict.quality.since
    assert [(file["key"], file["version"]) for file in drop["files"]] == [
        ("digits/raw/a.csv", "v-a")
    ]
    (part,) = drop["slices"]
    assert part["fresh"]
    assert part["size"] == len(services().bucket.read(part["key"], part["version"]))
    assert (drop["labels"], drop["episode"]) == (150, 1)
    events = drifting.messages(drifting.bus_queue)
    (started,) = [event for event in events if event["detail-type"] == "Run Started"]
    assert started["detail"] == {
        "prefix": "refit",
        "model": MODEL,
        "run": state.run,
        "cause": "drift",
    }


def test_a_model_that_was_removed_leaves_no_run_id_for_the_next_one_of_its_name(
    drifting: Stack,
) -> None:
    removed = advance().run
    services().models.delete_items(MODEL)
    services().models.forget(MODEL)
    go_live(1, run="anew")
    count_cohort(1, ago(10), labelled=150, errors=60)
    store_verdict(1)
    again = advance()
    assert (again.state, again.episodes) == (RetrainingStatus.RETRAINING, 1)
    assert again.run != removed
    assert set(retrainings(drifting)) == {f"{MODEL}-{removed}", f"{MODEL}-{again.run}"}


def test_the_training_data_of_the_champion_is_included_and_is_not_fresh(stack: Stack) -> None:
    old = put_slice("a" * 32)
    known = UsedSlice(
        key=old,
        version="v-old",
        size=20,
        last_modified=ago(30),
        fresh=True,
        rows=1,
        lost={},
    )
    go_live(2, slices=(known,), labels=150)
    count_cohort(1, ago(20), labelled=150, errors=0)
    count_cohort(2, ago(10), labelled=600, errors=300)
    new = put_slice("b" * 32)
    store_verdict(2)
    drop = stack.get(RunKeys(MODEL, advance().run or "").drop)
    assert [(part["key"], part["fresh"]) for part in drop["slices"]] == [(old, False), (new, True)]
    assert drop["slices"][0]["version"] == "v-old"
    assert drop["labels"] == 750


def test_labels_that_the_champion_was_trained_on_are_not_new(stack: Stack) -> None:
    go_live(2, labels=150)
    count_cohort(1, ago(20), labelled=150, errors=0)
    count_cohort(2, ago(10), labelled=40, errors=20)
    store_verdict(2)
    state = advance()
    assert state.pending is not None
    why = "40 of 500 labels have arrived for predictions made since the change"
    assert state.pending.why == why
    assert stack.executions() == []


def test_labels_of_cohorts_before_the_change_do_not_start_a_retraining(live: Stack) -> None:
    count_cohort(1, ago(60 * 48), labelled=9000, errors=90)
    live.put(f"{MODEL}/model.toml", "[retraining]\nmin_labels = 151\n")
    store_verdict(1)
    state = advance()
    assert state.pending is not None
    assert state.pending.why.startswith("150 of 151 labels")


def test_repeated_messages_start_no_other_retraining(drifting: Stack) -> None:
    for _ in range(3):
        advance()
    receive("retrain", **{"detail-type": "Drift Detected", "detail": {"model": MODEL}})
    assert len(retrainings(drifting)) == 1


def test_dropped_files_still_count_as_new_after_a_retraining_began(drifting: Stack) -> None:
    before = services().models.state(MODEL).consumed_by
    advance()
    assert services().models.state(MODEL).consumed_by == before


def test_an_alarm_of_the_previous_version_starts_no_retraining(drifting: Stack) -> None:
    go_live(2)
    assert advance().is_idle
    assert drifting.executions() == []


WRITES = ["PutObject", "TransactWriteItems", "StartExecution", "PutEvents", "UpdateItem", "PutItem"]
SERVICE_OF = {
    "PutObject": "s3",
    "StartExecution": "stepfunctions",
    "PutEvents": "events",
}


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_two_concurrent_invocations_start_one_run(
    drifting: Stack, operation: str, when: str
) -> None:
    """The second invocation takes all of its steps just before or after a write of the first."""
    advance_once_at(operation, when, drifting)
    state = advance()
    assert state.state is RetrainingStatus.RETRAINING
    assert retrainings(drifting) == [f"{MODEL}-{state.run}"]
    assert state.episodes == 1
    assert len(state.started) == 1


def advance_once_at(operation: str, when: str, stack: Stack) -> None:
    events = services().client(SERVICE_OF.get(operation, "dynamodb")).meta.events
    concurrent = []

    def advance_concurrently(**_: Any) -> None:
        if not concurrent:
            concurrent.append(operation)
            retrain.handler(sample("retrain_check"), CONTEXT)

    name = f"{when}-call.{SERVICE_OF.get(operation, 'dynamodb')}.{operation}"
    events.register(name, advance_concurrently)
    retrain.handler(sample("retrain_check"), CONTEXT)
    events.unregister(name, advance_concurrently)
    assert concurrent, f"{operation} was never called"


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_invocation_that_fails_at_any_write_is_completed_by_the_next(
    drifting: Stack, operation: str, when: str
) -> None:
    service = SERVICE_OF.get(operation, "dynamodb")
    events = services().client(service).meta.events

    def break_off(**_: Any) -> None:
        raise ServiceThrottled("gone")

    events.register(f"{when}-call.{service}.{operation}", break_off)
    with pytest.raises((BatchProcessingError, ServiceThrottled)):
        retrain.handler(sample("retrain_check"), CONTEXT)
    events.unregister(f"{when}-call.{service}.{operation}", break_off)
    state = advance()
    assert state.state is RetrainingStatus.RETRAINING
    assert retrainings(drifting) == [f"{MODEL}-{state.run}"]
    run = services().models.run(MODEL, state.run or "")
    assert run is not None
    assert run.train_execution_arn is not None


def test_a_version_that_goes_live_just_before_the_start_ends_the_episode(drifting: Stack) -> None:
    events = services().client("dynamodb").meta.events
    promoted = []

    def promote_another_version(params: dict[str, Any], **_: Any) -> None:
        begins_run = "RUN#" in json.dumps(params["TransactItems"])
        if begins_run and not promoted:
            promoted.append(2)
            go_live(2)

    events.register("provide-client-params.dynamodb.TransactWriteItems", promote_another_version)
    state = advance()
    assert promoted
    assert (state.state, state.version) == (RetrainingStatus.HEALTHY, 2)
    assert drifting.executions() == []
    assert services().models.state(MODEL).active_run is None


def test_a_retraining_is_pending_during_another_run_and_begins_after_it(drifting: Stack) -> None:
    services().models.begin_run(MODEL, "adrop0000000", "drop", None)
    state = advance()
    assert state.pending is not None
    assert state.pending.why == "run adrop0000000 is active"
    assert drifting.executions() == []
    # Run Finished is published before the lock is released: the next step must be enqueued.
    finished = {"detail": {"model": MODEL, "run": "adrop0000000", "status": "REFUSED"}}
    assert receive("retrain", **finished).pending is not None
    waiting = (
        services()
        .client("sqs")
        .get_queue_attributes(
            QueueUrl=drifting.retrain_queue, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
        )
    )
    assert waiting["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}
    services().models.release_run(MODEL, "adrop0000000")
    assert advance().state is RetrainingStatus.RETRAINING


def test_after_two_failed_runs_a_user_must_unblock_the_model(drifting: Stack) -> None:
    runs = set()
    for _ in range(2):
        runs.add(advance().run)
        end_active_run(RunStatus.FAILED, "out of disk")
    state = advance()
    assert (state.state, state.failures, len(runs)) == (RetrainingStatus.BLOCKED, 2, 2)
    assert state.last is not None
    assert state.last.message == "out of disk"
    notices = [notice["Message"] for notice in drifting.messages(drifting.notices_queue)]
    assert sum("consecutive retrainings of digits did not" in text for text in notices) == 1
    advance()
    assert len(retrainings(drifting)) == 2


def test_a_user_unblocks_a_model(drifting: Stack) -> None:
    drifting.put(f"{MODEL}/model.toml", "[retraining]\ncooldown_s = 0\nmin_labels = 100\n")
    for _ in range(2):
        advance()
        end_active_run(RunStatus.FAILED)
    assert advance().state is RetrainingStatus.BLOCKED
    store_verdict(1, drifted=False)
    state = receive("retrain_unblocked")
    assert (state.state, state.failures, state.note) == (
        RetrainingStatus.HEALTHY,
        0,
        "ada unblocked retraining.",
    )


def test_a_user_who_requests_a_retraining_is_named_as_the_cause(live: Stack) -> None:
    state = receive("retrain_requested")
    assert (state.state, state.reason) == (RetrainingStatus.RETRAINING, "Requested by ada.")
    drop = live.get(RunKeys(MODEL, state.run or "").drop)
    assert (drop["cause"], drop["reason"]) == ("request", "Requested by ada.")
    run = services().models.run(MODEL, state.run or "")
    assert run is not None
    assert run.cause == "request"


def test_a_request_that_is_delivered_again_starts_one_run(live: Stack) -> None:
    receive("retrain_requested")
    end_active_run(RunStatus.REFUSED)
    receive("retrain_requested")
    assert len(retrainings(live)) == 1


def test_the_same_request_is_measured_by_what_came_since_the_last_run(live: Stack) -> None:
    run = receive("retrain_requested").run
    manifest = services().artifacts.manifest(MODEL, "run1").model_dump(mode="json")
    live.put(RunKeys(MODEL, run or "").manifest, manifest | {"run": run, "settings": SETTINGS_NOW})
    end_active_run(RunStatus.REFUSED)
    state = receive("retrain_requested", id="second")
    assert len(retrainings(live)) == 1
    assert state.pending is not None
    assert state.pending.why.startswith(f"no new label has arrived since run {run}")
    count_cohort(1, ago(5), labelled=1, errors=0)
    advance()
    assert len(retrainings(live)) == 2


def test_the_same_request_runs_with_other_settings(live: Stack) -> None:
    run = receive("retrain_requested").run
    manifest = services().artifacts.manifest(MODEL, "run1").model_dump(mode="json")
    live.put(RunKeys(MODEL, run or "").manifest, manifest | {"run": run, "settings": SETTINGS_NOW})
    end_active_run(RunStatus.REFUSED)
    live.put(f"{MODEL}/model.toml", "[retraining]\nmin_labels = 101\ncooldown_s = 0\n")
    receive("retrain_requested", id="second")
    assert len(retrainings(live)) == 2


def test_the_same_request_runs_if_it_says_again(live: Stack) -> None:
    receive("retrain_requested")
    end_active_run(RunStatus.REFUSED)
    detail = {"model": MODEL, "by": "ada", "again": True}
    state = receive("retrain_requested", id="second", detail=detail)
    assert len(retrainings(live)) == 2
    end_active_run(RunStatus.REFUSED)
    assert advance().failures == 1, "the second one was asked for on the same labels"
    assert state.request is None


def test_with_an_invalid_settings_file_the_settings_of_the_live_version_apply(
    drifting: Stack,
) -> None:
    drifting.put(f"{MODEL}/model.toml", "[retraining]\nmin_lables = 5\n")
    assert advance().state is RetrainingStatus.RETRAINING


def test_when_disabled_no_retraining_starts(drifting: Stack) -> None:
    drifting.put(f"{MODEL}/model.toml", "[retraining]\nenabled = false\n")
    assert advance().state is RetrainingStatus.DRIFTING
    assert drifting.executions() == []


def test_an_unknown_message_does_not_affect_the_others(drifting: Stack) -> None:
    event = sample("retrain_check")
    bad = event["Records"][0] | {"messageId": "bad", "body": '{"detail-type": "Something"}'}
    event["Records"].append(bad)
    answer = retrain.handler(event, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    assert services().monitoring.retraining(MODEL).state is RetrainingStatus.RETRAINING
