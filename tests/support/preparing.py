"""Prepare a drop from memory in a temporary folder."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from refit.domain.data_settings import DataSettings
from refit.domain.pipeline.schema_change import LiveVersion
from refit.tabular.dataset import tables_of
from refit.tabular.preparation import FoldSinks, prepare
from refit.tabular.profile import SAMPLE_ROWS
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.table import READ_BYTES, CsvTable, DroppedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import IO, TypeAlias

    from refit.domain.label_limits import LabelLimits
    from refit.domain.learned import Learned
    from refit.domain.schema import Schema

    FileData: TypeAlias = bytes | Callable[[], IO[bytes]]


@dataclass(frozen=True)
class PreparedFold:
    """The files of one fold."""

    train: bytes
    features: bytes
    labels: bytes
    weights: bytes

    @property
    def held_out(self) -> list[bytes]:
        """The held-out rows, label first."""
        return [
            b",".join(pair)
            for pair in zip(self.labels.splitlines(), self.features.splitlines(), strict=True)
        ]


@dataclass(frozen=True)
class PreparedDrop:
    """All results of a preparation."""

    learned: Learned
    schema: Schema
    comparable: bool
    rows: dict[str, int]
    refused: list[dict[str, Any]]
    profile: dict[str, Any]
    train: bytes
    validation: bytes
    test: bytes
    features: bytes
    labels: bytes
    folds: list[PreparedFold]

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns that are learned from."""
        return [feature.name for feature in self.schema.features]

    @property
    def left_out(self) -> dict[str, str]:
        """Reason by name, for each column that is no feature."""
        return {
            column.name: column.reason or ""
            for column in self.learned.columns
            if column.type == "ignored"
        }

    @property
    def doubts(self) -> str:
        return "\n".join(self.learned.doubts)

    @property
    def all_rows(self) -> list[bytes]:
        return sorted((self.train + self.validation + self.test).splitlines())


def dropped(name: str, data: FileData) -> DroppedFile:
    if callable(data):
        return DroppedFile(name, 1, data)
    return DroppedFile(name, len(data), lambda: io.BytesIO(data))


class Preparing:
    """Prepares a drop, given as `{name: bytes or a function that opens a stream}`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0
        self._refused = io.BytesIO()

    @property
    def folder(self) -> Path:
        """A new empty folder."""
        self._runs += 1
        folder = self._folder / f"run-{self._runs}"
        folder.mkdir()
        return folder

    @property
    def refused(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._refused.getvalue().splitlines()]

    def __call__(
        self,
        files: Mapping[str, FileData] | FileData,
        prior: Schema | None = None,
        seed: int = 7,
        read_bytes: int = READ_BYTES,
        sample_rows: int = SAMPLE_ROWS,
        acceptance_used_by: str | None = None,
        labelled: Sequence[CsvTable] = (),
        folds: int = 0,
        limits: LabelLimits | None = None,
        **settings: Any,
    ) -> PreparedDrop:
        folder = self.folder
        if not isinstance(files, dict):
            files = {"drop.csv": files}
        self._refused = io.BytesIO()
        quarantine = Quarantine(self._refused)
        dropped_files = [dropped(name, data) for name, data in files.items()]
        tables = [*tables_of(dropped_files, folder, read_bytes).tables, *labelled]
        data_settings = DataSettings(**settings)
        live = LiveVersion("digits", 3, acceptance_used_by) if prior else None
        done = prepare(
            tables,
            data_settings,
            prior,
            folder,
            seed,
            quarantine,
            sample_rows,
            live=live,
            folds=folds,
            limits=limits,
        )
        sinks = [io.BytesIO() for _ in range(5)]
        profile = done.write_train(sinks[0])
        done.write_validation(sinks[1])
        done.write_test(*sinks[2:])
        of_folds = [FoldSinks(*(io.BytesIO() for _ in range(4))) for _ in range(folds)]
        if not done.has_weights:
            of_folds = [replace(fold, weights=None) for fold in of_folds]
        if folds:
            done.write_folds(of_folds)
        contents = [sink.getvalue() for sink in sinks]
        rows = dict(done.rows)
        return PreparedDrop(
            done.learned,
            done.schema,
            done.comparable,
            rows,
            self.refused,
            profile,
            *contents,
            [
                PreparedFold(*(sink.getvalue() if sink else b"" for sink in vars(fold).values()))
                for fold in of_folds
            ],
        )


def scattered(n: int) -> int:
    """Return the n-th number of a sequence of distinct numbers below 10,007 without an order.

    Columns of a test table hold these where their values do not matter. A column that counts up
    would be left out as row numbers.
    """
    return (n + 1) * 5003 % 10_007


def table_of(columns: Mapping[str, Sequence[object]], *, header: bool = True) -> bytes:
    """Return a CSV file of columns by name; texts are written as they are."""
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return "\n".join([",".join(columns), *rows] if header else rows).encode() + b"\n"


def numbers_csv(rows: int = 300, features: int = 3, classes: int = 3) -> bytes:
    """Return a table of distinct rows of whole numbers, label first."""
    lines = [
        ",".join(
            [str(row % classes), *(str(row * (column + 501) % 997) for column in range(features))]
        )
        for row in range(rows)
    ]
    return "\n".join(lines).encode() + b"\n"
