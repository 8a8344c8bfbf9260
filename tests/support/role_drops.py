"""Prepare drops whose settings name a column of weights, groups or times."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.data_settings import DataSettings
from refit.domain.pipeline.schema_change import LiveVersion
from refit.tabular.dataset import tables_of
from refit.tabular.preparation import prepare
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.table import CsvTable

from tests.support.preparing import dropped

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from refit.domain.learned import Learned
    from refit.domain.pipeline.split_rule import SplitRule
    from refit.domain.schema import Schema


def key(row: int) -> int:
    """Return another number for each row, which does not look like a row id."""
    return row * 7919 % 10_007


ROWS_BY_KEY = {key(row): row for row in range(10_007)}


@dataclass(frozen=True)
class RoleDrop:
    """A prepared drop: its rows by split, as they are written for training and evaluation."""

    schema: Schema
    learned: Learned
    split: SplitRule
    comparable: bool
    train: list[str]
    validation: list[str]
    test: list[str]
    features: list[str]
    labels: list[str]
    weights: list[str]
    times: list[str]
    refused: list[dict[str, Any]]

    @property
    def held_out(self) -> list[str]:
        return self.validation + self.test

    def column(self, split: str, name: str) -> list[str]:
        """Return the cells of a feature in the rows of a split."""
        index = [feature.name for feature in self.schema.features].index(name)
        first = len(getattr(self, split)[0].split(",")) - len(self.schema.features)
        return [row.split(",")[first + index] for row in getattr(self, split)]


class RoleDrops:
    """Prepares drops in a row, each with the schema of the one before if asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0

    def __call__(
        self,
        files: dict[str, str] | str,
        prior: Schema | None = None,
        labelled: Sequence[str] = (),
        **settings: Any,
    ) -> RoleDrop:
        """Prepare files, and labelled predictions as CSV with a header."""
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        folder.mkdir()
        named = files if isinstance(files, dict) else {"drop.csv": files}
        tables = tables_of([dropped(n, text.encode()) for n, text in named.items()], folder).tables
        if labelled:
            tables.append(_labelled_table(labelled))
        refused = io.BytesIO()
        live = LiveVersion("sales", 1) if prior else None
        done = prepare(
            tables, DataSettings(**settings), prior, folder, 7, Quarantine(refused), live=live
        )
        sinks = {name: io.BytesIO() for name in ("train", "validation", "test", "x", "y", "w", "t")}
        done.write_train(sinks["train"])
        done.write_validation(sinks["validation"])
        done.write_test(sinks["test"], sinks["x"], sinks["y"])
        if done.has_weights:
            done.write_held_out_weights("test", sinks["w"])
        if done.has_times:
            done.write_test_times(sinks["t"])
        lines = [sink.getvalue().decode().split("\n")[:-1] for sink in sinks.values()]
        entries = [json.loads(line) for line in refused.getvalue().splitlines()]
        return RoleDrop(done.schema, done.learned, done.split, done.comparable, *lines, entries)


def _labelled_table(rows: Sequence[str]) -> CsvTable:
    names, *lines = rows
    data = "".join(f"{line}\n" for line in lines).encode()
    return CsvTable(
        name="fresh rows",
        split=None,
        blocks=lambda: iter([data]),
        columns=tuple(names.split(",")),
        label_first=True,
        origin="fresh",
    )
