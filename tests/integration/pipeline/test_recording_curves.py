"""The metrics of each round are kept with the run, whenever the log of the training arrives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from refit.domain.evaluation.training_curves import TrainedJob
from refit.handlers import record_curves as handler
from refit.stores.training_logs import LOG_GROUP
from refit.usecases.record_curves import PAUSES_S, record_curves

from tests.support.aws_clients import client_error
from tests.support.aws_stack import CONTEXT, REGION
from tests.support.events import sample
from tests.support.model_files import manifest

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

RUN = "0f1e2d3c4b5a"
KEY = f"digits/runs/{RUN}/curves.json"
JOB = TrainedJob(f"refit-digits-{RUN}-0", "training")


class Log:
    """The log of a training job, to which lines arrive while somebody waits for them."""

    def __init__(self) -> None:
        self.client = boto3.client("logs", REGION)
        self.waits: list[float] = []
        self.later: list[list[str]] = []

    def arrive(self, *lines: str, job: str = JOB.name, begun: int = 170) -> None:
        group, stream = LOG_GROUP, f"{job}/algo-1-{begun}"
        if not self.client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            self.client.create_log_group(logGroupName=group)
        found = self.client.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)
        if not found["logStreams"]:
            self.client.create_log_stream(logGroupName=group, logStreamName=stream)
        now_ms = int(time.time() * 1000)
        self.client.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": now_ms, "message": line} for line in lines],
        )

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        if self.later and (lines := self.later.pop(0)):
            self.arrive(*lines)


@pytest.fixture
def log(stack: Stack) -> Log:
    stack.put(f"digits/runs/{RUN}/manifest.json", manifest(RUN))
    return Log()


def lines(*values: float, first: int = 0) -> list[str]:
    return [f"[{first + at}]#011validation-rmse:{value}" for at, value in enumerate(values)]


def record(stack: Stack, log: Log, *jobs: TrainedJob) -> dict[str, Any]:
    record_curves(stack.services, "digits", RUN, jobs or (JOB,), log.pause)
    written: dict[str, Any] = stack.get(KEY)
    return written


def test_the_handler_writes_the_metrics_of_each_round(stack: Stack, log: Log) -> None:
    log.arrive("hello", *lines(3, 1, 2))
    assert handler.handler(sample("record_curves"), CONTEXT) == {"rounds": [3]}
    assert stack.get(KEY) == {
        "model": "digits",
        "run": RUN,
        "jobs": [
            {
                "job": JOB.name,
                "title": "training",
                "rounds": 3,
                "metrics": {"validation-rmse": [3.0, 1.0, 2.0]},
                "best": {"metric": "validation-rmse", "round": 1, "value": 1.0},
                "missing": None,
            }
        ],
    }
    assert stack.services.artifacts.curves("digits", RUN).jobs[0].rounds == 3


def test_a_repeated_step_writes_the_same_file(stack: Stack, log: Log) -> None:
    log.arrive(*lines(3, 2))
    assert record(stack, log) == record(stack, log)


def test_a_log_that_arrives_late_and_in_parts_is_read_to_its_end(stack: Stack, log: Log) -> None:
    log.later = [[], lines(5, 4), [], lines(3, 2, first=2)]
    assert record(stack, log)["jobs"][0]["metrics"] == {"validation-rmse": [5.0, 4.0, 3.0, 2.0]}
    assert log.waits == list(PAUSES_S[:6])


def test_a_log_that_does_not_arrive_leaves_the_run_without_curves(stack: Stack, log: Log) -> None:
    (job,) = record(stack, log)["jobs"]
    assert job["missing"] == "its log did not arrive within 60 seconds after the training"
    assert (job["metrics"], log.waits) == ({}, list(PAUSES_S))


def test_a_log_whose_stream_was_deleted_meanwhile_leaves_no_error(stack: Stack, log: Log) -> None:
    log.arrive(*lines(1))
    log.client.delete_log_group(logGroupName=LOG_GROUP)
    assert record(stack, log)["jobs"][0]["missing"]


def test_throttling_is_waited_out(stack: Stack, log: Log) -> None:
    log.arrive(*lines(2, 1))

    class Throttled:
        calls = 0

        def get_log_events(self, **request: Any) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise client_error("ThrottlingException")
            return log.client.get_log_events(**request)

        def get_paginator(self, name: str) -> Any:
            return log.client.get_paginator(name)

    services = stack.with_clients(logs=Throttled())
    curves = record_curves(services, "digits", RUN, [JOB], log.pause)
    assert curves.jobs[0].rounds == 2


def test_each_job_of_a_run_is_an_entry_and_one_without_log_takes_nothing_from_the_others(
    stack: Stack, log: Log
) -> None:
    folds = [TrainedJob(f"refit-digits-{RUN}-fold{at}", f"fold {at}") for at in range(3)]
    for number, fold in enumerate(folds[:2]):
        log.arrive(*lines(9, number), job=fold.name)
    jobs = record(stack, log, *folds)["jobs"]
    assert [(job["title"], job["rounds"]) for job in jobs] == [
        ("fold 0", 2),
        ("fold 1", 2),
        ("fold 2", 0),
    ]
    assert jobs[2]["missing"]


def test_a_job_whose_name_begins_alike_is_not_read(stack: Stack, log: Log) -> None:
    log.arrive(*lines(1, 2, 3), job=f"{JOB.name}0")
    log.arrive(*lines(7))
    assert record(stack, log)["jobs"][0]["rounds"] == 1


def test_of_several_containers_of_a_job_the_newest_is_read(stack: Stack, log: Log) -> None:
    log.arrive(*lines(1, 2, 3), begun=170)
    log.arrive(*lines(7), begun=230)
    assert record(stack, log)["jobs"][0]["metrics"] == {"validation-rmse": [7.0]}


@pytest.mark.parametrize(
    ("metrics", "found"),
    [("loss = 'loss=(.*)'", {"loss": [0.5, 0.25]}), ("", {})],
)
def test_of_an_own_container_the_metrics_are_read_that_its_settings_define(
    stack: Stack, log: Log, metrics: str, found: dict[str, list[float]]
) -> None:
    settings = (
        '[training]\nimage = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:1"\n'
        f"[training.container.metrics]\n{metrics}\n"
    )
    stack.put(f"digits/runs/{RUN}/manifest.json", manifest(RUN, settings))
    log.arrive("epoch 1 loss=0.5", *lines(3, 1), "epoch 2 loss=0.25")
    (job,) = record(stack, log)["jobs"]
    assert job["metrics"] == found
    assert job["missing"] == (None if found else "no metrics of its algorithm are known")
