"""Whatever comes, in any order: never two retrainings for an alarm, nothing owed forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from refit.domain.model_settings import RetrainingSettings
from refit.domain.retraining.rules import DAY, step
from refit.domain.retraining.state import State

from tests.unit.retraining.loop import ALARM, MODEL, Loop

if TYPE_CHECKING:
    from refit.domain.retraining.state import Command, Retraining


class AnyOrder(RuleBasedStateMachine):
    """What may happen to a model, in any order; looks come whenever they come."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = Loop(
            settings=RetrainingSettings(
                min_labels=10, cooldown_s=3600, max_per_day=2, max_failures=2
            )
        )
        self.results: list[str] = []
        self.asked = self.answered = 0

    @rule()
    def alarm(self) -> None:
        self.loop.alarm = ALARM

    @rule()
    def alarm_taken_back(self) -> None:
        self.loop.alarm = None

    @rule(labels=st.integers(1, 30))
    def labels_come(self, labels: int) -> None:
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
    def somebody_looks(self) -> None:
        """What is wanted is begun or owed, whatever came before."""
        loop = self.loop
        found = self.looked()
        if loop.active_run in loop.runs:
            assert found.run == loop.active_run
        if found.request is not None:
            assert found.owed is not None
        if loop.alarm is not None:
            assert found.state is not State.HEALTHY
            assert found.owed is not None or found.state in {State.RETRAINING, State.BLOCKED}
        if found.owed is not None:
            assert found.owed.since <= loop.now

    def looked(self, command: Command | None = None) -> Retraining:
        """Look, and see that only failures in a row block."""
        found = self.loop.look(command)
        if found.state is State.BLOCKED:
            one, other = self.results[-2:]
            assert {one, other} <= {"REFUSED", "FAILED"}
        return found

    @rule()
    def the_start_breaks_off(self) -> None:
        loop = self.loop
        taken = step(MODEL, loop.retraining, loop.facts(), loop.settings, loop.now)
        if taken.start is not None:
            loop.begin(taken.start)

    @rule()
    def a_person_asks(self) -> None:
        self.looked(self.loop.say("retrain"))

    @rule()
    def a_person_unblocks(self) -> None:
        if self.looked().state is State.BLOCKED:
            self.results.append("unblocked")
        self.looked(self.loop.say("unblock"))

    @invariant()
    def an_episode_has_one_run(self) -> None:
        episodes = [(start.version, start.episode) for start in self.loop.begun]
        assert len(set(episodes)) == len(episodes)
        assert len({start.run for start in self.loop.begun}) == len(episodes)

    @invariant()
    def drift_never_exceeds_the_cap(self) -> None:
        began = [
            self.loop.runs[start.run].started_at
            for start in self.loop.begun
            if start.cause == "drift"
        ]
        for moment in began:
            assert sum(moment - DAY < other <= moment for other in began) <= 2

    def teardown(self) -> None:
        """When nothing stands in the way any more, all that is owed begins."""
        loop = self.loop
        loop.look()
        for _ in range(4):
            if loop.active_run is not None:
                loop.end("DEPLOYED")
            if loop.retraining.state is State.BLOCKED:
                loop.look(loop.say("unblock"))
            if loop.retraining.owed is not None:
                before = len(loop.begun)
                loop.new_labels += 100
                loop.wait(2 * DAY.total_seconds())
                assert len(loop.begun) == before + 1


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=150, stateful_step_count=40, deadline=None)
