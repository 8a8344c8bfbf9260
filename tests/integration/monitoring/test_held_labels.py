"""Held labels whose prediction never arrives."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from refit.handlers.wiring import services
from refit.stores.labels import MAX_CHANGES, LabelStore
from refit.usecases.expire_labels import expire_labels

from tests.support.labelled_flowers import (
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
    statuses_of,
)
from tests.support.stores import use_stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from refit.usecases.services import Services

    from tests.support.aws_stack import Stack

pytestmark = pytest.mark.usefixtures("flowers")


def test_held_labels_expire_when_their_time_is_over(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses_of(record("h", "rose", 50), record("i", "iris", 40))
    capsys.readouterr()
    assert expire_labels(services(), "flowers") == 0
    later = now() + timedelta(seconds=HELD_S + 1)
    assert expire_labels(stack.at(later), "flowers") == 2
    assert (item("h"), item("i")) == ({}, {})
    assert counted() == {"held_total": 2, "expired": 2}
    assert published(capsys.readouterr().out) == [("HeldLabelsExpired", 2)]
    lines = sorted(quarantined(stack), key=lambda line: str(line["record"]))
    assert [line["record"]["inferenceId"] for line in lines] == ["h", "i"]
    assert lines[0]["record"]["label"] == "rose"
    assert "no prediction with this id was captured within 36" in lines[0]["reason"]
    assert expire_labels(stack.at(later), "flowers") == 0


def test_every_label_of_an_expired_inference_is_quarantined(stack: Stack) -> None:
    statuses_of(record("h", "rose", 50))
    statuses_of(record("h", "iris", 40))
    assert expire_labels(stack.at(now() + timedelta(seconds=HELD_S + 1)), "flowers") == 1
    labels = [line["record"]["label"] for line in quarantined(stack)]
    assert sorted(labels) == ["iris", "rose"]


def test_the_reason_is_in_days_when_a_label_was_held_for_days(stack: Stack) -> None:
    statuses_of(record("h", "rose"))
    expire_labels(stack.at(now() + 7 * DAY), "flowers")
    assert quarantined(stack)[0]["reason"].endswith("was captured within 7 days")


class OutdatedIndex(LabelStore):
    """A label store whose index still returns earlier entries."""

    ids: tuple[str, ...] = ()

    def overdue(self, model: str, now: datetime) -> Iterator[str]:
        return iter(self.ids)


def with_outdated_index(services: Services, *ids: str) -> Services:
    store = OutdatedIndex(services.inference_table, services.model_table, services.shards)
    store.ids = ids
    use_stores(services, labels=store)
    return services


def test_a_label_that_was_joined_does_not_expire(stack: Stack) -> None:
    statuses_of(record("h", "rose"), record("i", "rose"))
    predicted("h")
    later = stack.at(now() + timedelta(seconds=HELD_S + 1))
    with meanwhile(lambda: predicted("i")):
        assert expire_labels(with_outdated_index(later, "h", "i"), "flowers") == 0
    assert (holds("h"), holds("i")) == ("rose", "rose")
    assert "h" not in [line["record"]["inferenceId"] for line in quarantined(stack)]


def test_a_label_whose_deadline_was_moved_meanwhile_does_not_expire(stack: Stack) -> None:
    statuses_of(record("h", "rose"))
    sooner = stack.at(now() + timedelta(seconds=HELD_S - 60))
    assert expire_labels(with_outdated_index(sooner, "h"), "flowers") == 0
    assert counted() == {"held": 1, "held_total": 1}


def test_labels_of_more_than_one_transaction_expire_and_those_of_other_models_do_not(
    stack: Stack,
) -> None:
    held = MAX_CHANGES + 2
    statuses_of(*[record(f"id-{n}", "rose") for n in range(held)])
    later = now() + timedelta(seconds=HELD_S + 1)
    assert expire_labels(stack.at(later), "trees") == 0
    assert expire_labels(stack.at(later), "flowers") == held
    assert counted() == {"held_total": held, "expired": held}
