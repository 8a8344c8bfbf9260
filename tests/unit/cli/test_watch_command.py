"""`refit watch`: which run it follows, what it shows, and how it ends."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from refit.domain.pipeline.drop import ConsumedFiles
from refit.domain.pipeline.manifest import ObjectVersion
from refit.domain.vocabulary import RunStatus
from refit.stores.models import ModelStore
from refit.stores.training_logs import LOG_GROUP
from refit_cli.watching import selection

from tests.support.cli import history
from tests.support.learned import LEARNED
from tests.support.model_files import manifest, object_version

EVALUATION = {
    "model": "digits",
    "run": "r1",
    "task": "classification",
    "classes": ["0", "1"],
    "confidence": 0.95,
    "champion": {"run": "r0", "version": 2},
    "comparable": True,
    "new": {
        "rows": 1000,
        "baseline": {"answer": "0", "metrics": {"accuracy": 0.5, "log_loss": 0.7}},
        "challenger": {
            "metrics": {
                "accuracy": {"value": 0.975, "low": 0.96, "high": 0.985, "method": "wilson"},
                "log_loss": {"value": 0.1, "low": None, "high": None, "method": "bootstrap"},
            }
        },
        "champion": {
            "metrics": {
                "accuracy": {"value": 0.971, "low": 0.96, "high": 0.98, "method": "wilson"},
                "log_loss": {"value": 0.11, "low": None, "high": None, "method": "bootstrap"},
            }
        },
    },
    "base": None,
}
DECISION = {
    "passed": False,
    "reasons": ["Too bad."],
    "metric": "accuracy",
    "challenger": 0.6,
    "champion": 0.97,
    "checks": [
        {"name": "floor", "passed": True, "reason": "Good enough."},
        {"name": "base", "passed": False, "reason": "Too bad."},
    ],
}


def drop_of(run: str, *files: dict) -> dict:
    """Return a drop.json."""
    return {"model": "digits", "run": run, "cause": "drop", "files": list(files)}


def drop(stack, run: str | None = None, name: str = "rows.csv") -> None:
    """Upload a file; with a run, as the data of that run."""
    key = f"digits/raw/{name}"
    version = stack.put(key, "1,2\n")
    if run:
        file = object_version(key, version)
        stack.put(f"digits/runs/{run}/drop.json", drop_of(run, file))
        consumed = ConsumedFiles().and_also([ObjectVersion.model_validate(file)])
        stack.put(f"digits/runs/{run}/consumed.txt", consumed.text())
        stack.put_item("digits", "STATE", {"consumed_by": run})


def events(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def outcome_of(result) -> dict:
    return events(result)[-1]


def test_a_live_version_is_a_success(refit, stack):
    drop(stack, "r1")
    stack.add_run("digits", "r1", "DEPLOYED", version=3)
    result = refit("watch", "digits", "--timeout", 5)
    assert result.exit_code == 0
    assert "status DEPLOYED" in result.stdout
    assert "version 3" in result.stdout


@pytest.mark.parametrize(
    ("status", "values", "says"),
    [
        ("FAILED", {"error": "DatasetEmpty", "message": "no usable row"}, "no usable row"),
        ("REFUSED", {"message": "Worse than the champion."}, "Worse than the champion."),
        ("SUPERSEDED", {}, "superseded"),
    ],
)
def test_any_other_outcome_is_a_failure_with_its_cause(refit, stack, status, values, says):
    drop(stack, "r1")
    stack.add_run("digits", "r1", status, **values)
    result = refit("watch", "digits", "--timeout", 5)
    assert result.exit_code == 1
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_the_run_of_new_data_is_waited_for_and_the_old_outcome_is_not_reported_again(refit, stack):
    before = datetime.now(UTC) - timedelta(hours=1)
    drop(stack, "r1", "old.csv")
    stack.add_run("digits", "r1", "DEPLOYED", started_at=before)
    drop(stack, None, "new.csv")
    result = refit("watch", "digits", "--timeout", 0.2, "--json")
    assert result.exit_code == 4
    assert [event["event"] for event in events(result)] == ["waiting", "outcome"]


def test_a_run_that_takes_the_data_while_the_command_looks_is_followed(refit, stack, monkeypatch):
    before = datetime.now(UTC) - timedelta(hours=1)
    drop(stack, "r1")
    stack.add_run("digits", "r1", "DEPLOYED", started_at=before)
    drop(stack)
    state = ModelStore.state

    def begins(store, model):
        monkeypatch.setattr(ModelStore, "state", state)
        drop(stack, "r2")
        stack.add_run("digits", "r2", "FAILED", message="no usable row")
        return store.state(model)

    monkeypatch.setattr(ModelStore, "state", begins)
    assert outcome_of(refit("watch", "digits", "--timeout", 5, "--json"))["run"] == "r2"


def test_the_same_file_uploaded_again_is_new_data(refit, stack):
    before = datetime.now(UTC) - timedelta(hours=1)
    drop(stack, "r1")
    stack.add_run("digits", "r1", "DEPLOYED", started_at=before)
    drop(stack)
    assert refit("watch", "digits", "--timeout", 0.2).exit_code == 4


def test_while_another_run_is_active_it_is_named_as_the_reason_to_wait(refit, stack):
    before = datetime.now(UTC) - timedelta(hours=1)
    drop(stack, "r1", "old.csv")
    stack.add_run("digits", "r1", "TRAINING", started_at=before)
    drop(stack, None, "new.csv")
    result = refit("watch", "digits", "--timeout", 0.2)
    assert "run r1 is TRAINING; the run of your data starts after it" in result.stdout


def test_data_is_waited_for_whose_upload_began_long_before_the_last_run(refit, stack):
    drop(stack, "r1", "old.csv")
    drop(stack, None, "large.csv")
    stack.add_run("digits", "r1", "DEPLOYED", started_at=datetime.now(UTC) + timedelta(hours=1))
    assert refit("watch", "digits", "--timeout", 0.2).exit_code == 4


def test_a_marker_file_is_no_data_to_wait_for(refit, stack):
    drop(stack, "r1")
    drop(stack, None, "_SUCCESS")
    stack.add_run("digits", "r1", "DEPLOYED")
    assert refit("watch", "digits", "--timeout", 5).exit_code == 0


def test_the_newest_run_is_followed_even_if_new_data_is_not_its_cause(refit, stack):
    before = datetime.now(UTC)
    drop(stack, "r1")
    stack.add_run("digits", "r1", "DEPLOYED", started_at=before)
    stack.put("digits/runs/r2/drop.json", drop_of("r2"))
    stack.add_run(
        "digits", "r2", "REFUSED", started_at=before + timedelta(minutes=1), message="No."
    )
    assert outcome_of(refit("watch", "digits", "--timeout", 5, "--json"))["run"] == "r2"


def test_a_run_can_be_selected(refit, stack):
    drop(stack, "r2")
    stack.add_run("digits", "r1", "FAILED", message="no")
    stack.add_run("digits", "r2", "DEPLOYED")
    assert refit("watch", "digits", "--run", "r1", "--timeout", 5).exit_code == 1
    unknown = refit("watch", "digits", "--run", "r9", "--timeout", 5)
    assert unknown.exit_code == 2
    assert "no run 'r9'" in unknown.stderr


def test_without_any_data_it_says_how_to_upload_some(refit, stack):
    result = refit("watch", "digits", "--timeout", 0.1)
    assert result.exit_code == 4
    assert "refit put digits FILE" in result.stdout


def test_a_timeout_reports_the_status_of_the_run(refit, stack):
    drop(stack, "r1")
    stack.add_run("digits", "r1", "TRAINING")
    result = refit("watch", "digits", "--timeout", 0.1)
    assert result.exit_code == 4
    assert "run r1 is still TRAINING after 0.1 s" in result.stderr


def test_until_finished_stops_at_an_approval_and_until_deployed_waits_for_it(refit, stack):
    drop(stack, "r1")
    stack.add_run("digits", "r1", "AWAITING_APPROVAL", version=4, package_arn="arn:package/4")
    assert refit("watch", "digits", "--until", "finished", "--timeout", 5).exit_code == 0
    waiting = refit("watch", "digits", "--timeout", 0.1)
    assert waiting.exit_code == 4
    assert "refit approve digits 4" in waiting.stderr


def test_json_has_states_and_their_durations_one_event_per_line(refit, stack):
    drop(stack, "r1")
    stack.add_run(
        "digits",
        "r1",
        "DEPLOYED",
        version=3,
        train_execution_arn="arn:train",
        deploy_execution_arn="arn:deploy",
    )
    stack.histories.events["arn:train"] = history(("Prepare", 0, 2), ("Train", 2, 12.5))
    stack.histories.events["arn:deploy"] = history(
        ("WaitForEndpoint", 20, 25),
        ("DescribeEndpoint", 25, 26),
        ("WaitForEndpoint", 26, 31),
    )
    result = refit("watch", "digits", "--timeout", 5, "--json")
    kinds = {event["event"] for event in events(result)}
    assert {"run", "status", "left", "endpoint", "outcome"} <= kinds
    assert outcome_of(result) | {"at": None, "seconds": None} == {
        "event": "outcome",
        "at": None,
        "model": "digits",
        "run": "r1",
        "status": "DEPLOYED",
        "version": 3,
        "error": None,
        "message": "version 3 is live",
        "learned": None,
        "exitCode": 0,
        "seconds": None,
        "stages": [
            {"machine": "train", "state": "Prepare", "seconds": 2.0},
            {"machine": "train", "state": "Train", "seconds": 10.5},
            {"machine": "deploy", "state": "WaitForEndpoint", "seconds": 10.0},
            {"machine": "deploy", "state": "DescribeEndpoint", "seconds": 1.0},
        ],
    }


@pytest.fixture
def ended_yesterday(stack):
    """A run that was deployed a day ago, with a training of two rounds."""
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)

    def after(seconds: float) -> datetime:
        return begin + timedelta(seconds=seconds)

    drop(stack, "r1")
    stack.add_run(
        "digits",
        "r1",
        "DEPLOYED",
        version=3,
        started_at=begin,
        finished_at=after(59).isoformat(),
        learned=LEARNED.model_dump(mode="json"),
        train_execution_arn="arn:train",
        deploy_execution_arn="arn:deploy",
    )
    stack.put("digits/runs/r1/manifest.json", manifest("r1"))
    for execution, steps in (
        ("arn:train", (("Prepare", 1, 10), ("Train", 10, 40))),
        ("arn:deploy", (("Promote", 50, 58), ("FinishRun", 58, 60))),
    ):
        events = history(*steps)
        origin = events[0]["timestamp"] - timedelta(seconds=steps[0][1])
        stack.histories.events[execution] = [
            event | {"timestamp": begin + (event["timestamp"] - origin)} for event in events
        ]
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=LOG_GROUP)
    stream = "refit-digits-r1-0/algo-1-1"
    logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName=stream)
    rounds = [
        {
            "timestamp": int(after(20 + at).timestamp() * 1000),
            "message": f"[{at}]#011train-rmse:{at}",
        }
        for at in range(2)
    ]
    logs.put_log_events(logGroupName=LOG_GROUP, logStreamName=stream, logEvents=rounds)
    return after


EXPECTED_TIMES = [
    ("run", 0),
    ("left Prepare", 10),
    ("learned", 10),
    ("round", 20),
    ("round", 21),
    ("left Train", 40),
    ("left Promote", 58),
    ("status", 59),
    ("endpoint", 59),
    ("left FinishRun", 60),
    ("outcome", 60),
]


def test_what_has_already_happened_carries_the_time_when_it_happened_in_order(
    refit, ended_yesterday
):
    found = events(refit("watch", "digits", "--timeout", 5, "--json"))
    assert [
        (f"{event['event']} {event.get('state', '')}".strip(), event["at"]) for event in found
    ] == [
        (name, ended_yesterday(seconds).isoformat(timespec="milliseconds"))
        for name, seconds in EXPECTED_TIMES
    ]


def test_a_line_of_another_day_has_its_date(refit, ended_yesterday):
    lines = refit("watch", "digits", "--timeout", 5).stdout.splitlines()
    local = {
        seconds: f"{ended_yesterday(seconds).astimezone():%Y-%m-%d %H:%M:%S}  "
        for seconds in (0, 20, 40)
    }
    assert lines[0].startswith(f"{local[0]}run r1 of digits")
    assert f"{local[40]}train: Train took 30 s" in lines
    first_round = next(line for line in lines if "round 1" in line)
    assert first_round.startswith(local[20])
    assert lines.index(first_round) < lines.index(f"{local[40]}train: Train took 30 s")


def test_a_model_that_does_not_exist_is_named_with_those_that_do(refit, stack):
    stack.add_run("digits", "r1", "DEPLOYED")
    result = refit("watch", "digis", "--timeout", 0.1)
    assert result.exit_code == 4
    assert "there is no model 'digis' yet" in result.stdout
    assert "refit put digis FILE; models: digits" in result.stdout
    stack.add_run("flowers", "r1", "DEPLOYED")
    assert "models: digits, flowers" in refit("watch", "x", "--timeout", 0.1, "--json").stdout


def test_the_evaluation_and_the_decision_of_the_gate_are_printed(refit, stack):
    drop(stack, "r1")
    stack.add_run("digits", "r1", "REFUSED", message="Too bad.")
    stack.put("digits/runs/r1/evaluation.json", EVALUATION)
    stack.put("digits/runs/r1/gate.json", DECISION)
    plain = refit("watch", "digits", "--timeout", 5)
    assert plain.exit_code == 1
    for text in ("1,000 held-out rows", "97.50%", "96.00% to 98.50%", "live version 2", "97.10%"):
        assert text in plain.stdout
    assert "passed  floor Good enough." in plain.stdout
    assert "failed  base  Too bad." in plain.stdout
    by_name = {event["event"]: event for event in events(refit("watch", "digits", "--json"))}
    assert by_name["evaluation"]["challenger"] == {"accuracy": 0.975, "log_loss": 0.1}
    assert by_name["gate"]["passed"] is False


def test_the_deciding_metric_is_shown_first_and_the_notes_of_the_gate_last(refit, stack):
    drop(stack, "r1")
    stack.add_run("digits", "r1", "REFUSED", message="Too bad.")
    stack.put("digits/runs/r1/evaluation.json", EVALUATION | {"metric": "log_loss"})
    note = "98.4 % of the training rows are class 'no'."
    reasons = ["Too bad.", note]
    stack.put("digits/runs/r1/gate.json", DECISION | {"reasons": reasons})
    printed = refit("watch", "digits", "--timeout", 5).stdout
    assert printed.index("log loss (decides)") < printed.index("accuracy")
    assert printed.index("Too bad.") < printed.index(f"note          {note}")
    assert printed.count(note) == 1


def test_files_in_a_folder_with_an_invalid_name_are_reported_as_rejected(refit, stack):
    stack.put("_refused/abc.json", {"key": "Bad Name/raw/x.csv", "reason": "not allowed because"})
    refused = refit("watch", "Bad Name")
    assert refused.exit_code == 1
    assert "not allowed because" in refused.stderr
    assert refit("watch", "Other Name").exit_code == 2


def test_every_run_status_is_either_open_or_ended():
    assert {str(status) for status in RunStatus} >= selection.ENDED
    open_statuses = {str(status) for status in RunStatus} - selection.ENDED
    assert open_statuses == {
        "STARTED",
        "PREPARING",
        "TRAINING",
        "EVALUATING",
        "REGISTERING",
        "DEPLOYING",
        "AWAITING_APPROVAL",
    }


def test_what_was_learned_is_shown_with_doubts_and_refused_rows(refit, stack):
    drop(stack, "r1")
    learned = LEARNED.model_dump(mode="json")
    stack.add_run("digits", "r1", "DEPLOYED", version=3, learned=learned)
    lines = refit("watch", "digits", "--timeout", 5).stdout
    assert LEARNED.sentence in lines
    assert "refused  25 × the label 'kind' is missing" in lines
    assert "doubt    column 'code' alone gives" in lines
    assert "note     2 rows that repeat the header" in lines
    result = refit("watch", "digits", "--timeout", 5, "--json")
    (event,) = [event for event in events(result) if event["event"] == "learned"]
    assert event["sentence"] == LEARNED.sentence
    assert event["learned"]["refused_reasons"] == {"the label 'kind' is missing": 25}
    assert outcome_of(result)["learned"] == event["learned"]


def test_a_run_that_failed_while_it_prepared_shows_what_it_had_learned(refit, stack):
    drop(stack, "r1")
    learned = LEARNED.model_dump(mode="json")
    stack.add_run("digits", "r1", "FAILED", message="25 of 100 rows", learned=learned)
    result = refit("watch", "digits", "--timeout", 5)
    assert result.exit_code == 1
    assert "refused  25 × the label 'kind' is missing" in result.stdout


def test_why_a_run_waits_is_said_while_it_waits(refit, stack):
    drop(stack, "r1")
    stack.add_run("digits", "r1", "DEPLOYING", message="It waits for the quota of instances.")
    result = refit("watch", "digits", "--timeout", 0.2)
    assert result.stdout.count("It waits for the quota of instances.") == 1


def test_ctrl_c_leaves_the_run_running_and_says_how_to_follow_it(refit, stack, monkeypatch):
    from refit_cli.watching import outcome

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    drop(stack, "r1")
    stack.add_run("digits", "r1", "TRAINING")
    monkeypatch.setattr(outcome.time, "sleep", interrupt)
    result = refit("watch", "digits")
    assert result.exit_code == 130
    assert "the run continues; follow it with refit watch digits --run r1" in result.stderr


def test_ctrl_c_during_the_wait_for_a_run_says_that_the_data_still_starts_one(
    refit, stack, monkeypatch
):
    from refit_cli.watching import outcome

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    drop(stack)
    monkeypatch.setattr(outcome.time, "sleep", interrupt)
    result = refit("watch", "digits")
    assert result.exit_code == 130
    assert "uploaded data still starts a run" in result.stderr
    assert "refit watch digits" in result.stderr
