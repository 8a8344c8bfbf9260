"""Measure what a drift check reads of the cohorts of one version, after a year of hourly cohorts.

    .venv/bin/python benchmarks/cohort_reads.py

The store reads items that a stand-in for DynamoDB keeps in memory. A read unit is 4 KB of a
strongly consistent read, or 8 KB of an eventually consistent one. `first` is the first check of a
process, which reads all cohorts, and happens once an hour; `later` is any other check. `before` is
a strongly consistent read of all cohorts in each check. `a month` is the price of a check every
minute, at $0.125 for a million units (us-east-1, on demand).
"""

from __future__ import annotations

import resource
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

KIB_PER_UNIT = 1 if sys.platform != "darwin" else 1 / 1024
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
YEAR, MONTH = 8760, 720
LABELS_AN_HOUR = 4_000
PRICE = 0.125 / 1_000_000
CHECKS = 60 * MONTH


class Items:
    """Answers queries from items in memory, and counts the bytes that DynamoDB would read."""

    def __init__(self, items: list[tuple[str, dict[str, Any], int]]) -> None:
        self.items = items
        self.bytes = 0

    def get_paginator(self, _: str) -> Any:
        return SimpleNamespace(paginate=self.pages)

    def pages(self, **request: Any) -> Any:
        low = min(
            value["S"]
            for value in request["ExpressionAttributeValues"].values()
            if value["S"].startswith("COHORT#")
        )
        found = [entry for entry in self.items if entry[0] >= low]
        self.bytes += sum(size for _, _, size in found)
        yield {"Items": [item for _, item, _ in found]}

    def units(self, *, consistent: bool) -> float:
        units = self.bytes / 4096 / (1 if consistent else 2)
        self.bytes = 0
        return units


def items_of(classes: int, shards: int, hours: int) -> list[tuple[str, dict[str, Any], int]]:
    from refit.domain.inferences.cohort_key import CohortKey
    from refit.stores.cohort_items import counter_items

    items = []
    for hour in range(hours):
        key = CohortKey("digits", 1, BEGIN + timedelta(hours=hour), 3600)
        for shard in range(shards):
            labels = LABELS_AN_HOUR // shards
            for _, sk, numbers in counter_items({key: counters(classes, labels)}, shard):
                values = {"pk": "MODEL#digits", "sk": sk, "seconds": 3600} | numbers
                size = sum(len(name) + size_of(value) for name, value in values.items())
                items.append((sk, {name: wire(value) for name, value in values.items()}, size))
    return sorted(items, key=lambda entry: entry[0])


def counters(classes: int, labels: int) -> dict[str, Decimal | int]:
    sums: dict[str, Decimal | int] = {
        "predictions": labels,
        "labelled": labels,
        "errors": labels // 10,
        "delay_sum": Decimal(labels) * 60,
        "delay_n": labels,
        "loss_sum": Decimal(labels) / 3,
        "loss_n": labels,
        "t_labelled": labels,
        "t_errors": labels // 10,
    }
    for code in range(classes):
        count = max(labels // classes, 1)
        for kind in "st":
            sums |= {f"{kind}|{code}|n": count, f"{kind}|{code}|k": count // 10 + 1}
        if classes <= 10:
            sums |= {f"c|{code}|{other}": count // classes + 1 for other in range(classes)}
    return sums


def size_of(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(str(value)) // 2 + 2


def wire(value: Any) -> dict[str, str]:
    return {"S": value} if isinstance(value, str) else {"N": str(value)[:30]}


def checked(classes: int, shards: int, hours: int) -> str:
    from refit.stores.dynamodb import Table
    from refit.stores.monitoring import MonitoringStore
    from refit.stores.shards import Shards

    client = Items(items_of(classes, shards, hours))
    store = MonitoringStore(Table(client, "models"), Shards())
    now = BEGIN + timedelta(hours=hours)
    settled = now - timedelta(days=3, hours=1)  # label_wait_s, three days by default
    seconds, units = [], []
    for minute in range(2):
        began_s = time.perf_counter()
        store.recent_cohorts("digits", 1, "run", settled, now + timedelta(minutes=minute))
        seconds.append(time.perf_counter() - began_s)
        units.append(client.units(consistent=False))
    before = 2 * units[0]
    dollars = PRICE * (MONTH * units[0] + (CHECKS - MONTH) * units[1])
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_PER_UNIT / 1024
    return (
        f"{classes:7} {shards:7} {hours:7,} {before:9,.0f} {units[0]:8,.0f} {units[1]:8,.0f} "
        f"{seconds[0]:7.1f} {seconds[1]:7.2f} {CHECKS * before * PRICE:9,.2f} {dollars:7,.2f} "
        f"{peak_mb:4.0f}"
    )


def main() -> None:
    from multiprocessing import get_context

    print("                            units a check              seconds        $ a month")
    print(
        "classes  shards cohorts    before    first    later   first   later    before     now   MB"
    )
    for case in ((3, 1, YEAR), (3, 4, YEAR), (10, 4, YEAR), (500, 1, MONTH)):
        with get_context("spawn").Pool(1) as pool:
            print(pool.apply(checked, case), flush=True)


if __name__ == "__main__":
    main()
