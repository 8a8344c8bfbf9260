"""Which objects of the ledger a retraining reads, when days are compacted in between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.naming import ModelKeys
from refit.domain.pipeline.manifest import ObjectVersion, Slice
from refit.domain.retraining.ledger_days import (
    by_day,
    day_of,
    days_to_list,
    is_closed,
    slices_of_retraining,
)

KEYS = ModelKeys("digits")
FIRST = date(2026, 11, 1)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def stored(key: str) -> ObjectVersion:
    return ObjectVersion(key=key, version=f"v-{key}", size=1, last_modified=NOW)


@dataclass
class Ledger:
    """A ledger in memory: its slices, its compacted days, and the champion's training data."""

    day: int = 0
    slices: list[str] = field(default_factory=list)
    days: dict[str, list[str]] = field(default_factory=dict)
    used: tuple[Slice, ...] = ()
    trained: set[str] = field(default_factory=set)

    @property
    def today(self) -> str:
        return (FIRST + timedelta(days=self.day)).isoformat()

    def label(self) -> None:
        self.slices.append(KEYS.labelled_slice(self.today, f"{len(self.slices):032d}"))

    def compact(self) -> None:
        for key in self.slices:
            day = day_of(key)
            whole = KEYS.labelled_day(day)
            if day < self.today and whole not in self.days:
                self.days[whole] = [each for each in self.slices if day_of(each) == day]

    def retrain(self) -> tuple[Slice, ...]:
        """Return what a retraining reads."""
        compacted = [stored(key) for key in sorted(self.days)]
        last = day_of(compacted[-1].key) if compacted else ""
        listed = [key for key in self.slices if day_of(key) > last]
        for day in days_to_list(self.used, compacted):
            listed += [key for key in self.slices if day_of(key) == day]
        return slices_of_retraining(self.used, compacted, [stored(key) for key in listed])

    def contents(self, named: tuple[Slice, ...], fresh: bool) -> Counter[str]:
        """Return how often each slice is read, in the fresh objects or in the others."""
        counts: Counter[str] = Counter()
        for each in named:
            if each.fresh is fresh:
                counts.update(self.days.get(each.key, [each.key]))
        return counts


def step(ledger: Ledger, action: str) -> None:
    if action == "label":
        ledger.label()
    elif action == "next day":
        ledger.day += 1
    elif action == "compact":
        ledger.compact()
    else:
        named = ledger.retrain()
        known, fresh = ledger.contents(named, fresh=False), ledger.contents(named, fresh=True)
        assert known == Counter(ledger.trained), "what the champion knows is not fresh"
        assert known + fresh == Counter(ledger.slices), "each line is read once"
        if action == "promote":
            ledger.used, ledger.trained = named, set(ledger.slices)


@given(
    st.lists(
        st.sampled_from(["label", "label", "label", "next day", "compact", "retrain", "promote"]),
        max_size=40,
    )
)
def test_each_slice_is_read_once_and_is_fresh_unless_the_champion_knows_it(
    actions: list[str],
) -> None:
    ledger = Ledger()
    for action in [*actions, "retrain"]:
        step(ledger, action)


def test_a_year_of_labels_is_read_in_one_object_for_each_day() -> None:
    ledger = Ledger()
    for day in range(365):
        for _ in range(20):
            ledger.label()
        if day % 30 == 7:
            step(ledger, "promote")  # in the middle of a day
            ledger.label()
        ledger.day += 1
        ledger.compact()
    ledger.label()
    named = ledger.retrain()
    assert len(named) <= 365 + 22
    step(ledger, "promote")
    ledger.day += 1
    ledger.compact()
    assert len(ledger.retrain()) == 366


def test_the_version_that_the_champion_read_is_read_again() -> None:
    key = KEYS.labelled_slice("2026-11-20", "a")
    used = Slice(**stored(key).model_dump() | {"version": "old"}, fresh=True)
    (named,) = slices_of_retraining([used], [], [stored(key)])
    assert (named.version, named.fresh) == ("old", False)


@pytest.mark.parametrize(
    ("now", "closed"),
    [
        (datetime(2026, 11, 20, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 21, 0, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 21, 1, 0, tzinfo=UTC), True),
    ],
)
def test_a_day_is_closed_an_hour_after_its_end(now: datetime, closed: bool) -> None:
    assert is_closed("2026-11-20", now) is closed


def test_slices_and_compacted_days_name_their_day() -> None:
    keys = [KEYS.labelled_slice("2026-11-20", "a"), KEYS.labelled_day("2026-11-20")]
    assert list(by_day(map(stored, keys))) == ["2026-11-20"]
