"""The picture of the demo: digits before and after the change, accuracy over time, evidence."""

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

    from refit_cli.demo.report import DemoReport, Exam

SHOWN_DIGITS = 6
SMOOTHED_CALLS = 5

# Blue and vermilion of Okabe and Ito, which people with any colour vision can distinguish. The
# marks ✓ and ✗ and the versions' symbols carry the same information without colour.
CORRECT_COLOUR = "#0072B2"
WRONG_COLOUR = "#D55E00"
_VERSION_COLOURS = ("#555555", "#0072B2", "#009E73", "#CC79A7")
_MARKERS = "os^D"
_GREY = "#666666"
_ROTATED_SHADE = "#FFF3E0"


def save(path: Path, report: DemoReport) -> None:
    """Draw the report and save it as PNG; creates the folder of the path."""
    figure = plt.figure(figsize=(12, 8.2), facecolor="white")
    before, after = report.before.accuracy, report.drifted_new.accuracy
    figure.suptitle(
        "Images rotated, drift detected, model retrained: "
        f"accuracy {report.drifted_old.accuracy:.0%} → {after:.0%}",
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
        f"labels · {report.retrainings} retraining · measured on {len(report.before.answers):,} "
        "digits that are in no training data",
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


def _draw_digits(figure: Figure, report: DemoReport) -> None:
    """Show digits that the old version misreads after the change and the new one does not."""
    indices = _example_indices(report)
    parts = (
        ("upright, old model", report.before),
        ("rotated, old model", report.drifted_old),
        ("rotated, new model", report.drifted_new),
    )
    width = 0.045
    for number, (name, exam) in enumerate(parts):
        left = 0.055 + number * 0.315
        figure.text(left, 0.875, name, fontsize=10, fontweight="bold", color="#333333")
        for column, index in enumerate(indices):
            axis = figure.add_axes((left + column * width, 0.78, width * 0.88, 0.08))
            _draw_digit(axis, exam, index)


def _example_indices(report: DemoReport) -> list[int]:
    """Return the digits that show the change best, at most one of each class."""
    truth = np.array(report.before.digits.labels)
    old, new = np.array(report.drifted_old.answers), np.array(report.drifted_new.answers)
    upright = np.array(report.before.answers)
    score = (upright == truth).astype(int) + (old != truth) + (new == truth)
    indices: list[int] = []
    for index in np.argsort(-score, kind="stable").tolist():
        if truth[index] not in truth[indices]:
            indices.append(index)
        if len(indices) == SHOWN_DIGITS:
            break
    return indices


def _draw_digit(axis: Axes, exam: Exam, index: int) -> None:
    side, digits = exam.digits.side, exam.digits
    axis.set_xticks([])
    axis.set_yticks([])
    axis.imshow(digits.images[index].reshape(side, side), cmap="gray_r", interpolation="bilinear")
    is_correct = exam.answers[index] == digits.labels[index]
    colour = CORRECT_COLOUR if is_correct else WRONG_COLOUR
    for spine in axis.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(1 if is_correct else 2.5)
    axis.set_xlabel(
        f"{'✓' if is_correct else '✗'} {exam.answers[index]}",
        color=colour,
        fontsize=9,
        fontweight="normal" if is_correct else "bold",
        labelpad=2,
    )


def _draw_quality(axis: Axes, report: DemoReport) -> None:
    for number, version in enumerate(sorted({call.version for call in report.calls})):
        calls = [call for call in report.calls if call.version == version]
        axis.scatter(
            [call.at for call in calls],
            [100 * call.correct / call.rows for call in calls],
            s=14,
            alpha=0.5,
            linewidths=0,
            marker=_MARKERS[number % len(_MARKERS)],
            color=_VERSION_COLOURS[number % len(_VERSION_COLOURS)],
            label=f"version {version}, {calls[0].rows} digits per request",
        )
    smoothed = _smoothed(report)
    axis.plot(*smoothed, color="black", linewidth=1.6, label=f"mean of {SMOOTHED_CALLS} requests")
    _shade_rotated(axis, report)
    _mark_events(axis, report)
    axis.set_ylim(0, 104)
    axis.set_ylabel("accuracy of live predictions, %")
    axis.legend(loc="lower left", fontsize=8.5, frameon=False)
    _plain(axis)
    axis.tick_params(labelbottom=False)


def _smoothed(report: DemoReport) -> tuple[list[float], list[float]]:
    rows = np.array([call.rows for call in report.calls], dtype=float)
    correct = np.array([call.correct for call in report.calls], dtype=float)
    ends = range(SMOOTHED_CALLS, len(report.calls) + 1)
    share = [
        100 * correct[end - SMOOTHED_CALLS : end].sum() / rows[end - SMOOTHED_CALLS : end].sum()
        for end in ends
    ]
    return [report.calls[end - 1].at for end in ends], share


def _draw_evidence(axis: Axes, report: DemoReport) -> None:
    at = [point.at for point in report.evidence]
    axis.plot(at, [max(point.log10, -1) for point in report.evidence], color="black", linewidth=1.4)
    if report.evidence:
        threshold = report.evidence[-1].threshold
        axis.set_ylim(-1.5, 4 * threshold)  # evidence reaches hundreds; only the crossing matters
        axis.axhline(threshold, color=WRONG_COLOUR, linestyle="--", linewidth=1.2)
        axis.text(0.2, threshold, " alarm", color=WRONG_COLOUR, fontsize=8.5, va="bottom")
    _shade_rotated(axis, report)
    for entry in report.timeline:
        axis.axvline(entry.at, color=_GREY, linewidth=0.8, linestyle=":")
    axis.set_ylabel("evidence, log10")
    axis.set_xlabel("seconds since the start of the traffic")
    _plain(axis)


def _shade_rotated(axis: Axes, report: DemoReport) -> None:
    rotated = [call.at for call in report.calls if call.is_rotated]
    if rotated:
        axis.axvspan(rotated[0], report.calls[-1].at, color=_ROTATED_SHADE, zorder=0, linewidth=0)


def _mark_events(axis: Axes, report: DemoReport) -> None:
    for number, entry in enumerate(report.timeline):
        axis.axvline(entry.at, color=_GREY, linewidth=0.8, linestyle=":")
        axis.annotate(
            entry.name,
            (entry.at, 1 + 0.055 * (number % 2)),
            xycoords=("data", "axes fraction"),
            xytext=(2, 3),
            textcoords="offset points",
            fontsize=8.5,
            color="#333333",
        )


def _plain(axis: Axes) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
