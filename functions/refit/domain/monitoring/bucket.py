"""A cohort as the quality test sees it: counts, and nothing of where they came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


@dataclass(frozen=True)
class Bucket:
    """What is counted of one version's predictions of one cohort.

    Attributes:
        start: of the cohort, by prediction time.
        predictions: how many there are.
        files: how many capture files they came in.
        labelled: predictions whose label was known at the label age.
        errors: those of them that were wrong.
        classes: by the class's text, (labelled, errors) of the predictions whose label, known at
            the label age, is this class; empty for a regression.
        labelled_by_now: predictions whose label is known now.
        errors_by_now: those of them that are wrong.
        classes_by_now: as `classes`, known now. Without it a class's delays are not learned.
    """

    start: datetime
    predictions: int
    files: int
    labelled: int
    errors: int
    classes: Mapping[str, tuple[int, int]]
    labelled_by_now: int
    errors_by_now: int
    classes_by_now: Mapping[str, tuple[int, int]] = field(default_factory=dict)
