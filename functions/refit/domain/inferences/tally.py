"""What a joined prediction adds to the counters of its cohort, and what takes it back.

    change = change_of(inference, terms)        None when it is counted as it is
    for group in groups_of(changes):            each fits one transaction
        summed(group)                           what to add to which cohort

Counters only ever add, so their order does not matter. A correction adds the new contribution and
takes the old one back; both follow from the prediction and from `Counted`, so what is taken back is
what was added, to the last digit: sums are decimals, rounded before they are added.
"""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from refit.domain.vocabulary import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from refit.domain.inferences.inference import Counted, Inference, Prediction
    from refit.domain.schema import Schema

UNKNOWN_CLASS = -1
"""The code of a class that the version does not know: it came with a later one."""

MAX_ITEMS = 100
"""A transaction of DynamoDB takes so many writes."""

MAX_COUNTERS = 200
"""So many counters of one cohort are added to at once: an expression holds 4 kB."""

_MILLIONTH = Decimal("0.000001")
_FARTHEST = Decimal(10) ** 9
START_FORMAT = "%Y-%m-%dT%H:%M:%S"


@dataclass(frozen=True)
class Terms:
    """How a version's predictions are counted: by the run that made it, so always alike.

    Attributes:
        schema: of the run.
        cohort_s: predictions of so many seconds are one cohort.
        label_age_s: a prediction enters the test with the label that held at this age.
        error_bound: a regression's answer further off than this is an error; None where unknown.
    """

    schema: Schema
    cohort_s: int
    label_age_s: int
    error_bound: float | None = None


@dataclass(frozen=True, order=True)
class CohortKey:
    """A cohort: the predictions of one version in `seconds` from `start` on."""

    model: str
    version: int
    start: datetime
    seconds: int = field(compare=False)

    @property
    def sk(self) -> str:
        """The sort key of its item: cohorts of a version in the order of time."""
        return f"COHORT#{self.version:010d}#{self.start:{START_FORMAT}}"


def cohort_start(at: datetime, cohort_s: int) -> datetime:
    """Return when the cohort of a prediction began: a multiple of its length since 1970."""
    seconds = int(at.timestamp()) // cohort_s * cohort_s
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True)
class Change:
    """What is to be done so that an inference is counted as it is.

    Attributes:
        inference: as it was when this was decided.
        terms: of the version that predicted it.
        counted: what the counters hold of it afterwards.
        sums: what to add to the counters of which cohort.
    """

    inference: Inference
    terms: Terms
    counted: Counted
    sums: Mapping[CohortKey, Mapping[str, Decimal]]

    @property
    def newly_labelled(self) -> bool:
        return self.inference.counted.shown is None and self.counted.shown is not None

    @property
    def label_delay_s(self) -> float:
        """From the prediction to its first label; 0 where a label came sooner."""
        return float(_label_delay(self.inference))


def change_of(inference: Inference, terms: Terms) -> Change | None:
    """Return what is to be done for an inference; None when it is counted already."""
    before = inference.counted
    if inference.prediction is None or before.seq >= inference.seq:
        return None
    after = inference.to_count(timedelta(seconds=terms.label_age_s))
    if after.shown is not None:
        start = cohort_start(inference.prediction.at, terms.cohort_s)
        after = replace(after, cohort=start, error_bound=terms.error_bound)
    sums: dict[CohortKey, dict[str, Decimal]] = {}
    for counted, sign in ((before, -1), (after, 1)):
        if counted.cohort is not None:
            version = inference.prediction.version
            key = CohortKey(inference.model, version, counted.cohort, terms.cohort_s)
            _add(sums.setdefault(key, {}), contribution(inference, counted, terms.schema), sign)
    return Change(inference, terms, after, sums)


def contribution(inference: Inference, counted: Counted, schema: Schema) -> dict[str, Decimal]:
    """Return what the counters hold of an inference, by the counter's name."""
    prediction = inference.prediction
    if prediction is None or counted.shown is None:
        return {}
    found = {"labelled": Decimal(1), "delay_sum": _label_delay(inference), "delay_n": Decimal(1)}
    if schema.classes is None:
        _count_number(found, prediction, counted)
    else:
        _count_class(found, prediction, counted, schema)
    return found


def _label_delay(inference: Inference) -> Decimal:
    """Return the seconds from an inference's prediction to its first label, to the millisecond."""
    if inference.prediction is None or not inference.labels:
        return Decimal(0)
    delay = inference.labels[0].received_at - inference.prediction.at
    return max(Decimal(round(delay.total_seconds() * 1000)) / 1000, Decimal(0))


def _count_class(
    found: dict[str, Decimal], prediction: Prediction, counted: Counted, schema: Schema
) -> None:
    said = _code(schema, prediction.text)
    if counted.shown is not None:
        actual = _code(schema, counted.shown)
        found |= {f"c|{actual}|{said}": Decimal(1), "errors": Decimal(actual != said)}
        if prediction.probabilities is not None:
            found |= {"loss_sum": _loss(prediction.probabilities, actual), "loss_n": Decimal(1)}
    if counted.matured is not None:
        actual = _code(schema, counted.matured)
        wrong = Decimal(actual != said)
        found |= {
            "t_labelled": Decimal(1),
            "t_errors": wrong,
            f"t|{actual}|n": Decimal(1),
            f"t|{actual}|k": wrong,
        }


def _count_number(found: dict[str, Decimal], prediction: Prediction, counted: Counted) -> None:
    bound = counted.error_bound
    if counted.shown is not None:
        error = float(prediction.text) - float(counted.shown)
        scale = _scale(bound)
        scaled = min(max(Decimal(error) / scale, -_FARTHEST), _FARTHEST).quantize(_MILLIONTH)
        found |= {
            "errors": Decimal(bound is not None and abs(error) > bound),
            "error_sum": scaled * scale,
            "abs_sum": abs(scaled) * scale,
            "square_sum": (scaled * scaled).quantize(_MILLIONTH) * scale * scale,
        }
    if counted.matured is not None:
        error = float(prediction.text) - float(counted.matured)
        wrong = bound is not None and abs(error) > bound
        found |= {"t_labelled": Decimal(1), "t_errors": Decimal(wrong)}


def _scale(bound: float | None) -> Decimal:
    """Return the power of ten in which errors are rounded to millionths.

    A sum in DynamoDB is exact as long as its first and last digit are within 38. So errors are
    written in the magnitude of what the version's were, and beyond 10⁹ of that they count as 10⁹.
    """
    if not bound:
        return Decimal(1)
    return Decimal(10) ** max(-50, math.floor(math.log10(bound)))


def _code(schema: Schema, text: str) -> int:
    code = schema.encode_label(text)
    return UNKNOWN_CLASS if code is None else int(code)


def _loss(probabilities: bytes, actual: int) -> Decimal:
    """Return −ln of the probability of the true class; a class without one has 0."""
    known = struct.unpack(f"<{len(probabilities) // 4}f", probabilities)
    of_truth = known[actual] if 0 <= actual < len(known) else 0.0
    loss = -math.log(min(max(of_truth, SMALLEST_PROBABILITY), 1.0))
    return Decimal(loss).quantize(_MILLIONTH)


def _add(sums: dict[str, Decimal], more: Mapping[str, Decimal], sign: int = 1) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, Decimal(0)) + sign * value


def summed(changes: Iterable[Change]) -> dict[CohortKey, dict[str, Decimal]]:
    """Return what to add to which cohort; what adds nothing is left out."""
    total: dict[CohortKey, dict[str, Decimal]] = {}
    for change in changes:
        for key, sums in change.sums.items():
            _add(total.setdefault(key, {}), sums)
    changed = {
        key: {name: value for name, value in sums.items() if value} for key, sums in total.items()
    }
    return {key: sums for key, sums in changed.items() if sums}


def groups_of(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Share changes out to transactions: one write each, and one for each cohort they touch."""
    group: list[Change] = []
    counters: dict[CohortKey, set[str]] = defaultdict(set)
    for change in sorted(changes, key=lambda change: min(change.sums, default=_NOWHERE)):
        for key, sums in change.sums.items():
            counters[key] |= sums.keys()
        widest = max(map(len, counters.values()), default=0)
        if len(group) + 1 + len(counters) > MAX_ITEMS or widest > MAX_COUNTERS:
            yield group
            group, counters = [], defaultdict(set)
            for key, sums in change.sums.items():
                counters[key] |= sums.keys()
        group.append(change)
    if group:
        yield group


_NOWHERE = CohortKey("", 0, datetime.min.replace(tzinfo=UTC), 0)
