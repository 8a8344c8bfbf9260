"""Decide whether a challenger may become a version that is deployed.

One metric decides (`[gate] metric`; by default RMSE for numbers, accuracy for classes, and log loss
if a class is rare):

1. **Floor.** On the new held-out rows the challenger is at least as good as `[gate] floor`. Without
   a floor it must be better than a prediction without skill (the most frequent class, the class
   frequencies or the mean of the training rows), and better than chance: the p value of the
   permutation test (chance.py) is below 1 − `[gate] confidence`.
2. **Base.** On the champion's held-out rows it is not worse than the champion by more than
   `[gate] margin`. The point estimate decides, because a person can verify it, and because a drop
   that is too small to prove a loss must not replace a model that works. The interval of the paired
   difference is reported with it. One row is never a loss: of 40 rows it is 2.5 points of accuracy.
3. **New.** On the new held-out rows it is not significantly worse than the champion: it is refused
   when it is worse and the p value of the paired test is below 1 − `[gate] confidence`.
4. **Fresh.** On the fresh held-out rows (predictions labelled since the champion was trained;
   neither model was trained on them) it is significantly better than the champion: the p value of
   the paired test is below 1 − `[gate] confidence`.

The paired test is McNemar's test for accuracy and the paired bootstrap for the other metrics and
for weighted rows.

A drop with wrong labels passes 1 and 3, because its held-out rows are wrong in the same way; 2
refuses it. Without a champion, or with one whose columns differ, only 1 applies, and the reasons
say so. If the challenger may have been trained on the champion's held-out rows (rows that are split
by time, of which all are older than the new cut, or another rule of splitting), 2 does not apply.

A retraining (caused by drift or by a user command) uses `[retraining] base_margin` in 2, because
the champion's held-out rows may no longer represent today's data; wrong labels lose far more there.
It must pass 4: without fresh held-out rows, or without a comparable champion, nothing shows that it
is better, and it is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.evaluation.deciding_metric import deciding_metric
from refit.domain.evaluation.fold_scores import folds_text
from refit.domain.evaluation.gate_texts import (
    CERTAIN_TEXT,
    advice_text,
    comparison_text,
    decision_text,
    difference_text,
    estimate_text,
    imbalance_text,
    naive_text,
    percent_text,
    rows_text,
    undefined_text,
)
from refit.domain.quality_metrics import METRICS, figure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from refit.domain.evaluation.report import (
        Comparison,
        EvaluatedRows,
        Evaluation,
        ModelQuality,
    )
    from refit.domain.model_settings import GateSettings

_TINY = 1e-12  # a loss of exactly the margin is allowed, whatever the rounding


@dataclass(frozen=True)
class _Margin:
    """How much worse the challenger may be, and the setting that says so."""

    setting: str
    value: float


class GateCheck(BaseModel):
    """One rule, applied to an evaluation."""

    model_config = ConfigDict(frozen=True)

    name: Literal["floor", "base", "new", "fresh"]
    passed: bool
    reason: str


_NOT_COMPARED = GateCheck(
    name="fresh",
    passed=False,
    reason="The columns differ from those of the live version, so nothing shows that a retrained "
    "model is better: drop data with the new columns instead.",
)


class GateDecision(BaseModel):
    """The format of `gate.json`.

    Attributes:
        passed: every check that applies has passed.
        reasons: of the failed checks when refused, else of all checks; then notes.
        metric: the metric that decided.
        challenger: its value on the new held-out rows; None where the metric is undefined.
        champion: its value on the same rows, or None without a comparable champion.
        checks: every check that applied.
    """

    model_config = ConfigDict(frozen=True)

    passed: bool
    reasons: list[str]
    metric: str
    challenger: float | None
    champion: float | None
    checks: list[GateCheck]


@dataclass(frozen=True)
class RetrainingContext:
    """What the gate needs to know of a run that trained on labelled predictions.

    Attributes:
        base_margin: `[retraining] base_margin`.
        test_fraction: `[data] test_fraction`.
        dropped: training rows from dropped files.
        labelled: training rows that are labelled predictions.
        held_out: labelled predictions in the validation and test sets.
        lost: labelled predictions that could not be used, by reason.
    """

    base_margin: float
    test_fraction: float
    dropped: int
    labelled: int
    held_out: int
    lost: Mapping[str, int]


def decide(
    evaluation: Evaluation,
    settings: GateSettings,
    retraining: RetrainingContext | None = None,
    leaks: Sequence[str] = (),
) -> GateDecision:
    """Apply the rules above to an evaluation.

    Args:
        evaluation: of the run.
        settings: `[gate]` of model.toml.
        retraining: for a run that drift or a user command caused, else None.
        leaks: sentences about columns that alone give the label; they are added to the reasons.

    Raises:
        SettingsInvalid: when `[gate] metric` does not exist for the task or the number of classes.
    """
    n_classes = len(evaluation.classes) if evaluation.classes else None
    metric = deciding_metric(evaluation.task, settings, n_classes, evaluation.imbalance)
    notes = _notes_on_model(evaluation, metric, settings)
    checks = [_floor(evaluation, metric, settings)]
    if evaluation.comparable and evaluation.champion:
        margin = _Margin("[gate] margin", settings.margin)
        if retraining:
            margin = _Margin("[retraining] base_margin", retraining.base_margin)
        if evaluation.base:
            checks.append(_base(evaluation.base, evaluation, metric, margin))
        checks.append(_new(evaluation.new, evaluation, metric, settings))
        notes += evaluation.notes
        if evaluation.fresh:
            checks.append(_fresh(evaluation.fresh, evaluation, metric, settings))
        elif retraining:
            checks.append(_nothing_fresh(settings, retraining))
    elif retraining:
        checks.append(_NOT_COMPARED)
    elif evaluation.champion:
        notes.append(
            "The columns differ from those of the live version "
            f"{evaluation.champion.version}, which the settings accept, so it was not compared."
        )
    else:
        notes.append("There is no live version to compare with yet.")
    if retraining:
        notes.append(_trained_on(retraining))
    notes += [f"{leak[:1].upper()}{leak[1:]}." for leak in leaks]
    passed = all(check.passed for check in checks)
    reasons = [check.reason for check in checks if check.passed == passed]
    return GateDecision(
        passed=passed,
        reasons=reasons + notes,
        metric=metric,
        challenger=_value(evaluation.new.challenger, metric),
        champion=_value(evaluation.new.champion, metric),
        checks=checks,
    )


def _value(quality: ModelQuality | None, metric: str) -> float | None:
    estimate = quality.metrics.get(metric) if quality else None
    return estimate.value if estimate else None


def _notes_on_model(evaluation: Evaluation, metric: str, settings: GateSettings) -> list[str]:
    """Say what is unusual about the labels, how a class is predicted, and what folds measured."""
    notes = []
    if evaluation.new.challenger.is_always_certain:
        notes.append(CERTAIN_TEXT)
    if evaluation.imbalance:
        is_automatic = settings.metric == "auto"
        notes.append(imbalance_text(evaluation, evaluation.imbalance, metric, is_automatic))
    if evaluation.decision:
        notes.append(decision_text(evaluation.decision))
    if evaluation.folds and (text := folds_text(evaluation.folds, metric)):
        notes.append(text)
    return notes


def _comparison(rows: EvaluatedRows, metric: str) -> Comparison | None:
    """Return the comparison; None where the metric is undefined on these rows."""
    if rows.comparisons is None:
        raise KeyError("evaluation.json is marked comparable but has no comparisons")
    return rows.comparisons.get(metric)


def _floor(evaluation: Evaluation, metric: str, settings: GateSettings) -> GateCheck:
    rows = evaluation.new
    estimate = rows.challenger.metrics.get(metric)
    if estimate is None:
        return _undefined("floor", rows, "new", metric)
    sign = 1 if METRICS[metric].higher_is_better else -1
    finding = f"On {rows_text(rows.rows, 'new')} the challenger's "
    finding += estimate_text(metric, estimate, evaluation.confidence)
    if settings.floor is not None:
        limit = f"[gate] floor requires at {'least' if sign > 0 else 'most'} "
        return GateCheck(
            name="floor",
            passed=sign * (estimate.value - settings.floor) >= -_TINY,
            reason=f"{finding}; {limit}{figure(metric, settings.floor)}.",
        )
    baseline = rows.baseline.metrics[metric]
    limit = f"{naive_text(evaluation, metric)} reaches {figure(metric, baseline)}"
    if baseline == (1 if sign > 0 else 0):
        limit += ", and it must be better (all these rows have the same label, so no model can be: "
        limit += "drop data with other labels too, or set [gate] floor)"
        return GateCheck(name="floor", passed=False, reason=f"{finding}; {limit}.")
    is_better = sign * (estimate.value - baseline) > _TINY
    significance = 1 - settings.confidence
    is_beyond_chance = rows.chance is not None and rows.chance.p_value < significance
    if not is_better:
        limit += ", and it must be better"
    elif rows.chance is not None:
        limit += ", and predictions without skill are as good by chance with p = "
        limit += f"{rows.chance.p_value:.2g}"
        if not is_beyond_chance:
            limit += f"; p must be below {significance:.3g}, so this may be chance"
    passed = is_better and is_beyond_chance
    advice = "" if passed else advice_text(evaluation, metric, is_better)
    return GateCheck(name="floor", passed=passed, reason=f"{finding}; {limit}.{advice}")


def _undefined(
    name: Literal["floor", "base", "new", "fresh"], rows: EvaluatedRows, kind: str, metric: str
) -> GateCheck:
    return GateCheck(
        name=name,
        passed=False,
        reason=f"On {rows_text(rows.rows, kind)} the {METRICS[metric].title} cannot be measured: "
        f"{undefined_text(metric)}.",
    )


def _base(rows: EvaluatedRows, evaluation: Evaluation, metric: str, margin: _Margin) -> GateCheck:
    compared = _comparison(rows, metric)
    if compared is None:
        return _undefined("base", rows, "base", metric)
    relative = METRICS[metric].in_units
    allowed = margin.value * (compared.champion if relative else 1)
    limit = f"{margin.setting} allows {difference_text(metric, allowed)} worse"
    if compared.one_row and compared.one_row > allowed:
        allowed = compared.one_row
        limit = f"one row is allowed, which is {difference_text(metric, allowed)}"
    if relative:
        limit += f" ({percent_text(margin.value)} of that of the champion)"
    return GateCheck(
        name="base",
        passed=compared.advantage >= -allowed - _TINY,
        reason=f"On {rows_text(rows.rows, 'base')} of the champion "
        f"{comparison_text(compared, evaluation, metric)}; {limit}.",
    )


def _new(
    rows: EvaluatedRows, evaluation: Evaluation, metric: str, settings: GateSettings
) -> GateCheck:
    compared = _comparison(rows, metric)
    if compared is None:
        return _undefined("new", rows, "new", metric)
    significance = 1 - settings.confidence
    worse = compared.advantage < 0 and compared.p_value < significance
    return GateCheck(
        name="new",
        passed=not worse,
        reason=f"On {rows_text(rows.rows, 'new')} "
        f"{comparison_text(compared, evaluation, metric)}, p = {compared.p_value:.3g}; "
        f"a challenger that is worse with p below {significance:.3g} is refused.",
    )


def _fresh(
    rows: EvaluatedRows, evaluation: Evaluation, metric: str, settings: GateSettings
) -> GateCheck:
    compared = _comparison(rows, metric)
    if compared is None:
        return _undefined("fresh", rows, "fresh", metric)
    significance, fewest = 1 - settings.confidence, _fewest_rows(settings.confidence)
    limit = f"it must be better, with p below {significance:.3g}"
    if metric == "accuracy" and rows.rows < fewest:
        limit += f", which requires at least {fewest} rows"
    return GateCheck(
        name="fresh",
        passed=compared.advantage > 0 and compared.p_value < significance,
        reason=f"On {rows_text(rows.rows, 'fresh')} "
        f"{comparison_text(compared, evaluation, metric)}, p = {compared.p_value:.3g}; {limit}.",
    )


def _nothing_fresh(settings: GateSettings, retraining: RetrainingContext) -> GateCheck:
    fewest = _fewest_rows(settings.confidence)
    return GateCheck(
        name="fresh",
        passed=False,
        reason="No prediction labelled since the champion is held out (the hash of a row decides), "
        "so nothing shows that the challenger is better: about "
        f"{round(fewest / retraining.test_fraction):,} new labels are required for the {fewest} "
        "held-out rows without which no difference of accuracy is significant "
        f"([data] test_fraction = {retraining.test_fraction:g}).",
    )


def _fewest_rows(confidence: float) -> int:
    """Return the fewest rows on which a difference of accuracy can be significant.

    If the challenger wins all n rows, McNemar's mid-p value is 0.5^n.
    """
    return math.floor(-math.log2(1 - confidence)) + 1


def _trained_on(retraining: RetrainingContext) -> str:
    text = (
        f"It was trained on {retraining.dropped:,} dropped and {retraining.labelled:,} labelled "
        f"rows; {retraining.held_out:,} more labelled rows were held out"
    )
    lost = sum(retraining.lost.values())
    if not lost:
        return f"{text}."
    reasons = sorted(retraining.lost.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
    return f"{text}, and {lost:,} could not be used ({listed})."
