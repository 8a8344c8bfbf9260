"""The counters of a cohort: all predictions that one version made within `cohort_s` seconds.

They are sums over several items, which are read one after the other, so a correction may be read
without what it corrects. Counts are therefore never below 0, and errors never above labels.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from refit.domain.inferences.cohort_key import START_FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal


class ClassCounts(Mapping[int, tuple[int, int]]):
    """(labelled, errors) by class code, in 20 bytes a class: a year has millions of them."""

    def __init__(self, counts: Mapping[int, tuple[int, int]] | None = None) -> None:
        ordered = sorted((counts or {}).items())
        self._codes = array("i", (code for code, _ in ordered))
        self._labelled = array("q", (labelled for _, (labelled, _) in ordered))
        self._errors = array("q", (errors for _, (_, errors) in ordered))

    def __getitem__(self, code: int) -> tuple[int, int]:
        index = bisect_left(self._codes, code)
        if index == len(self._codes) or self._codes[index] != code:
            raise KeyError(code)
        return self._labelled[index], self._errors[index]

    @classmethod
    def joined(cls, several: Iterable[Self]) -> tuple[array[int], array[int], array[int]]:
        """Return the codes, labelled predictions and errors of several, one after another."""
        codes, labelled, errors = array("i"), array("q"), array("q")
        for counts in several:
            codes.extend(counts._codes)
            labelled.extend(counts._labelled)
            errors.extend(counts._errors)
        return codes, labelled, errors

    def __iter__(self) -> Iterator[int]:
        return iter(self._codes)

    def __len__(self) -> int:
        return len(self._codes)


@dataclass(frozen=True)
class Shown:
    """The counters of the labels that are known now.

    Attributes:
        labelled: predictions with a label.
        errors: wrong predictions; for a regression, those whose |error| exceeds the error bound.
        loss_sum: sum of −ln of the true class's probability, over `loss_n` predictions.
        delay_sum: sum of the seconds from prediction to first label, over `delay_n` predictions.
        classes: (labelled, errors) by the code of the actual class; empty for a regression.
        confusion: number of predictions by (actual, predicted) class code: of all pairs if there
            are few classes, and otherwise of the pairs in the baseline.
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
    classes: Mapping[int, tuple[int, int]] = field(default_factory=ClassCounts)
    confusion: Mapping[tuple[int, int], int] = field(default_factory=dict)
    error_sum: float = 0.0
    abs_sum: float = 0.0
    square_sum: float = 0.0


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
    classes: Mapping[int, tuple[int, int]] = field(default_factory=ClassCounts)


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
    def from_items(cls, items: Sequence[Mapping[str, Any]]) -> Self:
        """Return the cohort of items of ModelTable, whose numbers are decimals."""
        _, version, start, *_ = items[0]["sk"].split("#")
        sums: Counter[str] = Counter()
        files: set[int] = set()
        for item in items:
            files |= {int(number) for number in item.get("files", ())}
            sums.update({name: item[name] for name in item.keys() - _NO_SUMS})
        return cls(
            version=int(version),
            start=datetime.strptime(start, START_FORMAT).replace(tzinfo=UTC),
            seconds=int(items[0].get("seconds", 0)),
            predictions=_count(sums, "predictions"),
            files=frozenset(files),
            shown=Shown(
                labelled=_count(sums, "labelled"),
                errors=min(_count(sums, "errors"), _count(sums, "labelled")),
                loss_sum=float(sums["loss_sum"]),
                loss_n=_count(sums, "loss_n"),
                delay_sum=float(sums["delay_sum"]),
                delay_n=_count(sums, "delay_n"),
                classes=_class_counts(sums, "s"),
                confusion={
                    (int(actual), int(predicted)): int(count)
                    for actual, predicted, count in _by_code(sums, "c")
                },
                error_sum=float(sums["error_sum"]),
                abs_sum=float(sums["abs_sum"]),
                square_sum=float(sums["square_sum"]),
            ),
            matured=Matured(
                labelled=_count(sums, "t_labelled"),
                errors=min(_count(sums, "t_errors"), _count(sums, "t_labelled")),
                classes=_class_counts(sums, "t"),
            ),
        )


_NO_SUMS = frozenset({"pk", "sk", "seconds", "files"})


def _count(sums: Mapping[str, Decimal | int], name: str) -> int:
    return max(int(sums.get(name, 0)), 0)


def _class_counts(sums: Mapping[str, Decimal | int], kind: str) -> ClassCounts:
    counts: dict[int, list[int]] = {}
    for code, which, count in _by_code(sums, kind):
        counts.setdefault(int(code), [0, 0])["nk".index(which)] = int(count)
    return ClassCounts({code: (n, min(k, n)) for code, (n, k) in counts.items() if n})


def _by_code(
    sums: Mapping[str, Decimal | int], kind: str
) -> Iterable[tuple[str, str, Decimal | int]]:
    """Yield the parts of the name and the number of each counter of a kind that is above 0."""
    for name, count in sums.items():
        found, *codes = name.split("|")
        if found == kind and count > 0:
            yield codes[0], codes[1], count
