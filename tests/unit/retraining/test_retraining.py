"""When a model is trained anew, and why it is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from refit.domain.model_settings import RetrainingSettings
from refit.domain.retraining.rules import DAY, step
from refit.domain.retraining.state import Retraining, State, run_of_episode

from tests.unit.retraining.loop import ALARM, CHANGED_AT, MODEL, Loop


def drifting(**settings: Any) -> Loop:
    """A model whose live version has raised an alarm, before anybody looked."""
    return Loop(settings=RetrainingSettings(**settings), alarm=ALARM)


def causes(loop: Loop) -> list[str]:
    return [start.cause for start in loop.begun]


def test_a_model_without_an_alarm_is_left_alone() -> None:
    loop = Loop()
    assert loop.look().is_plainly_healthy
    assert loop.begun == []


def test_an_alarm_starts_one_retraining_and_says_why() -> None:
    loop = drifting()
    found = loop.look()
    assert found.state is State.RETRAINING
    (start,) = loop.begun
    assert (start.cause, start.reason, start.version, start.episode) == ("drift", ALARM, 1, 1)
    assert (found.run, found.reason) == (start.run, ALARM)


def test_the_same_alarm_starts_no_second_one_however_often_it_is_looked_at() -> None:
    loop = drifting()
    for _ in range(5):
        loop.wait(60)
    assert len(loop.begun) == 1


def about_to_begin() -> Loop:
    """A model whose next look begins a run."""
    loop = Loop()
    loop.look()
    loop.alarm = ALARM
    return loop


def test_two_who_look_together_want_the_same_run() -> None:
    loop = about_to_begin()
    first = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
    later = loop.now + timedelta(seconds=1)
    second = step(MODEL, loop.retraining, loop.facts(), loop.settings, later)
    assert first.start is not None
    assert first.start == second.start


def test_nothing_begins_before_it_is_written_down_for_which_version() -> None:
    loop = drifting()
    assert step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now).start is None
    loop = drifting(cooldown_s=0)
    loop.look()
    loop.active_run = None
    loop.set_status(loop.begun[0].run, "FAILED")
    assert step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now).start is None


def test_a_request_that_comes_just_after_drift_began_a_run_is_not_taken_for_its_cause() -> None:
    loop = about_to_begin()
    taken = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
    assert taken.start is not None
    loop.begin(taken.start)
    found = loop.look(loop.say("retrain"))
    assert (found.cause, found.request is None) == ("drift", False)


def test_a_start_that_broke_off_before_it_was_written_down_is_taken_up() -> None:
    loop = about_to_begin()
    taken = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
    assert taken.start is not None
    loop.begin(taken.start)  # and then nothing was written
    assert loop.wait(60).state is State.RETRAINING
    assert len(loop.begun) == 1


def test_a_run_that_ended_before_its_start_was_written_down_is_not_forgotten() -> None:
    loop = about_to_begin()
    taken = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
    assert taken.start is not None
    loop.begin(taken.start)
    found = loop.end("DEPLOYED")
    assert (found.state, found.version) == (State.COOLING, 2)
    assert len(found.started) == 1, "it counts towards the daily cap"


def test_the_better_model_is_live_then_it_rests_and_is_healthy() -> None:
    loop = drifting(cooldown_s=100)
    loop.look()
    found = loop.end("DEPLOYED")
    assert (found.state, found.version, found.failures) == (State.COOLING, 2, 0)
    assert found.last is not None
    assert found.last.status == "DEPLOYED"
    assert loop.wait(99).state is State.COOLING
    assert loop.wait(1).state is State.HEALTHY
    assert loop.retraining.is_plainly_healthy


def test_a_new_version_is_not_indicted_by_the_alarm_of_the_old_one() -> None:
    loop = drifting(cooldown_s=0)
    loop.look()
    loop.end("DEPLOYED")
    assert loop.wait(10).state is State.HEALTHY
    assert len(loop.begun) == 1


def test_too_few_new_labels_are_waited_for_and_told() -> None:
    loop = drifting(min_labels=500)
    loop.new_labels = 120
    found = loop.look()
    assert found.state is State.DRIFTING
    assert found.owed is not None
    why = "120 of 500 labels have come of what was predicted since the change"
    assert found.owed.why == why
    since = found.owed.since
    loop.new_labels = 499
    assert loop.wait(3600).owed is not None
    assert loop.retraining.owed is not None
    assert loop.retraining.owed.since == since, "it is owed since the alarm"
    loop.new_labels = 500
    assert loop.look().state is State.RETRAINING
    assert loop.retraining.owed is None


def test_labels_from_before_the_change_do_not_count_towards_the_minimum() -> None:
    loop = drifting(min_labels=500)
    loop.new_labels, loop.calm_labels = 120, 50_000
    assert loop.look().state is State.DRIFTING
    loop.new_labels = 500
    assert loop.look().state is State.RETRAINING
    assert loop.begun[0].changed_at == CHANGED_AT


def test_what_a_person_asks_for_is_fitted_to_all_new_labels() -> None:
    loop = Loop(calm_labels=40, new_labels=0)
    loop.look(loop.say("retrain"))
    assert loop.begun[0].changed_at is None


def test_while_a_run_is_active_a_retraining_is_owed_and_begins_after_it() -> None:
    loop = drifting()
    loop.active_run = "adrop0000000"
    found = loop.look()
    assert found.owed is not None
    assert found.owed.why == "run adrop0000000 is under way"
    loop.active_run = None
    assert loop.look().state is State.RETRAINING


def test_a_drop_that_makes_a_new_version_ends_the_episode() -> None:
    loop = drifting()
    loop.active_run = "adrop0000000"
    loop.look()
    loop.active_run = None
    loop.go_live()
    found = loop.look()
    assert (found.state, found.owed, loop.begun) == (State.HEALTHY, None, [])
    assert found.note == "Version 2 is live: version 1 was drifting."


def test_an_alarm_that_is_taken_back_before_a_run_stays_noted() -> None:
    loop = drifting(min_labels=2000)
    loop.look()
    loop.alarm = None
    found = loop.wait(60)
    assert (found.state, found.owed, loop.begun) == (State.HEALTHY, None, [])
    assert found.note is not None
    assert "taken back by later labels" in found.note
    assert ALARM in found.note


def test_an_alarm_that_is_taken_back_during_its_run_changes_nothing() -> None:
    loop = drifting()
    loop.look()
    loop.alarm = None
    assert loop.wait(60).state is State.RETRAINING


def test_during_the_rest_after_a_retraining_drift_is_owed() -> None:
    loop = drifting(cooldown_s=1000)
    loop.look()
    loop.end("DEPLOYED")
    loop.alarm, loop.new_labels = ALARM, 800
    found = loop.wait(10)
    assert found.state is State.COOLING
    assert found.owed is not None
    assert found.owed.why == "it rests until 2026-11-20 00:16:40 UTC"
    assert loop.wait(990).state is State.RETRAINING
    assert len(loop.begun) == 2


def test_no_more_retrainings_a_day_than_the_cap() -> None:
    loop = drifting(cooldown_s=0, max_per_day=2)
    for _ in range(2):
        loop.alarm, loop.new_labels = ALARM, 800
        loop.wait(3600)
        loop.end("DEPLOYED")
    loop.alarm, loop.new_labels = ALARM, 800
    found = loop.wait(3600)
    assert found.owed is not None
    assert found.owed.why == "max_per_day is 2: the next at 2026-11-21 01:00:00 UTC"
    assert len(loop.begun) == 2
    loop.wait(DAY.total_seconds() - 2 * 3600)
    assert len(loop.begun) == 3


def test_a_refused_challenger_waits_for_labels_that_it_had_not_seen() -> None:
    loop = drifting(cooldown_s=100, min_labels=500)
    loop.look()
    loop.end("REFUSED")
    found = loop.wait(100)
    assert found.state is State.DRIFTING
    assert found.owed is not None
    assert found.owed.why == ("0 of 500 labels have come of what was predicted since the change")
    loop.new_labels += 500
    assert loop.look().state is State.RETRAINING


def test_a_run_that_failed_is_tried_again_on_the_same_labels() -> None:
    loop = drifting(cooldown_s=100)
    loop.look()
    assert loop.end("FAILED").failures == 1
    assert loop.wait(100).state is State.RETRAINING
    assert len({start.run for start in loop.begun}) == 2


def blocked(**settings: Any) -> Loop:
    """A model of which two challengers were no better."""
    loop = drifting(**({"cooldown_s": 0, "min_labels": 10} | settings))
    for _ in range(loop.settings.max_failures):
        loop.new_labels += 1000
        loop.look()
        loop.end("REFUSED", "not better on the fresh rows")
    return loop


def test_two_challengers_in_a_row_that_are_no_better_block_the_model() -> None:
    loop = blocked()
    assert loop.retraining.state is State.BLOCKED
    assert len(loop.begun) == 2
    (notice,) = loop.notices
    assert "2 retrainings of digits in a row brought no better model" in notice
    assert "not better on the fresh rows" in notice
    assert "refit unblock digits" in notice
    loop.new_labels += 5000
    assert loop.wait(10 * DAY.total_seconds()).state is State.BLOCKED
    assert len(loop.begun) == 2


def test_a_challenger_that_was_overtaken_is_no_failure() -> None:
    loop = drifting(cooldown_s=0, max_per_day=10)
    for status in ("SUPERSEDED", "REFUSED"):
        loop.new_labels += 1000
        loop.look()
        loop.end(status)
    assert loop.retraining.failures == 1
    assert loop.retraining.state is not State.BLOCKED


def test_a_better_model_between_two_failures_forgives_the_first() -> None:
    loop = drifting(cooldown_s=0, max_per_day=10)
    for status in ("FAILED", "DEPLOYED", "FAILED"):
        loop.alarm, loop.new_labels = ALARM, 1000
        loop.look()
        loop.end(status)
    assert loop.retraining.failures == 1
    assert loop.retraining.state is not State.BLOCKED


def test_a_person_unblocks_and_drift_that_is_still_there_retrains() -> None:
    loop = blocked(max_per_day=3)
    found = loop.look(loop.say("unblock"))
    assert found.state is State.RETRAINING
    assert found.failures == 0


def test_a_person_unblocks_and_without_drift_the_model_is_healthy() -> None:
    loop = blocked()
    loop.alarm = None
    found = loop.look(loop.say("unblock"))
    assert (found.state, found.note) == (State.HEALTHY, "ada let it go on.")


def test_a_new_version_unblocks() -> None:
    loop = blocked()
    loop.go_live()
    assert (loop.look().state, loop.retraining.failures) == (State.HEALTHY, 0)


def test_to_unblock_what_is_not_blocked_changes_nothing() -> None:
    loop = drifting(min_labels=5000)
    before = loop.look()
    assert loop.look(loop.say("unblock")) == before.but(commands=("event-1",))


def test_a_person_starts_one_whatever_evidence_rest_and_cap_say() -> None:
    loop = drifting(cooldown_s=9000, max_per_day=1)
    loop.look()
    loop.end("DEPLOYED")
    loop.new_labels = 1
    found = loop.look(loop.say("retrain"))
    assert (found.state, found.reason) == (State.RETRAINING, "ada asked for it.")
    assert causes(loop) == ["drift", "request"]


def test_a_request_starts_a_blocked_model_and_a_failure_blocks_it_again() -> None:
    loop = blocked()
    assert loop.look(loop.say("retrain")).state is State.RETRAINING
    assert loop.end("FAILED").state is State.BLOCKED
    assert len(loop.notices) == 2


def test_a_request_waits_for_one_label_at_least() -> None:
    loop = Loop(new_labels=0)
    found = loop.look(loop.say("retrain"))
    assert found.owed is not None
    assert found.owed.why == "no new label has come"
    loop.new_labels = 1
    assert loop.wait(60).state is State.RETRAINING


@pytest.mark.parametrize("ours", [True, False])
def test_a_request_during_a_run_is_owed_and_begins_after_it(ours: bool) -> None:
    loop = drifting() if ours else Loop(active_run="adrop0000000")
    loop.look()
    found = loop.look(loop.say("retrain"))
    assert found.owed is not None
    assert found.owed.why == f"run {loop.active_run} is under way"
    loop.end("DEPLOYED")
    assert causes(loop)[-1] != "request" if ours else True
    loop.new_labels = 3
    assert loop.look().state is State.RETRAINING
    assert causes(loop)[-1] == "request"


def test_a_request_that_is_delivered_again_starts_nothing_more() -> None:
    loop = Loop()
    asked = loop.say("retrain")
    loop.look(asked)
    loop.end("DEPLOYED")
    loop.new_labels = 100
    assert loop.look(asked).state is State.COOLING
    assert len(loop.begun) == 1


def test_a_request_outlives_a_version_that_comes_in_between() -> None:
    loop = Loop(active_run="adrop0000000")
    loop.look(loop.say("retrain"))
    loop.active_run = None
    loop.go_live()
    assert loop.look().request is not None
    loop.new_labels = 1
    assert loop.look().state is State.RETRAINING
    assert loop.begun[0].version == 2


def test_switched_off_drift_is_told_and_nothing_starts_but_by_a_person() -> None:
    loop = drifting(enabled=False)
    found = loop.look()
    assert (found.state, found.owed) == (State.DRIFTING, None)
    assert found.note == "[retraining] enabled is false: nothing starts by itself."
    assert loop.look(loop.say("retrain")).state is State.RETRAINING
    assert causes(loop) == ["request"]


def test_a_challenger_that_awaits_approval_is_waited_for() -> None:
    loop = drifting(cooldown_s=10)
    loop.look()
    found = loop.end("AWAITING_APPROVAL")
    assert (found.state, found.failures) == (State.RETRAINING, 0)
    assert found.note == "The challenger awaits a person's approval."
    loop.new_labels += 5000
    assert loop.wait(1000).state is State.RETRAINING
    assert len(loop.begun) == 1
    loop.set_status(loop.begun[0].run, "DEPLOYED")
    loop.go_live()
    assert loop.look().state is State.COOLING


def test_a_person_who_will_not_approve_lets_it_go_on() -> None:
    loop = drifting(cooldown_s=10)
    loop.look()
    loop.end("AWAITING_APPROVAL")
    loop.look(loop.say("unblock"))
    assert len(loop.begun) == 2


def test_a_model_that_never_went_live_owes_what_a_person_asked() -> None:
    loop = Loop(champion=None)
    found = loop.look(loop.say("retrain"))
    assert found.owed is not None
    assert found.owed.why == "no version is live"
    loop.champion = 1
    assert loop.look().state is State.RETRAINING


def test_the_run_of_an_episode_is_that_of_its_model_version_and_number() -> None:
    runs = {run_of_episode(*of) for of in [("a", 1, 1), ("b", 1, 1), ("a", 2, 1), ("a", 1, 2)]}
    assert len(runs) == 4
    assert run_of_episode("a", 1, 1) == run_of_episode("a", 1, 1)


def test_the_state_is_the_same_after_it_was_stored() -> None:
    loop = blocked()
    assert Retraining.model_validate(loop.retraining.model_dump(mode="json")) == loop.retraining
