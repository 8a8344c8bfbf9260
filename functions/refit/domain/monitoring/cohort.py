"""The counters of a cohort: all predictions that one version made within `cohort_s` seconds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from refit.domain.inferences.cohort_key import START_FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Shown:
    """The counters of the labels that are known now.

    Attributes:
        labelled: predictions with a label.
        errors: wrong predictions; for a regression, those whose |error| exceeds the error bound.
        loss_sum: sum of −ln of the true class's probability, over `loss_n` predictions.
        delay_sum: sum of the seconds from prediction to first label, over `delay_n` predictions.
        confusion: number of predictions by (actual, predicted) class code.
        error_sum: for a regression, sum of prediction − label.
        abs_sum: sum of |prediction − label|.
        square_sum: sum of (prediction − label)².
    """

    labelled: int = 0
    errors: int = 0
    loss_sum: float = 0.0
    loss_n: int = 0
    delay_sum: float = 0.0
    delay_n: int = 0
    confusion: Mapping[tuple[int, int], int] = field(default_factory=dict)
    error_sum: float = 0.0
    abs_sum: float = 0.0
    square_sum: float = 0.0

    @cached_property
    def classes(self) -> dict[int, tuple[int, int]]:
        """(labelled, errors) by the code of the actual class; empty for a regression."""
        classes: dict[int, tuple[int, int]] = {}
        for (actual, predicted), count in self.confusion.items():
            labelled, errors = classes.get(actual, (0, 0))
            classes[actual] = labelled + count, errors + count * (actual != predicted)
        return classes


@dataclass(frozen=True)
class Matured:
    """The counters of the labels that were known when each prediction reached the label age.

    Attributes:
        labelled: predictions with a label.
        errors: wrong predictions.
        classes: (labelled, errors) by the code of the actual class; empty for a regression.
    """

    labelled: int = 0
    errors: int = 0
    classes: Mapping[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Cohort:
    """The counters of one cohort.

    Attributes:
        seconds: length of the cohort.
        predictions: captured predictions; several with the same inference id count once.
        files: the bins, out of 64, into which the names of the capture files are hashed. There are
            at least as many files as bins.
    """

    version: int
    start: datetime
    seconds: int
    predictions: int
    files: frozenset[int]
    shown: Shown
    matured: Matured

    @property
    def end(self) -> datetime:
        return self.start + timedelta(seconds=self.seconds)

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Self:
        """Return the cohort of a ModelTable item whose numbers are decimals."""
        _, version, start = item["sk"].split("#")
        confusion: dict[tuple[int, int], int] = {}
        classes: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for name, value in item.items():
            kind, *codes = name.split("|")
            if kind == "c" and value:
                confusion[int(codes[0]), int(codes[1])] = int(value)
            if kind == "t" and value:
                classes[int(codes[0])]["nk".index(codes[1])] = int(value)

        def whole(name: str) -> int:
            return int(item.get(name, 0))

        def number(name: str) -> float:
            return float(item.get(name, 0))

        return cls(
            version=int(version),
            start=datetime.strptime(start, START_FORMAT).replace(tzinfo=UTC),
            seconds=whole("seconds"),
            predictions=whole("predictions"),
            files=frozenset(int(name) for name in item.get("files", ())),
            shown=Shown(
                labelled=whole("labelled"),
                errors=whole("errors"),
                loss_sum=number("loss_sum"),
                loss_n=whole("loss_n"),
                delay_sum=number("delay_sum"),
                delay_n=whole("delay_n"),
                confusion=confusion,
                error_sum=number("error_sum"),
                abs_sum=number("abs_sum"),
                square_sum=number("square_sum"),
            ),
            matured=Matured(
                labelled=whole("t_labelled"),
                errors=whole("t_errors"),
                classes={code: (n, k) for code, (n, k) in classes.items()},
            ),
        )
