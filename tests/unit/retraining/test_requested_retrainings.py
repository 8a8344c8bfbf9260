"""Retrainings that people request: what starts them, what answers them, what they wait for."""

from __future__ import annotations

import pytest
from refit.domain.retraining.rules import step
from refit.domain.retraining.state import RetrainingStatus, run_of_episode

from tests.unit.retraining.loop import (
    MODEL,
    Loop,
    about_to_begin,
    blocked,
    causes,
    drifting,
)


def test_a_request_ignores_evidence_cool_down_and_daily_limit() -> None:
    loop = drifting(cooldown_s=9000, max_per_day=1)
    loop.advance()
    loop.end("DEPLOYED")
    loop.new_labels = 1
    state = loop.advance(loop.command("retrain"))
    assert (state.state, state.reason) == (RetrainingStatus.RETRAINING, "Requested by ada.")
    assert causes(loop) == ["drift", "request"]


def test_a_request_starts_a_blocked_model_and_a_failure_blocks_it_again() -> None:
    loop = blocked()
    loop.new_labels += 1
    assert loop.advance(loop.command("retrain")).state is RetrainingStatus.RETRAINING
    assert loop.end("FAILED").state is RetrainingStatus.BLOCKED
    assert len(loop.notices) == 2


NOTHING_NEW = (
    "no new label has arrived since run {}, which had the same settings; `again` trains on the "
    "same data"
)


def test_the_same_request_three_times_at_once_is_one_run_and_blocks_nothing() -> None:
    loop = Loop(new_labels=800)
    for by in ("ada", "bob", "eve"):
        loop.advance(loop.command("retrain", by))
    state = loop.end("REFUSED")
    assert len(loop.begun) == 1
    assert (state.state, state.failures) == (RetrainingStatus.COOLING, 1)
    assert (state.request, state.pending) == (None, None)


def test_a_request_during_a_requested_run_is_answered_by_it_though_labels_keep_coming() -> None:
    loop = Loop()
    run = loop.advance(loop.command("retrain")).run
    loop.wait(600)
    loop.new_labels += 7
    state = loop.advance(loop.command("retrain", "bob"))
    assert (state.run, state.request, state.pending) == (run, None, None)
    loop.end("REFUSED")
    assert len(loop.begun) == 1
    loop.advance(loop.command("retrain", "bob"))
    assert len(loop.begun) == 2, "after it, the seven labels are new"


def test_after_a_refused_run_the_same_request_waits_for_a_label() -> None:
    loop = Loop()
    run = loop.advance(loop.command("retrain")).run or ""
    loop.end("REFUSED")
    state = loop.advance(loop.command("retrain"))
    assert len(loop.begun) == 1
    assert state.pending is not None
    assert state.pending.why == NOTHING_NEW.format(run)
    loop.new_labels += 1
    loop.wait(60)
    assert len(loop.begun) == 2


@pytest.mark.parametrize("is_asked_again", [True, False])
def test_changed_settings_or_asking_again_trains_on_the_same_labels(is_asked_again: bool) -> None:
    loop = Loop()
    loop.advance(loop.command("retrain"))
    loop.end("REFUSED")
    loop.has_other_settings = not is_asked_again
    loop.advance(loop.command("retrain", again=is_asked_again))
    assert causes(loop) == ["request", "request"]


@pytest.mark.parametrize("is_asked_again", [True, False])
def test_changed_settings_or_asking_again_starts_another_run_after_the_active_one(
    is_asked_again: bool,
) -> None:
    loop = Loop()
    loop.advance(loop.command("retrain"))
    loop.wait(60)
    loop.has_other_settings = not is_asked_again
    loop.advance(loop.command("retrain", again=is_asked_again))
    loop.end("REFUSED")
    assert len(loop.begun) == 2


def test_a_request_is_answered_if_drift_starts_the_run_of_which_the_user_was_told() -> None:
    loop = about_to_begin()
    told = run_of_episode(MODEL, "run1", 1, 1)
    taken = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
    assert taken.start is not None
    loop.begin(taken.start)
    state = loop.advance(loop.command("retrain", expected_run=told))
    assert (state.run, state.cause, state.request) == (told, "drift", None)


@pytest.mark.parametrize("has_ended", [False, True])
def test_two_who_were_told_the_same_run_get_one_run_even_if_both_say_again(
    has_ended: bool,
) -> None:
    loop = Loop()
    told = {"again": True, "expected_run": run_of_episode(MODEL, "run1", 1, 1)}
    state = loop.advance(loop.command("retrain", **told))
    assert state.run == told["expected_run"]
    if has_ended:
        loop.end("REFUSED")
    assert loop.advance(loop.command("retrain", "bob", **told)).request is None
    assert len(loop.begun) == 1


def test_again_counts_even_if_the_same_was_requested_without_it() -> None:
    loop = Loop(new_labels=0, active_run="adrop0000000")
    loop.advance(loop.command("retrain"))
    loop.advance(loop.command("retrain", "bob", again=True))
    loop.active_run = None
    loop.advance()
    assert len(loop.begun) == 1


def test_two_requests_on_the_same_labels_do_not_block_a_model() -> None:
    for status in ("REFUSED", "FAILED"):
        loop = Loop()
        for _ in range(3):
            loop.advance(loop.command("retrain", again=True))
            state = loop.end(status)
        assert len(loop.begun) == 3
        assert (state.state, state.failures) == (RetrainingStatus.COOLING, 1)


def test_a_requested_run_that_failed_is_repeated_without_a_new_label() -> None:
    loop = Loop()
    loop.advance(loop.command("retrain"))
    loop.end("FAILED")
    loop.advance(loop.command("retrain"))
    assert len(loop.begun) == 2


def test_a_request_waits_for_at_least_one_label() -> None:
    loop = Loop(new_labels=0)
    state = loop.advance(loop.command("retrain"))
    assert state.pending is not None
    assert state.pending.why == NOTHING_NEW.format("made-it")
    loop.new_labels = 1
    assert loop.wait(60).state is RetrainingStatus.RETRAINING


@pytest.mark.parametrize("ours", [True, False])
def test_a_request_during_a_run_is_pending_and_begins_after_it(ours: bool) -> None:
    loop = drifting() if ours else Loop(active_run="adrop0000000")
    loop.advance()
    state = loop.advance(loop.command("retrain"))
    assert state.pending is not None
    assert state.pending.why == f"run {loop.active_run} is active"
    loop.end("DEPLOYED")
    assert causes(loop)[-1] != "request" if ours else True
    loop.new_labels = 3
    assert loop.advance().state is RetrainingStatus.RETRAINING
    assert causes(loop)[-1] == "request"


def test_a_request_that_is_delivered_again_starts_no_other_retraining() -> None:
    loop = Loop()
    request = loop.command("retrain")
    loop.advance(request)
    loop.end("DEPLOYED")
    loop.new_labels = 100
    assert loop.advance(request).state is RetrainingStatus.COOLING
    assert len(loop.begun) == 1


def test_a_request_is_kept_when_another_version_becomes_live() -> None:
    loop = Loop(active_run="adrop0000000")
    loop.advance(loop.command("retrain"))
    loop.active_run = None
    loop.go_live()
    assert loop.advance().request is not None
    loop.new_labels = 1
    assert loop.advance().state is RetrainingStatus.RETRAINING
    assert loop.begun[0].version == 2


def test_a_request_for_a_model_that_is_not_live_is_pending() -> None:
    loop = Loop(champion=None)
    state = loop.advance(loop.command("retrain"))
    assert state.pending is not None
    assert state.pending.why == "no version is live"
    loop.champion = 1
    assert loop.advance().state is RetrainingStatus.RETRAINING
