"""What a run is made of: the forms of `drop.json` and `manifest.json`.

drop.json is written by what starts a run and names its files and slices; manifest.json is written
by Prepare and says what became of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from refit.domain.model_settings import ModelSettings

Cause: TypeAlias = Literal["drop", "drift", "request"]
"""New files were dropped; quality drift was detected; a person asked for a retraining."""


class File(BaseModel):
    """A dropped file, at the version that the run reads."""

    model_config = ConfigDict(extra="allow", frozen=True)

    key: str
    version: str
    size: int


class Slice(BaseModel):
    """A slice of the ledger of labelled rows.

    Attributes:
        fresh: whether the live model's own training had not seen it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str
    version: str
    size: int
    fresh: bool


class Drop(BaseModel):
    """All of drop.json.

    Attributes:
        fresh_since: rows predicted before it are not fresh, in no slice: drift is judged by what
            came since the change. None when all rows of fresh slices are.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    cause: Cause
    files: tuple[File, ...]
    slices: tuple[Slice, ...] = ()
    fresh_since: datetime | None = None


class UsedSlice(Slice):
    """A slice and what became of it.

    Attributes:
        rows: how many it gave.
        lost: how many of them could not be used, by the reason.
    """

    rows: int
    lost: dict[str, int]


class LabelledBySide(BaseModel):
    """How many of a run's rows are labelled predictions, by side.

    Attributes:
        fresh_test: those of `test` that come from fresh slices.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    train: int = 0
    validation: int = 0
    test: int = 0
    fresh_test: int = 0

    @property
    def total(self) -> int:
        return self.train + self.validation + self.test


class SideRows(BaseModel):
    """How many rows of all kinds each side has."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    train: int
    validation: int
    test: int
    quarantined: int


class Manifest(BaseModel):
    """All of manifest.json."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str
    run: str
    cause: Cause
    files: tuple[File, ...]
    slices: tuple[UsedSlice, ...] = ()
    settings: ModelSettings
    rows: SideRows
    labelled: LabelledBySide = Field(default_factory=LabelledBySide)
    created_at: str | None

    def lost(self) -> dict[str, int]:
        """Return how many labelled rows could not be used, by the reason, over all slices."""
        reasons: dict[str, int] = {}
        for part in self.slices:
            for reason, count in part.lost.items():
                reasons[reason] = reasons.get(reason, 0) + count
        return reasons
