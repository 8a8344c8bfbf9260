"""The campaign of faults finds what is lost, what is counted twice, and what stays locked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest

import tests.chaos.faults  # noqa: F401 (adds all faults to the list)
from tests.chaos import __main__ as command
from tests.chaos.counting_client import CountingClient
from tests.chaos.fault import FAULTS, Fault, Needs, Outcome, select
from tests.chaos.table import show_outcomes

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

SENT = {"predictions": 20, "labelled": 20, "errors": 3}
FAULT = Fault("dropped-cup", "kitchen", "a cup is dropped", lambda subject: 1, Needs.NOTHING)


class CountedByRefit:
    """The counters that a stack shows."""

    def __init__(self, **counters: int) -> None:
        self._counters = Counter(SENT | counters)

    def counters(self, model: str, version: int) -> Counter[str]:
        return self._counters


def client(counted: CountedByRefit, **sent: Any) -> CountingClient:
    client = CountingClient(cast("User", counted), "m", cast("Digits", None), **sent)
    client.expected[1] = Counter(SENT)
    return client


def test_equal_counts_have_no_difference() -> None:
    assert not client(CountedByRefit()).difference()


def test_a_prediction_and_a_label_that_are_not_counted_are_lost() -> None:
    difference = client(CountedByRefit(predictions=19, labelled=18)).difference()
    assert (difference.lost, difference.twice) == (3, 0)
    assert difference.text == "v1: 19 predictions, sent 20; v1: 18 labelled, sent 20"


def test_what_is_counted_more_often_than_sent_is_counted_twice() -> None:
    difference = client(CountedByRefit(predictions=21, labelled=22)).difference()
    assert (difference.lost, difference.twice) == (0, 3)


def test_rows_of_calls_without_an_answer_may_be_counted_and_no_more_of_them() -> None:
    assert not client(CountedByRefit(predictions=30), unanswered=10).difference()
    assert client(CountedByRefit(predictions=31), unanswered=10).difference().twice == 1


def test_a_wrong_number_of_errors_is_a_difference() -> None:
    assert client(CountedByRefit(errors=4)).difference().errors == 1


@pytest.mark.parametrize(
    ("outcome", "survived"),
    [
        (Outcome(FAULT), True),
        (Outcome(FAULT, lost=1), False),
        (Outcome(FAULT, twice=1), False),
        (Outcome(FAULT, problem="the model is locked"), False),
        (Outcome(FAULT, left_out="no disk"), True),
    ],
)
def test_a_fault_is_survived_if_nothing_is_lost_counted_twice_or_locked(
    outcome: Outcome, survived: bool
) -> None:
    assert outcome.survived is survived


def test_the_table_says_what_was_not_survived_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    show_outcomes([Outcome(FAULT, 1, recovered_s=2), Outcome(FAULT, 1, problem="locked by r1")])
    output = capsys.readouterr().out
    assert "dropped-cup was NOT survived: locked by r1" in output
    assert "1 of 2 faults were survived" in output


def test_faults_are_selected_by_name_and_by_pattern() -> None:
    names = [fault.name for fault in select(["killed-trainer", "deleted-*"])]
    assert "killed-trainer" in names
    assert {name for name in FAULTS if name.startswith("deleted-")} < set(names)
    assert "junk-messages" not in names
    assert len(select([])) == len(FAULTS)


def test_a_name_that_matches_no_fault_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "killed-nobody"]) == 2
    assert "no fault matches 'killed-nobody'; make chaos LIST=1" in capsys.readouterr().err


def test_the_list_has_a_line_for_each_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(FAULTS)
