"""Draw the metric of a training by rounds, as a small chart for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import plotille
from refit.domain.evaluation.training_curves import shown_metric
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.evaluation.training_curves import BoostingRound

HEIGHT = 8
_CELLS_OF_TICK = 10
_MOST_TICKS = 6
_MARGIN = 24  # the labels of the vertical axis, and the arrow of the other
_FEWEST_ROUNDS = 3
_STYLES = ("cyan", "yellow")


def metric_chart(rounds: Sequence[BoostingRound], columns: int) -> Text | None:
    """Return the metric on validation and training data by rounds.

    None for fewer than three rounds, and for a terminal that is too narrow.

    Args:
        rounds: the rounds so far.
        columns: width of the terminal.
    """
    ticks = min(_MOST_TICKS, (columns - _MARGIN) // _CELLS_OF_TICK)
    names = _names(rounds) if len(rounds) >= _FEWEST_ROUNDS else []
    if ticks < 1 or not names:
        return None
    figure = plotille.Figure()
    figure.width, figure.height = ticks * _CELLS_OF_TICK, HEIGHT
    figure.x_label, figure.y_label = "round", "value"
    figure.register_label_formatter(float, _label)
    figure.register_label_formatter(int, _label)
    # Whole numbers at the ticks.
    figure.set_x_limits(0, ticks * math.ceil(rounds[-1].number / ticks))
    _set_height(figure, [past.metrics[name] for past in rounds for name in names])
    for name, style in zip(names, _STYLES, strict=False):
        numbers = [past.number for past in rounds]
        figure.plot(numbers, [past.metrics[name] for past in rounds], lc=style)
    legend = [Text(f"── {n}", style) for n, style in zip(names, _STYLES, strict=False)]
    return Text.assemble(Text("   ").join(legend), "\n", Text.from_ansi(figure.show()))


def _set_height(figure: plotille.Figure, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    if high > low:
        figure.set_y_limits(low, high)


def _names(rounds: Sequence[BoostingRound]) -> list[str]:
    """Return the metric to show, and the same of the training rows, of those in every round."""
    names = [n for n in rounds[-1].metrics if all(n in past.metrics for past in rounds)]
    shown = shown_metric(names)
    if shown is None:
        return []
    of_training = f"train-{shown.partition('-')[2]}"
    return [shown, of_training] if of_training in names and of_training != shown else [shown]


def _label(value: float, chars: int, delta: Any = None, left: bool = False) -> str:
    text = f"{value:.4g}"
    return text.ljust(chars) if left else text.rjust(chars)
