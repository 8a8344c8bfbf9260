"""Run faults one after another, and judge each by the same rules.

A fault is survived if, within the times of `subject`,
- the run that it met has ended in a named state, and no lock is held,
- the next drop is deployed,
- every answered prediction and every accepted label is counted, and counted once.
"""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tests.chaos.fault import CannotBeTried, Fault, Needs, NotSurvived, Outcome
from tests.chaos.own_stack import OwnStack, Start
from tests.chaos.subject import COUNT_S, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User


class Campaign:
    """Faults that are tried on models of a stack, and on stacks of their own.

    Args:
        user: returns the user of the stack for the faults that need a model only.
        digits: rows to train on and to predict.
        seed: with the name of a fault, it decides at which moments it is injected.
        port: the port of the stacks that faults have for themselves.
    """

    def __init__(
        self, user: Callable[[], User], digits: Digits, seed: int, port: int | None = None
    ) -> None:
        self._user = user
        self._digits = digits
        self._seed = seed
        self._port = port
        self._subject: Subject | None = None
        self._models = 0

    def run(self, faults: Sequence[Fault]) -> Iterator[Outcome]:
        """Try faults; yield what was seen of each."""
        for fault in faults:
            yield self._try(fault)

    def _try(self, fault: Fault) -> Outcome:
        try:
            match fault.needs:
                case Needs.MODEL | Needs.NEW_MODEL:
                    return self._on_shared_stack(fault)
                case Needs.NEW_STACK | Needs.KEPT_STACK:
                    return self._on_own_stack(fault)
                case Needs.NOTHING:
                    return self._without_model(fault)
        except CannotBeTried as reason:
            return Outcome(fault, left_out=str(reason))
        except Exception as error:  # the other faults are tried
            return Outcome(fault, problem=_text(error))

    def _on_shared_stack(self, fault: Fault) -> Outcome:
        is_own = fault.needs is Needs.NEW_MODEL
        subject = None if is_own else self._subject
        if subject is None:
            subject = self._new_subject(self._user(), fault)
        outcome = self._judge(fault, subject)
        if not is_own:
            self._subject = subject if outcome.survived else None
        return outcome

    def _new_subject(self, user: User, fault: Fault, own_stack: OwnStack | None = None) -> Subject:
        self._models += 1
        model = f"chaos-{self._models}"
        subject = Subject(user, self._digits, model, fault.settings, own_stack)
        subject.begin()
        return subject

    def _on_own_stack(self, fault: Fault) -> Outcome:
        assert self._port is not None
        stack = OwnStack(self._port, keep=fault.needs is Needs.KEPT_STACK)
        stack.discard()
        try:
            return self._judge(fault, self._new_subject(stack.start(), fault, stack))
        finally:
            stack.discard()

    def _without_model(self, fault: Fault) -> Outcome:
        assert self._port is not None
        stack = OwnStack(self._port, keep=False)
        stack.discard()
        start = Start(stack, self._random(fault), self._digits)
        try:
            return Outcome(fault, fault.inject(start), note=start.note)
        finally:
            stack.discard()

    def _judge(self, fault: Fault, subject: Subject) -> Outcome:
        subject.random = self._random(fault)
        subject.note, subject.count_s, subject.injected_at = "", COUNT_S, None
        client = subject.client
        calls, failed, refused = client.calls, client.failed_calls, client.refused
        outcome = Outcome(fault)
        try:
            with client.traffic():
                outcome = replace(outcome, times=fault.inject(subject))
                injected = subject.injected_at or time.monotonic()
                subject.wait_until_at_rest()
                outcome = replace(outcome, recovered_s=time.monotonic() - injected)
                subject.drop()
                subject.require_deployed()
        except Exception as error:
            outcome = replace(outcome, problem=_text(error))
        notes = [subject.note] if subject.note else []
        if client.failed_calls > failed:
            notes.append(f"{client.failed_calls - failed} of {client.calls - calls} calls failed")
        if client.refused > refused:
            notes.append(f"{client.refused - refused} labels rejected")
        return self._with_counts(replace(outcome, note=", ".join(notes)), subject)

    def _with_counts(self, outcome: Outcome, subject: Subject) -> Outcome:
        try:
            difference = subject.wait_until_exact()
        except Exception as error:
            return replace(outcome, problem=outcome.problem or _text(error))
        problem = outcome.problem
        if difference and problem is None:
            problem = f"not counted exactly: {difference.text}"
        return replace(outcome, lost=difference.lost, twice=difference.twice, problem=problem)

    def _random(self, fault: Fault) -> Random:
        return Random(f"{self._seed} {fault.name}")


def _text(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, NotSurvived) else f"{type(error).__name__}: {text}"
