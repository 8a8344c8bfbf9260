"""Processes of training jobs, transform jobs and endpoints are killed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.chaos import processes
from tests.chaos.fault import NotSurvived, fault

if TYPE_CHECKING:
    from tests.chaos.processes import Kind
    from tests.chaos.subject import Subject

LATEST_S = 0.4
ATTEMPTS = 5
KILLS = 3


def _kill_in_run(subject: Subject, kind: Kind) -> int:
    """Kill the process of a kind that the next drop's run starts; drop again if it was too late."""
    for attempt in range(ATTEMPTS):
        known = processes.running(subject.user, kind)
        subject.drop()
        latest_s = LATEST_S / 2**attempt
        if killed := processes.kill_next(subject.user, kind, subject.random, latest_s, known):
            return killed
        subject.require_deployed()
    raise NotSurvived(f"each process of {kind.title} had ended before it was to be killed")


@fault("killed-trainer", "the process of a training job is killed")
def _trainer(subject: Subject) -> int:
    return _kill_in_run(subject, processes.TRAINING)


@fault("killed-training-supervisor", "the process that supervises a training job is killed")
def _supervisor(subject: Subject) -> int:
    return _kill_in_run(subject, processes.TRAINING_SUPERVISOR)


@fault("killed-transform-server", "the model server of a transform job is killed")
def _transform_server(subject: Subject) -> int:
    return _kill_in_run(subject, processes.TRANSFORM_SERVER)


@fault("killed-endpoint-at-start", "the server of a new version is killed while it starts")
def _endpoint_at_start(subject: Subject) -> int:
    return _kill_in_run(subject, processes.ENDPOINT_SERVER)


@fault("killed-endpoint", "the servers of live endpoints are killed, three times")
def _endpoint(subject: Subject) -> int:
    times = 0
    for _ in range(KILLS):
        times += bool(processes.kill(processes.running(subject.user, processes.ENDPOINT_SERVER)))
        subject.wait(subject.client.predict, "an answer of the endpoint")
        time.sleep(subject.random.uniform(0, 1))
    return times
