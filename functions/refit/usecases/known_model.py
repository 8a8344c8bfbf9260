"""Find a model that a request names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import ModelBeingRemoved, ModelNotFound, RunNotFound

if TYPE_CHECKING:
    from refit.domain.pipeline.run import Run
    from refit.stores.lists import Overview
    from refit.usecases.services import Services


_MAX_RUN_ID = 64  # longer keys are refused by DynamoDB as malformed


def known_model(services: Services, model: str) -> Overview:
    """Return the overview of a model.

    Raises:
        ModelNotFound: when no run of it has begun.
    """
    overviews = services.lists.overviews([model])
    if not overviews:
        raise ModelNotFound(
            f"there is no model {model!r}", advice="List the models with GET /models"
        )
    return overviews[0]


def operable_model(services: Services, model: str) -> Overview:
    """Return the overview of a model on which a user may act.

    Raises:
        ModelNotFound: when no run of it has begun.
        ModelBeingRemoved: when its removal has begun.
    """
    overview = known_model(services, model)
    if overview.state.removing_since is not None:
        raise ModelBeingRemoved(f"the model {model!r} is being removed")
    return overview


def known_run(services: Services, model: str, run: str) -> Run:
    """Return a run of a model that exists.

    Raises:
        RunNotFound: when there is no such run.
    """
    record = services.models.run(model, run) if len(run) <= _MAX_RUN_ID else None
    if record is None:
        raise RunNotFound(
            f"the model {model!r} has no run {run[:60]!r}",
            advice=f"List its runs with GET /models/{model}/runs",
        )
    return record
