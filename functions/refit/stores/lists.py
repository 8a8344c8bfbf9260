"""ModelTable: pages of the models and of their runs, and overviews of many models at once.

The number of reads does not grow with the number of runs: BEGUN items index the runs by their
start, and the state of a model names its last one (stores/models.py).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key

from refit.domain.monitoring.verdict import Verdict
from refit.domain.pipeline.model_state import ModelState
from refit.domain.pipeline.run import Run
from refit.domain.retraining.state import RetrainingState
from refit.stores.cohort_items import cohort_sk, cohorts_of, version_prefix
from refit.stores.models import BEGUN, model_pk
from refit.stores.shards import SHARDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from boto3.dynamodb.conditions import ConditionBase

    from refit.domain.monitoring.cohort import Cohort
    from refit.stores.dynamodb import Item, Table

_AFTER_ALL = "~"
_STATE, _VERDICT, _RETRAINING = "STATE", "MONITOR", "RETRAINING"


@dataclass(frozen=True)
class Overview:
    """What a list shows of one model.

    Attributes:
        run: the run that began last.
    """

    model: str
    state: ModelState
    verdict: Verdict | None
    retraining: RetrainingState
    run: Run | None


class ModelLists:
    """Reads pages of lists. The elements are read once more consistently than their index."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def models(self, after: str | None, limit: int) -> list[str]:
        """Return the names of models after a name, in order."""
        condition: ConditionBase = Key("pk").eq("MODELS")
        if after is not None:
            condition = condition & Key("sk").gt(after)
        return [str(item["sk"]) for item in self._table.first(condition, limit)]

    def overviews(self, models: Sequence[str]) -> list[Overview]:
        """Return the overviews of models, in their order; a model without a state is left out."""
        kinds = (_STATE, _VERDICT, _RETRAINING)
        items: dict[str, dict[str, Item]] = defaultdict(dict)
        for item in self._table.get_many(_key(model, kind) for model in models for kind in kinds):
            items[_model_of(item)][item["sk"]] = item
        states = {
            model: ModelState.model_validate(items[model][_STATE])
            for model in models
            if _STATE in items[model]
        }
        runs = self._runs((model, state.last_run) for model, state in states.items())
        return [
            Overview(
                model=model,
                state=state,
                verdict=_verdict(items[model].get(_VERDICT, {})),
                retraining=_retraining(items[model].get(_RETRAINING, {})),
                run=runs.get((model, state.last_run)),
            )
            for model, state in states.items()
        ]

    def runs(self, model: str, after: str | None, limit: int) -> tuple[list[Run], str | None]:
        """Return a page of the runs of a model, newest first, and where the next page begins.

        Args:
            model: its name.
            after: where the page before ended; None for the first page.
            limit: most runs of the page.
        """
        bounds = Key("sk").between(BEGUN, after or f"{BEGUN}{_AFTER_ALL}")
        newest = self._table.newest(Key("pk").eq(model_pk(model)) & bounds, limit + 2)
        keys = [item for item in islice(newest, limit + 2) if item["sk"] != after]
        shown = keys[:limit]
        runs = self._runs((model, str(item["run"])) for item in shown)
        found = [run for item in shown if (run := runs.get((model, str(item["run"])))) is not None]
        return found, str(shown[-1]["sk"]) if len(keys) > limit else None

    def runs_of(self, model: str, runs: Iterable[str]) -> dict[str, Run]:
        """Return runs of a model by their id."""
        found = self._runs((model, run) for run in runs)
        return {run.run: run for run in found.values()}

    def runs_of_versions(self, model: str, versions: Iterable[int]) -> dict[int, str]:
        """Return the run that made each version; without versions that no run made."""
        keys = [_key(model, f"VERSION#{version:010d}") for version in versions]
        return {int(item["version"]): str(item["run"]) for item in self._table.get_many(keys)}

    def cohorts(
        self, model: str, version: int, before: datetime | None, limit: int
    ) -> tuple[list[Cohort], bool]:
        """Return the newest cohorts of a version before a moment, and whether there are more."""
        end = f"{version_prefix(version)}~" if before is None else cohort_sk(version, before)
        bounds = Key("sk").between(version_prefix(version), end)
        items = self._table.newest(
            Key("pk").eq(model_pk(model)) & bounds, (limit + 1) * SHARDS, consistent=False
        )
        groups = groupby(items, key=lambda item: str(item["sk"]).split("#")[2])
        cohorts = [cohorts_of(list(group))[0] for _, group in islice(groups, limit + 1)]
        return cohorts[:limit], len(cohorts) > limit

    def _runs(self, wanted: Iterable[tuple[str, str | None]]) -> dict[tuple[str, str | None], Run]:
        keys = [_key(model, f"RUN#{run}") for model, run in dict.fromkeys(wanted) if run]
        runs = (Run.model_validate(item) for item in self._table.get_many(keys))
        return {(run.model, run.run): run for run in runs}


def _verdict(item: dict[str, Any]) -> Verdict | None:
    return Verdict.model_validate(item["verdict"]) if "verdict" in item else None


def _retraining(item: dict[str, Any]) -> RetrainingState:
    kept = {name: value for name, value in item.items() if name not in {"pk", "sk"}}
    return RetrainingState.model_validate(kept)


def _model_of(item: Item) -> str:
    return str(item["pk"]).removeprefix(model_pk(""))


def _key(model: str, sk: str) -> Item:
    return {"pk": model_pk(model), "sk": sk}
