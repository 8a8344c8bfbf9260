"""The model whose predictions are features of another model (`[data] features_from`)."""

from __future__ import annotations

import re
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from refit.domain.naming import MODEL_NAME_PATTERN

_NAMED = re.compile(rf"({MODEL_NAME_PATTERN})(?:@([1-9][0-9]{{0,8}}))?\Z")


class FeatureSource(BaseModel):
    """A version whose predictions are the last feature columns of another model.

    Attributes:
        model: its model.
        version: its number, which is pinned by the first run of the other model.
        run: the run that made it.
        columns: number of the columns.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    version: int
    run: str
    columns: int

    @property
    def text(self) -> str:
        """The version as messages name it."""
        return f"version {self.version} of {self.model!r}"


class NamedModel(NamedTuple):
    """A model as `[data] features_from` names it; the version is None if it is not named."""

    model: str
    version: int | None


def named_model(text: str) -> NamedModel:
    """Read `model` or `model@version`.

    Raises:
        ValueError: when the text is neither.
    """
    match = _NAMED.match(text)
    if match is None or match[1].endswith("-"):
        raise ValueError(
            "allowed: the name of another model, such as 'segments', or one of its versions, "
            "such as 'segments@4'"
        )
    return NamedModel(match[1], int(match[2]) if match[2] else None)
