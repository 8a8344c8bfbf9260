"""List the versions of a model in the registry, newest first, with the data that made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.answers.stage import cause_text
from refit.domain.answers.versions import VersionAnswer, VersionsAnswer
from refit.usecases.known_model import known_model
from refit.usecases.run_answers import data_answer, metrics_of
from refit.usecases.run_records import if_written

if TYPE_CHECKING:
    from refit.domain.answers.paging import PageRequest
    from refit.domain.pipeline.run import Run
    from refit.stores.registry import RegisteredVersion
    from refit.usecases.services import Services


_MAX_FILES = 10  # of each version; the run lists more


def list_versions(services: Services, model: str, page: PageRequest) -> VersionsAnswer:
    """Return a page of the versions of a model.

    Raises:
        ModelNotFound: when there is no such model.
        ParameterInvalid: when the registry does not know the page any more.
    """
    champion = known_model(services, model).state.champion
    token = page.after_text()
    group = services.names(model).model_package_group
    registered, following = services.registry.page(group, page.limit, token)
    runs = services.lists.runs_of_versions(model, [each.version for each in registered])
    records = services.lists.runs_of(model, runs.values())
    live = champion.version if champion else None
    versions = [
        _version(
            services, each, records.get(runs.get(each.version, "")), is_live=each.version == live
        )
        for each in registered
    ]
    return VersionsAnswer(model=model, versions=tuple(versions), next=page.token(following))


def _version(
    services: Services, registered: RegisteredVersion, run: Run | None, *, is_live: bool
) -> VersionAnswer:
    drop = manifest = None
    if run is not None:
        model, name = run.model, run.run
        drop = if_written(lambda: services.artifacts.drop(model, name))
        manifest = if_written(lambda: services.artifacts.manifest(model, name))
    return VersionAnswer(
        version=registered.version,
        run=run and run.run,
        approval=registered.approval,
        live=is_live,
        created_at=registered.created_at,
        status=run and run.status,
        cause=run and run.cause,
        cause_text=run and cause_text(run),
        metrics=metrics_of(run) if run else {},
        data=data_answer(drop, manifest, _MAX_FILES),
    )
