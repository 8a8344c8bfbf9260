"""When a model is retrained, and when and why it is not."""

from __future__ import annotations

from datetime import timedelta

from refit.domain.retraining.rules import DAY, step
from refit.domain.retraining.state import RetrainingState, RetrainingStatus, run_of_episode

from tests.unit.retraining.loop import (
    ALARM,
    CHANGED_AT,
    MODEL,
    Loop,
    about_to_begin,
    blocked,
    causes,
    drifting,
)


def test_a_model_without_an_alarm_is_not_retrained() -> None:
    loop = Loop()
    assert loop.advance().is_idle
    assert loop.begun == []


def test_an_alarm_starts_one_retraining_and_is_its_reason() -> None:
    loop = drifting()
    state = loop.advance()
    assert state.state is RetrainingStatus.RETRAINING
    (start,) = loop.begun
    assert (start.cause, start.reason, start.version, start.episode) == ("drift", ALARM, 1, 1)
    assert (state.run, state.reason) == (start.run, ALARM)


def test_the_same_alarm_starts_no_second_run_however_often_it_is_checked() -> None:
    loop = drifting()
    for _ in range(5):
        loop.wait(60)
    assert len(loop.begun) == 1


def test_two_concurrent_steps_begin_the_same_run() -> None:
    loop = about_to_begin()
    first = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
    later = loop.now + timedelta(seconds=1)
    second = step(MODEL, loop.retraining, loop.facts(), loop.settings, later)
    assert first.start is not None
    assert first.start == second.start


def test_no_run_begins_before_its_version_or_episode_is_stored() -> None:
    loop = drifting()
    assert step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now).start is None
    loop = drifting(cooldown_s=0)
    loop.advance()
    loop.active_run = None
    loop.set_status(loop.begun[0].run, "FAILED")
    assert step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now).start is None


def test_a_request_just_after_drift_began_a_run_does_not_become_its_cause() -> None:
    loop = about_to_begin()
    taken = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
    assert taken.start is not None
    loop.begin(taken.start)
    state = loop.advance(loop.command("retrain"))
    assert (state.cause, state.request is None) == ("drift", False)


def test_a_run_that_began_before_a_failure_is_adopted() -> None:
    loop = about_to_begin()
    taken = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
    assert taken.start is not None
    loop.begin(taken.start)  # then the process fails before it stores the state
    assert loop.wait(60).state is RetrainingStatus.RETRAINING
    assert len(loop.begun) == 1


def test_a_run_that_ended_before_it_was_adopted_is_adopted() -> None:
    loop = about_to_begin()
    taken = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
    assert taken.start is not None
    loop.begin(taken.start)
    state = loop.end("DEPLOYED")
    assert (state.state, state.version) == (RetrainingStatus.COOLING, 2)
    assert len(state.started) == 1, "the run counts towards the daily limit"


def test_after_a_better_model_is_live_the_state_is_cooling_and_then_healthy() -> None:
    loop = drifting(cooldown_s=100)
    loop.advance()
    state = loop.end("DEPLOYED")
    assert (state.state, state.version, state.failures) == (RetrainingStatus.COOLING, 2, 0)
    assert state.last is not None
    assert state.last.status == "DEPLOYED"
    assert loop.wait(99).state is RetrainingStatus.COOLING
    assert loop.wait(1).state is RetrainingStatus.HEALTHY
    assert loop.retraining.is_idle


def test_the_alarm_of_an_old_version_does_not_apply_to_the_new_one() -> None:
    loop = drifting(cooldown_s=0)
    loop.advance()
    loop.end("DEPLOYED")
    assert loop.wait(10).state is RetrainingStatus.HEALTHY
    assert len(loop.begun) == 1


def test_too_few_new_labels_keep_the_retraining_pending() -> None:
    loop = drifting(min_labels=500)
    loop.new_labels = 120
    state = loop.advance()
    assert state.state is RetrainingStatus.DRIFTING
    assert state.pending is not None
    why = "120 of 500 labels have arrived for predictions made since the change"
    assert state.pending.why == why
    since = state.pending.since
    loop.new_labels = 499
    assert loop.wait(3600).pending is not None
    assert loop.retraining.pending is not None
    assert loop.retraining.pending.since == since, "it is pending since the alarm"
    loop.new_labels = 500
    assert loop.advance().state is RetrainingStatus.RETRAINING
    assert loop.retraining.pending is None


def test_labels_from_before_the_change_do_not_count_towards_the_minimum() -> None:
    loop = drifting(min_labels=500)
    loop.new_labels, loop.earlier_labels = 120, 50_000
    assert loop.advance().state is RetrainingStatus.DRIFTING
    loop.new_labels = 500
    assert loop.advance().state is RetrainingStatus.RETRAINING
    assert loop.begun[0].changed_at == CHANGED_AT


def test_a_requested_retraining_is_fitted_to_all_new_labels() -> None:
    loop = Loop(earlier_labels=40, new_labels=0)
    loop.advance(loop.command("retrain"))
    assert loop.begun[0].changed_at is None


def test_while_a_run_is_active_a_retraining_is_pending_and_begins_after_it() -> None:
    loop = drifting()
    loop.active_run = "adrop0000000"
    state = loop.advance()
    assert state.pending is not None
    assert state.pending.why == "run adrop0000000 is active"
    loop.active_run = None
    assert loop.advance().state is RetrainingStatus.RETRAINING


def test_a_drop_that_makes_a_new_version_ends_the_episode() -> None:
    loop = drifting()
    loop.active_run = "adrop0000000"
    loop.advance()
    loop.active_run = None
    loop.go_live()
    state = loop.advance()
    assert (state.state, state.pending, loop.begun) == (RetrainingStatus.HEALTHY, None, [])
    assert state.note == "Version 2 replaced version 1, which was drifting."


def test_an_alarm_that_is_taken_back_before_a_run_is_recorded_in_a_note() -> None:
    loop = drifting(min_labels=2000)
    loop.advance()
    loop.alarm = None
    state = loop.wait(60)
    assert (state.state, state.pending, loop.begun) == (RetrainingStatus.HEALTHY, None, [])
    assert state.note is not None
    assert "taken back by later labels" in state.note
    assert ALARM in state.note


def test_an_alarm_that_is_taken_back_during_its_run_changes_nothing() -> None:
    loop = drifting()
    loop.advance()
    loop.alarm = None
    assert loop.wait(60).state is RetrainingStatus.RETRAINING


def test_during_the_cool_down_after_a_retraining_drift_is_pending() -> None:
    loop = drifting(cooldown_s=1000)
    loop.advance()
    loop.end("DEPLOYED")
    loop.alarm, loop.new_labels = ALARM, 800
    state = loop.wait(10)
    assert state.state is RetrainingStatus.COOLING
    assert state.pending is not None
    assert state.pending.why == "the cool-down ends at 2026-11-20 00:16:40 UTC"
    assert loop.wait(990).state is RetrainingStatus.RETRAINING
    assert len(loop.begun) == 2


def test_the_number_of_retrainings_a_day_is_limited() -> None:
    loop = drifting(cooldown_s=0, max_per_day=2)
    for _ in range(2):
        loop.alarm, loop.new_labels = ALARM, 800
        loop.wait(3600)
        loop.end("DEPLOYED")
    loop.alarm, loop.new_labels = ALARM, 800
    state = loop.wait(3600)
    assert state.pending is not None
    assert state.pending.why == "max_per_day is 2: the next can start at 2026-11-21 01:00:00 UTC"
    assert len(loop.begun) == 2
    loop.wait(DAY.total_seconds() - 2 * 3600)
    assert len(loop.begun) == 3


def test_after_a_refused_challenger_a_retraining_requires_new_labels() -> None:
    loop = drifting(cooldown_s=100, min_labels=500)
    loop.advance()
    loop.end("REFUSED")
    state = loop.wait(100)
    assert state.state is RetrainingStatus.DRIFTING
    assert state.pending is not None
    assert state.pending.why == (
        "0 of 500 labels have arrived for predictions made since the change"
    )
    loop.new_labels += 500
    assert loop.advance().state is RetrainingStatus.RETRAINING


def test_a_run_that_failed_is_tried_again_on_the_same_labels() -> None:
    loop = drifting(cooldown_s=100)
    loop.advance()
    assert loop.end("FAILED").failures == 1
    assert loop.wait(100).state is RetrainingStatus.RETRAINING
    assert len({start.run for start in loop.begun}) == 2


def test_a_version_that_aws_could_not_deploy_is_no_failed_retraining() -> None:
    loop = drifting(cooldown_s=100)
    loop.advance()
    run = loop.active_run or ""
    loop.runs[run] = loop.runs[run].model_copy(
        update={
            "package_arn": "arn:package/1",
            "deploy_execution_arn": "arn:execution/1",
            "error": "EndpointNotProvisioned",
        }
    )
    assert loop.end("FAILED").failures == 0


def test_two_consecutive_challengers_that_are_no_better_block_the_model() -> None:
    loop = blocked()
    assert loop.retraining.state is RetrainingStatus.BLOCKED
    assert len(loop.begun) == 2
    (notice,) = loop.notices
    assert "2 consecutive retrainings of digits did not improve the model" in notice
    assert "not better on the fresh rows" in notice
    assert "refit unblock digits" in notice
    loop.new_labels += 5000
    assert loop.wait(10 * DAY.total_seconds()).state is RetrainingStatus.BLOCKED
    assert len(loop.begun) == 2


def test_a_superseded_challenger_does_not_count_as_a_failure() -> None:
    loop = drifting(cooldown_s=0, max_per_day=10)
    for status in ("SUPERSEDED", "REFUSED"):
        loop.new_labels += 1000
        loop.advance()
        loop.end(status)
    assert loop.retraining.failures == 1
    assert loop.retraining.state is not RetrainingStatus.BLOCKED


def test_a_better_model_resets_the_number_of_failures() -> None:
    loop = drifting(cooldown_s=0, max_per_day=10)
    for status in ("FAILED", "DEPLOYED", "FAILED"):
        loop.alarm, loop.new_labels = ALARM, 1000
        loop.advance()
        loop.end(status)
    assert loop.retraining.failures == 1
    assert loop.retraining.state is not RetrainingStatus.BLOCKED


def test_after_a_user_unblocks_a_model_remaining_drift_starts_a_retraining() -> None:
    loop = blocked(max_per_day=3)
    state = loop.advance(loop.command("unblock"))
    assert state.state is RetrainingStatus.RETRAINING
    assert state.failures == 0


def test_after_a_user_unblocks_a_model_without_drift_it_is_healthy() -> None:
    loop = blocked()
    loop.alarm = None
    state = loop.advance(loop.command("unblock"))
    assert (state.state, state.note) == (RetrainingStatus.HEALTHY, "ada unblocked retraining.")


def test_a_new_version_unblocks_the_model() -> None:
    loop = blocked()
    loop.go_live()
    assert (loop.advance().state, loop.retraining.failures) == (RetrainingStatus.HEALTHY, 0)


def test_unblocking_a_model_that_is_not_blocked_changes_nothing() -> None:
    loop = drifting(min_labels=5000)
    before = loop.advance()
    assert loop.advance(loop.command("unblock")) == before.with_changes(commands=("event-1",))


def test_when_disabled_drift_is_recorded_and_only_a_request_starts_a_retraining() -> None:
    loop = drifting(enabled=False)
    state = loop.advance()
    assert (state.state, state.pending) == (RetrainingStatus.DRIFTING, None)
    assert state.note == "[retraining] enabled is false: no retraining starts automatically."
    assert loop.advance(loop.command("retrain")).state is RetrainingStatus.RETRAINING
    assert causes(loop) == ["request"]


def test_no_retraining_starts_while_a_challenger_awaits_approval() -> None:
    loop = drifting(cooldown_s=10)
    loop.advance()
    state = loop.end("AWAITING_APPROVAL")
    assert (state.state, state.failures) == (RetrainingStatus.RETRAINING, 0)
    assert state.note == "The challenger awaits approval."
    loop.new_labels += 5000
    assert loop.wait(1000).state is RetrainingStatus.RETRAINING
    assert len(loop.begun) == 1
    loop.set_status(loop.begun[0].run, "DEPLOYED")
    loop.go_live()
    assert loop.advance().state is RetrainingStatus.COOLING


def test_unblocking_ends_the_wait_for_approval() -> None:
    loop = drifting(cooldown_s=10)
    loop.advance()
    loop.end("AWAITING_APPROVAL")
    loop.advance(loop.command("unblock"))
    assert len(loop.begun) == 2


def test_the_run_id_of_an_episode_depends_on_model_run_version_and_number() -> None:
    episodes = [
        ("a", "run", 1, 1),
        ("b", "run", 1, 1),
        ("a", "run", 2, 1),
        ("a", "run", 1, 2),
        ("a", "run of a model that was removed", 1, 1),
    ]
    assert len({run_of_episode(*episode) for episode in episodes}) == 5
    assert run_of_episode("a", "run", 1, 1) == run_of_episode("a", "run", 1, 1)


def test_the_state_is_the_same_after_it_was_stored() -> None:
    loop = blocked()
    assert (
        RetrainingState.model_validate(loop.retraining.model_dump(mode="json")) == loop.retraining
    )


def test_a_retraining_whose_record_was_deleted_by_hand_has_ended() -> None:
    loop = Loop(alarm=ALARM)
    run = loop.advance().run
    loop.runs.clear()
    loop.active_run = None
    loop.alarm = None
    state = loop.advance()
    assert state.state is RetrainingStatus.HEALTHY
    assert state.note == f"The record of run {run} was deleted."
