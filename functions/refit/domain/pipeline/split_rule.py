"""By which rule a run splits its rows, and which held-out rows two versions can be compared on.

A version must not be judged on rows that it may have been trained on. Rows that are split by a hash
are in the same split in every run with the same rule. Rows that are split by their time are held
out by one run, and trained on by a later run whose cut is later.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.column_reading import name_key


class TimeCut(BaseModel):
    """The time from which on a run has held out rows as test rows.

    Attributes:
        kind: what the cells of the column are.
        number: the newest time of a training or validation row: the number, or the days since
            1970-01-01. Test rows are newer.
        text: the same for people.
    """

    model_config = ConfigDict(frozen=True)

    kind: Literal["date", "number"]
    number: float
    text: str


class SplitRule(BaseModel):
    """How the dropped rows of a run are split.

    Attributes:
        by: `row`, a hash of the features; `group`, a hash of the group; `time`, the newest rows
            are held out.
        column: name of the group or time column; None for `row`.
        cut: where the test rows begin; None unless rows are split by time.
        given: the splits that the drop itself defines, by its folders or files, in place of a hash.
    """

    model_config = ConfigDict(frozen=True)

    by: Literal["row", "group", "time"] = "row"
    column: str | None = None
    cut: TimeCut | None = None
    given: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        """The rule as a part of a sentence."""
        return "a hash of each row" if self.column is None else f"{self.by} ({self.column!r})"

    def fair_after(self, champion: SplitRule) -> float | None:
        """Return the time after which rows that the champion held out are fair to both versions.

        Returns:
            The challenger's cut; None if rows are not split by time, so that all are fair.

        Raises:
            NotComparable: if the two rules differ, so that the challenger may have been trained on
                any of these rows.
        """
        mine, theirs = name_key(self.column or ""), name_key(champion.column or "")
        if (self.by, mine) != (champion.by, theirs):
            raise NotComparable(
                f"the rows of the live version were split by {champion.described} and those of "
                f"this run by {self.described}"
            )
        if self.cut is None or champion.cut is None:
            return None
        if self.cut.kind != champion.cut.kind:
            raise NotComparable(
                f"{self.column!r} was a {champion.cut.kind} in the data of the live version and is "
                f"a {self.cut.kind} now"
            )
        return self.cut.number

    def is_older_than(self, champion: SplitRule) -> bool:
        """Return whether the champion may have been trained on rows that this run holds out."""
        mine, theirs = self.cut, champion.cut
        return bool(mine and theirs and mine.kind == theirs.kind and mine.number < theirs.number)


class NotComparable(Exception):
    """Raised when the champion's held-out rows are not fair to the challenger; says why."""
