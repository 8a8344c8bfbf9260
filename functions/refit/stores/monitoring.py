"""ModelTable: the counters of cohorts, the verdict on the live version, and the retraining state.

Items (pk, sk):
    MODEL#<model>  COHORT#<10 digits>#<start>  counters of one version (domain/monitoring/cohort.py)
    MODEL#<model>  MONITOR      verdict (domain/monitoring/verdict.py); next_check_at
    MODEL#<model>  RETRAINING   domain/retraining/state.py

The counters of a cohort are only added to, in the same transaction that marks an inference as
counted. The verdict and the retraining state have a revision. A change is stored only if the
revision is still the one that was read, so of two concurrent writers one has to decide again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from boto3.dynamodb.conditions import Attr, Key

from refit.domain.inferences.cohort_key import START_FORMAT
from refit.domain.moments import iso
from refit.domain.monitoring.cohort import Cohort
from refit.domain.monitoring.verdict import Verdict
from refit.domain.retraining.state import RetrainingState
from refit.stores.models import model_pk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from decimal import Decimal

    from boto3.dynamodb.conditions import ConditionBase

    from refit.domain.inferences.cohort_key import CohortKey
    from refit.domain.monitoring.verdict import DriftAlarm
    from refit.stores.dynamodb import Item, Table, Write


class MonitoringStore:
    """Stores the cohorts, verdicts and retraining states of the models."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def addition(
        self, cohort: CohortKey, sums: Mapping[str, Decimal | int], files: Iterable[int] = ()
    ) -> Write:
        """Return the write that adds to the counters of a cohort, for use in a transaction.

        Args:
            cohort: the cohort, whose item is created if it does not exist.
            sums: numbers to add, by the name of the counter.
            files: file numbers to add to the set of the cohort's capture files.
        """
        numbers = set(files)
        return self._table.update_request(
            _key(cohort.model, cohort_sk(cohort.version, cohort.start)),
            set_once={"seconds": cohort.seconds},
            add={**sums, **({"files": numbers} if numbers else {})},
        )

    def cohorts(self, model: str, version: int) -> list[Cohort]:
        """Return all cohorts of a version in the order of time."""
        condition = _pk(model) & Key("sk").begins_with(f"COHORT#{version:010d}#")
        return [Cohort.from_item(item) for item in self._table.query(condition)]

    def labelled_rows(self, model: str) -> int:
        """Return how many predictions of a model, over all its versions, have a label.

        The result is the sum of the cohorts' counters. The number of cohorts grows with time, not
        with the traffic.
        """
        return self._labelled(_pk(model) & Key("sk").begins_with("COHORT#"))

    def labelled_rows_since(self, model: str, version: int, since: datetime) -> int:
        """Return how many predictions of a version, in cohorts since a moment, have a label."""
        bounds = Key("sk").between(cohort_sk(version, since), f"COHORT#{version:010d}#~")
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


def cohort_sk(version: int, start: datetime) -> str:
    """Return the sort key of a cohort; the keys of a version sort by time."""
    return f"COHORT#{version:010d}#{start:{START_FORMAT}}"


def _follows(attribute: str, revision: int) -> ConditionBase:
    return Attr(attribute).eq(revision) if revision else Attr(attribute).not_exists()
