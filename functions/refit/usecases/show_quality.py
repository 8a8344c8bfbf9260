"""Show the quality of the live version over time, the evidence of drift, and shifted inputs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from refit.domain.answers.quality import (
    CohortAnswer,
    EvidenceChange,
    MetricAnswer,
    QualityAnswer,
)
from refit.domain.errors import ParameterInvalid
from refit.domain.moments import iso
from refit.domain.monitoring.inputs_record import InputsRecord
from refit.domain.monitoring.live_quality import quality_of
from refit.domain.naming import ModelKeys
from refit.domain.quality_metrics import METRICS, USUAL_METRIC
from refit.usecases.known_model import known_model
from refit.usecases.list_models import verdict_of_champion
from refit.usecases.loop_status import loop_answer
from refit.usecases.run_records import if_written

if TYPE_CHECKING:
    from refit.domain.answers.paging import PageRequest
    from refit.domain.monitoring.cohort import Cohort
    from refit.domain.monitoring.inputs_record import InputColumn
    from refit.domain.monitoring.verdict import EvidenceStep, Verdict
    from refit.domain.schema import Schema
    from refit.usecases.services import Services

_MAX_CHANGES = 5
_SMALLEST_CHANGE = 0.01  # of log10
_WRITTEN_AS_POWER = 6  # as in the sentence of the verdict


def show_quality(services: Services, model: str, page: PageRequest) -> QualityAnswer:
    """Return the quality of the live version, its newest cohorts first.

    Raises:
        ModelNotFound: when there is no such model.
        ParameterInvalid: when the page continues a list of another version.
    """
    overview = known_model(services, model)
    champion = overview.state.champion
    if champion is None:
        return _without_version(model)
    before = _before(page, champion.version)
    verdict = verdict_of_champion(overview)
    cohorts, has_more = services.lists.cohorts(model, champion.version, before, page.limit)
    schema = services.artifacts.schema(model, champion.run)
    baseline = services.artifacts.baseline(model, champion.run)
    loop = loop_answer(
        champion.version,
        overview.verdict,
        services.labels.load_counters(model),
        overview.retraining,
    )
    steps = verdict.quality.steps if verdict else ()
    last = [champion.version, iso(cohorts[-1].start)] if has_more else None
    return QualityAnswer(
        model=model,
        version=champion.version,
        looked_at=loop.looked_at,
        metric=_metric(schema),
        held_out=dict(baseline.quality),
        evidence=loop.evidence,
        parts=verdict.quality.parts if verdict else (),
        changes=evidence_changes(steps),
        alarm=loop.alarm,
        labels=loop.labels,
        series=tuple(_cohort(cohort, schema, steps) for cohort in cohorts),
        inputs=loop.inputs,
        columns=_columns(services, model, verdict) if verdict else (),
        next=page.token(last),
    )


def evidence_changes(steps: tuple[EvidenceStep, ...]) -> tuple[EvidenceChange, ...]:
    """Return the cohorts that changed the evidence most, largest change first."""
    changes = []
    for index, step in enumerate(steps):
        before = steps[index - 1].log10_evidence if index else None
        if step.log10_evidence is None or (index and before is None):
            continue
        change = step.log10_evidence - (before or 0.0)
        if index and abs(change) >= _SMALLEST_CHANGE:
            changes.append((abs(change), _change(step, before, change)))
    changes.sort(key=lambda entry: -entry[0])
    return tuple(change for _, change in changes[:_MAX_CHANGES])


def _change(step: EvidenceStep, before: float | None, change: float) -> EvidenceChange:
    assert step.log10_evidence is not None, "the caller has looked"
    moved = "multiplied" if change > 0 else "divided"
    return EvidenceChange(
        start=step.start,
        before=before,
        after=step.log10_evidence,
        text=f"The labels of the cohort of {step.start:%Y-%m-%d %H:%M:%S} UTC have {moved} the "
        f"evidence by {_factor_text(abs(change))}.",
    )


def _factor_text(log10: float) -> str:
    if log10 >= _WRITTEN_AS_POWER:
        return f"10^{log10:.1f}"
    factor = 10**log10
    return f"{factor:,.0f}" if factor >= 100 else f"{factor:.3g}"


def _without_version(model: str) -> QualityAnswer:
    return QualityAnswer(
        model=model,
        version=None,
        looked_at=None,
        metric=None,
        held_out={},
        evidence=None,
        parts=(),
        changes=(),
        alarm=None,
        labels=None,
        series=(),
        inputs=None,
        columns=(),
    )


def _before(page: PageRequest, version: int) -> datetime | None:
    if page.after is None:
        return None
    try:
        listed, text = page.after
        before = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise page.refused() from error
    if listed != version or before.tzinfo is None:
        raise ParameterInvalid(
            f"next continues the list of another version; version {version} is live now: begin "
            "again without `next`"
        )
    return before


def _metric(schema: Schema) -> MetricAnswer:
    name = USUAL_METRIC[schema.task]
    metric = METRICS[name]
    return MetricAnswer(name=name, title=metric.title, higher_is_better=metric.higher_is_better)


def _cohort(cohort: Cohort, schema: Schema, steps: tuple[EvidenceStep, ...]) -> CohortAnswer:
    quality = quality_of([cohort], schema)
    step = next((step for step in steps if step.start == cohort.start), None)
    return CohortAnswer(
        start=cohort.start,
        end=cohort.end,
        predictions=quality.predictions,
        labelled=quality.labelled,
        coverage=quality.coverage,
        label_delay_s=quality.label_delay_s,
        errors=cohort.shown.errors,
        error_rate=cohort.shown.errors / quality.labelled if quality.labelled else None,
        metrics=quality.metrics,
        log10=step and step.log10_evidence,
        bar=step and step.tolerated_error_rate,
    )


def _columns(services: Services, model: str, verdict: Verdict) -> tuple[InputColumn, ...]:
    if verdict.inputs is None:
        return ()
    key = ModelKeys(model).inputs(verdict.version, verdict.inputs.cohort)
    content = if_written(lambda: services.bucket.read(key))
    return InputsRecord.model_validate_json(content).columns if content else ()
