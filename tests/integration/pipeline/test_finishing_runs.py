"""A run ends: it is recorded and reported, its locks are released, and pending data is ingested."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.naming import deployment_id
from refit.domain.vocabulary import RunStatus
from refit.handlers import end_stopped_run, finish_run
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.learned import LEARNED

if TYPE_CHECKING:
    from refit.domain.pipeline.run import Run

RUN = "0f1e2d3c4b5a"


@pytest.fixture
def active(stack: Stack) -> Stack:
    services().models.begin_run("digits", RUN, "drop", None)
    return stack


def recorded_run() -> Run:
    run = services().models.run("digits", RUN)
    assert run is not None
    return run


def test_a_failed_run_records_its_error_notifies_and_releases_the_lock(active: Stack) -> None:
    finish_run.handler(sample("finish_run_failed"), CONTEXT)
    assert recorded_run().status == "FAILED"
    assert recorded_run().error == "TooManyBadRows"
    assert recorded_run().message.startswith("25 of 100 rows were refused")
    assert services().models.state("digits").active_run is None
    assert active.messages(active.notices_queue)[0]["Message"] == recorded_run().message


def test_the_notice_of_a_failed_run_says_what_was_learned_and_which_rows_were_refused(
    active: Stack,
) -> None:
    services().models.update_run("digits", RUN, learned=LEARNED.model_dump(mode="json"))
    finish_run.handler(sample("finish_run_failed"), CONTEXT)
    message = active.messages(active.notices_queue)[0]["Message"]
    assert message.startswith("25 of 100 rows were refused")
    assert LEARNED.sentence in message
    assert "refused: 25 × the label 'kind' is missing" in message
    assert "doubt: column 'code' alone gives the label" in message


def test_a_refused_run_records_and_publishes_the_reasons_of_the_gate(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert recorded_run().status == "REFUSED"
    assert "at most 0.01 worse is allowed" in recorded_run().message
    event = active.messages(active.bus_queue)[0]
    assert (event["detail-type"], event["detail"]["status"]) == ("Run Finished", "REFUSED")


def test_a_pending_drop_is_ingested_when_the_run_ends(active: Stack) -> None:
    services().models.mark_pending("digits")
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert active.messages(active.ingest_queue) == [{"model": "digits"}]


def test_without_a_pending_drop_nothing_is_enqueued(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert active.messages(active.ingest_queue) == []


def test_finishing_a_run_again_does_not_release_the_lock_of_the_next_run(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    services().models.begin_run("digits", "another00000", "drop", None)
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert services().models.state("digits").active_run == "another00000"


def test_a_stopped_execution_fails_its_run(active: Stack) -> None:
    assert end_stopped_run.handler(sample("end_stopped_run"), CONTEXT) == {"ended": RUN}
    assert recorded_run().status == "FAILED"
    assert "was stopped" in recorded_run().message
    assert services().models.state("digits").active_run is None


def test_a_run_that_has_finished_is_not_changed_when_its_execution_ends(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert end_stopped_run.handler(sample("end_stopped_run"), CONTEXT) == {"ended": None}
    assert recorded_run().status == "REFUSED"


def stopped_deployment(execution: str) -> dict[str, Any]:
    event = sample("end_stopped_run")
    event["detail"] |= {
        "executionArn": execution,
        "status": "FAILED",
        "error": "DatasetNotFound",
        "cause": json.dumps({"errorType": "DatasetNotFound", "errorMessage": "no manifest"}),
        "input": json.dumps({"detail": {"ModelPackageGroupName": "refit-digits"}}),
    }
    return event


def test_a_deployment_that_failed_before_it_was_planned_fails_the_run(active: Stack) -> None:
    execution = "arn:aws:states:us-east-1:123456789012:execution:refit-deploy:x"
    services().models.update_run("digits", RUN, status=RunStatus.DEPLOYING)
    services().models.begin_deployment("digits", deployment_id(execution), execution)
    event = stopped_deployment(execution)
    assert end_stopped_run.handler(event, CONTEXT) == {"ended": RUN}
    state = services().models.state("digits")
    assert (state.active_run, state.deployment) == (None, None)
    assert recorded_run().message == "no manifest"


def test_a_failed_deployment_does_not_release_the_lock_of_another_deployment(active: Stack) -> None:
    execution = "arn:aws:states:us-east-1:123456789012:execution:refit-deploy:x"
    other = active.start_deployment("refit-digits", 1)
    services().models.begin_deployment("digits", "other123", other)
    assert end_stopped_run.handler(stopped_deployment(execution), CONTEXT) == {"ended": None}
    assert services().models.state("digits").deployment == "other123"
