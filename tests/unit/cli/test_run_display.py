"""The live view of a run: what is added up, what is left out, and that it fits the terminal."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.evaluation.report import Evaluation
from refit.domain.evaluation.training_curves import BoostingRound
from refit.domain.pipeline.run import Run
from refit.stores.execution_states import ExecutionStates, StateSpan
from refit_cli import terminal
from refit_cli.errors import ExitCode
from refit_cli.learned_text import columns_table
from refit_cli.watching import display
from refit_cli.watching.chart import HEIGHT, metric_chart
from refit_cli.watching.display import shown_stages, sparkline, stages_of
from refit_cli.watching.follower import RunView
from refit_cli.watching.outcome import WatchOutcome
from refit_cli.watching.reporters import LiveView
from rich.console import Console

from tests.support.cli import Histories, history
from tests.support.learned import LEARNED

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def run_of(run: str, status: str, started_at: datetime, **values) -> Run:
    return Run(
        run=run,
        model="digits",
        cause="drop",
        status=status,
        started_at=started_at,
        updated_at=started_at,
        **values,
    )


def test_visits_of_one_state_are_added_up_in_the_order_of_the_first():
    spans = [
        StateSpan("deploy", "Wait", at(0), at(5)),
        StateSpan("deploy", "Check", at(5), at(6)),
        StateSpan("deploy", "Wait", at(6)),
    ]
    assert [(stage.state, stage.seconds, stage.is_active) for stage in stages_of(spans, at(9))] == [
        ("Wait", 8.0, True),
        ("Check", 1.0, False),
    ]


def test_a_state_that_took_no_time_is_not_shown_unless_the_run_is_in_it():
    spans = [
        StateSpan("train", "Plan", at(0), at(0.02)),
        StateSpan("train", "Train", at(0.02), at(5)),
        StateSpan("train", "Gate", at(5)),
    ]
    assert [stage.state for stage in shown_stages(spans, at(5))] == ["Train", "Gate"]


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300))
def test_a_sparkline_is_never_wider_than_asked_and_marks_highest_and_lowest(values):
    line = sparkline(values, 12)
    assert len(line) == min(12, len(values))
    if len(values) <= 12 and max(values) > min(values):
        assert line[values.index(max(values))] == "█"
        assert line[values.index(min(values))] == "▁"


def test_a_sparkline_of_equal_values_is_flat_and_can_do_without_unicode():
    assert sparkline([2.0, 2.0, 2.0]) == "▁▁▁"
    assert sparkline([1.0, 2.0], ascii_only=True).isascii()


def test_the_history_reports_a_span_when_it_starts_and_when_it_ends():
    histories = Histories()
    followed = ExecutionStates(histories, "train", "arn")
    histories.events["arn"] = history(("Prepare", 0, 2), ("Train", 2, None), ended=False)
    assert [(span.state, span.left_at is None) for span in followed.poll()] == [
        ("Prepare", False),
        ("Train", True),
    ]
    assert followed.poll() == []
    assert not followed.ended
    histories.events["arn"] = history(("Prepare", 0, 2), ("Train", 2, 9))
    assert [span.state for span in followed.poll()] == ["Train"]
    assert followed.ended


def test_a_failed_execution_ends_the_state_it_was_in():
    histories = Histories()
    followed = ExecutionStates(histories, "train", "arn")
    events = history(("Train", 0, None), ended=False)
    failed = {"id": 9, "type": "ExecutionFailed", "timestamp": datetime.now(UTC)}
    histories.events["arn"] = [*events, failed]
    followed.poll()
    assert followed.ended
    assert followed.spans[0].left_at is not None


def test_states_that_only_control_the_flow_are_left_out():
    histories = Histories()
    events = history(("Train", 0, 1))
    choice = {"stateEnteredEventDetails": {"name": "IsItGood"}}
    moment = {"timestamp": datetime.now(UTC)}
    histories.events["arn"] = [
        {"id": 99, "type": "ChoiceStateEntered", **moment, **choice},
        *events,
    ]
    followed = ExecutionStates(histories, "train", "arn")
    assert [span.state for span in followed.poll()] == ["Train"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_view_of_a_long_run_fits_the_terminal(width):
    run = run_of("3f0c9a1b2d4e", "TRAINING", at(-60))
    view = RunView("a-model-of-24-characters", at(-60), run)
    view.spans = [StateSpan("train", "Prepare", at(-60), at(-50)), StateSpan("train", "Train", NOW)]
    view.rounds = [
        BoostingRound(n, {"train-mlogloss": 1.0, "validation-mlogloss": n}) for n in range(99)
    ]
    view.planned_rounds, view.trained = 200, "fold 13"
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(display.draw(view))
    lines = console.export_text().splitlines()
    assert len(lines) == 4
    assert re.search(r"^fold 13 +round 99/200", lines[-1])
    assert "validation-mlogloss 98.0000" in lines[-1]
    assert all("…" not in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (42.4, "42 s"), (187, "3:07 min"), (3723, "1:02:03")],
)
def test_durations_are_formatted_for_people(seconds, text):
    assert terminal.duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (16_720_086, "16.7 MB")]
)
def test_sizes_are_formatted_for_people(n_bytes, text):
    assert terminal.size(n_bytes) == text


def test_the_live_view_leaves_its_last_state_and_the_results_on_the_screen():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    view = RunView("digits", at(0))
    supported = terminal.supports_unicode()
    with LiveView(console) as live:
        live.draw(view)
        assert terminal.supports_unicode() == supported
        view.run = run_of("r1", "DEPLOYED", at(0), finished_at=at(61), version=4)
        view.endpoint, view.endpoint_status = "refit-digits", "InService"
        view.spans = [StateSpan("train", "Prepare", at(0), at(3))]
        live.finish(view, WatchOutcome(ExitCode.OK, "version 4 is live"))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert "Prepare" in shown
    assert "version 4 on endpoint refit-digits (InService), after 1:01 min" in shown


def training(*values: float) -> list[BoostingRound]:
    return [
        BoostingRound(n, {"train-error": 0.5, "train-auc": value / 2, "validation-auc": value})
        for n, value in enumerate(values)
    ]


def test_the_chart_shows_the_metric_on_training_and_validation_data_from_lowest_to_highest():
    chart = metric_chart(training(0.5, 0.75, 1.0, 0.875), 80)
    legend, *lines = chart.plain.splitlines()
    assert legend == "── validation-auc   ── train-auc"
    assert lines[1].split()[0] == "1"
    assert lines[HEIGHT + 1].split()[0] == "0.25"


@pytest.mark.parametrize("columns", [34, 40, 80, 200])
def test_the_chart_fits_the_terminal(columns):
    chart = metric_chart(training(*(1 / n for n in range(1, 99))), columns)
    assert max(map(len, chart.plain.splitlines())) <= columns


@pytest.mark.parametrize(
    ("rounds", "columns"),
    [([], 80), (training(0.5, 0.6), 80), (training(0.5, 0.6, 0.7), 20)],
)
def test_there_is_no_chart_of_two_rounds_or_in_a_narrow_terminal(rounds, columns):
    assert metric_chart(rounds, columns) is None


def test_equal_values_can_be_drawn():
    assert metric_chart(training(0.5, 0.5, 0.5), 80)


def live_view(height: int, states: int = 1) -> list[str]:
    console = Console(width=80, height=height, file=io.StringIO(), record=True, force_terminal=True)
    view = RunView("digits", at(-60), run_of("r1", "TRAINING", at(-60)))
    view.spans = [StateSpan("train", f"State{n}", at(n), at(n + 1)) for n in range(states)]
    view.rounds = training(0.5, 0.6, 0.7, 0.8)
    LiveView(console).finish(view, WatchOutcome(ExitCode.OK, ""))
    return console.export_text().splitlines()


def has_chart(lines: list[str]) -> bool:
    return any("── validation-auc" in line for line in lines)


def test_the_live_view_has_the_chart_where_the_terminal_has_room_for_it(monkeypatch):
    monkeypatch.setattr(terminal, "supports_unicode", lambda: True)
    assert has_chart(live_view(24))
    assert not has_chart(live_view(12))
    assert not has_chart(live_view(24, states=14))
    assert len(live_view(30, states=14)) <= 30
    monkeypatch.setattr(terminal, "supports_unicode", lambda: False)
    assert not has_chart(live_view(40))


@pytest.mark.parametrize("columns", [50, 60, 80, 100])
def test_the_line_of_rounds_is_one_line_whose_figures_are_never_cut(monkeypatch, columns):
    narrow = Console(file=io.StringIO(), width=columns, force_terminal=True, no_color=True)
    monkeypatch.setattr(display, "results", lambda: narrow)
    view = RunView("digits", NOW, trained="fold 1", planned_rounds=400)
    view.rounds = [BoostingRound(at, {"validation-mlogloss": 1 / (at + 1)}) for at in range(30)]
    with narrow.capture() as captured:
        narrow.print(display.round_line(view))
    (line,) = captured.get().splitlines()
    assert "round 30/400" in line
    assert "validation-mlogloss 0.0333" in line


@pytest.mark.parametrize("columns", [60, 80])
def test_no_name_and_no_figure_of_the_other_tables_is_cut_on_a_narrow_terminal(columns):
    narrow = Console(file=io.StringIO(), width=columns, force_terminal=True, no_color=True)
    estimate = {"value": 0.975, "low": 0.96, "high": 0.985, "method": "wilson"}
    quality = {"metrics": {"accuracy": estimate, "log_loss": estimate, "roc_auc": estimate}}
    evaluation = Evaluation.model_validate(
        {
            "model": "digits",
            "run": "r1",
            "task": "classification",
            "classes": ["0", "1"],
            "confidence": 0.95,
            "champion": {"run": "r0", "version": 123},
            "comparable": True,
            "metric": "accuracy",
            "new": {
                "rows": 1_000_000,
                "baseline": {"answer": "0", "metrics": {"accuracy": 0.5, "log_loss": 0.7}},
                "challenger": quality,
                "champion": quality,
            },
            "base": None,
        }
    )
    tables = [display.evaluation_table(evaluation), columns_table(LEARNED)]
    with narrow.capture() as captured:
        for table in tables:
            narrow.print(table)
    assert "…" not in captured.get()
    for whole in ("(decides)", "97.50%", "code", "category", "row numbers"):
        assert whole in captured.get(), whole
