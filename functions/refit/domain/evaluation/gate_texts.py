"""Texts of the gate's reasons: metrics, differences, rows and advice as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.quality_metrics import METRICS, figure, shown_beside_log_loss

if TYPE_CHECKING:
    from refit.domain.decision_rule import DecisionRule
    from refit.domain.evaluation.report import Comparison, Estimate, Evaluation, Imbalance

_FEW_ROWS = 100
_UNDEFINED = {
    "roc_auc": "they have only one class; drop more rows, or set [gate] metric = 'log_loss'",
    "average_precision": "they have no row of the positive class; drop more rows, or set [gate] "
    "metric = 'log_loss'",
    "recall": "they have no row of the positive class; drop more rows, or set [gate] metric = "
    "'log_loss'",
    "f1": "no row is of the positive class, or predicted to be; drop more rows, or set [gate] "
    "metric = 'log_loss'",
    "r2": "all labels are the same; drop data with other labels too, or set [gate] metric = 'rmse'",
    "mape": "a label is 0; set [gate] metric = 'mae' or 'median_absolute_error'",
}

CERTAIN_TEXT = (
    "Every probability of the challenger is exactly 0 or 1. If the container answers the numbers "
    "of the classes, let it answer their probabilities: log loss, thresholds and drift need them."
)


def undefined_text(metric: str) -> str:
    """Say why a metric cannot be measured on some rows, and what to do."""
    return _UNDEFINED[metric]


def naive_text(evaluation: Evaluation, metric: str) -> str:
    """Name the prediction without skill that the challenger must beat."""
    answer, naive = evaluation.new.baseline.answer, METRICS[metric].naive
    if not isinstance(answer, str):
        return f"always predicting the mean {answer:.6g}"
    if naive == "frequencies":
        return "always predicting the class frequencies"
    if naive == "ranking":
        return "the same score for every row"
    if evaluation.decision and naive == "positive":
        return f"always predicting the positive class {evaluation.decision.positive!r}"
    if evaluation.decision and naive == "guess":
        return f"predicting {evaluation.decision.positive!r} at random, for as many rows,"
    return f"always predicting the most frequent class {answer!r}"


def advice_text(evaluation: Evaluation, metric: str, is_better: bool) -> str:
    """Say what to do about a challenger that is not better than a prediction without skill.

    Args:
        evaluation: of the run.
        metric: the metric that decided.
        is_better: whether only its uncertainty is too large.
    """
    lone, rare = evaluation.lone_classes, evaluation.imbalance
    if lone:
        return (
            f" The label has {lone.classes:,} classes in {lone.rows:,} training rows, and "
            f"{lone.lone:,} of them have a single row: it looks like a number, an id or free text. "
            "Set [data] task = 'regression' if it is a number, or [data] label if it is another "
            "column."
        )
    if rare and metric == "accuracy":
        return (
            f" {percent_text(rare.common_share)} of the training rows are class {rare.common!r}, "
            "so accuracy hardly depends on the other rows: set [gate] metric = 'log_loss' or "
            "'balanced_accuracy'."
        )
    few = f" {evaluation.new.rows} held-out rows show only large differences: drop more rows, or"
    few += " raise [data] test_fraction."
    if is_better:
        return few if evaluation.new.rows < _FEW_ROWS else ""
    return (
        " Either the columns say nothing about the label, or [data] label names the wrong column; "
        "[gate] floor replaces this rule."
    )


def imbalance_text(evaluation: Evaluation, rare: Imbalance, metric: str, is_automatic: bool) -> str:
    """Say that a class is rare, what judges such data, and the metric beside it."""
    text = (
        f"{percent_text(rare.common_share)} of the training rows are class {rare.common!r} and "
        f"only {percent_text(rare.rare_share)} class {rare.rare!r}"
    )
    beside = shown_beside_log_loss(len(evaluation.classes or ()))
    shown = evaluation.new.challenger.metrics.get(beside)
    if is_automatic:
        text += ", so [gate] metric = 'auto' judged by log loss"
    elif metric != "log_loss":
        text += f"; [gate] metric = {metric!r} judged, and 'auto' would judge by log loss"
    if shown and beside != metric:
        text += f". The {estimate_text(beside, shown, evaluation.confidence)}"
        naive = evaluation.new.baseline.metrics.get(beside)
        if naive is not None:
            text += f", and without skill it is {figure(beside, naive, '.3g')}"
    return f"{text}."


def decision_text(rule: DecisionRule) -> str:
    """Say which class is positive, and from which probability on it is predicted."""
    why = " (the second class, because [prediction] positive is not set)" if rule.is_default else ""
    text = f"The positive class is {rule.positive!r}{why}"
    if rule.threshold is None:
        return f"{text}."
    source = "[prediction] threshold"
    if rule.chosen == "costs":
        source = (
            f"chosen on the {rule.chosen_on} rows by [prediction] costs; mean cost of a row there "
        )
        source += f"{rule.expected_cost:.4g}"
    return (
        f"{text}; it is predicted if its probability is at least {rule.threshold:.4g} ({source})."
    )


def estimate_text(metric: str, estimate: Estimate, confidence: float) -> str:
    """Return such as `accuracy is 90.00% (95 % interval 85.01% to 93.50%)`."""
    text = f"{METRICS[metric].title} is {figure(metric, estimate.value)}"
    if estimate.low is None or estimate.high is None:
        return text
    low, high = figure(metric, estimate.low), figure(metric, estimate.high)
    return f"{text} ({percent_text(confidence)} interval {low} to {high})"


def comparison_text(compared: Comparison, evaluation: Evaluation, metric: str) -> str:
    """Describe both values and their difference."""
    challenger = figure(metric, compared.challenger)
    champion = figure(metric, compared.champion)
    version = f"version {evaluation.champion.version}" if evaluation.champion else "the champion"
    title = METRICS[metric].title
    text = f"the challenger's {title} is {challenger} and that of {version} {champion}"
    if compared.advantage == 0:
        return f"{text}, no difference"
    side = "better" if compared.advantage > 0 else "worse"
    text += f", {difference_text(metric, abs(compared.advantage))} {side}"
    if compared.low is not None and compared.high is not None:
        low, high = signed_text(metric, compared.low), signed_text(metric, compared.high)
        text += f" ({percent_text(evaluation.confidence)} interval {low} to {high}, + is better)"
    return text


def rows_text(count: int, kind: str) -> str:
    """Return such as `400 new held-out rows`."""
    return f"{count:,} {kind} held-out row{'' if count == 1 else 's'}"


def difference_text(metric: str, value: float) -> str:
    """Return the size of a difference: of shares in percentage points."""
    return f"{100 * value:.2f} points" if METRICS[metric].is_share else f"{value:.4g}"


def signed_text(metric: str, value: float) -> str:
    """Return a difference with its sign."""
    return f"{100 * value:+.2f} points" if METRICS[metric].is_share else f"{value:+.4g}"


def percent_text(share: float) -> str:
    """Return a share, such as 0.95, in percent."""
    return f"{100 * share:.4g} %"
