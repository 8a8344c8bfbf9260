"""The histograms of a cohort's inputs beside those of the training data: `inputs.json`.

CheckDrift writes it once for each cohort, so that readers need neither NumPy nor the counts.
"""

from __future__ import annotations

from typing import Literal

from pydantic import AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

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
    threshold: float = Field(description="The column is flagged above it.")
    flagged: bool
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
    rows: int
    columns: tuple[InputColumn, ...]
