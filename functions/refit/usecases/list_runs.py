"""List the runs of a model, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.answers.runs import RunsAnswer
from refit.stores.models import BEGUN
from refit.usecases.known_model import known_model
from refit.usecases.run_answers import run_summary

if TYPE_CHECKING:
    from refit.domain.answers.paging import PageRequest
    from refit.usecases.services import Services


def list_runs(services: Services, model: str, page: PageRequest) -> RunsAnswer:
    """Return a page of the runs of a model.

    Raises:
        ModelNotFound: when there is no such model.
    """
    known_model(services, model)
    runs, last = services.lists.runs(model, page.after_text(BEGUN), page.limit)
    return RunsAnswer(
        model=model, runs=tuple(run_summary(run) for run in runs), next=page.token(last)
    )
