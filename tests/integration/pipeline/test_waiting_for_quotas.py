"""A run that waits for instances says so, and one that cannot get them says what to ask for."""

from __future__ import annotations

from refit.handlers import finish_run, report_wait
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample

RUN = "0f1e2d3c4b5a"
QUOTA = "'ml.m5.large for training job usage'"


def test_a_wait_for_a_quota_is_recorded_and_notified_and_the_run_goes_on(stack: Stack) -> None:
    services().models.begin_run("digits", RUN, "drop", None)
    before = services().models.run("digits", RUN)
    report_wait.handler(sample("report_wait"), CONTEXT)
    run = services().models.run("digits", RUN)
    assert before is not None
    assert run is not None
    assert (run.status, run.finished_at) == (before.status, None)
    assert f"quota {QUOTA} of this account, which is 1, was used up; in use: 1" in (
        run.message or ""
    )
    (notice,) = stack.messages(stack.notices_queue)
    assert notice["Subject"] == f"Refit: digits run {RUN} waits for instances"
    assert notice["Message"] == run.message
    assert services().models.state("digits").active_run == RUN


def test_a_limit_of_another_kind_is_reported_in_the_words_of_aws(stack: Stack) -> None:
    services().models.begin_run("digits", RUN, "drop", None)
    event = sample("report_wait")
    event["error"]["Cause"] = "You have reached the limit of 5 monitors."
    report_wait.handler(event, CONTEXT)
    run = services().models.run("digits", RUN)
    assert run is not None
    assert (run.message or "").endswith("began to wait: You have reached the limit of 5 monitors.")


def test_a_run_that_fails_because_of_a_quota_says_which_one_to_ask_for(stack: Stack) -> None:
    services().models.begin_run("digits", RUN, "drop", None)
    error = sample("report_wait")["error"]
    error["Cause"] = error["Cause"].replace(
        "1 Instances, with current utilization of 1", "0 Instances, with current utilization of 0"
    )
    event = {"model": "digits", "run": RUN, "status": "FAILED", "error": error}
    finish_run.handler(event, CONTEXT)
    run = services().models.run("digits", RUN)
    assert run is not None
    assert run.error == "SageMaker.ResourceLimitExceededException"
    assert f"quota {QUOTA} of this account is 0; in use: 0, needed in addition: 1" in (
        run.message or ""
    )
    assert "refit doctor --aws" in (run.message or "")
    assert "run the same data again: refit retry" in (run.message or "")
