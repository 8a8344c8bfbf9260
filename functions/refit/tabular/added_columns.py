"""Ask another model about the rows of a run, and add its answers to them as columns.

The rows of a run are prepared twice, and preparing them again gives the same rows in the same
order. The first time, the lines that the other model reads are written. The second time, its
answers are added. A digest shows that the rows are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, TypeAlias

from pydantic import BaseModel, ConfigDict

from refit.domain.errors import EvaluationIncomplete
from refit.domain.evaluation.batch_output import prediction_blocks
from refit.domain.feature_source import FeatureSource
from refit.domain.inferences.feature_inputs import added_cells
from refit.tabular.prediction_table import checked_answers
from refit.tabular.split import Split

if TYPE_CHECKING:
    from refit.domain.schema import Schema

OpenAnswers: TypeAlias = Callable[[Split], IO[bytes]]
"""Opens what the transform job wrote for the rows of a split."""


@dataclass(frozen=True)
class AddedFeatures:
    """The version of another model that adds columns.

    Attributes:
        source: the version.
        schema: its schema.
    """

    source: FeatureSource
    schema: Schema


class AskedRows(BaseModel):
    """The rows of a split that another model was asked about.

    Attributes:
        digest: of the encoded rows, without added columns.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    digest: str


class FeatureRequest(BaseModel):
    """The format of features.json: what was asked, of which version."""

    model_config = ConfigDict(frozen=True)

    source: FeatureSource
    splits: dict[Split, AskedRows]


class Digest:
    """Computes the digest of the lines that pass."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._rows = 0

    def add(self, lines: list[bytes]) -> None:
        """Let some lines pass."""
        for line in lines:
            self._hash.update(line + b"\n")
        self._rows += len(lines)

    def asked(self) -> AskedRows:
        """Return number and digest of the lines."""
        return AskedRows(rows=self._rows, digest=self._hash.hexdigest())


class Answers:
    """What a version answered about the rows of a run."""

    def __init__(self, request: FeatureRequest, schema: Schema, opened: OpenAnswers) -> None:
        """Prepare to read.

        Args:
            request: what was asked.
            schema: schema of the version that answered.
            opened: opens the answers of a split.
        """
        self._asked: Mapping[Split, AskedRows] = request.splits
        self._schema = schema
        self._opened = opened

    def of(self, split: Split, first: int = 0) -> AnswersOfSplit:
        """Return the answers about the rows of a split, from a row on."""
        asked = self._asked.get(split, AskedRows(rows=0, digest=Digest().asked().digest))
        cells = self._cells(split) if asked.rows else iter(())
        return AnswersOfSplit(islice(cells, first, None), asked, split, is_whole=first == 0)

    def _cells(self, split: Split) -> Iterator[bytes]:
        with closing(self._opened(split)) as output:
            yield from cells_of(output, f"the output for the {split} rows", self._schema)


def cells_of(output: IO[bytes], name: str, schema: Schema) -> Iterator[bytes]:
    """Yield the cells that each answer of a transform job adds to its row.

    Args:
        output: what the job wrote.
        name: of the output, for error messages.
        schema: schema of the version that answered.
    """
    for block in prediction_blocks(output, name):
        yield from map(added_cells, checked_answers(block, name, schema).tolist())


class AnswersOfSplit:
    """Adds the answers about the rows of a split to them, in their order."""

    def __init__(
        self, cells: Iterator[bytes], asked: AskedRows, split: Split, *, is_whole: bool
    ) -> None:
        """Prepare to add; `is_whole` says whether all rows of the split will pass."""
        self._cells = cells
        self._expected = asked
        self._split = split
        self._is_whole = is_whole
        self._digest = Digest()

    def add_to(self, lines: list[bytes]) -> list[bytes]:
        """Return the next rows with the columns.

        Raises:
            EvaluationIncomplete: when there are fewer answers than rows.
        """
        if self._is_whole:
            self._digest.add(lines)
        added = [line + cells for line, cells in zip(lines, self._cells, strict=False)]
        if len(added) != len(lines):
            raise self._incomplete("fewer answers than rows")
        return added

    def finish(self) -> None:
        """Check that all answers were added, to the rows that were asked about.

        Raises:
            EvaluationIncomplete: when it is not so.
        """
        if next(self._cells, None) is not None:
            raise self._incomplete("more answers than rows")
        if self._is_whole and self._digest.asked() != self._expected:
            raise self._incomplete(
                "other rows than those that were asked about: model.toml or the live version has "
                "changed since"
            )

    def _incomplete(self, what: str) -> EvaluationIncomplete:
        return EvaluationIncomplete(
            f"[data] features_from: the {self._split} rows have {what}",
            advice="Start the run again with `refit retry`",
        )
