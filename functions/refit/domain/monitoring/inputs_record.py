"""The histograms of live inputs beside those of the training data: `inputs.json`.

They are of the season that ends with a cohort or, without a season, of the cohort. CheckDrift
writes them once for each cohort, so that readers need neither NumPy nor the counts.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from refit.domain.moments import Moment

MAX_COLUMNS = 50
MAX_TEXTS = 50


class RecordPart(BaseModel):
    """A part of inputs.json."""

    model_config = ConfigDict(
        frozen=True, alias_generator=AliasGenerator(serialization_alias=to_camel)
    )


class InputColumn(RecordPart):
    """A column, and how its live distribution differs from its reference."""

    name: str
    role: Literal["feature", "prediction", "score"]
    value: float = Field(description="Gap between the distributions; 0 is identical, 1 disjoint.")
    threshold: float = Field(
        description="The column is flagged above it, once a whole season is compared."
    )
    flagged: bool
    unseen: float = Field(
        0.0,
        description="Share of the newest cohort's values that the training data never had, if it "
        "is above its threshold; otherwise 0.",
    )
    critical: bool
    missing: float = Field(description="Share of live values that are missing.")
    edges: tuple[float, ...] | None = Field(
        description="Upper edges of the bins of a number. There is one bin more, above the last "
        "edge; null for a category."
    )
    texts: tuple[str, ...] | None = Field(
        description="Texts of a category: those that differ most, at most 50. One bin more counts "
        "all others; null for a number."
    )
    live: tuple[int, ...] = Field(description="Live values in each bin.")
    reference: tuple[int, ...] = Field(
        description="Values in each bin of the training data or, of predictions, of the held-out "
        "rows."
    )


class InputsRecord(RecordPart):
    """All of inputs.json: the columns with the largest shifts, largest first; at most 50."""

    layout: str
    since: Moment | None = None
    until: Moment | None = None
    rows: int
    columns: tuple[InputColumn, ...]
