"""The data of a run: the formats of `drop.json` and `manifest.json`.

drop.json is written by whatever starts a run and names its files and slices. manifest.json is
written by Prepare and says what became of them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from refit.domain.feature_source import FeatureSource
from refit.domain.learned import Learned
from refit.domain.model_settings import ModelSettings, as_recorded_now
from refit.domain.moments import Moment, iso
from refit.domain.pipeline.split_rule import SplitRule
from refit.domain.vocabulary import RunCause

NO_VERSION = "null"
"""S3's version id of objects that were written without versioning."""


class ObjectVersion(BaseModel):
    """One version of an object in the bucket: as it is listed, recorded and read.

    Attributes:
        last_modified: when it was written; if it was uploaded in parts, when its upload began.
        is_multipart: whether it was uploaded in parts.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    version: str
    size: int
    last_modified: Moment
    is_multipart: bool = False

    @property
    def pair(self) -> tuple[str, str]:
        """Key and version."""
        return self.key, self.version

    @property
    def unique_version(self) -> str:
        """The version, which no other content of the same key ever has.

        The version "null" is overwritten while versioning is suspended, so its time belongs to it.
        """
        return self.version if self.version != NO_VERSION else f"null {iso(self.last_modified)}"


class Slice(ObjectVersion):
    """A slice of the ledger of labelled rows.

    Attributes:
        fresh: whether the training of the champion had not seen it.
    """

    fresh: bool


class Drop(BaseModel):
    """All of drop.json.

    Attributes:
        fresh_since: rows predicted before it are not fresh, whatever their slice: the challenger
            is judged by what came since the change. None when all rows of fresh slices are fresh.
        episode: number of the drift episode that starts the run; None for dropped files.
        reason: why a retraining starts, for a person.
        labels: labelled predictions that the ledger held when this was written.
        retry_of: the run of the same files that a user has repeated; None if this is no retry.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    run: str
    cause: RunCause
    files: tuple[ObjectVersion, ...]
    slices: tuple[Slice, ...] = ()
    fresh_since: Moment | None = None
    episode: int | None = None
    reason: str | None = None
    labels: int = 0
    retry_of: str | None = None


class UsedSlice(Slice):
    """A slice, and what the run used of it.

    Attributes:
        rows: number of rows in the slice.
        lost: number of rows that could not be used, by reason.
    """

    rows: int
    lost: dict[str, int]


class LabelledBySide(BaseModel):
    """Number of labelled predictions among the rows of a run, by split.

    Attributes:
        fresh_test: those of `test` that come from fresh slices.
    """

    model_config = ConfigDict(frozen=True)

    train: int = 0
    validation: int = 0
    test: int = 0
    fresh_test: int = 0

    @property
    def total(self) -> int:
        return self.train + self.validation + self.test


class SideRows(BaseModel):
    """Number of rows of each split, and of refused rows."""

    model_config = ConfigDict(frozen=True)

    train: int
    validation: int
    test: int
    quarantined: int


class Manifest(BaseModel):
    """All of manifest.json.

    Attributes:
        split: how the dropped rows were split.
        has_base: whether held-out rows of the champion were copied, to compare with it.
        comparison_notes: which of the champion's held-out rows were not copied, and why, as
            sentences for the gate.
        accepted_by: version of the model.toml whose `schema_change = "accept"` admitted columns
            that differ from those of the live model; None when they do not differ.
        features_from: the version whose predictions are features; None without one.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    run: str
    cause: RunCause
    files: tuple[ObjectVersion, ...]
    slices: tuple[UsedSlice, ...] = ()
    settings: Annotated[ModelSettings, BeforeValidator(as_recorded_now)]
    rows: SideRows
    labelled: LabelledBySide = Field(default_factory=LabelledBySide)
    learned: Learned | None = None
    split: SplitRule = Field(default_factory=SplitRule)
    has_base: bool = True
    comparison_notes: tuple[str, ...] = ()
    accepted_by: str | None = None
    features_from: FeatureSource | None = None
    created_at: Moment | None

    def lost(self) -> dict[str, int]:
        """Return how many labelled rows could not be used, by reason, over all slices."""
        reasons: dict[str, int] = {}
        for used in self.slices:
            for reason, count in used.lost.items():
                reasons[reason] = reasons.get(reason, 0) + count
        return reasons
