"""Decide whether a challenger may become a version that is deployed.

The rule, for one metric (`[gate] metric`; accuracy for classes and RMSE for numbers by default):

1. **Floor.** On the new held-out rows the challenger is at least as good as `[gate] floor`. Without
   one it must be better than always giving the commonest class (or the mean) of those rows.
2. **Base.** On the champion's own held-out rows it is not worse than the champion by more than
   `[gate] margin`: the point estimate decides, since a person can check it by hand, and since a
   drop too small to prove a loss must not replace a model that works. The interval of the paired
   difference is told with it. One row more or less is never a loss: on 40 rows it is 2.5 points.
3. **New.** On the new held-out rows it is not significantly worse than the champion: refused when
   it is worse and the paired test's p value is below 1 − `[gate] confidence`.
4. **Fresh.** On the fresh held-out rows (predictions that were labelled since the champion was
   trained; neither model was trained on them) it is better than the champion by more than noise:
   the paired test's p value is below 1 − `[gate] confidence`. McNemar's test for accuracy, the
   paired bootstrap for the others.

A drop with wrong labels looks good by 1 and 3, because its held-out rows are wrong in the same way;
2 stops it. Without a champion, or with one whose columns differ, only 1 applies, and it says so.

A retraining (caused by drift, or by a person who asked for one) takes `[retraining] base_margin`
for 2: the world may have moved away from the champion's old rows, while labels that are wrong lose
far more there. It must be judged by 4: without a fresh held-out row, or without a comparable
champion, nothing shows that it is better, and it is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from refit.domain.errors import SettingsInvalid
from refit.domain.evaluation.report import HIGHER_IS_BETTER, Comparison, EvaluatedRows, Evaluation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.model_settings import GateSettings
    from refit.domain.vocabulary import Task

_METRICS = {"classification": ("accuracy", "log_loss"), "regression": ("rmse", "mae")}
_SHOWN = {"accuracy": "accuracy", "log_loss": "log loss", "rmse": "RMSE", "mae": "MAE"}
_TINY = 1e-12  # rounding: a loss of exactly the margin is not more than the margin


@dataclass(frozen=True)
class _Margin:
    """How much worse is tolerated, and the setting that says so."""

    setting: str
    value: float


class GateCheck(BaseModel):
    """One rule, held against the evaluation."""

    model_config = ConfigDict(frozen=True)

    name: Literal["floor", "base", "new", "fresh"]
    passed: bool
    reason: str


_NOT_COMPARED = GateCheck(
    name="fresh",
    passed=False,
    reason="The columns differ from the live version's, so nothing shows that a retrained model is "
    "better: drop data with the new columns instead.",
)


class GateDecision(BaseModel):
    """The form of `gate.json`.

    Attributes:
        passed: every check that applies has passed.
        reasons: refused: the sentences of the checks that failed; passed: all of them.
        metric: what decided.
        challenger: its value on the new held-out rows.
        champion: its value on the same rows, or None without a comparable champion.
        checks: every check that applied.
    """

    model_config = ConfigDict(frozen=True)

    passed: bool
    reasons: list[str]
    metric: str
    challenger: float
    champion: float | None
    checks: list[GateCheck]


@dataclass(frozen=True)
class RetrainingContext:
    """What the gate has to know of a run that trained on labelled predictions.

    Attributes:
        base_margin: `[retraining] base_margin`.
        test_fraction: `[data] test_fraction`.
        dropped: rows trained on that were dropped.
        labelled: rows trained on that are labelled predictions.
        held_out: labelled predictions that were not trained on: validation and test.
        lost: labelled predictions that could not be used, by the reason.
    """

    base_margin: float
    test_fraction: float
    dropped: int
    labelled: int
    held_out: int
    lost: Mapping[str, int]


def decide(
    evaluation: Evaluation, settings: GateSettings, retraining: RetrainingContext | None = None
) -> GateDecision:
    """Hold an evaluation against the gate's rule (above).

    Args:
        evaluation: of the run.
        settings: `[gate]` of model.toml.
        retraining: of a run that drift or a person's wish caused, else None.

    Raises:
        SettingsInvalid: when `[gate] metric` does not exist for the evaluation's task.
    """
    metric, notes = deciding_metric(evaluation.task, settings), []
    checks = [_floor(evaluation, metric, settings)]
    if evaluation.comparable and evaluation.champion and evaluation.base:
        margin = _Margin("[gate] margin", settings.margin)
        if retraining:
            margin = _Margin("[retraining] base_margin", retraining.base_margin)
        checks += [
            _base(_comparison(evaluation.base, metric), evaluation, metric, margin),
            _new(_comparison(evaluation.new, metric), evaluation, metric, settings),
        ]
        if evaluation.fresh:
            compared = _comparison(evaluation.fresh, metric)
            checks.append(_fresh(compared, evaluation.fresh.rows, evaluation, metric, settings))
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
    passed = all(check.passed for check in checks)
    told = [check.reason for check in checks if check.passed == passed]
    champion = evaluation.new.champion
    return GateDecision(
        passed=passed,
        reasons=told + notes,
        metric=metric,
        challenger=evaluation.new.challenger.metrics[metric].value,
        champion=champion.metrics[metric].value if champion else None,
        checks=checks,
    )


def deciding_metric(task: Task, settings: GateSettings) -> str:
    """Return the metric that decides for a task.

    Raises:
        SettingsInvalid: when `[gate] metric` does not exist for the task.
    """
    possible = _METRICS[task]
    if settings.metric == "auto":
        return possible[0]
    if settings.metric not in possible:
        raise SettingsInvalid(
            f"[gate] metric = {settings.metric!r} does not exist for a {task}; "
            f"allowed: auto, {', '.join(possible)}"
        )
    return settings.metric


def _comparison(rows: EvaluatedRows, metric: str) -> Comparison:
    if rows.comparisons is None:
        raise KeyError(f"evaluation.json compares nothing by {metric}, and says it is comparable")
    return rows.comparisons[metric]


def _floor(evaluation: Evaluation, metric: str, settings: GateSettings) -> GateCheck:
    rows = evaluation.new
    estimate = rows.challenger.metrics[metric]
    sign = 1 if metric in HIGHER_IS_BETTER else -1
    is_value = f"On {_rows(rows.rows, 'new')} the challenger's {_SHOWN[metric]} is "
    is_value += _number(metric, estimate.value)
    if estimate.low is not None and estimate.high is not None:
        low, high = _number(metric, estimate.low), _number(metric, estimate.high)
        is_value += f" ({_percent(evaluation.confidence)} interval {low} to {high})"
    if settings.floor is not None:
        passed = sign * (estimate.value - settings.floor) >= -_TINY
        limit = f"[gate] floor asks for at {'least' if sign > 0 else 'most'} "
        limit += _number(metric, settings.floor)
    else:
        baseline = rows.baseline.metrics[metric]
        passed = sign * (estimate.value - baseline) > _TINY
        limit = f"always giving {_constant(evaluation, metric)} reaches {_number(metric, baseline)}"
        limit += ", and it must be better than that"
        if baseline == (1 if sign > 0 else 0):
            limit += " (all these rows have the same label, so nothing can be: drop data with "
            limit += "other labels too, or set [gate] floor)"
    return GateCheck(name="floor", passed=passed, reason=f"{is_value}; {limit}.")


def _constant(evaluation: Evaluation, metric: str) -> str:
    answer = evaluation.new.baseline.answer
    if metric == "log_loss":
        return "the classes' shares"
    if isinstance(answer, str):
        return f"the commonest class {answer!r}"
    return f"the mean {answer:.6g}"


def _base(compared: Comparison, evaluation: Evaluation, metric: str, margin: _Margin) -> GateCheck:
    rows = evaluation.base.rows if evaluation.base else 0
    relative = evaluation.task == "regression"
    allowed = margin.value * (compared.champion if relative else 1)
    limit = f"{margin.setting} allows {_difference(metric, allowed)} worse"
    if metric == "accuracy" and rows and 1 / rows > allowed:
        allowed = 1 / rows
        limit = f"one row is allowed, which is {_difference(metric, allowed)}"
    if relative:
        limit += f" ({_percent(margin.value)} of the champion's)"
    return GateCheck(
        name="base",
        passed=compared.advantage >= -allowed - _TINY,
        reason=f"On {_rows(rows, 'base')} of the champion {_told(compared, evaluation, metric)}; "
        f"{limit}.",
    )


def _new(
    compared: Comparison, evaluation: Evaluation, metric: str, settings: GateSettings
) -> GateCheck:
    least = 1 - settings.confidence
    worse = compared.advantage < 0 and compared.p_value < least
    return GateCheck(
        name="new",
        passed=not worse,
        reason=f"On {_rows(evaluation.new.rows, 'new')} {_told(compared, evaluation, metric)}, "
        f"p = {compared.p_value:.3g}; worse with p below {least:.3g} is refused.",
    )


def _fresh(
    compared: Comparison, rows: int, evaluation: Evaluation, metric: str, settings: GateSettings
) -> GateCheck:
    least, fewest = 1 - settings.confidence, _fewest_rows(settings.confidence)
    limit = f"it must be better there, with p below {least:.3g}"
    if rows < fewest:
        limit += f", which takes {fewest} rows or more"
    return GateCheck(
        name="fresh",
        passed=compared.advantage > 0 and compared.p_value < least,
        reason=f"On {_rows(rows, 'fresh')} {_told(compared, evaluation, metric)}, "
        f"p = {compared.p_value:.3g}; {limit}.",
    )


def _nothing_fresh(settings: GateSettings, retraining: RetrainingContext) -> GateCheck:
    fewest = _fewest_rows(settings.confidence)
    return GateCheck(
        name="fresh",
        passed=False,
        reason="No labelled prediction since the champion fell to the held-out side, which each "
        "row's hash decides, so nothing shows that the challenger is better: at least about "
        f"{round(fewest / retraining.test_fraction):,} new labels are needed for the {fewest} "
        "held-out rows below which nothing is more than noise ([data] test_fraction = "
        f"{retraining.test_fraction:g}).",
    )


def _fewest_rows(confidence: float) -> int:
    """Return how many rows it takes when all of them speak for the challenger.

    By McNemar's mid-p, n such rows have p = 0.5^n.
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
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons)
    return f"{text}, and {lost:,} could not be used ({told})."


def _told(compared: Comparison, evaluation: Evaluation, metric: str) -> str:
    """Say both values and their difference."""
    challenger = _number(metric, compared.challenger)
    champion = _number(metric, compared.champion)
    version = f"version {evaluation.champion.version}" if evaluation.champion else "the champion"
    text = f"the challenger's {_SHOWN[metric]} is {challenger} and that of {version} {champion}"
    if compared.advantage == 0:
        return f"{text}, no difference"
    side = "better" if compared.advantage > 0 else "worse"
    text += f", {_difference(metric, abs(compared.advantage))} {side}"
    if compared.low is not None and compared.high is not None:
        low, high = _signed(metric, compared.low), _signed(metric, compared.high)
        text += f" ({_percent(evaluation.confidence)} interval {low} to {high}, + is better)"
    return text


def _rows(count: int, kind: str) -> str:
    return f"{count:,} {kind} held-out row{'' if count == 1 else 's'}"


def _number(metric: str, value: float) -> str:
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.6g}"


def _difference(metric: str, value: float) -> str:
    return f"{100 * value:.2f} points" if metric == "accuracy" else f"{value:.4g}"


def _signed(metric: str, value: float) -> str:
    return f"{100 * value:+.2f} points" if metric == "accuracy" else f"{value:+.4g}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
