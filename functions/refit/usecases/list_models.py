"""List the models with their stage, live version, last run and quality.

The number of reads depends on the page only: no model needs a read of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.answers.models import (
    ChampionAnswer,
    ModelsAnswer,
    ModelSummary,
    QualitySummary,
)
from refit.domain.answers.stage import StageFacts, stage_of
from refit.domain.quality_metrics import USUAL_METRIC
from refit.usecases.run_answers import run_summary

if TYPE_CHECKING:
    from refit.domain.answers.paging import PageRequest
    from refit.domain.monitoring.verdict import Verdict
    from refit.stores.lists import Overview
    from refit.usecases.services import Services

_REGRESSION = USUAL_METRIC["regression"]


def list_models(services: Services, page: PageRequest) -> ModelsAnswer:
    """Return a page of the models, in the order of their names."""
    names = services.lists.models(page.after_text(), page.limit + 1)
    shown = names[: page.limit]
    overviews = services.lists.overviews(shown)
    return ModelsAnswer(
        models=tuple(_summary(overview) for overview in overviews),
        next=page.token(shown[-1]) if len(names) > page.limit else None,
    )


def verdict_of_champion(overview: Overview) -> Verdict | None:
    """Return the newest verdict if it is on the live version."""
    champion, verdict = overview.state.champion, overview.verdict
    if champion is None or verdict is None or verdict.run != champion.run:
        return None
    return verdict


def stage_facts(overview: Overview) -> StageFacts:
    """Return what decides the stage of a model."""
    verdict = verdict_of_champion(overview)
    predictions = verdict.live.predictions if verdict else 0
    return StageFacts(overview.state, overview.run, overview.retraining, predictions)


def _summary(overview: Overview) -> ModelSummary:
    stage, text = stage_of(stage_facts(overview))
    verdict = verdict_of_champion(overview)
    champion = overview.state.champion
    return ModelSummary(
        model=overview.model,
        stage=stage,
        text=text,
        champion=ChampionAnswer.model_validate(champion) if champion else None,
        last_run=run_summary(overview.run) if overview.run else None,
        quality=_quality(verdict) if verdict else None,
        trend=verdict.trend if verdict else (),
    )


def _quality(verdict: Verdict) -> QualitySummary:
    is_regression = _REGRESSION in {**verdict.live.metrics, **verdict.live.baseline}
    metric = USUAL_METRIC["regression" if is_regression else "classification"]
    return QualitySummary(
        metric=metric,
        value=verdict.live.metrics.get(metric),
        held_out=verdict.live.baseline.get(metric),
        predictions=verdict.live.predictions,
        labelled=verdict.live.labelled,
        drifted=verdict.drifted,
        log10=verdict.quality.log10_evidence,
        threshold=verdict.quality.threshold,
        shifted_inputs=verdict.inputs.flagged if verdict.inputs else 0,
    )
