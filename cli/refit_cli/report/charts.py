"""Charts of a report: SVG inside the page, in the colours of its light or dark theme."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from refit.domain.evaluation.training_curves import VALIDATION, best_round

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from refit.domain.evaluation.training_curves import Curves, JobCurves

MOST_LINES = 8
# Matplotlib takes colours, not CSS variables. These stand for them, and no other part has them.
_TEXT, _RULE = "#010203", "#040506"
_LINES = tuple(f"#07080{number}" for number in range(1, MOST_LINES + 1))
_VARIABLES = {_TEXT: "var(--text)", _RULE: "var(--rule)"} | {
    colour: f"var(--line{number})" for number, colour in enumerate(_LINES, start=1)
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": _TEXT,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "grid.color": _RULE,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_GROUP_IDS = re.compile(r' id="(?!m|p)[^"]*"|(?<=<g) id="[^"]*"')
_CHANNELS = {"train": "training rows", "validation": "validation rows"}
_SAMPLES = 10


@dataclass(frozen=True)
class CurveChart:
    """The values of one metric by rounds.

    Attributes:
        svg: the picture; its text alternative is `summary`.
        names: of the lines.
        rows: some of the values, for a table: the round, then a value for each line.
    """

    metric: str
    svg: Markup
    summary: str
    names: Sequence[str]
    rows: Sequence[tuple[int, Sequence[float | None]]]


def curve_charts(curves: Curves) -> list[CurveChart]:
    """Return a chart for each metric.

    Of one job it has a line for the training and one for the validation rows; of several jobs a
    line for the validation rows of each.
    """
    jobs = [job for job in curves.jobs if job.metrics]
    lines: dict[str, dict[str, Sequence[float | None]]] = {}
    for job in jobs[:MOST_LINES]:
        for name, values in _shown(job, alone=len(jobs) == 1):
            channel, _, metric = name.partition("-")
            line = _CHANNELS.get(channel, channel) if len(jobs) == 1 else job.title
            lines.setdefault(metric, {})[line] = values
    return [_chart(metric, lines[metric]) for metric in reversed(lines)]


def _shown(job: JobCurves, *, alone: bool) -> Iterable[tuple[str, Sequence[float | None]]]:
    validation = any(name.startswith(VALIDATION) for name in job.metrics)
    for name, values in job.metrics.items():
        if alone or not validation or name.startswith(VALIDATION):
            yield name, values


def _chart(metric: str, lines: dict[str, Sequence[float | None]]) -> CurveChart:
    rounds = max(len(values) for values in lines.values())
    summary = f"{metric} by rounds. " + " ".join(
        _line_text(metric, name, values) for name, values in lines.items()
    )
    picked = _picked(rounds)
    rows = [
        (at + 1, [values[at] if at < len(values) else None for values in lines.values()])
        for at in picked
    ]
    return CurveChart(metric, _drawn(metric, lines, summary), summary, list(lines), rows)


def _drawn(metric: str, lines: dict[str, Sequence[float | None]], summary: str) -> Markup:
    """Return the picture. Matplotlib escapes all texts."""
    # The salt gives the pictures of one page different ids.
    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": metric}):
        figure = Figure(figsize=(7.2, 2.9), layout="constrained")
        axes = figure.add_subplot()
        for (name, values), colour in zip(lines.items(), _LINES, strict=False):
            numbers = range(1, len(values) + 1)
            heights = [float("nan") if value is None else value for value in values]
            marker = "o" if len(values) == 1 else None
            axes.plot(numbers, heights, color=colour, marker=marker, linewidth=1.8, label=name)
        axes.set_xlabel("round")
        axes.set_ylabel(metric)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        content = io.StringIO()
        figure.savefig(content, format="svg", metadata=_NO_METADATA)
    svg = content.getvalue()
    svg = _GROUP_IDS.sub("", _METADATA.sub("", svg[svg.index("<svg") :]))
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    alternative = Markup('<svg role="img" aria-label="{}"').format(summary)
    return alternative + Markup(svg.removeprefix("<svg"))


def _line_text(metric: str, name: str, values: Sequence[float | None]) -> str:
    known = [(at, value) for at, value in enumerate(values, start=1) if value is not None]
    if not known:
        return f"{name}: no values."
    (first, begin), (last, end) = known[0], known[-1]
    text = f"{name}: {begin:.4g} in round {first}, {end:.4g} in round {last}"
    best = best_round({f"{VALIDATION}{metric}": tuple(values)})
    if best and name != _CHANNELS["train"]:
        text += f", best {best.value:.4g} in round {best.round + 1}"
    return f"{text}."


def _picked(rounds: int) -> list[int]:
    """Return indices of up to ten rounds, the first and the last among them."""
    if rounds <= _SAMPLES:
        return list(range(rounds))
    return sorted({round(at * (rounds - 1) / (_SAMPLES - 1)) for at in range(_SAMPLES)})
