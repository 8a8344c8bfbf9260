"""Show a model: its stage, live version, settings in force, form, labels and alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.answers.holds import HoldFacts, holds_of
from refit.domain.answers.models import (
    AlarmAnswer,
    ChampionAnswer,
    FormAnswer,
    FormColumn,
    ModelAnswer,
    SettingsAnswer,
)
from refit.domain.answers.stage import stage_of
from refit.domain.errors import ObjectNotFound
from refit.domain.monitoring.alarms import alarm_names
from refit.usecases.endpoint_faults import fault_of
from refit.usecases.known_model import known_model
from refit.usecases.list_models import stage_facts, verdict_of_champion
from refit.usecases.loop_status import loop_answer
from refit.usecases.run_answers import run_summary, shortened

if TYPE_CHECKING:
    from refit.domain.answers.holds import Hold
    from refit.domain.answers.loop import LoopAnswer
    from refit.domain.pipeline.manifest import Manifest
    from refit.domain.pipeline.model_state import Champion
    from refit.domain.schema import Schema
    from refit.stores.endpoints import EndpointState
    from refit.stores.lists import Overview
    from refit.usecases.services import Services

_MAX_COLUMNS, _MAX_VALUES, _MAX_CLASSES, _MAX_EXAMPLE = 4096, 500, 1000, 200
_MAX_CHARACTERS = 1_000_000
"""Of all names and values of a form, so that the answer stays below Lambda's 6 MB in UTF-8."""

_PER_COLUMN = 100


def show_model(services: Services, model: str) -> ModelAnswer:
    """Return all of a model that is not a list of its own.

    Raises:
        ModelNotFound: when there is no such model.
    """
    overview = known_model(services, model)
    stage, text = stage_of(stage_facts(overview))
    state, champion = overview.state, overview.state.champion
    verdict = verdict_of_champion(overview)
    endpoint = services.endpoints.describe(services.names(model).endpoint) if champion else None
    manifest, form, missing = None, None, None
    if champion is not None:
        try:
            manifest = services.artifacts.manifest(model, champion.run)
            form = _form(services, model, manifest)
        except ObjectNotFound as error:  # a person deleted it, and is to see the rest
            missing = str(error)
    return ModelAnswer(
        model=model,
        stage=stage,
        text=text,
        champion=_champion(champion, endpoint) if champion else None,
        active_run=state.active_run,
        pending=state.pending,
        removing_since=state.removing_since,
        holds=_holds(services, overview, endpoint, missing),
        loop=_loop(services, overview, champion) if champion else None,
        trend=verdict.trend if verdict else (),
        last_run=run_summary(overview.run) if overview.run else None,
        settings=_settings(manifest) if manifest else None,
        form=form,
        alarms=_alarms(services, model),
    )


def _holds(
    services: Services, overview: Overview, endpoint: EndpointState | None, missing: str | None
) -> tuple[Hold, ...]:
    model, state, champion = overview.model, overview.state, overview.state.champion
    fault = fault_of(services.names(model), champion, endpoint) if champion else None
    return holds_of(HoldFacts(model, state, overview.run, overview.retraining, fault, missing))


def _champion(champion: Champion, endpoint: EndpointState | None) -> ChampionAnswer:
    status = endpoint.status if endpoint else "missing"
    return ChampionAnswer.model_validate(champion).model_copy(update={"endpoint_status": status})


def _loop(services: Services, overview: Overview, champion: Champion) -> LoopAnswer:
    labels = services.labels.load_counters(overview.model)
    return loop_answer(champion.version, overview.verdict, labels, overview.retraining)


def _settings(manifest: Manifest) -> SettingsAnswer:
    return SettingsAnswer(run=manifest.run, values=manifest.settings.model_dump(mode="json"))


def _form(services: Services, model: str, manifest: Manifest) -> FormAnswer:
    form = form_of(services.artifacts.schema(model, manifest.run), manifest)
    if form.image_side is None:
        return form
    largest = services.artifacts.largest_number(model, manifest.run)
    return form.model_copy(update={"image_max": largest})


def form_of(schema: Schema, manifest: Manifest) -> FormAnswer:
    """Return how a row is entered, with examples of the training data."""
    learned = manifest.learned.columns if manifest.learned else ()
    examples = {column.name: column.example for column in learned}
    features = {feature.name: feature for feature in schema.own.features}
    names = schema.all_columns
    left = _MAX_CHARACTERS - sum(map(len, schema.classes or ()))
    columns = []
    for name in names[:_MAX_COLUMNS]:
        feature, example = features.get(name), examples.get(name) or ""
        values = (feature.values or ())[:_MAX_VALUES] if feature else ()
        left -= len(name) + sum(map(len, values)) + _PER_COLUMN
        if left < 0:
            break
        columns.append(
            FormColumn(
                name=name,
                type=feature.type if feature else "ignored",
                values=values or None,
                example=example[:_MAX_EXAMPLE] or None,
            )
        )
    return FormAnswer(
        label=schema.label,
        task=schema.task,
        classes=schema.classes and schema.classes[:_MAX_CLASSES],
        columns=tuple(columns),
        columns_total=len(names),
        image_side=schema.image_side,
    )


def _alarms(services: Services, model: str) -> tuple[AlarmAnswer, ...]:
    names = services.names(model)
    prefix = f"{names.prefix}-{model}-"
    return tuple(
        AlarmAnswer(
            kind=alarm["AlarmName"].removeprefix(prefix),
            name=alarm["AlarmName"],
            state=alarm["StateValue"],
            reason=shortened(alarm.get("StateReason", "")),
            since=alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp"),
            description=alarm.get("AlarmDescription", ""),
        )
        for alarm in services.alarms.describe(alarm_names(names))
    )
