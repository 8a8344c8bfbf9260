"""A kept stack is killed in the middle of a run: the next start goes on with what was answered."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from refit_local.stack import lifecycle

from tests.e2e.conftest import free_port
from tests.e2e.driver import User, wait_for
from tests.e2e.listed_resources import listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import Digits

ROWS = slice(300, 330)
CUT_OFF = "The local stack ended while this execution was running."


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    yield port
    lifecycle.down(port, discard=True)


def labels_of(user: User, digits: Digits) -> list[dict[str, str]]:
    """Request predictions; return the true label of each."""
    predictions = user.predict("digits", digits.rows(ROWS)).json()["predictions"]
    return [
        {"inferenceId": row["inferenceId"], "label": label}
        for row, label in zip(predictions, digits.texts(ROWS), strict=True)
    ]


def lasting(user: User) -> dict[str, int]:
    """Return how many resources there are, without those that runs create and delete.

    A new process of a function has a new log stream, and an evaluation has a model of its own.
    """
    return {
        name: number
        for name, number in listed(user).items()
        if not name.startswith("/") and name != "sagemaker list_models"
    }


def test_a_kill_in_the_middle_of_a_run_loses_nothing_that_was_answered(
    port: int, digits: Digits
) -> None:
    before = User(lifecycle.up(port, keep=True))
    before.drop("digits", {"a.csv": digits.csv(slice(0, 300))})
    assert before.wait_for_end("digits")["status"] == "DEPLOYED"
    counted, sent = labels_of(before, digits), labels_of(before, digits)
    assert {result["status"] for result in before.label("digits", counted)} <= {"new", "held"}
    before.drop("digits", {"b.csv": digits.csv(slice(400, 700))})
    before.wait_for_status("digits", 2, "TRAINING")
    resources = lasting(before)
    # What an answer says is stored, and the stack is killed at once.
    assert {result["status"] for result in before.label("digits", sent)} <= {"new", "held"}
    os.kill(before.stack.pid, signal.SIGKILL)
    wait_for(lambda: lifecycle.info(port) is None or None, "the end of the process")

    log: list[str] = []
    after = User(lifecycle.up(port, log=log.append))
    cut_off = after.runs("digits")[1]["run"]
    assert "sam deploy: nothing has changed since the last deployment" in log
    assert "goes on with the endpoints refit-digits" in log
    assert f"run {cut_off} of digits was cut off when the stack ended; it is FAILED" in log
    assert (after.stack.api_url, after.stack.api_keys) == (
        before.stack.api_url,
        before.stack.api_keys,
    )
    assert after.bucket == before.bucket
    assert lasting(after) == resources
    ended = after.wait_for_end("digits", 2)
    assert (ended["status"], ended["message"]) == ("FAILED", CUT_OFF)
    after.wait_until_counted("digits", 1, {"labelled": 60})
    wait_for(lambda: after.predict("digits", digits.rows(ROWS)).ok or None, "an answer")
    assert after.predict("digits", digits.rows(ROWS)).json()["modelVersion"] == 1
    # The lock of the model is free: the next drop starts a run.
    after.drop("digits", {"b.csv": digits.csv(slice(400, 700))})
    wait_for(lambda: after.runs("digits")[2:] or None, "the run of the next drop")
