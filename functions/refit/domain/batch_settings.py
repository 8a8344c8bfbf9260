"""The table `[batch]` of `model.toml`: predictions of whole files."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from refit.domain.data_settings import ColumnName, Section


class BatchSettings(Section):
    """Predictions of files that are dropped in `batch/in/`."""

    id: ColumnName | None = Field(
        None,
        description="Column that identifies the rows; it is copied into the result, and may be "
        "one that the model does not know. Default: the only column that is called like row ids "
        "among those that the model leaves out.",
    )
    capture_rows: Annotated[int, Field(ge=0, le=20_000)] = Field(
        10_000,
        description="Rows of each file, chosen at random, whose predictions are captured like "
        "those of the API, so that labels can be sent for them; `0`: none. None are captured with "
        '`[monitoring] capture = "off"`.',
    )
    cache_rows: Annotated[int, Field(ge=0, le=100_000)] = Field(
        0,
        description="Rows of each file, from its beginning, that the API answers without the "
        "endpoint for 30 days, or until another version is live; `0`: none.",
    )


def check_cached_rows(cache_rows: int, capture: str) -> None:
    """Check that answers from the cache are captured like others.

    Args:
        cache_rows: the setting.
        capture: `[monitoring] capture`.

    Raises:
        ValueError: names both settings.
    """
    if cache_rows and capture == "endpoint":
        raise ValueError(
            f"[batch] cache_rows = {cache_rows} does not fit [monitoring] capture = 'endpoint': an "
            "endpoint captures nothing that it is not asked; set cache_rows to 0, or capture to "
            "'api'"
        )
