"""The stage of a model says where it stands in the loop, with one of a fixed set of words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from refit.domain.answers.stage import Stage, StageFacts, cause_text, stage_of
from refit.domain.pipeline.model_state import Champion, ModelState
from refit.domain.pipeline.run import Run
from refit.domain.retraining.state import PendingRetraining, RetrainingState, RetrainingStatus
from refit.domain.vocabulary import RunStatus

NOW = datetime(2026, 1, 5, tzinfo=UTC)
CHAMPION = Champion(
    version=2,
    run="old",
    package_arn="arn",
    endpoint="e",
    endpoint_config="c",
    variant="v2",
    promoted_at="2026-01-05T00:00:00.000+00:00",
)


def run(status: RunStatus, cause: str = "drop", **values: Any) -> Run:
    return Run.model_validate(
        {"run": "new", "model": "digits", "cause": cause, "status": status}
        | {"started_at": NOW, "updated_at": NOW}
        | values
    )


def stage(
    of_run: Run | None = None,
    retraining: RetrainingState | None = None,
    predictions: int = 0,
    **state: Any,
) -> Stage:
    facts = StageFacts(ModelState(**state), of_run, retraining or RetrainingState(), predictions)
    found, text = stage_of(facts)
    assert text.endswith("."), text
    return found


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (RunStatus.STARTED, Stage.PREPARING),
        (RunStatus.PREPARING, Stage.PREPARING),
        (RunStatus.TRAINING, Stage.TRAINING),
        (RunStatus.EVALUATING, Stage.EVALUATING),
        (RunStatus.REGISTERING, Stage.GATE),
        (RunStatus.DEPLOYING, Stage.DEPLOYING),
    ],
)
def test_an_active_run_decides_the_stage(status: RunStatus, expected: Stage) -> None:
    assert stage(run(status), active_run="new") == expected
    assert stage(run(status), active_run="new", champion=CHAMPION, predictions=9) == expected


def test_a_retraining_begins_as_such() -> None:
    assert stage(run(RunStatus.STARTED, "drift"), active_run="new") == Stage.RETRAINING


@pytest.mark.parametrize(
    ("retraining", "expected"),
    [
        ({}, Stage.SERVING),
        ({"state": RetrainingStatus.COOLING}, Stage.SERVING),
        ({"state": RetrainingStatus.DRIFTING}, Stage.DRIFT),
        ({"state": RetrainingStatus.RETRAINING}, Stage.RETRAINING),
        ({"state": RetrainingStatus.BLOCKED, "failures": 3}, Stage.BLOCKED),
    ],
)
def test_without_a_run_the_state_of_the_live_version_decides(
    retraining: dict[str, Any], expected: Stage
) -> None:
    ended = run(RunStatus.DEPLOYED)
    assert stage(ended, RetrainingState(**retraining), champion=CHAMPION) == expected


def test_a_live_version_with_predictions_is_watched() -> None:
    assert stage(run(RunStatus.DEPLOYED), champion=CHAMPION, predictions=1) == Stage.WATCHING


def test_a_version_that_waits_for_approval_comes_before_the_live_one() -> None:
    waiting = run(RunStatus.AWAITING_APPROVAL, version=3)
    assert stage(waiting, champion=CHAMPION, predictions=1) == Stage.AWAITING_APPROVAL


def test_a_pending_retraining_says_what_it_waits_for() -> None:
    pending = PendingRetraining(why="too few labels.", since=NOW)
    state = RetrainingState(state=RetrainingStatus.DRIFTING, pending=pending)
    _, text = stage_of(StageFacts(ModelState(champion=CHAMPION), None, state))
    assert "too few labels" in text


def test_without_data_and_while_it_is_removed_a_model_says_so() -> None:
    assert stage() == Stage.WAITING_FOR_DATA
    assert stage(run(RunStatus.REFUSED)) == Stage.WAITING_FOR_DATA
    assert stage(champion=CHAMPION, removing_since=NOW) == Stage.REMOVING


def test_the_cause_of_a_run_is_said_in_a_sentence() -> None:
    dropped = run(RunStatus.TRAINING)
    assert cause_text(dropped) == "Files were dropped."
    retried = dropped.model_copy(update={"retry_of": "old"})
    assert cause_text(retried) == "A user repeated run old."
    reason = {"reason": "40 of 100 predictions are wrong."}
    drifted = run(RunStatus.TRAINING, "drift").model_copy(update=reason)
    assert cause_text(drifted) == "Drift was detected: 40 of 100 predictions are wrong."
    asked = cause_text(run(RunStatus.TRAINING, "request"))
    assert asked == "A user requested a retraining."


def test_the_cause_of_a_run_says_each_thing_once() -> None:
    sentence = {"reason": "Drift: 40 of 100 predictions are wrong."}
    drifted = run(RunStatus.TRAINING, "drift").model_copy(update=sentence)
    assert cause_text(drifted) == "Drift was detected: 40 of 100 predictions are wrong."
    by = {"reason": "Requested by ada."}
    asked = run(RunStatus.TRAINING, "request").model_copy(update=by)
    assert cause_text(asked) == "Requested by ada."
