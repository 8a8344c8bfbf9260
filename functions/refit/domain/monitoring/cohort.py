"""The counters of a cohort of predictions, read: what is known now, and what was in time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from refit.domain.inferences.tally import START_FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Shown:
    """What is known now of a cohort's labelled predictions.

    Attributes:
        labelled: how many have a label that holds.
        errors: of them, wrong answers; of a regression, those beyond the error bound.
        loss_sum: of −ln of the true class's probability, over `loss_n` of them.
        delay_sum: seconds from prediction to first label, over `delay_n` of them.
        confusion: how many, by (actual, predicted) class code.
        error_sum: of prediction − label, of a regression; also of its size and of its square.
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

    @property
    def classes(self) -> dict[int, tuple[int, int]]:
        """(labelled, errors) by the code of the actual class; empty for a regression."""
        found: dict[int, tuple[int, int]] = {}
        for (actual, predicted), count in self.confusion.items():
            labelled, errors = found.get(actual, (0, 0))
            found[actual] = labelled + count, errors + count * (actual != predicted)
        return found


@dataclass(frozen=True)
class Matured:
    """What was known of a cohort's predictions at the label age: later labels do not enter.

    Attributes:
        labelled: how many had a label.
        errors: how many of them were wrong.
        classes: (labelled, errors) by the code of the actual class; empty for a regression.
    """

    labelled: int = 0
    errors: int = 0
    classes: Mapping[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Cohort:
    """The counters of one cohort.

    Attributes:
        seconds: its length.
        predictions: captured; more than one under the same id are one.
        files: which of 64 bins the names of its capture files fall into.
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
        """Read an item of ModelTable, its numbers as decimals."""
        _, version, start = item["sk"].split("#")
        cells: dict[tuple[int, int], int] = {}
        classes: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for name, value in item.items():
            kind, *codes = name.split("|")
            if kind == "c" and value:
                cells[int(codes[0]), int(codes[1])] = int(value)
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
                confusion=cells,
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
