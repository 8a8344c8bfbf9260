"""The demo's picture: some digits, what the model said of each, and how sure it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes

COLUMNS = 8
ROWS = 3
MOST_WRONG = COLUMNS

# Blue and vermilion of Okabe and Ito: told apart by every kind of colour vision; the marks
# ✓ and ✗ and the frame's width say it without colour.
RIGHT_COLOUR = "#0072B2"
WRONG_COLOUR = "#D55E00"

_LEGEND = "✓ read right    ✗ what it said, what it is    % the probability that the model gave"

# Below this many pixels per edge a digit reads better when the steps between them are smoothed.
_COARSE_SIDE = 16


@dataclass(frozen=True)
class AnsweredDigit:
    """A digit, its label, and the model's answer with its probability (0 to 1)."""

    pixels: npt.NDArray[np.generic]
    label: str
    prediction: str
    probability: float

    @property
    def is_right(self) -> bool:
        """Say whether the model was right."""
        return self.prediction == self.label


def chosen(digits: list[AnsweredDigit]) -> list[AnsweredDigit]:
    """Return those that are shown: right ones in their order, then wrong ones, surest first.

    Only so many wrong ones that they fill one row; the others are in the accuracy.
    """
    wrong = sorted(
        (digit for digit in digits if not digit.is_right), key=lambda digit: -digit.probability
    )[:MOST_WRONG]
    right = [digit for digit in digits if digit.is_right][: COLUMNS * ROWS - len(wrong)]
    return right + wrong


def save(path: Path, digits: list[AnsweredDigit], side: int, title: str, subtitle: str) -> None:
    """Draw the chosen digits in a grid and save it as PNG.

    Args:
        path: where to; its folder is made.
        digits: all that were answered, `pixels` of side² each.
        side: pixels per edge.
        title: the headline.
        subtitle: one line below it.
    """
    shown = chosen(digits)
    figure, axes = plt.subplots(
        ROWS, COLUMNS, figsize=(COLUMNS * 1.3, ROWS * 1.62 + 1.1), facecolor="white"
    )
    for place, axis in enumerate(axes.flat):
        axis.axis("off")
        if place < len(shown):
            _draw(axis, shown[place], side)
    figure.suptitle(title, x=0.03, y=0.975, ha="left", va="top", fontsize=17, fontweight="bold")
    figure.text(0.03, 0.905, subtitle, ha="left", va="top", fontsize=10.5, color="#444444")
    figure.text(0.03, 0.02, _LEGEND, ha="left", va="bottom", fontsize=8.5, color="#666666")
    figure.subplots_adjust(left=0.03, right=0.97, top=0.83, bottom=0.115, hspace=0.36, wspace=0.18)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _draw(axis: Axes, digit: AnsweredDigit, side: int) -> None:
    axis.axis("on")
    axis.set_xticks([])
    axis.set_yticks([])
    smoothing = "bilinear" if side < _COARSE_SIDE else "nearest"
    axis.imshow(digit.pixels.reshape(side, side), cmap="gray_r", interpolation=smoothing)
    colour = RIGHT_COLOUR if digit.is_right else WRONG_COLOUR
    for spine in axis.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(1.2 if digit.is_right else 3)
    said = f"✓ {digit.prediction}" if digit.is_right else f"✗ {digit.prediction}, is {digit.label}"
    axis.set_xlabel(
        f"{said}   {digit.probability:.0%}",
        color=colour,
        fontsize=10,
        fontweight="normal" if digit.is_right else "bold",
        labelpad=4,
    )
