"""The state of a model's monitoring and retraining, for `refit status`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit.domain.quality_metrics import METRICS, figure
from refit.domain.retraining.state import RetrainingStatus
from refit.domain.season_lengths import season_name
from refit.usecases.loop_status import loop_answer
from rich.markup import escape
from rich.table import Table

from refit_cli import terminal
from refit_cli.plurals import counted

if TYPE_CHECKING:
    from datetime import datetime

    from refit.domain.monitoring.verdict import (
        DriftAlarm,
        InputVerdict,
        LiveQuality,
        QualityVerdict,
        Verdict,
    )
    from refit.domain.retraining.state import RetrainingState
    from refit.stores.labels import LabelCounters

    from refit_cli.connection import StackConnection


_BAR_CELLS = 24
_SHOWN_SHIFTS = 5
_LABEL_COUNTS = ("held", "expired", "new", "repeat", "corrected", "rejected")
_STYLES = {
    RetrainingStatus.HEALTHY: "green",
    RetrainingStatus.DRIFTING: "yellow",
    RetrainingStatus.RETRAINING: "cyan",
    RetrainingStatus.COOLING: "cyan",
    RetrainingStatus.BLOCKED: "bold red",
}


@dataclass(frozen=True)
class LoopStatus:
    """The state of monitoring and retraining of a live version.

    Attributes:
        newest: the newest verdict on the model; None before its first check.
        labels: the LABELS item: number of labels by status, times of the last label and capture.
    """

    version: int
    newest: Verdict | None
    labels: LabelCounters
    retraining: RetrainingState

    def as_json(self) -> dict[str, Any]:
        """Return the state as `refit status --json` prints it, and the API answers it."""
        answer = loop_answer(self.version, self.newest, self.labels, self.retraining)
        return answer.model_dump(mode="json", by_alias=True)

    @property
    def verdict(self) -> Verdict | None:
        """The newest verdict, if it is on this version."""
        return self.newest if self.newest and self.newest.version == self.version else None

    @property
    def alarm(self) -> DriftAlarm | None:
        """The newest drift alarm of the model, whichever version it was raised for."""
        return self.newest.alarm if self.newest else None

    @property
    def styled_state(self) -> str:
        """The state of retraining, as Rich markup."""
        state = self.retraining.state
        return f"[{_STYLES[state]}]{state}[/]{', pending' if self.retraining.pending else ''}"

    def table(self, model: str) -> Table:
        """Return the state as text for people."""
        verdict = self.verdict
        live = verdict.live if verdict else None
        table = Table.grid(padding=(0, 2, 0, 0))
        for title, lines in (
            ("last check", [_time(verdict.checked_at)] if verdict else []),
            ("quality", _quality_lines(live)),
            ("evidence", _evidence_lines(verdict.quality) if verdict else []),
            ("alarm", _alarm_lines(self.alarm) if self.alarm else []),
            ("labels", _label_lines(live, self.labels)),
            ("inputs", _input_lines(verdict.inputs) if verdict and verdict.inputs else []),
            ("retraining", _retraining_lines(model, self.retraining)),
        ):
            if lines:
                table.add_row(f"[bold]{title}[/]", "\n".join(lines))
        return table


def read_loop_status(connection: StackConnection, model: str, version: int) -> LoopStatus:
    """Read the state of a model whose live version is `version`."""
    return LoopStatus(
        version=version,
        newest=connection.monitoring.verdict(model),
        labels=connection.labels.load_counters(model),
        retraining=connection.monitoring.retraining(model),
    )


def _quality_lines(live: LiveQuality | None) -> list[str]:
    if live is None:
        return ["no drift check of the live version yet: the first one follows within minutes"]
    if not live.predictions:
        return ["no predictions yet"]
    if not live.labelled:
        return [f"no labels yet for {counted(live.predictions, 'prediction')}"]
    metrics = [
        f"{METRICS[name].title} {figure(name, value, '.4g')}{_baseline(name, live.baseline)}"
        for name, value in live.metrics.items()
    ]
    return [
        ", ".join(metrics),
        f"[dim]{live.labelled:,} labelled of {counted(live.predictions, 'prediction')}, "
        f"{counted(live.cohorts, 'cohort')}, {_time(live.since)} to {_time(live.until)}[/]",
    ]


def _baseline(name: str, baseline: dict[str, float]) -> str:
    value = baseline.get(name)
    return "" if value is None else f" (held-out rows: {figure(name, value, '.4g')})"


def _evidence_lines(quality: QualityVerdict) -> list[str]:
    log10 = quality.log10_evidence
    share = max(0.0, min(1.0, (log10 or 0.0) / math.log10(quality.threshold)))
    style = "bold red" if quality.drifted else "yellow" if share == 1 else "green"
    return [
        f"[{style}]{_bar(share)}[/] {quality.evidence_text} of {quality.threshold:,.0f} "
        "(alarm threshold)",
        f"[dim]{escape(quality.sentence)}[/]",
    ]


def _bar(share: float) -> str:
    full, empty = ("█", "░") if terminal.supports_unicode() else ("#", ".")
    filled = round(share * _BAR_CELLS)
    return full * filled + empty * (_BAR_CELLS - filled)


def _alarm_lines(alarm: DriftAlarm) -> list[str]:
    withdrawn = ""
    if alarm.taken_back_at:
        withdrawn = f", withdrawn {_time(alarm.taken_back_at)} because of later labels"
    return [f"version {alarm.version}, raised {_time(alarm.raised_at)}{withdrawn}"]


def _label_lines(live: LiveQuality | None, labels: LabelCounters) -> list[str]:
    parts = []
    if live and live.coverage is not None:
        parts.append(f"{live.coverage:.1%} of the predictions are labelled")
    if live and live.label_delay_s is not None:
        parts.append(f"after {terminal.duration(live.label_delay_s)} on average")
    if labels.last_label_at:
        parts.append(f"last label {terminal.ago(labels.last_label_at)}")
    counts = ", ".join(
        f"{getattr(labels, name):,} {name}" for name in _LABEL_COUNTS if getattr(labels, name)
    )
    lines = [", ".join(parts) or "none yet"]
    return [*lines, f"[dim]{counts}[/]"] if counts else lines


def _input_lines(inputs: InputVerdict) -> list[str]:
    if not inputs.flagged:
        lines = [f"{_no_shift(inputs)} {_input_span(inputs)}"]
    else:
        what = counted(inputs.flagged, "unseen value" if inputs.compared_from else "shift")
        lines = [f"[yellow]{what}[/] {_input_span(inputs)}"]
    shown = inputs.shifts[:_SHOWN_SHIFTS]
    for shift in shown:
        critical = "[bold]critical[/] " if shift.critical else ""
        lines.append(f"{critical}{escape(shift.feature_name)}  [dim]{escape(shift.description)}[/]")
    hidden = inputs.flagged - len(shown)
    if hidden > 0:
        lines.append(f"[dim]and {hidden} more[/]")
    return lines + [f"[dim]{note}[/]" for note in _input_notes(inputs)]


def _no_shift(inputs: InputVerdict) -> str:
    if inputs.compared_from:
        return "no value that the training data never had"
    return "no shift from the training data"


def _input_span(inputs: InputVerdict) -> str:
    if inputs.compared_from:
        return f"in the cohort of {_time(inputs.cohort)}"
    estimate = ""
    if inputs.estimated_accuracy is not None:
        estimate = f"; estimated accuracy {inputs.estimated_accuracy:.1%}"
    rows = counted(inputs.rows, "row")
    if not inputs.season_s:
        return f"in the cohort of {_time(inputs.cohort)} ({rows}){estimate}"
    return (
        f"over a whole {season_name(inputs.season_s)}, {_time(inputs.since)} to "
        f"{_time(inputs.until)} ({rows}){estimate}"
    )


def _input_notes(inputs: InputVerdict) -> list[str]:
    if inputs.compared_from:
        return [
            f"distributions are compared, and accuracy is estimated, over a whole "
            f"{season_name(inputs.season_s)}: from {_time(inputs.compared_from)} on",
            f"so far {counted(inputs.rows, 'row')} since {_time(inputs.since)}",
        ]
    if not inputs.missed:
        return []
    return [
        f"outages prevented about {inputs.missed:.1%} of the predictions of this "
        f"{season_name(inputs.season_s)}; the limits are higher by it"
    ]


def _retraining_lines(model: str, retraining: RetrainingState) -> list[str]:
    state, last, pending = retraining.state, retraining.last, retraining.pending
    since = f" since {_time(retraining.since)}" if retraining.since else ""
    until = f", cool-down until {_time(retraining.cooled_until)}" if retraining.cooled_until else ""
    run = f", run {retraining.run}" if state is RetrainingStatus.RETRAINING else ""
    lines = [f"[{_STYLES[state]}]{state}[/]{since}{run}{until}"]
    if state in {RetrainingStatus.DRIFTING, RetrainingStatus.RETRAINING} and retraining.reason:
        lines.append(f"[dim]{escape(retraining.reason)}[/]")
    if retraining.request:
        lines.append(f"requested by {escape(retraining.request.by)}")
    if pending:
        lines.append(f"[yellow]pending[/] since {_time(pending.since)}: {escape(pending.why)}")
    if last:
        message = f": {escape(last.message)}" if last.message else ""
        lines.append(
            f"last run {last.run} ({last.cause}) ended {last.status} {_time(last.at)}{message}"
        )
    if retraining.failures:
        lines.append(f"consecutive retrainings without improvement: {retraining.failures}")
    if retraining.note:
        lines.append(f"[dim]{escape(retraining.note)}[/]")
    if state is RetrainingStatus.BLOCKED:
        lines.append(f"when the cause is fixed: [bold]refit unblock {model}[/]")
    return lines


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "unknown"
