"""Recorded answers of the API on runs and versions, for the console.

The model `digits` reads pictures, `wine` is a table with numbers, texts and truth values, and
`houses` predicts a number.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from refit.domain.answers.runs import (
    Curve,
    CurvePoint,
    DataAnswer,
    EvaluatedAnswer,
    EvaluationAnswer,
    ExampleAnswer,
    ExamplesAnswer,
    FileAnswer,
    RunAnswer,
    RunsAnswer,
    RunSummary,
    StateVisit,
)
from refit.domain.answers.versions import VersionAnswer, VersionsAnswer
from refit.domain.evaluation.gate import GateCheck, GateDecision
from refit.domain.evaluation.report import ClassQuality, Estimate, ModelQuality, NaiveBaseline
from refit.domain.learned import Learned, LearnedColumn
from refit.domain.pipeline.manifest import SideRows
from refit.domain.vocabulary import RunStatus

NOW = datetime.now(UTC)
DIGITS, WINE, HOUSES = "digits", "wine", "houses"
RUN = "0f1e2d3c4b5a"
HTML = "<img src=x onerror=alert(1)>"
CLASSES = {DIGITS: tuple("0123456789"), WINE: ("barolo", "grignolino", f"{HTML}"), HOUSES: None}
COLUMNS = {
    WINE: (
        ("alcohol", "number", None, "13,2"),
        ("colour", "category", ("red", "white"), "red"),
        ("organic", "boolean", None, "true"),
        ("bottled", "date", None, "2024-05-01"),
        (HTML, "number", None, "5"),
        ("cellar id", "ignored", None, "C-1"),
    ),
    HOUSES: (("rooms", "number", None, "5"), ("area", "number", None, "81.5")),
}
EMPTY_RUN: dict[str, Any] = dict.fromkeys(
    "tuning features_from script continued tuning_progress trials".split()
)


def pixels(side: int, digit: int = 1) -> tuple[str, ...]:
    """Return a picture of a stroke, whose place is that of the digit."""
    column = 1 + digit % (side - 2)
    return tuple("16" if place % side == column else "0" for place in range(side * side))


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def examples(model: str, side: int = 8) -> ExamplesAnswer:
    if model == DIGITS:
        rows = tuple(
            ExampleAnswer(
                values=pixels(side, digit),
                truth=str(digit),
                predicted=str(7 if digit < 2 else digit),
                probability=0.81,
                live=str(digit),
                wrong=digit < 2,
            )
            for digit in range(10)
        )
        names = tuple(f"pixel {place}" for place in range(side * side))
        return ExamplesAnswer(columns=names, image_side=side, image_max=16, rows=rows)
    used = [column for column in COLUMNS[model] if column[1] != "ignored"]
    is_wine = model == WINE
    row = ExampleAnswer(
        values=("12,9", "white", "false", "2024-06-30", None) if is_wine else ("6", "93.5"),
        truth="barolo" if is_wine else 310_000.0,
        predicted="grignolino" if is_wine else 287_512.25,
        probability=0.6 if is_wine else None,
        live=None,
        wrong=True if is_wine else None,
    )
    names = tuple(name for name, *_ in used)
    return ExamplesAnswer(columns=names, image_side=None, image_max=None, rows=(row,))


def run_summary(**changes: Any) -> RunSummary:
    summary = RunSummary(
        run=RUN,
        status=RunStatus.DEPLOYED,
        cause="drift",
        cause_text="Drift was detected: 40 of 120 predictions are wrong.",
        version=2,
        started_at=ago(90),
        finished_at=ago(80),
        metrics={"test_rows": 360, "threshold": 0.3, "accuracy": 0.964, "champion_accuracy": 0.9},
        error=None,
        message="Version 2 is live.",
    )
    return summary.model_copy(update=changes)


def failed(**changes: Any) -> RunSummary:
    failure = {"status": RunStatus.FAILED, "error": "DatasetInvalid", "message": "no good row"}
    return run_summary(run="failed000000", version=None, metrics={}, **failure, **changes)


def versions() -> VersionsAnswer:
    data = DataAnswer(
        files=(FileAnswer(key="digits/raw/a.csv", version="v", size=100_000),),
        files_total=1,
        rows=SideRows(train=1440, validation=0, test=360, quarantined=3),
        labelled=40,
        lost={"superseded": 2},
    )
    live = VersionAnswer(
        version=2,
        run=RUN,
        approval="Approved",
        live=True,
        created_at=ago(80),
        status=RunStatus.DEPLOYED,
        cause="drift",
        cause_text="Drift was detected.",
        metrics=run_summary().metrics,
        data=data,
    )
    older = live.model_copy(update={"version": 1, "live": False, "created_at": ago(500)})
    newer = older.model_copy(update={"version": 3, "approval": "PendingManualApproval"})
    return VersionsAnswer(model=DIGITS, versions=(newer, live, older))


def run(name: str = DIGITS, side: int = 8, **changes: Any) -> RunAnswer:
    estimate = Estimate(value=0.964, low=0.94, high=0.98, method="wilson")
    classes = CLASSES[name]
    matrix = None
    per_class = None
    if classes:
        matrix = [
            [
                30 if actual == predicted else int(predicted == 0)
                for predicted in range(len(classes))
            ]
            for actual in range(len(classes))
        ]
        quality = ClassQuality(
            support=30, predicted=31, precision=estimate, recall=estimate, f1=estimate
        )
        per_class = dict.fromkeys(classes, quality)
    metric = "accuracy" if classes else "rmse"
    measured = ModelQuality(
        metrics={metric: estimate}, per_class=per_class, confusion_matrix=matrix
    )
    curves = tuple(
        Curve(
            job="j",
            title="training",
            metric=curve,
            rounds=40,
            points=tuple(CurvePoint(round=at, value=1 / at) for at in range(1, 41)),
        )
        for curve in ("train-merror", "validation-merror")
    )
    visits = tuple(
        StateVisit(machine="train", state=state, entered_at=ago(90), left_at=ago(89), seconds=60)
        for state in ("PrepareData", "Train", "Evaluate", "Gate")
    )
    learned = LearnedColumn(name="pixel 0", type="number", missing=0, example="16")
    left_out = {"name": HTML, "type": "ignored", "reason": "constant", "example": None}
    evaluation = EvaluationAnswer(
        task="classification" if classes else "regression",
        classes=classes,
        confidence=0.95,
        metric=metric,
        champion_version=1,
        new=EvaluatedAnswer(
            rows=360,
            challenger=measured,
            champion=measured,
            baseline=NaiveBaseline(answer="1", metrics={metric: 0.1}),
        ),
        base=None,
        fresh=None,
        folds=None,
        notes=("The rows are those of the champion.",),
    )
    answer = RunAnswer(
        **dict(run_summary()),
        **EMPTY_RUN,
        model=name,
        learned=Learned(
            label=f"kind of {name}",
            task=evaluation.task,
            classes=classes,
            columns=(learned, learned.model_copy(update=left_out)),
            header=True,
            delimiter=",",
            decimal=".",
            rows=1800,
            refused=3,
            refused_reasons={"no label": 3},
            doubts=("is pixel 0 a number",),
        ),
        states=visits,
        training=(),
        curves=curves,
        gate=GateDecision(
            passed=True,
            reasons=("accuracy 96.4 %", "A note."),
            metric=metric,
            challenger=0.964,
            champion=0.9,
            checks=(GateCheck(name="floor", passed=True, reason="accuracy 96.4 %"),),
        ),
        evaluation=evaluation,
        examples=examples(name, side),
        data=versions().versions[0].data,
    )
    return answer.model_copy(update=changes)


def runs(*summaries: RunSummary) -> RunsAnswer:
    return RunsAnswer(model=DIGITS, runs=summaries or (failed(), run_summary()))
