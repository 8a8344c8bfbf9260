"""The items of ModelTable that count a cohort.

COHORT#<version, 10 digits>#<start>#<shard>          counters of the cohort and of its first 50
                                                     classes; `seconds` and `files`
COHORT#<version, 10 digits>#<start>#<shard>#<block>  counters of the next 50 classes each
LABELLED#<shard>                                     labelled predictions of all versions

A cohort is the sum of its items. The counters of classes are in blocks, so that no item grows with
the number of classes. The keys of a version sort by time.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

from refit.domain.inferences.cohort_key import START_FORMAT
from refit.domain.monitoring.cohort import Cohort

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from decimal import Decimal

    from refit.domain.inferences.cohort_key import CohortKey
    from refit.stores.dynamodb import Item

LABELLED = "LABELLED#"
_BLOCK_CLASSES = 50
"""A block has 4 counters of each class. With at most 121 counters of confusions, no item has more
than 6 KB."""


def version_prefix(version: int) -> str:
    """Return the beginning of the sort keys of all cohorts of a version."""
    return f"COHORT#{version:010d}#"


def cohort_sk(version: int, start: datetime) -> str:
    """Return the beginning of the sort keys of a cohort."""
    return f"{version_prefix(version)}{start:{START_FORMAT}}"


def end_of_version(version: int) -> str:
    """Return a text after the sort keys of all cohorts of a version."""
    return f"{version_prefix(version)}~"


def counter_items(
    sums: Mapping[CohortKey, Mapping[str, Decimal | int]], shard: int
) -> Iterator[tuple[CohortKey, str, dict[str, Decimal | int]]]:
    """Yield each item of cohorts that counters belong to: cohort, sort key and its counters."""
    for cohort, counters in sums.items():
        blocks: dict[int | None, dict[str, Decimal | int]] = defaultdict(dict)
        for name, number in counters.items():
            blocks[block_of(name)][name] = number
        for block, numbers in blocks.items():
            sk = f"{cohort_sk(cohort.version, cohort.start)}#{shard:02d}"
            yield cohort, sk if block is None else f"{sk}#{block:05d}", numbers


def block_of(counter: str) -> int | None:
    """Return the block of a counter, from 1; None for the cohort's own item."""
    _, *codes = counter.split("|")
    return max(int(codes[0]), 0) // _BLOCK_CLASSES or None if codes else None


def cohorts_of(items: Iterable[Item]) -> list[Cohort]:
    """Return the cohorts of items, which are in the order of their sort keys."""

    def start_of(item: Item) -> str:
        return str(item["sk"]).split("#")[2]

    return [Cohort.from_items(list(group)) for _, group in groupby(items, key=start_of)]
