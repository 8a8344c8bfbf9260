"""`refit logs`: lines of functions, states and jobs of one model, in the order of time."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from refit_cli.logs.lines import LogLine
from refit_cli.logs.tail import Tail

from tests.support.cli import BATCH, CloudFormation, history

RUN, OTHER = "0123456789ab", "ba9876543210"
GROUP = "refit-FunctionLogs-1"
TRAINING = "/aws/sagemaker/TrainingJobs"
TRANSFORM = "/aws/sagemaker/TransformJobs"
EXECUTION = f"arn:aws:states:us-east-1:123456789012:execution:refit-train:{RUN}"


class FormationWithLogs(CloudFormation):
    def describe_stack_resource(self, StackName: str, LogicalResourceId: str) -> dict[str, Any]:
        assert LogicalResourceId == "FunctionLogs"
        return {"StackResourceDetail": {"PhysicalResourceId": GROUP}}


def write(group: str, stream: str, *lines: tuple[float, str]) -> None:
    """Write lines with the seconds that have passed since then."""
    logs = boto3.client("logs")
    for create, names in (
        (logs.create_log_group, {"logGroupName": group}),
        (logs.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
    ):
        try:
            create(**names)
        except logs.exceptions.ResourceAlreadyExistsException:
            continue
    now = time.time()
    events = [
        {"timestamp": int((now - ago) * 1000), "message": text}
        for ago, text in sorted(lines, reverse=True)
    ]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def record(message: str, **beside: Any) -> str:
    """Return a line as Powertools writes it in a function."""
    context = {
        "cold_start": True,
        "function_name": "refit-IngestFunction-FA44D9E0D308",
        "function_memory_size": "512",
        "function_arn": "arn:aws:lambda:us-east-1:1:function:refit-IngestFunction-FA44D9E0D308",
        "function_request_id": "0bee693c-9d88-4c4c-84fb-42f8211b4a98",
        "xray_trace_id": "1-5759e988-bd862e3fe1be46a994272793",
    }
    return json.dumps({"level": "INFO", "location": "f:1", "message": message, **context, **beside})


@pytest.fixture
def digits(stack, clients):
    """A model with a run, whose lines are interleaved with those of digits-2."""
    clients.update(cloudformation=FormationWithLogs())
    started = datetime.now(UTC) - timedelta(seconds=100)
    stack.add_run("digits", RUN, "FAILED", train_execution_arn=EXECUTION, started_at=started)
    stack.add_run("digits-2", OTHER, "FAILED", started_at=started)
    stack.histories.events[EXECUTION] = [
        *history(("Prepare", 10, 20), ("Train", 50, None), ended=False),
        {
            "id": 9,
            "type": "ExecutionFailed",
            "timestamp": datetime.now(UTC) - timedelta(seconds=20),
            "executionFailedEventDetails": {"error": "TrainingFailed", "cause": "no rows"},
        },
    ]
    write(
        GROUP,
        "2026/11/27/[$LATEST]1",
        (95, record("run requested", model="digits", run=RUN)),
        (94, record("run requested", model="digits-2", run=OTHER)),
        (93, "START RequestId: digits"),
        (92, record("uploaded file refused", level="WARNING", key="digits/raw/x.csv")),
        (7200, record("long ago", model="digits")),
    )
    write(TRAINING, f"refit-digits-{RUN}-0/algo-1-1", (45, "[0] train-error:0.5"))
    write(TRAINING, f"refit-digits-2-{OTHER}-0/algo-1-1", (44, "[0] train-error:0.9"))
    write(TRAINING, f"refit-{RUN}-0-001-0badcafe/algo-1-1", (40, "[1] train-error:0.4"))
    return stack


def lines_of(result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_functions_states_and_jobs_are_shown_together_in_the_order_of_time(refit, digits):
    lines = lines_of(refit("logs", "digits", "--json"))
    assert [(line["source"], line["origin"], line["level"], line["text"]) for line in lines] == [
        ("function", "Ingest", "INFO", "run requested"),
        ("function", "Ingest", "WARNING", "uploaded file refused"),
        ("state", "train", "INFO", "Prepare begins"),
        ("state", "train", "INFO", "Prepare ends"),
        ("state", "train", "INFO", "Train begins"),
        ("training", f"{RUN}-0", None, "[0] train-error:0.5"),
        ("training", f"{RUN}-0-001-0badcafe", None, "[1] train-error:0.4"),
        ("state", "train", "ERROR", "execution failed: TrainingFailed: no rows"),
    ]
    assert lines[0]["fields"]["run"] == RUN
    assert lines[0]["fields"]["function_memory_size"] == "512"
    assert lines == sorted(lines, key=lambda line: line["time"])


def test_a_line_for_people_has_time_function_level_text_and_the_fields_that_help(refit, digits):
    lines = [line.split(maxsplit=3) for line in refit("logs", "digits").stdout.splitlines()]
    assert [parts[1:] for parts in lines[:3]] == [
        ["Ingest", "INFO", f"run requested run={RUN}"],
        ["Ingest", "WARNING", "uploaded file refused key=digits/raw/x.csv"],
        ["train", "INFO", "Prepare begins"],
    ]
    assert [parts[1:3] for parts in lines[5:6]] == [[f"{RUN}-0", "[0]"]]


def test_an_error_is_named_and_its_traceback_is_in_json_only(refit, digits):
    beside = {
        "model": "digits",
        "rows": {"train": 9, "test": 1},
        "exception": "Traceback (most recent call last):\n  File",
        "exception_name": "KeyError",
    }
    write(GROUP, "2026/11/27/[$LATEST]3", (1, record("not counted", level="ERROR", **beside)))
    last = refit("logs", "digits").stdout.splitlines()[-1]
    assert last.endswith("ERROR   not counted rows=train 9, test 1 error=KeyError")
    fields = lines_of(refit("logs", "digits", "--json"))[-1]["fields"]
    assert fields["exception"].startswith("Traceback")


def test_the_tabs_of_a_job_s_line_are_blanks_for_a_person(refit, digits):
    stream = f"refit-digits-{RUN}-0/algo-1-1"
    write(TRAINING, stream, (1, "[2]#011train-error:0.3#011validation-error:0.4"))
    last = refit("logs", "digits").stdout.splitlines()[-1]
    assert last.endswith("[2]  train-error:0.3  validation-error:0.4")


def test_one_run_is_shown_from_its_beginning_whatever_since_says(refit, digits):
    lines = lines_of(refit("logs", "digits", "--run", RUN[:6], "--since", "1s", "--json"))
    assert len(lines) == 7
    assert not any("refused" in line["text"] for line in lines)


def test_since_reaches_back(refit, digits):
    texts = [line["text"] for line in lines_of(refit("logs", "digits", "--since", "3h", "--json"))]
    assert texts[0] == "long ago"
    assert lines_of(refit("logs", "digits", "--since", "1s", "--json")) == []


def test_a_model_without_lines_says_so(refit, digits):
    result = refit("logs", "digits", "--since", "1s")
    assert result.stdout == ""
    assert "no lines of digits since" in result.stderr


@pytest.mark.parametrize("since", ["1", "h", "1w", "-1h", "1h30m"])
def test_a_time_that_cannot_be_read_is_refused_with_what_is_allowed(refit, digits, since):
    result = refit("logs", "digits", f"--since={since}")
    assert result.exit_code == 2
    assert "such as 90s or 1h" in result.stderr


def test_an_unknown_model_or_run_is_named(refit, digits):
    result = refit("logs", "roses")
    assert result.exit_code == 2
    assert "there is no model 'roses'" in result.stderr
    result = refit("logs", "digits", "--run", "ffff")
    assert result.exit_code == 2
    assert "has no run 'ffff'" in result.stderr


def test_batches_are_shown_with_the_runs(refit, digits):
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    batch = {
        "batch": "bbbbbbbbbbbb",
        "model": "digits",
        "file": "a.csv",
        "file_version": "1",
        "status": "SUCCEEDED",
        "started_at": now,
        "updated_at": now,
    }
    digits.put_item("digits", "BATCH#bbbbbbbbbbbb", batch)
    execution = BATCH.replace(":stateMachine:", ":execution:") + ":digits-bbbbbbbbbbbb"
    digits.histories.events[execution] = history(("Predict", 20, 30))
    write(TRANSFORM, "refit-digits-bbbbbbbbbbbb-batch-0/x", (15, "predicted"))
    lines = lines_of(refit("logs", "digits", "--json"))
    assert {
        ("batch", "Predict begins"),
        ("bbbbbbbbbbbb-batch-0", "predicted"),
    } <= {(line["origin"], line["text"]) for line in lines}
    lines = lines_of(refit("logs", "digits", "--run", RUN, "--json"))
    assert "batch" not in {line["origin"] for line in lines}


class Growing:
    """A source whose lines arrive late, one more at each look."""

    def __init__(self, *lines):
        self.lines_of_looks = lines
        self.looks = 0

    def lines(self, since_ms):
        self.looks += 1
        return iter(
            [line for line in self.lines_of_looks[: self.looks] if line.timestamp_ms >= since_ms]
        )


def test_followed_lines_are_shown_once_also_those_that_arrive_late():
    now = int(time.time() * 1000)
    newer, late = (
        LogLine(now - ago, "training", "job", 0, text) for ago, text in ((10, "b"), (500, "a"))
    )
    tail = Tail([Growing(newer, late)], now - 5000)
    assert [[line.text for line in tail.new_lines()] for _ in range(3)] == [["b"], ["a"], []]


def test_equal_lines_of_one_moment_are_all_shown():
    line = LogLine(int(time.time() * 1000), "training", "job", 0, "a")
    tail = Tail([Growing(line, replace(line, number=1))], 0)
    assert [len(tail.new_lines()) for _ in range(3)] == [1, 1, 0]


def test_follow_goes_on_until_it_is_interrupted(refit, digits, runtime, monkeypatch):
    looks = []

    def interrupted(seconds: float) -> None:
        looks.append(seconds)
        write(GROUP, "2026/11/27/[$LATEST]2", (0, record("later", model="digits")))
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("refit_cli.logs.tail.sleep", interrupted)
    result = refit("logs", "digits", "--follow")
    assert result.exit_code == 130
    assert "runs and jobs of digits continue" in result.stderr
    assert result.stdout.splitlines()[-1].endswith("INFO    later")
    assert result.stdout.count("run requested") == 1
