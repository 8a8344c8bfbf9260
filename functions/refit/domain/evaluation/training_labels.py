"""The labels of the training rows: what a prediction without skill is, and which class is rare.

All of it is read from profile.json, so the plan of the training, the evaluation and the gate of one
run agree. This module does not import NumPy.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from refit.domain.evaluation.report import Imbalance, LoneClasses

RARE_SHARE = 0.1
"""A class with a smaller share of the training rows is rare."""

_RARE_OF_EQUAL = 0.5
_LONE_SHARE = 0.8
_FEWEST_CLASSES = 20


class TrainingLabels(BaseModel):
    """The member `label` of profile.json.

    Attributes:
        classes: number of training rows of each class; None for a regression.
        mean: mean label of a regression; None for a classification.
    """

    model_config = ConfigDict(frozen=True)

    classes: dict[str, int] | None = None
    mean: float | None = None

    @property
    def rows(self) -> int:
        """Number of training rows of a classification."""
        return sum((self.classes or {}).values())

    @property
    def rare_share(self) -> float | None:
        """Share of the rarest class among the training rows; None for a regression."""
        present = [count for count in (self.classes or {}).values() if count]
        return min(present) / self.rows if present else None

    def imbalance(self) -> Imbalance | None:
        """Return the rarest and the most frequent class if the rarest is rare, else None.

        A class is rare below 10 % of the training rows. Of more than five classes, 10 % is no
        longer rare: there it is half of an equal share.
        """
        present = {text: count for text, count in (self.classes or {}).items() if count}
        if len(present) < 2:
            return None
        rare, common = min(present, key=present.__getitem__), max(present, key=present.__getitem__)
        share = present[rare] / self.rows
        if share >= min(RARE_SHARE, _RARE_OF_EQUAL / len(present)):
            return None
        return Imbalance(
            rare=rare,
            rare_share=share,
            common=common,
            common_share=present[common] / self.rows,
        )

    def lone_classes(self) -> LoneClasses | None:
        """Return how many classes have one row only, if that are nearly all of them, else None."""
        counts = [count for count in (self.classes or {}).values() if count]
        lone = counts.count(1)
        if len(counts) < _FEWEST_CLASSES or lone < _LONE_SHARE * len(counts):
            return None
        return LoneClasses(classes=len(counts), lone=lone, rows=self.rows)
