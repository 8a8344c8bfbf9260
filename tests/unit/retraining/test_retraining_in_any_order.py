"""Events in any order: an alarm has one retraining, and no pending retraining is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from refit.domain.model_settings import RetrainingSettings
from refit.domain.retraining.rules import DAY, step
from refit.domain.retraining.state import RetrainingStatus

from tests.unit.retraining.loop import ALARM, MODEL, Loop

if TYPE_CHECKING:
    from refit.domain.retraining.state import RetrainingState, UserCommand


class AnyOrder(RuleBasedStateMachine):
    """All events that can happen to a model, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop(
            settings=RetrainingSettings(
                min_labels=10, cooldown_s=3600, max_per_day=2, max_failures=2
            )
        )
        self.results: list[str] = []

    @rule()
    def alarm(self) -> None:
        self.loop.alarm = ALARM

    @rule()
    def alarm_taken_back(self) -> None:
        self.loop.alarm = None

    @rule(labels=st.integers(1, 30))
    def labels_arrive(self, labels: int) -> None:
        self.loop.new_labels += labels

    @rule(seconds=st.sampled_from([1, 1800, 3600, 40_000, 90_000]))
    def time_passes(self, seconds: int) -> None:
        self.loop.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.loop.active_run is None)
    @rule()
    def a_drop_begins(self) -> None:
        self.loop.active_run = "adrop0000000"

    @precondition(lambda self: self.loop.active_run == "adrop0000000")
    @rule(better=st.booleans())
    def the_drop_ends(self, better: bool) -> None:
        self.loop.active_run = None
        if better:
            self.results.append("new version")
            self.loop.go_live()

    @precondition(lambda self: self.loop.active_run in self.loop.runs)
    @rule(status=st.sampled_from(["DEPLOYED", "REFUSED", "FAILED"]))
    def the_run_ends(self, status: str) -> None:
        run = self.loop.active_run or ""
        self.loop.active_run = None
        self.loop.set_status(run, status)
        self.results.append(status)
        if status == "DEPLOYED":
            self.loop.go_live()

    @rule()
    def a_step_is_taken(self) -> None:
        """Check that a retraining that is needed has begun or is pending."""
        loop = self.loop
        state = self.advanced()
        if loop.active_run in loop.runs:
            assert state.run == loop.active_run
        if state.request is not None:
            assert state.pending is not None
        if loop.alarm is not None:
            assert state.state is not RetrainingStatus.HEALTHY
            assert state.pending is not None or state.state in {
                RetrainingStatus.RETRAINING,
                RetrainingStatus.BLOCKED,
            }
        if state.pending is not None:
            assert state.pending.since <= loop.now

    def advanced(self, command: UserCommand | None = None) -> RetrainingState:
        """Advance, and check that only consecutive failures block the model."""
        state = self.loop.advance(command)
        if state.state is RetrainingStatus.BLOCKED:
            assert len(self.results) > 1
            assert set(self.results[-2:]) <= {"REFUSED", "FAILED"}
        return state

    @rule()
    def a_start_fails_half_way(self) -> None:
        loop = self.loop
        taken = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
        if taken.start is not None:
            loop.begin(taken.start)

    @rule()
    def a_user_requests_a_retraining(self) -> None:
        self.advanced(self.loop.command("retrain"))

    @rule()
    def a_user_unblocks(self) -> None:
        if self.advanced().state is RetrainingStatus.BLOCKED:
            self.results.append("unblocked")
        self.advanced(self.loop.command("unblock"))

    @invariant()
    def an_episode_has_one_run(self) -> None:
        episodes = [(start.version, start.episode) for start in self.loop.begun]
        assert len(set(episodes)) == len(episodes)
        assert len({start.run for start in self.loop.begun}) == len(episodes)

    @invariant()
    def drift_never_exceeds_the_daily_limit(self) -> None:
        began = [
            self.loop.runs[start.run].started_at
            for start in self.loop.begun
            if start.cause == "drift"
        ]
        for moment in began:
            assert sum(moment - DAY < other <= moment for other in began) <= 2

    def teardown(self) -> None:
        """Check that a pending retraining begins when nothing blocks it any more."""
        loop = self.loop
        loop.advance()
        for _ in range(4):
            if loop.active_run is not None:
                loop.end("DEPLOYED")
            if loop.retraining.state is RetrainingStatus.BLOCKED:
                loop.advance(loop.command("unblock"))
            if loop.retraining.pending is not None:
                before = len(loop.begun)
                loop.new_labels += 100
                loop.wait(2 * DAY.total_seconds())
                assert len(loop.begun) == before + 1


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=150, stateful_step_count=40)
