"""How a run ends: recorded, told, unlocked, and what is owed is paid."""

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

if TYPE_CHECKING:
    from refit.domain.pipeline.run import Run

RUN = "0f1e2d3c4b5a"


@pytest.fixture
def active(stack: Stack) -> Stack:
    services().models.begin_run("digits", RUN, "drop", "2026-11-20T10:00:00+00:00")
    return stack


def recorded() -> Run:
    run = services().models.run("digits", RUN)
    assert run is not None
    return run


def test_a_failed_run_says_why_in_words_and_gives_the_lock_back(active: Stack) -> None:
    finish_run.handler(sample("finish_run_failed"), CONTEXT)
    assert recorded().status == "FAILED"
    assert recorded().error == "TooManyBadRows"
    assert recorded().message.startswith("25 of 100 rows were refused")
    assert services().models.state("digits").active_run is None
    assert active.messages(active.notices_queue)[0]["Message"] == recorded().message


def test_a_refused_run_gives_the_gates_reasons(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert recorded().status == "REFUSED"
    assert "at most 0.01 worse is allowed" in recorded().message
    event = active.messages(active.bus_queue)[0]
    assert (event["detail-type"], event["detail"]["status"]) == ("Run Finished", "REFUSED")


def test_what_came_during_the_run_is_looked_at_when_it_ends(active: Stack) -> None:
    services().models.mark_pending("digits")
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert active.messages(active.ingest_queue) == [{"model": "digits"}]


def test_nothing_owed_pokes_nobody(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert active.messages(active.ingest_queue) == []


def test_the_end_of_one_run_does_not_unlock_another(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    services().models.begin_run("digits", "another00000", "drop", "2026-11-20T11:00:00+00:00")
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert services().models.state("digits").active_run == "another00000"


def test_a_stopped_execution_ends_its_run(active: Stack) -> None:
    assert end_stopped_run.handler(sample("end_stopped_run"), CONTEXT) == {"ended": RUN}
    assert recorded().status == "FAILED"
    assert "was stopped" in recorded().message
    assert services().models.state("digits").active_run is None


def test_a_run_that_ended_by_itself_is_left_as_it_is(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert end_stopped_run.handler(sample("end_stopped_run"), CONTEXT) == {"ended": None}
    assert recorded().status == "REFUSED"


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


def test_a_deployment_that_failed_before_it_had_a_plan_ends_the_run(active: Stack) -> None:
    execution = "arn:aws:states:us-east-1:123456789012:execution:refit-deploy:x"
    services().models.update_run("digits", RUN, status=RunStatus.DEPLOYING)
    services().models.begin_deployment("digits", deployment_id(execution))
    event = stopped_deployment(execution)
    assert end_stopped_run.handler(event, CONTEXT) == {"ended": RUN}
    state = services().models.state("digits")
    assert (state.active_run, state.deployment) == (None, None)
    assert recorded().message == "no manifest"


def test_a_deployment_of_someone_else_is_not_touched(active: Stack) -> None:
    execution = "arn:aws:states:us-east-1:123456789012:execution:refit-deploy:x"
    services().models.begin_deployment("digits", "other123")
    assert end_stopped_run.handler(stopped_deployment(execution), CONTEXT) == {"ended": None}
    assert services().models.state("digits").deployment == "other123"


def test_one_deployment_at_a_time_and_its_own_retry_is_no_other(stack: Stack) -> None:
    assert services().models.begin_deployment("digits", "one")
    assert services().models.begin_deployment("digits", "one")
    assert not services().models.begin_deployment("digits", "two")
    services().models.end_deployment("digits", "two")
    assert not services().models.begin_deployment("digits", "two")
    services().models.end_deployment("digits", "one")
    assert services().models.begin_deployment("digits", "two")
