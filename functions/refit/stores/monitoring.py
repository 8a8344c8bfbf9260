"""ModelTable: the counters of cohorts, the verdict on the live version, and the retraining state.

Items (pk, sk):
    MODEL#<model>  COHORT#… and LABELLED#…  counters of the cohorts (stores/cohort_items.py)
    MODEL#<model>  MONITOR      verdict (domain/monitoring/verdict.py); next_check_at
    MODEL#<model>  RETRAINING   domain/retraining/state.py

The counters of a cohort are only added to, in the same transaction that marks an inference as
counted. The verdict and the retraining state have a revision. A change is stored only if the
revision is still the one that was read, so of two concurrent writers one has to decide again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from boto3.dynamodb.conditions import Attr, Key

from refit.domain.moments import iso
from refit.domain.monitoring.verdict import Verdict
from refit.domain.retraining.state import RetrainingState
from refit.stores.cohort_items import (
    LABELLED,
    cohort_sk,
    cohorts_of,
    counter_items,
    end_of_version,
    version_prefix,
)
from refit.stores.models import model_pk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from boto3.dynamodb.conditions import ConditionBase

    from refit.domain.inferences.cohort_key import CohortKey
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.verdict import DriftAlarm
    from refit.stores.dynamodb import Item, Table, Write
    from refit.stores.shards import Shards

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

_SETTLED_FOR = timedelta(hours=1)
"""How long a process uses settled cohorts before it reads them again."""

_KEPT_BYTES = 400_000_000
"""Memory for the settled cohorts that a process keeps. A year of hourly cohorts with 500 classes
needs 350 MB, one with 10 classes 215."""

_CLASS_BYTES, _CONFUSION_BYTES = 20, 200


@dataclass(frozen=True)
class _SettledCohorts:
    """Cohorts whose labels are complete, as they were read.

    Attributes:
        run: run that made the version. A model that was removed and begun again has other runs.
        until: start of the first cohort that is not among them.
    """

    run: str
    read_at: datetime
    until: datetime
    cohorts: list[Cohort]

    @cached_property
    def size_bytes(self) -> int:
        classes = sum(len(it.shown.classes) + len(it.matured.classes) for it in self.cohorts)
        confusions = sum(len(it.shown.confusion) for it in self.cohorts)
        return classes * _CLASS_BYTES + confusions * _CONFUSION_BYTES


class MonitoringStore:
    """Stores the cohorts, verdicts and retraining states of the models."""

    def __init__(self, table: Table, shards: Shards) -> None:
        self._table = table
        self._shards = shards
        self._settled: dict[str, _SettledCohorts] = {}

    def additions(
        self,
        model: str,
        sums: Mapping[CohortKey, Mapping[str, Decimal | int]],
        files: Iterable[int] = (),
    ) -> list[Write]:
        """Return the writes that add to the counters of cohorts, for use in a transaction.

        Args:
            model: name of the model.
            sums: numbers to add, by cohort and name of the counter. Items are created if they do
                not exist.
            files: file numbers to add to the sets of the cohorts' capture files.
        """
        numbers = {"files": set(files)} if files else {}
        shard = self._shards.current()
        writes = [
            self._table.update_request(
                _key(model, sk),
                set_once={"seconds": cohort.seconds},
                add={**counters, **numbers},
            )
            for cohort, sk, counters in counter_items(sums, shard)
        ]
        labelled = sum(counters.get("labelled", 0) for counters in sums.values())
        if labelled:
            key = _key(model, f"{LABELLED}{shard:02d}")
            writes.append(self._table.update_request(key, add={"labelled": labelled}))
        return writes

    def cohorts(self, model: str, version: int) -> list[Cohort]:
        """Return all cohorts of a version in the order of time."""
        condition = _pk(model) & Key("sk").begins_with(version_prefix(version))
        return cohorts_of(self._table.query(condition))

    def recent_cohorts(
        self, model: str, version: int, run: str, settled_until: datetime, now: datetime
    ) -> list[Cohort]:
        """Return all cohorts of a version, with settled ones as they were up to an hour ago.

        The labels of a settled cohort are complete, so it changes rarely. The process keeps settled
        cohorts and reads the others only. The reads are eventually consistent: the next check sees
        what this one misses.

        Args:
            model: name of the model.
            version: version of the model.
            run: run that made the version.
            settled_until: cohorts that started before it are settled.
            now: time of the check.
        """
        kept = self._settled.get(model)
        if kept is None or kept.run != run or not kept.read_at <= now < kept.read_at + _SETTLED_FOR:
            cohorts = self._cohorts_between(model, version, _LONG_AGO)
            settled = [cohort for cohort in cohorts if cohort.start < settled_until]
            self._keep(model, _SettledCohorts(run, now, settled_until, settled))
            return cohorts
        return kept.cohorts + self._cohorts_between(model, version, kept.until)

    def _cohorts_between(self, model: str, version: int, since: datetime) -> list[Cohort]:
        bounds = Key("sk").between(cohort_sk(version, since), end_of_version(version))
        return cohorts_of(self._table.query(_pk(model) & bounds, consistent=False))

    def _keep(self, model: str, settled: _SettledCohorts) -> None:
        self._settled.pop(model, None)
        self._settled[model] = settled
        while sum(each.size_bytes for each in self._settled.values()) > _KEPT_BYTES:
            self._settled.pop(next(iter(self._settled)))  # the one that was read first

    def labelled_rows(self, model: str) -> int:
        """Return how many predictions of a model, over all its versions, have a label."""
        return self._labelled(_pk(model) & Key("sk").begins_with(LABELLED))

    def labelled_rows_since(self, model: str, version: int, since: datetime) -> int:
        """Return how many predictions of a version, in cohorts since a moment, have a label."""
        bounds = Key("sk").between(cohort_sk(version, since), end_of_version(version))
        return self._labelled(_pk(model) & bounds)

    def _labelled(self, condition: ConditionBase) -> int:
        items = self._table.query(condition, attributes="labelled")
        return sum(int(item.get("labelled", 0)) for item in items)

    def claim_check(self, model: str, now: datetime, every_s: int) -> bool:
        """Claim the next drift check; True for exactly one caller per `every_s` seconds."""
        condition = Attr("next_check_at").not_exists() | Attr("next_check_at").lte(iso(now))
        next_check_at = iso(now + timedelta(seconds=every_s))
        return self._update(model, {"next_check_at": next_check_at}, condition)

    def verdict(self, model: str) -> Verdict | None:
        """Return the verdict of the latest check, or None before the first check."""
        item = self._table.get(_key(model, "MONITOR")) or {}
        return Verdict.model_validate(item["verdict"]) if "verdict" in item else None

    def save_verdict(self, model: str, verdict: Verdict) -> bool:
        """Store a verdict; return False when another one was stored concurrently.

        Args:
            model: name of the model.
            verdict: new verdict with the revision of the verdict that it replaces, or 0.
        """
        after = verdict.model_copy(update={"revision": verdict.revision + 1})
        condition = _follows("verdict.revision", verdict.revision)
        return self._update(model, {"verdict": after.model_dump(mode="json")}, condition)

    def mark_notified(self, model: str, alarm: DriftAlarm) -> None:
        """Record that people were notified of an alarm, unless a newer one has replaced it."""
        self._table.apply(
            self._table.update_request(
                _key(model, "MONITOR"),
                set={"verdict.alarm.notified": True},
                increment={"verdict.revision": 1},
                condition=Attr("verdict.alarm.raised_at").eq(iso(alarm.raised_at)),
            )
        )

    def retraining(self, model: str) -> RetrainingState:
        """Return the retraining state of a model; an unknown model is healthy."""
        item = self._table.get(_key(model, "RETRAINING")) or {}
        return RetrainingState.model_validate(
            {name: value for name, value in item.items() if name not in {"pk", "sk"}}
        )

    def save_retraining(self, model: str, after: RetrainingState) -> bool:
        """Store a retraining state; return False when it was changed concurrently.

        Args:
            model: name of the model.
            after: new state, derived from the result of `retraining` and with its revision.
        """
        item = after.model_copy(update={"revision": after.revision + 1}).model_dump(mode="json")
        return self._table.apply(
            self._table.put_request(
                _key(model, "RETRAINING") | item, condition=_follows("revision", after.revision)
            )
        )

    def _update(self, model: str, values: Item, condition: ConditionBase) -> bool:
        key = _key(model, "MONITOR")
        return self._table.apply(self._table.update_request(key, set=values, condition=condition))


def _pk(model: str) -> ConditionBase:
    return Key("pk").eq(model_pk(model))


def _key(model: str, sk: str) -> Item:
    return {"pk": model_pk(model), "sk": sk}


def _follows(attribute: str, revision: int) -> ConditionBase:
    return Attr(attribute).eq(revision) if revision else Attr(attribute).not_exists()
