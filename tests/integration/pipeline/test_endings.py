"""How a run ends: recorded, told, unlocked, and what is owed is paid."""

from __future__ import annotations

import json
from typing import Any

import pytest
from refit.domain.naming import deployment_id
from refit.handlers import end_stopped_run, finish_run
from refit.stores import store

from tests.support.aws_stack import CONTEXT, Stack, sample

RUN = "0f1e2d3c4b5a"


@pytest.fixture
def active(stack: Stack) -> Stack:
    store.begin_run("digits", RUN, "drop", "2026-11-20T10:00:00+00:00")
    return stack


def run_item() -> dict[str, Any]:
    return store.load_run("digits", RUN) or {}


def test_a_failed_run_says_why_in_words_and_gives_the_lock_back(active: Stack) -> None:
    finish_run.handler(sample("finish_run_failed"), CONTEXT)
    assert run_item()["status"] == "FAILED"
    assert run_item()["error"] == "TooManyBadRows"
    assert run_item()["message"].startswith("25 of 100 rows were refused")
    assert store.load_state("digits").active_run is None
    assert active.messages(active.notices_queue)[0]["Message"] == run_item()["message"]


def test_a_refused_run_gives_the_gates_reasons(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert run_item()["status"] == "REFUSED"
    assert "at most 0.01 worse is allowed" in run_item()["message"]
    event = active.messages(active.bus_queue)[0]
    assert (event["detail-type"], event["detail"]["status"]) == ("Run Finished", "REFUSED")


def test_what_came_during_the_run_is_looked_at_when_it_ends(active: Stack) -> None:
    store.owe("digits")
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert active.messages(active.ingest_queue) == [{"model": "digits"}]


def test_nothing_owed_pokes_nobody(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert active.messages(active.ingest_queue) == []


def test_the_end_of_one_run_does_not_unlock_another(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    store.begin_run("digits", "another00000", "drop", "2026-11-20T11:00:00+00:00")
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert store.load_state("digits").active_run == "another00000"


def test_a_stopped_execution_ends_its_run(active: Stack) -> None:
    assert end_stopped_run.handler(sample("end_stopped_run"), CONTEXT) == {"ended": RUN}
    assert run_item()["status"] == "FAILED"
    assert "was stopped by hand" in run_item()["message"]
    assert store.load_state("digits").active_run is None


def test_a_run_that_ended_by_itself_is_left_as_it_is(active: Stack) -> None:
    finish_run.handler(sample("finish_run"), CONTEXT)
    assert end_stopped_run.handler(sample("end_stopped_run"), CONTEXT) == {"ended": None}
    assert run_item()["status"] == "REFUSED"


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
    store.update_run("digits", RUN, status=store.RunStatus.DEPLOYING)
    store.begin_deployment("digits", deployment_id(execution))
    event = stopped_deployment(execution)
    assert end_stopped_run.handler(event, CONTEXT) == {"ended": RUN}
    state = store.load_state("digits")
    assert (state.active_run, state.deployment) == (None, None)
    assert run_item()["message"] == "no manifest"


def test_a_deployment_of_someone_else_is_not_touched(active: Stack) -> None:
    execution = "arn:aws:states:us-east-1:123456789012:execution:refit-deploy:x"
    store.begin_deployment("digits", "other123")
    assert end_stopped_run.handler(stopped_deployment(execution), CONTEXT) == {"ended": None}
    assert store.load_state("digits").deployment == "other123"


def test_one_deployment_at_a_time_and_its_own_retry_is_no_other(stack: Stack) -> None:
    assert store.begin_deployment("digits", "one")
    assert store.begin_deployment("digits", "one")
    assert not store.begin_deployment("digits", "two")
    store.end_deployment("digits", "two")
    assert not store.begin_deployment("digits", "two")
    store.end_deployment("digits", "one")
    assert store.begin_deployment("digits", "two")
