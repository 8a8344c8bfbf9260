"""The whole local stack is killed, ended or stopped at a moment, with and without its state kept.

Without kept state a new stack is started: nothing is left of the old one, and a new model works.
With kept state it goes on: all that was answered is there, counted once, and no model is locked.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from tests.chaos import processes
from tests.chaos.fault import Needs, NotSurvived, fault
from tests.chaos.own_stack import is_free
from tests.e2e.driver import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.chaos.subject import Subject


def _in_training(subject: Subject) -> None:
    before = subject.last_run()
    subject.drop()
    subject.wait_for_new_run(before, "TRAINING")


def _in_deployment(subject: Subject) -> None:
    """Wait until UpdateEndpoint runs."""
    subject.drop()
    sagemaker, name = subject.user.client("sagemaker"), f"refit-{subject.model}"

    def is_updating() -> bool | None:
        status = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        return status == "Updating" or None

    wait_for(is_updating, "UpdateEndpoint", poll_s=0.05)


def _idle(subject: Subject) -> None:
    subject.require_exact()


def _while_captures_are_consumed(subject: Subject) -> None:
    kind = processes.function(subject.user, "IngestCaptures")
    wait_for(lambda: processes.running(subject.user, kind) or None, "the ingestion of captures")
    time.sleep(subject.random.uniform(0, 2))


def _while_labels_are_posted(subject: Subject) -> None:
    for _ in range(20):
        if answered := subject.client.predict(50):
            subject.client.label(answered)
    time.sleep(subject.random.uniform(0, 0.5))


def _at_any_time(subject: Subject) -> None:
    if subject.random.random() < SHARE_WITH_DROP:
        subject.drop()
    time.sleep(subject.random.uniform(0, LATEST_S))


MOMENTS: dict[str, tuple[Callable[[Subject], None], str]] = {
    "idle": (_idle, "when all is counted"),
    "in-training": (_in_training, "in mid-training"),
    "in-deployment": (_in_deployment, "while UpdateEndpoint runs"),
    "while-capturing": (_while_captures_are_consumed, "while captures are consumed"),
    "while-labelling": (_while_labels_are_posted, "while labels are posted"),
}
KILLS = 20
SHARE_WITH_DROP = 0.5
LATEST_S = 12
"""A run takes about as long, from its drop to its end."""
ENDS = {"killed": "killed", "terminated": "ended by SIGTERM", "stopped": "stopped by refit down"}
CASES = (
    ("killed", tuple(MOMENTS), (False, True)),
    ("terminated", ("in-deployment",), (False, True)),
    ("stopped", ("idle", "in-training", "in-deployment"), (True,)),
)
"""How the stack ends, at which moments, and whether its state is kept."""


def _end(subject: Subject, how: str) -> None:
    stack = subject.own_stack
    if how == "stopped":
        stack.down()
    else:
        stack.end(signal.SIGKILL if how == "killed" else signal.SIGTERM)
    try:
        wait_for(lambda: is_free(stack.port) or None, "a free port", timeout_s=30)
    except AssertionError as error:
        raise NotSurvived(f"port {stack.port} is still taken after 30 s") from error


def _without_state(subject: Subject, moment: Callable[[Subject], None], how: str) -> int:
    moment(subject)
    _end(subject, how)
    subject.start_anew(subject.own_stack.start())
    subject.begin()
    return 1


def _with_state(subject: Subject, moment: Callable[[Subject], None], how: str) -> int:
    moment(subject)
    before = subject.user.state(subject.model)
    _end(subject, how)
    subject.move_to(subject.own_stack.start())
    after = subject.user.state(subject.model)
    if after.get("champion", {}).get("version", 0) < before["champion"]["version"]:
        raise NotSurvived(
            f"version {before['champion']['version']} was live, and now the state is {after}"
        )
    subject.wait(subject.client.predict, "a prediction after the start")
    return 1


def _add(how: str, moment: str, keeps: bool) -> None:
    action, when = MOMENTS[moment]
    then = "it is started again with its state" if keeps else "a new one is started"

    @fault(
        f"{how}-stack-{moment}-{'kept' if keeps else 'new'}",
        f"the stack is {ENDS[how]} {when}, and {then}",
        Needs.KEPT_STACK if keeps else Needs.NEW_STACK,
    )
    def inject(subject: Subject) -> int:
        return (_with_state if keeps else _without_state)(subject, action, how)


@fault(
    "killed-stack-twenty-times-kept",
    f"the stack is killed at {KILLS} random moments, and started again with its state each time",
    Needs.KEPT_STACK,
)
def _killed_many_times(subject: Subject) -> int:
    for _ in range(KILLS):
        _with_state(subject, _at_any_time, "killed")
    subject.require_all_drops_read()
    return KILLS


for _how, _moments, _kept in CASES:
    for _moment in _moments:
        for _keeps in _kept:
            _add(_how, _moment, _keeps)
