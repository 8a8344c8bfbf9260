"""Compute what a labelled prediction, or a correction of its label, adds to its cohort's counters.

All changes are additions, so their order does not matter. A correction adds the new contribution
and subtracts the old one. Both are computed from the prediction and from `Counted`. The numbers are
decimals that are rounded before they are added, so a correction subtracts exactly what was added.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from refit.domain.inferences.cohort_key import CohortKey, cohort_start
from refit.domain.vocabulary import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from refit.domain.inferences.inference import Counted, Inference, Prediction
    from refit.domain.model_settings import MonitoringSettings
    from refit.domain.schema import Schema

UNKNOWN_CLASS = -1
"""Code of a class that the version does not know because it appeared later."""

FULL_CONFUSION_CLASSES = 10
"""With more classes than this, only listed pairs of classes are counted: each write costs as much
as the whole item, and all pairs of many classes would not fit into one."""

Confusion: TypeAlias = tuple[int, int]
"""Codes of the actual and of the predicted class."""

_MILLIONTH = Decimal("0.000001")
_LARGEST_SCALED_ERROR = Decimal(10) ** 9


@dataclass(frozen=True)
class CountChange:
    """The changes that make the counters match an inference.

    Attributes:
        inference: the inference when the change was decided.
        counted: what the counters contain of the inference after the change.
        sums: numbers to add to the counters of each cohort.
        cohort_s: length of the version's cohorts, in seconds.
    """

    inference: Inference
    counted: Counted
    sums: Mapping[CohortKey, Mapping[str, Decimal]]
    cohort_s: int

    @property
    def newly_labelled(self) -> bool:
        return self.inference.counted.shown is None and self.counted.shown is not None

    @property
    def label_delay_s(self) -> float:
        """Seconds from the prediction to its first label; 0 when the label came first."""
        return float(_label_delay(self.inference))


def count_change(
    inference: Inference,
    schema: Schema,
    settings: MonitoringSettings,
    error_bound: float | None,
    confusions: Collection[Confusion] = (),
) -> CountChange | None:
    """Return the change that counts an inference; None when the counters already match it.

    Args:
        inference: the stored inference.
        schema: schema of the run that made the version.
        settings: `[monitoring]` of that run.
        error_bound: error bound of that run's baseline; a regression's prediction with a larger
            error is wrong.
        confusions: the confusions that are counted if there are many classes, from that baseline.
    """
    before = inference.counted
    if inference.prediction is None or before.seq >= inference.seq:
        return None
    after = inference.to_count(timedelta(seconds=settings.label_age_s))
    if after.shown is not None:
        start = cohort_start(inference.prediction.at, settings.cohort_s)
        after = replace(after, cohort=start, error_bound=error_bound)
    sums: dict[CohortKey, dict[str, Decimal]] = {}
    for counted, sign in ((before, -1), (after, 1)):
        if counted.cohort is not None:
            version = inference.prediction.version
            key = CohortKey(inference.model, version, counted.cohort, settings.cohort_s)
            numbers = contribution(inference, counted, schema, confusions)
            _add(sums.setdefault(key, {}), numbers, sign)
    return CountChange(inference, after, sums, settings.cohort_s)


def contribution(
    inference: Inference,
    counted: Counted,
    schema: Schema,
    confusions: Collection[Confusion] = (),
) -> dict[str, Decimal]:
    """Return what the counters contain of an inference, by the name of the counter."""
    prediction = inference.prediction
    if prediction is None or counted.shown is None:
        return {}
    sums = {"labelled": Decimal(1), "delay_sum": _label_delay(inference), "delay_n": Decimal(1)}
    if schema.classes is None:
        return sums | _regression_sums(prediction, counted)
    return sums | _classification_sums(prediction, counted, schema, confusions)


def _label_delay(inference: Inference) -> Decimal:
    """Return the seconds from an inference's prediction to its first label, to the millisecond."""
    if inference.prediction is None or not inference.labels:
        return Decimal(0)
    delay = inference.labels[0].received_at - inference.prediction.at
    return max(Decimal(round(delay.total_seconds() * 1000)) / 1000, Decimal(0))


def _classification_sums(
    prediction: Prediction, counted: Counted, schema: Schema, confusions: Collection[Confusion]
) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    predicted = _code(schema, prediction.text)
    if counted.shown is not None:
        actual = _code(schema, counted.shown)
        wrong = Decimal(actual != predicted)
        sums |= {"errors": wrong, f"s|{actual}|n": Decimal(1), f"s|{actual}|k": wrong}
        few = len(schema.classes or ()) <= FULL_CONFUSION_CLASSES
        if few or (actual, predicted) in confusions:
            sums[f"c|{actual}|{predicted}"] = Decimal(1)
        if prediction.probabilities is not None:
            sums |= {"loss_sum": _loss(prediction.probabilities, actual), "loss_n": Decimal(1)}
    if counted.matured is not None:
        actual = _code(schema, counted.matured)
        wrong = Decimal(actual != predicted)
        sums |= {
            "t_labelled": Decimal(1),
            "t_errors": wrong,
            f"t|{actual}|n": Decimal(1),
            f"t|{actual}|k": wrong,
        }
    return sums


def _regression_sums(prediction: Prediction, counted: Counted) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    bound = counted.error_bound
    if counted.shown is not None:
        error = float(prediction.text) - float(counted.shown)
        scale = _scale(bound)
        limit = _LARGEST_SCALED_ERROR
        scaled = min(max(Decimal(error) / scale, -limit), limit).quantize(_MILLIONTH)
        sums |= {
            "errors": Decimal(bound is not None and abs(error) > bound),
            "error_sum": scaled * scale,
            "abs_sum": abs(scaled) * scale,
            "square_sum": (scaled * scaled).quantize(_MILLIONTH) * scale * scale,
        }
    if counted.matured is not None:
        error = float(prediction.text) - float(counted.matured)
        wrong = bound is not None and abs(error) > bound
        sums |= {"t_labelled": Decimal(1), "t_errors": Decimal(wrong)}
    return sums


def _scale(bound: float | None) -> Decimal:
    """Return the power of ten relative to which errors are rounded to millionths.

    DynamoDB adds numbers exactly while a sum has at most 38 digits. Errors are therefore rounded
    relative to the version's error bound, and an error of more than 10⁹ times this scale counts as
    10⁹ times the scale.
    """
    if not bound:
        return Decimal(1)
    return Decimal(10) ** max(-50, math.floor(math.log10(bound)))


def _code(schema: Schema, text: str) -> int:
    code = schema.encode_label(text)
    return UNKNOWN_CLASS if code is None else int(code)


def _loss(probabilities: bytes, actual: int) -> Decimal:
    """Return −ln of the probability of the actual class; an unknown class has probability 0."""
    shares = struct.unpack(f"<{len(probabilities) // 4}f", probabilities)
    share = shares[actual] if 0 <= actual < len(shares) else 0.0
    loss = -math.log(min(max(share, SMALLEST_PROBABILITY), 1.0))
    return Decimal(loss).quantize(_MILLIONTH)


def _add(sums: dict[str, Decimal], more: Mapping[str, Decimal], sign: int = 1) -> None:
    for name, value in more.items():
        sums[name] = sums.get(name, Decimal(0)) + sign * value


def summed(changes: Iterable[CountChange]) -> dict[CohortKey, dict[str, Decimal]]:
    """Return the sums that changes add to each cohort, without zeros."""
    totals: dict[CohortKey, dict[str, Decimal]] = {}
    for change in changes:
        for key, sums in change.sums.items():
            _add(totals.setdefault(key, {}), sums)
    nonzero = {
        key: {name: value for name, value in sums.items() if value} for key, sums in totals.items()
    }
    return {key: sums for key, sums in nonzero.items() if sums}
