"""The demo's picture: digits before and after the change, quality call by call, the evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refit_cli.demo_report import Exam, Report

SHOWN_DIGITS = 6
SMOOTHED_CALLS = 5

# Blue and vermilion of Okabe and Ito: told apart by every kind of colour vision; the marks ✓ and ✗,
# and the versions' own symbols, say it without colour.
RIGHT_COLOUR = "#0072B2"
WRONG_COLOUR = "#D55E00"
_VERSION_COLOURS = ("#555555", "#0072B2", "#009E73", "#CC79A7")
_MARKERS = "os^D"
_GREY = "#666666"
_ASKEW_SHADE = "#FFF3E0"


def save(path: Path, report: Report) -> None:
    """Draw the report and save it as PNG; the path's folder is made."""
    figure = plt.figure(figsize=(12, 8.2), facecolor="white")
    before, after = report.before.accuracy, report.drifted_new.accuracy
    figure.suptitle(
        f"The camera was knocked askew; Refit noticed and retrained: "
        f"{report.drifted_old.accuracy:.0%} → {after:.0%} read right",
        x=0.05,
        y=0.975,
        ha="left",
        fontsize=16,
        fontweight="bold",
    )
    figure.text(
        0.05,
        0.92,
        f"{before:.0%} before the change · drift detected after {report.labels_until_detection:,} "
        f"labels · {report.retrainings} retraining · figures are of {len(report.before.answers):,} "
        "digits that no model was trained on",
        fontsize=10.5,
        color="#444444",
    )
    _draw_digits(figure, report)
    quality = figure.add_axes((0.07, 0.3, 0.89, 0.38))
    evidence = figure.add_axes((0.07, 0.08, 0.89, 0.15), sharex=quality)
    _draw_quality(quality, report)
    _draw_evidence(evidence, report)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_digits(figure: Figure, report: Report) -> None:
    """Show the digits that the change harmed and the new version reads again, first."""
    places = _telling_places(report)
    parts = (
        ("upright, old model", report.before),
        ("askew, old model", report.drifted_old),
        ("askew, new model", report.drifted_new),
    )
    width = 0.045
    for number, (name, exam) in enumerate(parts):
        left = 0.055 + number * 0.315
        figure.text(left, 0.875, name, fontsize=10, fontweight="bold", color="#333333")
        for column, place in enumerate(places):
            axis = figure.add_axes((left + column * width, 0.78, width * 0.88, 0.08))
            _draw_digit(axis, exam, place)


def _telling_places(report: Report) -> list[int]:
    truth = np.array(report.before.digits.labels)
    old, new = np.array(report.drifted_old.answers), np.array(report.drifted_new.answers)
    upright = np.array(report.before.answers)
    told = (upright == truth).astype(int) + (old != truth) + (new == truth)
    chosen: list[int] = []
    for place in np.argsort(-told, kind="stable").tolist():
        if truth[place] not in truth[chosen]:
            chosen.append(place)
        if len(chosen) == SHOWN_DIGITS:
            break
    return chosen


def _draw_digit(axis: Axes, exam: Exam, place: int) -> None:
    side, digits = exam.digits.side, exam.digits
    axis.set_xticks([])
    axis.set_yticks([])
    axis.imshow(digits.images[place].reshape(side, side), cmap="gray_r", interpolation="bilinear")
    right = exam.answers[place] == digits.labels[place]
    colour = RIGHT_COLOUR if right else WRONG_COLOUR
    for spine in axis.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(1 if right else 2.5)
    axis.set_xlabel(
        f"{'✓' if right else '✗'} {exam.answers[place]}",
        color=colour,
        fontsize=9,
        fontweight="normal" if right else "bold",
        labelpad=2,
    )


def _draw_quality(axis: Axes, report: Report) -> None:
    for number, version in enumerate(sorted({call.version for call in report.calls})):
        calls = [call for call in report.calls if call.version == version]
        axis.scatter(
            [call.at for call in calls],
            [100 * call.right / call.rows for call in calls],
            s=14,
            alpha=0.5,
            linewidths=0,
            marker=_MARKERS[number % len(_MARKERS)],
            color=_VERSION_COLOURS[number % len(_VERSION_COLOURS)],
            label=f"version {version}, {calls[0].rows} digits a call",
        )
    smoothed = _smoothed(report)
    axis.plot(*smoothed, color="black", linewidth=1.6, label=f"mean of {SMOOTHED_CALLS} calls")
    _shade_askew(axis, report)
    _mark_moments(axis, report)
    axis.set_ylim(0, 104)
    axis.set_ylabel("live answers read right, %")
    axis.legend(loc="lower left", fontsize=8.5, frameon=False)
    _plain(axis)
    axis.tick_params(labelbottom=False)


def _smoothed(report: Report) -> tuple[list[float], list[float]]:
    rows = np.array([call.rows for call in report.calls], dtype=float)
    right = np.array([call.right for call in report.calls], dtype=float)
    ends = range(SMOOTHED_CALLS, len(report.calls) + 1)
    share = [
        100 * right[end - SMOOTHED_CALLS : end].sum() / rows[end - SMOOTHED_CALLS : end].sum()
        for end in ends
    ]
    return [report.calls[end - 1].at for end in ends], share


def _draw_evidence(axis: Axes, report: Report) -> None:
    at = [found.at for found in report.evidence]
    axis.plot(at, [max(found.value, -1) for found in report.evidence], color="black", linewidth=1.4)
    if report.evidence:
        threshold = report.evidence[-1].threshold
        axis.set_ylim(-1.5, 4 * threshold)  # it goes on to hundreds: what matters is the crossing
        axis.axhline(threshold, color=WRONG_COLOUR, linestyle="--", linewidth=1.2)
        axis.text(0.2, threshold, " alarm", color=WRONG_COLOUR, fontsize=8.5, va="bottom")
    _shade_askew(axis, report)
    for moment in report.moments:
        axis.axvline(moment.at, color=_GREY, linewidth=0.8, linestyle=":")
    axis.set_ylabel("evidence, log10")
    axis.set_xlabel("seconds since the traffic began")
    _plain(axis)


def _shade_askew(axis: Axes, report: Report) -> None:
    askew = [call.at for call in report.calls if call.is_tilted]
    if askew:
        axis.axvspan(askew[0], report.calls[-1].at, color=_ASKEW_SHADE, zorder=0, linewidth=0)


def _mark_moments(axis: Axes, report: Report) -> None:
    for number, moment in enumerate(report.moments):
        axis.axvline(moment.at, color=_GREY, linewidth=0.8, linestyle=":")
        axis.annotate(
            moment.name,
            (moment.at, 1 + 0.055 * (number % 2)),
            xycoords=("data", "axes fraction"),
            xytext=(2, 3),
            textcoords="offset points",
            fontsize=8.5,
            color="#333333",
        )


def _plain(axis: Axes) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
