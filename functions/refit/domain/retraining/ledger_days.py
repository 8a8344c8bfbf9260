"""Days of the ledger: which slices are compacted, and which objects a retraining reads.

A day of the ledger is closed when no slice can be added to it any more. Its slices are then also
written into one object, the compacted day, so that a retraining reads one object for each day. The
slices stay, because training sets refer to their versions.

A retraining reads each line once: either the compacted day, or the slices of the day one by one, if
only some of them were in the champion's training data.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from refit.domain.pipeline.manifest import Slice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from refit.domain.pipeline.manifest import ObjectVersion

_GRACE = timedelta(hours=1)
"""A slice is written within seconds after its day was determined, and the clocks of two processes
differ by less than a minute."""


def day_of(key: str) -> str:
    """Return the day, YYYY-MM-DD, of a slice or of a compacted day."""
    *_, folder, name = key.split("/")
    return folder.removeprefix("dt=") if folder.startswith("dt=") else name.partition(".")[0]


def is_closed(day: str, now: datetime) -> bool:
    """Return whether no slice can be added to a day any more."""
    end = datetime.combine(date.fromisoformat(day), time(), UTC) + timedelta(days=1)
    return now >= end + _GRACE


def by_day(objects: Iterable[ObjectVersion]) -> dict[str, list[ObjectVersion]]:
    """Return objects by their day, in the order of the days."""
    days: dict[str, list[ObjectVersion]] = defaultdict(list)
    for entry in objects:
        days[day_of(entry.key)].append(entry)
    return {day: days[day] for day in sorted(days)}


def days_to_list(used: Iterable[Slice], compacted: Iterable[ObjectVersion]) -> list[str]:
    """Return the compacted days of which the champion was trained on single slices.

    Args:
        used: what the champion was trained on.
        compacted: all compacted days.
    """
    used_keys = {each.key for each in used}
    new = {day_of(each.key) for each in compacted if each.key not in used_keys}
    return sorted(new & {day_of(key) for key in used_keys})


def slices_of_retraining(
    used: Sequence[Slice], compacted: Sequence[ObjectVersion], slices: Sequence[ObjectVersion]
) -> tuple[Slice, ...]:
    """Return the objects that a retraining reads; those of the champion's training data come first.

    Args:
        used: what the champion was trained on.
        compacted: all compacted days.
        slices: the slices of all days that are not compacted, and of `days_to_list`.
    """
    used_keys = {each.key for each in used}
    days = by_day(slices)
    named: list[Slice] = []
    covered: set[str] = set()
    for whole in compacted:
        day = day_of(whole.key)
        parts = {each.key for each in days.get(day, ())}
        if parts.isdisjoint(used_keys) or parts <= used_keys:
            is_known = whole.key in used_keys or bool(parts & used_keys)
            named.append(Slice(**whole.model_dump(), fresh=not is_known))
            covered.add(day)
    known = [
        Slice.model_validate(each.model_dump(include=set(Slice.model_fields)) | {"fresh": False})
        for each in used
        if day_of(each.key) not in covered
    ]
    fresh = [
        Slice(**each.model_dump(), fresh=True)
        for each in slices
        if each.key not in used_keys and day_of(each.key) not in covered
    ]
    return tuple(sorted([*known, *named, *fresh], key=lambda each: (each.fresh, each.key)))
