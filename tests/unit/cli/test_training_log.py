"""The metric of each round, read from the log of a training job."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws
from refit.domain.evaluation.training_curves import BoostingRound
from refit.stores.training_logs import LOG_GROUP
from refit_cli.watching.progress import TrainingLog


def rounds_of(log: TrainingLog) -> list[BoostingRound]:
    """Return the rounds that were added since the last call."""
    return [round_ for _, round_ in log.poll()]


class SageMaker:
    """Says how many rounds a job plans."""

    def describe_training_job(self, TrainingJobName: str) -> dict:
        return {"HyperParameters": {"num_round": "100", "for": TrainingJobName}}


@pytest.fixture
def logs(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("logs", region_name="us-east-1")


def write(logs, stream: str, *lines: str) -> None:
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms + at, "message": text} for at, text in enumerate(lines)]
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=events)


def test_before_the_job_has_a_log_there_are_no_rounds(logs):
    log = TrainingLog(logs, SageMaker(), "refit-digits-r1")
    assert rounds_of(log) == []
    logs.create_log_group(logGroupName=LOG_GROUP)
    assert rounds_of(log) == []
    assert log.job is None


def test_only_new_rounds_are_returned(logs):
    logs.create_log_group(logGroupName=LOG_GROUP)
    log = TrainingLog(logs, SageMaker(), "refit-digits-r1")
    write(logs, "refit-digits-r1-1/algo-1-170", "hello", "[0]#011train-rmse:3")
    assert [new.number for new in rounds_of(log)] == [0]
    write(logs, "refit-digits-r1-1/algo-1-170", "[1]#011train-rmse:2", "[2]#011train-rmse:1")
    assert [new.number for new in rounds_of(log)] == [1, 2]
    assert rounds_of(log) == []
    assert [new.number for new in log.rounds] == [0, 1, 2]
    assert (log.job, log.planned_rounds) == ("refit-digits-r1-1", 100)


def test_a_round_has_the_time_of_its_line(logs):
    logs.create_log_group(logGroupName=LOG_GROUP)
    write(logs, "refit-digits-r1-1/algo-1-170", "[0]#011train-rmse:3", "[1]#011train-rmse:2")
    (first, _), (second, _) = TrainingLog(logs, SageMaker(), "refit-digits-r1").poll()
    assert second - first == timedelta(milliseconds=1)
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=10)


def test_a_round_of_an_own_container_has_the_time_of_its_last_metric(logs):
    logs.create_log_group(logGroupName=LOG_GROUP)
    metrics = {"train-loss": r"loss=(\S+);", "validation-loss": r"held out: (\S+)"}
    lines = ("loss=3;", "held out: 4", "epoch", "loss=2;", "held out: 2.5")
    write(logs, "refit-digits-r1-1/algo-1-1", *lines)
    (first, _), (second, _) = TrainingLog(logs, JobStates(), "refit-digits-r1", metrics).poll()
    assert second - first == timedelta(milliseconds=3)


def test_a_new_attempt_starts_from_round_0_and_other_runs_are_not_read(logs):
    logs.create_log_group(logGroupName=LOG_GROUP)
    log = TrainingLog(logs, SageMaker(), "refit-digits-r1")
    write(logs, "refit-digits-r12-1/algo-1-1", "[9]#011train-rmse:9")
    write(logs, "refit-digits-r1-1/algo-1-1", "[0]#011train-rmse:3", "[1]#011train-rmse:2")
    assert [new.number for new in rounds_of(log)] == [0, 1]
    write(logs, "refit-digits-r1-2/algo-1-2", "[0]#011train-rmse:7")
    assert rounds_of(log) == [BoostingRound(0, {"train-rmse": 7})]
    assert log.rounds == [BoostingRound(0, {"train-rmse": 7})]
    assert log.job == "refit-digits-r1-2"


class PagedLogs:
    """Returns an empty page before the rounds; the last token is returned unchanged."""

    def __init__(self) -> None:
        self.pages = {
            None: ([], "f/1"),
            "f/1": ([], "f/2"),
            "f/2": (["[0]#011train-rmse:3"], "f/3"),
        }

    def get_log_events(self, nextToken: str | None = None, **_) -> dict:
        messages, token = self.pages.get(nextToken, ([], nextToken))
        events = [{"timestamp": 1_700_000_000_000, "message": text} for text in messages]
        return {"events": events, "nextForwardToken": token}

    def __getattr__(self, operation: str):
        return getattr(boto3.client("logs", region_name="us-east-1"), operation)


def test_an_empty_page_is_not_the_end_of_a_log(logs):
    logs.create_log_group(logGroupName=LOG_GROUP)
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName="refit-digits-r1-1/algo-1-1")
    log = TrainingLog(PagedLogs(), SageMaker(), "refit-digits-r1")
    assert rounds_of(log) == [BoostingRound(0, {"train-rmse": 3})]
    assert rounds_of(log) == []


class JobStates(SageMaker):
    """Says which jobs are training."""

    def __init__(self, *training: str) -> None:
        self.training = training

    def describe_training_job(self, TrainingJobName: str) -> dict:
        status = "InProgress" if TrainingJobName in self.training else "Completed"
        return {**super().describe_training_job(TrainingJobName), "TrainingJobStatus": status}


def test_of_folds_that_train_at_the_same_time_one_is_read_until_it_has_ended(logs):
    logs.create_log_group(logGroupName=LOG_GROUP)
    sagemaker = JobStates("refit-digits-r1-f0-1", "refit-digits-r1-f1-1")
    log = TrainingLog(logs, sagemaker, "refit-digits-r1")
    write(logs, "refit-digits-r1-f0-1/algo-1-1", "[0]#011train-rmse:3")
    assert rounds_of(log) == [BoostingRound(0, {"train-rmse": 3})]
    write(logs, "refit-digits-r1-f1-1/algo-1-2", "[0]#011train-rmse:7")
    write(logs, "refit-digits-r1-f0-1/algo-1-1", "[1]#011train-rmse:2")
    assert rounds_of(log) == [BoostingRound(1, {"train-rmse": 2})]
    sagemaker.training = ("refit-digits-r1-f1-1",)
    assert rounds_of(log) == [BoostingRound(0, {"train-rmse": 7})]
    assert log.job == "refit-digits-r1-f1-1"


def test_the_metrics_of_an_own_container_are_read_as_its_settings_define_them(logs):
    logs.create_log_group(logGroupName=LOG_GROUP)
    metrics = {"train-loss": r"loss=(\S+);", "validation-loss": r"held out: (\S+)"}
    log = TrainingLog(logs, JobStates(), "refit-digits-r1", metrics)
    stream = "refit-digits-r1-1/algo-1-1"
    write(logs, stream, "epoch 1 loss=3;", "held out: 4", "epoch 2 loss=2;")
    first = BoostingRound(0, {"train-loss": 3, "validation-loss": 4})
    assert rounds_of(log) == [first], "the second round is not complete"
    write(logs, stream, "held out: 2.5")
    assert rounds_of(log) == [BoostingRound(1, {"train-loss": 2, "validation-loss": 2.5})]
    assert rounds_of(log) == []
