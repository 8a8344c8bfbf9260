"""The state of a model's loop, for `refit status`: what was seen, what follows from it, and why."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from refit_cli import terminal

if TYPE_CHECKING:
    from refit.domain.monitoring.verdict import Alarm, Inputs, Live, Quality
    from refit.domain.retraining.state import Retraining
    from rich.console import Console

    from refit_cli.records import Records

_BAR_CELLS = 24
_SHOWN_SHIFTS = 5
_LABEL_COUNTS = ("held", "expired", "new", "repeat", "corrected", "rejected")
_STYLES = {
    "healthy": "green",
    "drifting": "yellow",
    "retraining": "cyan",
    "cooling": "cyan",
    "blocked": "bold red",
}
_PERCENT = frozenset({"accuracy"})


def loop_of(records: Records, model: str, version: int) -> dict[str, Any]:
    """Return the state of a model's loop as `refit status --json` has it.

    Args:
        records: of the stack.
        model: its name.
        version: the live one. What a look found of another is not told as if it were of this.
    """
    verdict = records.verdict(model)
    current = verdict if verdict and verdict.version == version else None
    return {
        "version": version,
        "lookedAt": _iso(current.looked_at) if current else None,
        "quality": _live(current.live) if current else None,
        "evidence": _evidence(current.quality) if current and current.quality else None,
        "alarm": _alarm(verdict.alarm) if verdict and verdict.alarm else None,
        "inputs": _inputs(current.inputs) if current and current.inputs else None,
        "labels": _labels(records.labels(model)),
        "retraining": _retraining(records.retraining(model)),
    }


def _live(live: Live) -> dict[str, Any]:
    return {
        "since": _iso(live.since),
        "until": _iso(live.until),
        "cohorts": live.cohorts,
        "predictions": live.predictions,
        "labelled": live.labelled,
        "coverage": live.coverage,
        "labelDelaySeconds": live.label_delay_s,
        "metrics": live.metrics,
        "baseline": live.baseline,
    }


def _evidence(quality: Quality) -> dict[str, Any]:
    return {
        "drifted": quality.drifted,
        "log10": quality.log10_evidence,
        "threshold": quality.threshold,
        "since": _iso(quality.since),
        "cohorts": quality.cohorts,
        "labels": quality.labels,
        "counted": quality.counted,
        "errors": quality.errors,
        "errorRate": quality.error_rate,
        "bar": quality.bar,
        "baselineError": quality.baseline_error,
        "coverage": quality.coverage,
        "className": quality.class_name,
        "heldBack": quality.held_back,
        "sentence": quality.sentence,
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "version": alarm.version,
        "raisedAt": _iso(alarm.raised_at),
        "takenBackAt": _iso(alarm.taken_back_at),
        "sentence": alarm.sentence,
    }


def _inputs(inputs: Inputs) -> dict[str, Any]:
    return {
        "cohort": _iso(inputs.cohort),
        "rows": inputs.rows,
        "flagged": inputs.flagged,
        "shifts": [shift.model_dump() for shift in inputs.shifts],
        "estimatedAccuracy": inputs.estimated_accuracy,
    }


def _labels(counters: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: int(counters.get(name, 0)) for name in _LABEL_COUNTS},
        "lastLabelAt": counters.get("last_label_at"),
        "lastCaptureAt": counters.get("last_capture_at"),
    }


def _retraining(found: Retraining) -> dict[str, Any]:
    last, owed = found.last, found.owed
    return {
        "state": found.state.value,
        "since": _iso(found.since),
        "reason": found.reason,
        "run": found.run,
        "cause": found.cause,
        "requestedBy": found.request.by if found.request else None,
        "owed": {"why": owed.why, "since": _iso(owed.since)} if owed else None,
        "failures": found.failures,
        "cooledUntil": _iso(found.cooled_until),
        "last": {
            "run": last.run,
            "cause": last.cause,
            "status": last.status,
            "at": _iso(last.at),
            "message": last.message,
        }
        if last
        else None,
        "note": found.note,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None


def styled_state(loop: dict[str, Any] | None) -> str:
    """Return the word for a loop's state, with its colour."""
    if loop is None:
        return ""
    state = loop["retraining"]["state"]
    owed = ", owed" if loop["retraining"]["owed"] else ""
    return f"[{_STYLES[state]}]{state}[/]{owed}"


def print_loop(console: Console, model: str, loop: dict[str, Any]) -> None:
    """Print a loop's state for a person."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for title, lines in (
        ("quality", _quality_lines(loop["quality"])),
        ("evidence", _evidence_lines(loop["evidence"])),
        ("alarm", _alarm_lines(loop["alarm"])),
        ("labels", _label_lines(loop["quality"], loop["labels"])),
        ("inputs", _input_lines(loop["inputs"])),
        ("retraining", _retraining_lines(model, loop["retraining"])),
    ):
        if lines:
            table.add_row(f"[bold]{title}[/]", "\n".join(lines))
    console.print(table)


def _quality_lines(live: dict[str, Any] | None) -> list[str]:
    if live is None:
        return ["the live version has not been looked at yet"]
    if not live["labelled"]:
        return [f"no label yet for {live['predictions']:,} predictions"]
    compared = [
        f"{name} {_figure(name, value)}{_against(name, live['baseline'])}"
        for name, value in live["metrics"].items()
    ]
    return [
        ", ".join(compared),
        f"[dim]{live['labelled']:,} labelled of {live['predictions']:,} predictions, "
        f"{live['cohorts']:,} cohorts, {_moment(live['since'])} to {_moment(live['until'])}[/]",
    ]


def _against(name: str, baseline: dict[str, float]) -> str:
    held_out = baseline.get(name)
    return "" if held_out is None else f" (held-out rows: {_figure(name, held_out)})"


def _figure(name: str, value: float) -> str:
    return f"{value:.2%}" if name in _PERCENT else f"{value:.4g}"


def _evidence_lines(evidence: dict[str, Any] | None) -> list[str]:
    if evidence is None:
        return []
    needed = math.log10(evidence["threshold"])
    reached = max(0.0, min(1.0, (evidence["log10"] or 0.0) / needed))
    style = "bold red" if evidence["drifted"] else "yellow" if reached == 1 else "green"
    amount = 10 ** min(evidence["log10"], 15) if evidence["log10"] is not None else 0
    return [
        f"[{style}]{_bar(reached)}[/] {amount:,.1f} of {evidence['threshold']:,.0f}",
        f"[dim]{escape(evidence['sentence'])}[/]",
    ]


def _bar(share: float) -> str:
    full, empty = ("█", "░") if terminal.speaks_unicode() else ("#", ".")
    filled = round(share * _BAR_CELLS)
    return full * filled + empty * (_BAR_CELLS - filled)


def _alarm_lines(alarm: dict[str, Any] | None) -> list[str]:
    if alarm is None:
        return []
    over = ""
    if alarm["takenBackAt"]:
        over = f", taken back by later labels {_moment(alarm['takenBackAt'])}"
    return [f"version {alarm['version']}, raised {_moment(alarm['raisedAt'])}{over}"]


def _label_lines(live: dict[str, Any] | None, labels: dict[str, Any]) -> list[str]:
    parts = []
    if live and live["coverage"] is not None:
        parts.append(f"{live['coverage']:.1%} of the predictions have one")
    if live and live["labelDelaySeconds"] is not None:
        parts.append(f"{terminal.duration(live['labelDelaySeconds'])} later in the mean")
    if labels["lastLabelAt"]:
        parts.append(f"the last came {terminal.ago(datetime.fromisoformat(labels['lastLabelAt']))}")
    counts = ", ".join(f"{labels[name]:,} {name}" for name in _LABEL_COUNTS if labels[name])
    lines = [", ".join(parts) or "none yet"]
    return [*lines, f"[dim]{counts}[/]"] if counts else lines


def _input_lines(inputs: dict[str, Any] | None) -> list[str]:
    if inputs is None:
        return []
    estimated = inputs["estimatedAccuracy"]
    expected = "" if estimated is None else f"; estimated accuracy {estimated:.1%}"
    where = f"the cohort of {_moment(inputs['cohort'])} ({inputs['rows']:,} rows)"
    if not inputs["flagged"]:
        return [f"as in training, in {where}{expected}"]
    shown = inputs["shifts"][:_SHOWN_SHIFTS]
    hidden = inputs["flagged"] - len(shown)
    lines = [f"[yellow]{inputs['flagged']} shifted[/] in {where}{expected}"]
    for shift in shown:
        critical = "[bold]critical[/] " if shift["critical"] else ""
        name, told = escape(shift["feature_name"]), escape(shift["description"])
        lines.append(f"{critical}{name}  [dim]{told}[/]")
    return [*lines, f"[dim]and {hidden} more[/]"] if hidden > 0 else lines


def _retraining_lines(model: str, found: dict[str, Any]) -> list[str]:
    since = f" since {_moment(found['since'])}" if found["since"] else ""
    until = f", rests until {_moment(found['cooledUntil'])}" if found["cooledUntil"] else ""
    run = f", run {found['run']}" if found["state"] == "retraining" else ""
    lines = [f"[{_STYLES[found['state']]}]{found['state']}[/]{since}{run}{until}"]
    if found["state"] in {"drifting", "retraining"} and found["reason"]:
        lines.append(f"[dim]{escape(found['reason'])}[/]")
    if found["requestedBy"]:
        lines.append(f"asked for by {escape(found['requestedBy'])}")
    if found["owed"]:
        since = _moment(found["owed"]["since"])
        lines.append(f"[yellow]owed[/] since {since}: {escape(found['owed']['why'])}")
    if found["last"]:
        last = found["last"]
        message = f": {escape(last['message'])}" if last["message"] else ""
        lines.append(
            f"last run {last['run']} ({last['cause']}) ended {last['status']} "
            f"{_moment(last['at'])}{message}"
        )
    if found["failures"]:
        lines.append(f"{found['failures']} in a row brought no better model")
    if found["note"]:
        lines.append(f"[dim]{escape(found['note'])}[/]")
    if found["state"] == "blocked":
        lines.append(f"when the cause is removed: [bold]refit unblock {model}[/]")
    return lines


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
