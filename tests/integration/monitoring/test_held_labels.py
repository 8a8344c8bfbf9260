"""Labels whose prediction never comes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from refit.stores import labels
from refit.usecases import record_labels as labelling

from tests.integration.monitoring.labelled_flowers import (
    DAY,
    HELD_S,
    counted,
    holds,
    item,
    meanwhile,
    now,
    predicted,
    published,
    quarantined,
    record,
    told,
)

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

pytestmark = pytest.mark.usefixtures("flowers")


def test_held_labels_expire_when_their_time_is_over(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    told(record("h", "rose", 50), record("i", "iris", 40))
    capsys.readouterr()
    assert labelling.expire_held("flowers", now()) == 0
    later = now() + timedelta(seconds=HELD_S + 1)
    assert labelling.expire_held("flowers", later) == 2
    assert (item("h"), item("i")) == ({}, {})
    assert counted() == {"held_total": 2, "expired": 2}
    assert published(capsys.readouterr().out) == [("HeldLabelsExpired", 2)]
    lines = sorted(quarantined(stack), key=lambda line: str(line["record"]))
    assert [line["record"]["inferenceId"] for line in lines] == ["h", "i"]
    assert lines[0]["record"]["label"] == "rose"
    assert "no prediction with this id came within 36" in lines[0]["reason"]
    assert labelling.expire_held("flowers", later) == 0


def test_what_is_given_up_is_told_in_days_where_it_waited_for_days(stack: Stack) -> None:
    told(record("h", "rose"))
    labelling.expire_held("flowers", now() + 7 * DAY)
    assert quarantined(stack)[0]["reason"].endswith("came within 7 days")


def test_a_label_that_was_joined_is_not_given_up(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(record("h", "rose"), record("i", "rose"))
    monkeypatch.setattr(labels, "overdue", lambda *_: iter(["h", "i"]))  # as the index was
    predicted("h")
    later = now() + timedelta(seconds=HELD_S + 1)
    with meanwhile(lambda: predicted("i")):
        assert labelling.expire_held("flowers", later) == 0
    assert (holds("h"), holds("i")) == ("rose", "rose")
    assert "h" not in [line["record"]["inferenceId"] for line in quarantined(stack)]


def test_a_label_that_was_said_again_meanwhile_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told(record("h", "rose"))
    monkeypatch.setattr(labels, "overdue", lambda *_: iter(["h"]))  # as the index was
    assert labelling.expire_held("flowers", now() + timedelta(seconds=HELD_S - 60)) == 0
    assert counted() == {"held": 1, "held_total": 1}


def test_more_than_one_transaction_holds_are_given_up_and_other_models_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told(*[record(f"id-{n}", "rose") for n in range(5)])
    monkeypatch.setattr(labels, "MOST_CHANGES", 2)
    later = now() + timedelta(seconds=HELD_S + 1)
    assert labelling.expire_held("trees", later) == 0
    assert labelling.expire_held("flowers", later) == 5
    assert counted() == {"held_total": 5, "expired": 5}
