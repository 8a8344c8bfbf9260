"""Recorded answers of the API on models, for the console. Those on runs: recorded_runs.py."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from refit.domain.answers.actions import ActionAnswer, Follow
from refit.domain.answers.holds import Hold, HoldKind
from refit.domain.answers.loop import (
    EvidenceAnswer,
    InputsAnswer,
    LabelsAnswer,
    LoopAnswer,
    RetrainingAnswer,
    Shift,
)
from refit.domain.answers.models import (
    AlarmAnswer,
    ChampionAnswer,
    FormAnswer,
    FormColumn,
    ModelAnswer,
    ModelsAnswer,
    ModelSummary,
    QualitySummary,
    SettingsAnswer,
)
from refit.domain.answers.quality import CohortAnswer, EvidenceChange, MetricAnswer, QualityAnswer
from refit.domain.answers.stage import Stage
from refit.domain.model_settings import ModelSettings
from refit.domain.monitoring.inputs_record import InputColumn
from refit.domain.monitoring.verdict import EvidencePart, LiveQuality, TrendPoint
from refit.domain.retraining.state import RetrainingStatus

from tests.support.recorded_runs import (
    CLASSES,
    COLUMNS,
    DIGITS,
    HTML,
    NOW,
    RUN,
    WINE,
    ago,
    failed,
    pixels,
    run_summary,
)


def form(model: str, side: int = 8) -> FormAnswer:
    columns = COLUMNS.get(model) or tuple(
        (f"pixel {place}", "number", None, value) for place, value in enumerate(pixels(side))
    )
    return FormAnswer(
        label=f"kind of {model}",
        task="classification" if CLASSES[model] else "regression",
        classes=CLASSES[model],
        columns=tuple(
            FormColumn.model_validate(
                {"name": name, "type": kind, "values": values, "example": example}
            )
            for name, kind, values, example in columns
        ),
        columns_total=len(columns),
        image_side=None if model in COLUMNS else side,
        image_max=None if model in COLUMNS else 16,
    )


def live_quality(model: str) -> LiveQuality:
    is_regression = CLASSES[model] is None
    return LiveQuality(
        since=ago(120),
        until=ago(1),
        cohorts=24,
        predictions=480,
        labelled=400,
        coverage=400 / 480,
        label_delay_s=42,
        metrics={"rmse": 31_000.5} if is_regression else {"accuracy": 0.91, "log_loss": 0.3},
        baseline={"rmse": 25_000} if is_regression else {"accuracy": 0.964, "log_loss": 0.12},
    )


def evidence(drifted: bool) -> EvidenceAnswer:
    return EvidenceAnswer(
        drifted=drifted,
        log10_evidence=6.2 if drifted else 0.4,
        threshold=1000,
        labels=400,
        cohorts=24,
        since=ago(20) if drifted else None,
        counted=120,
        errors=40,
        error_rate=1 / 3,
        tolerated_error_rate=0.08,
        baseline_error=0.036,
        coverage=0.83,
        class_name=None,
        held_back=None,
        sentence="40 of 120 predictions are wrong, and 8 % are tolerated.",
    )


def loop(model: str, state: RetrainingStatus) -> LoopAnswer:
    drifted = state is not RetrainingStatus.HEALTHY
    return LoopAnswer(
        version=2,
        looked_at=ago(0.5),
        quality=live_quality(model),
        evidence=evidence(drifted),
        alarm=None,
        inputs=inputs(),
        labels=LabelsAnswer(
            held=1,
            expired=2,
            new=395,
            repeat=3,
            corrected=4,
            rejected=5,
            last_label_at=ago(2),
            last_capture_at=ago(1),
        ),
        retraining=RetrainingAnswer(
            state=state,
            since=ago(10),
            reason="Drift was detected." if drifted else None,
            run=RUN,
            cause="drift",
            pending=None,
            failures=3 if state is RetrainingStatus.BLOCKED else 0,
            cooled_until=NOW + timedelta(minutes=50),
            last=None,
            note=None,
        ),
    )


def inputs() -> InputsAnswer:
    shift = Shift(
        feature_name="pixel 3", description="moved", value=0.6, threshold=0.1, n=60, critical=True
    )
    return InputsAnswer(
        cohort=ago(10),
        since=ago(7 * 24 * 60),
        until=ago(9),
        season_s=604_800,
        compared_from=None,
        missed=0.0,
        rows=60,
        flagged=1,
        shifts=(shift,),
        estimated_accuracy=0.9,
    )


def champion(model: str) -> ChampionAnswer:
    return ChampionAnswer(
        version=2,
        run=RUN,
        endpoint=f"refit-{model}",
        endpoint_status="InService",
        promoted_at=ago(60).isoformat(),
    )


def trend() -> tuple[TrendPoint, ...]:
    return tuple(
        TrendPoint(start=ago(24 - place), predictions=20, labelled=18, value=0.95 - place / 300)
        for place in range(24)
    )


def hold(kind: HoldKind, text: str, minutes: float | None, model: str = DIGITS) -> Hold:
    """Return something that has held a model for some minutes; None if it is not known."""
    since = None if minutes is None else ago(minutes)
    return Hold(kind=kind, since=since, text=text, command=f"refit unblock {model}")


def model(
    name: str = DIGITS,
    stage: Stage = Stage.WATCHING,
    state: RetrainingStatus = RetrainingStatus.HEALTHY,
    side: int = 8,
    **changes: Any,
) -> ModelAnswer:
    alarm = AlarmAnswer(
        kind="quality-drift",
        name=f"refit-{name}-quality-drift",
        state="ALARM",
        reason="1 > 0",
        since=ago(3),
        description="The quality of the model has drifted.",
    )
    calm = alarm.model_copy(
        update={"kind": "errors", "name": f"refit-{name}-errors", "state": "OK"}
    )
    settings = ModelSettings().model_dump(mode="json")
    blocked = (hold("retraining", "Retraining is blocked after 2 retrainings.", 60, name),)
    answer = ModelAnswer(
        model=name,
        stage=stage,
        text="Version 2 is live, and its quality is watched.",
        champion=champion(name),
        active_run=None,
        pending=False,
        removing_since=None,
        holds=blocked if state is RetrainingStatus.BLOCKED else (),
        loop=loop(name, state),
        trend=trend(),
        last_run=run_summary(),
        settings=SettingsAnswer(run=RUN, values=settings),
        form=form(name, side),
        alarms=(alarm, calm),
    )
    return answer.model_copy(update=changes)


def models() -> ModelsAnswer:
    quality = QualitySummary(
        metric="accuracy",
        value=0.91,
        held_out=0.964,
        predictions=480,
        labelled=400,
        drifted=True,
        log10=6.2,
        threshold=1000,
        shifted_inputs=1,
    )
    first = ModelSummary(
        model=DIGITS,
        stage=Stage.DRIFT,
        text="Drift was detected.",
        champion=champion(DIGITS),
        last_run=run_summary(),
        quality=quality,
        trend=trend(),
    )
    new = {"model": WINE, "champion": None, "quality": None, "trend": (), "last_run": failed()}
    waiting = {"stage": Stage.WAITING_FOR_DATA, "text": "No version is live."}
    return ModelsAnswer(models=(first, first.model_copy(update=new | waiting)))


def quality(name: str = DIGITS) -> QualityAnswer:
    is_regression = CLASSES[name] is None
    live = live_quality(name)
    series = tuple(
        CohortAnswer(
            start=ago(place + 1),
            end=ago(place),
            predictions=20,
            labelled=18,
            coverage=0.9,
            label_delay_s=42,
            errors=2,
            error_rate=1 / 9,
            metrics={
                metric: value * (1 + math.sin(place) / 20) for metric, value in live.metrics.items()
            },
            log10=6.2 - place / 4,
            bar=0.08,
        )
        for place in range(24)
    )
    part = EvidencePart(
        class_name=None,
        season_s=604_800,
        weight=0.5,
        log10_evidence=6,
        counted=120,
        errors=40,
        error_rate=1 / 3,
        tolerated_error_rate=0.08,
        baseline_error=0.036,
    )
    column = InputColumn(
        name="pixel 3",
        role="feature",
        value=0.6,
        threshold=0.1,
        flagged=True,
        critical=True,
        missing=0.02,
        edges=(0, 4, 8, 12),
        texts=None,
        live=(1, 2, 30, 20, 7),
        reference=(30, 20, 7, 2, 1),
    )
    texts = {"name": HTML, "edges": None, "texts": ("red", HTML), "flagged": False, "value": 0.05}
    texts |= {"live": (30, 20, 10), "reference": (28, 22, 10), "critical": False}
    metric = ("rmse", "RMSE", False) if is_regression else ("accuracy", "accuracy", True)
    return QualityAnswer(
        model=name,
        version=2,
        looked_at=ago(0.5),
        metric=MetricAnswer(name=metric[0], title=metric[1], higher_is_better=metric[2]),
        held_out=live.baseline,
        evidence=evidence(True),
        parts=(
            part,
            part.model_copy(update={"class_name": "7"}),
            part.model_copy(update={"season_s": 0, "within_s": 604_800}),
        ),
        changes=(EvidenceChange(start=ago(20), before=0.1, after=3, text="It multiplied."),),
        alarm=None,
        labels=None,
        series=series,
        inputs=inputs(),
        columns=(column, column.model_copy(update=texts)),
    )


def action(name: Any, text: str = "It has begun.") -> ActionAnswer:
    return ActionAnswer(
        model=DIGITS,
        action=name,
        by="key",
        event="e",
        version=None,
        run=None,
        text=text,
        follow=Follow(path=f"/models/{DIGITS}", until="done"),
    )
