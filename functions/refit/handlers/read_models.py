"""Show models: their stage, runs, quality and versions.

Invoked by  API Gateway, ANY /models, ANY /models/{model}, ANY /models/{model}/runs,
            ANY /models/{model}/runs/{run}, ANY /models/{model}/quality and
            ANY /models/{model}/versions, which accept GET; and OPTIONS of every route of the API
Input       a REST proxy event                                       events/read_models.json
Output      200 with an answer of domain/answers, or {"error": {"code", "message"}} with 400, 403,
            404, 405 or 503
Raises      every defect: API Gateway then answers 502, and the function's Errors metric counts it
            for the alarm
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.answers.paging import Paging, page_request, refuse_unknown
from refit.handlers.operate_http import operate
from refit.usecases.list_models import list_models
from refit.usecases.list_runs import list_runs
from refit.usecases.list_versions import list_versions
from refit.usecases.show_model import show_model
from refit.usecases.show_quality import show_quality
from refit.usecases.show_run import show_run

if TYPE_CHECKING:
    from refit.domain.answers.models import ModelAnswer, ModelsAnswer
    from refit.domain.answers.paging import PageRequest
    from refit.domain.answers.quality import QualityAnswer
    from refit.domain.answers.runs import RunAnswer, RunsAnswer
    from refit.domain.answers.versions import VersionsAnswer
    from refit.handlers.operate_http import OperateRequest, Routes
    from refit.usecases.services import Services


def _list_models(services: Services, request: OperateRequest) -> ModelsAnswer:
    return list_models(services, page_request(Paging.MODELS, "", request.query))


def _show_model(services: Services, request: OperateRequest) -> ModelAnswer:
    refuse_unknown(request.query, ())
    return show_model(services, request.model)


def _list_runs(services: Services, request: OperateRequest) -> RunsAnswer:
    return list_runs(services, request.model, _page(Paging.RUNS, request))


def _show_run(services: Services, request: OperateRequest) -> RunAnswer:
    refuse_unknown(request.query, ())
    return show_run(services, request.model, request.path["run"])


def _show_quality(services: Services, request: OperateRequest) -> QualityAnswer:
    return show_quality(services, request.model, _page(Paging.COHORTS, request))


def _list_versions(services: Services, request: OperateRequest) -> VersionsAnswer:
    return list_versions(services, request.model, _page(Paging.VERSIONS, request))


def _page(paging: Paging, request: OperateRequest) -> PageRequest:
    return page_request(paging, request.model, request.query)


ROUTES: Routes = {
    "/models": {"GET": _list_models},
    "/models/{model}": {"GET": _show_model},
    "/models/{model}/runs": {"GET": _list_runs},
    "/models/{model}/runs/{run}": {"GET": _show_run},
    "/models/{model}/quality": {"GET": _show_quality},
    "/models/{model}/versions": {"GET": _list_versions},
}

handler = operate(ROUTES)
