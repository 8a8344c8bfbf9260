"""Texts of the gate's reasons: metrics, differences and rows as a person reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refit.domain.evaluation.report import Comparison, Evaluation

DISPLAY_NAMES = {"accuracy": "accuracy", "log_loss": "log loss", "rmse": "RMSE", "mae": "MAE"}


def constant_text(evaluation: Evaluation, metric: str) -> str:
    """Name the constant prediction that the challenger must beat."""
    answer = evaluation.new.baseline.answer
    if metric == "log_loss":
        return "the class frequencies"
    if isinstance(answer, str):
        return f"the most frequent class {answer!r}"
    return f"the mean {answer:.6g}"


def comparison_text(compared: Comparison, evaluation: Evaluation, metric: str) -> str:
    """Describe both values and their difference."""
    challenger = metric_text(metric, compared.challenger)
    champion = metric_text(metric, compared.champion)
    version = f"version {evaluation.champion.version}" if evaluation.champion else "the champion"
    text = (
        f"the challenger's {DISPLAY_NAMES[metric]} is {challenger} and that of {version} {champion}"
    )
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


def metric_text(metric: str, value: float) -> str:
    """Return the value of a metric: accuracy in percent, the others as numbers."""
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.6g}"


def difference_text(metric: str, value: float) -> str:
    """Return the size of a difference: of accuracies in percentage points."""
    return f"{100 * value:.2f} points" if metric == "accuracy" else f"{value:.4g}"


def signed_text(metric: str, value: float) -> str:
    """Return a difference with its sign."""
    return f"{100 * value:+.2f} points" if metric == "accuracy" else f"{value:+.4g}"


def percent_text(share: float) -> str:
    """Return a share, such as 0.95, in percent."""
    return f"{100 * share:.4g} %"
