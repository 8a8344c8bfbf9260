"""Request what a user wants of a model.

Invoked by  API Gateway, ANY /models/{model}/retrain, ANY /models/{model}/unblock,
            ANY /models/{model}/retry, ANY /models/{model}/rollback,
            ANY /models/{model}/versions/{version}/approve and
            ANY /models/{model}/versions/{version}/reject, which accept POST
Input       a REST proxy event                                    events/operate_models.json
Output      202 {"model", "action", "by", "event", "version", "run", "text", "follow"}, or
            {"error": {"code", "message"}} with 400, 403, 404, 405, 409 or 503
Raises      every defect: API Gateway then answers 502, and the function's Errors metric counts it
            for the alarm
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from refit.domain.answers.actions import RetrainBody, RetryBody, RollbackBody
from refit.domain.answers.paging import refuse_unknown
from refit.domain.errors import PayloadInvalid
from refit.domain.inferences.payload import body_bytes
from refit.handlers.operate_http import operate
from refit.usecases.request_action import (
    UserRequest,
    approve_version,
    reject_version,
    request_retraining,
    request_retry,
    request_unblocking,
    roll_back_to,
)

if TYPE_CHECKING:
    from refit.domain.answers.actions import ActionAnswer
    from refit.handlers.operate_http import OperateRequest, Routes
    from refit.usecases.services import Services

Body = TypeVar("Body", bound=BaseModel)


def _retrain(services: Services, request: OperateRequest) -> ActionAnswer:
    body = _body(RetrainBody, request, '{"again": true}') if request.body.text else RetrainBody()
    return request_retraining(_user_request(services, request), again=body.again)


def _unblock(services: Services, request: OperateRequest) -> ActionAnswer:
    return request_unblocking(_user_request(services, request))


def _retry(services: Services, request: OperateRequest) -> ActionAnswer:
    body = _body(RetryBody, request, '{"run": "…"}') if request.body.text else RetryBody()
    return request_retry(_user_request(services, request), body.run)


def _approve(services: Services, request: OperateRequest) -> ActionAnswer:
    return approve_version(_user_request(services, request), request.version)


def _reject(services: Services, request: OperateRequest) -> ActionAnswer:
    return reject_version(_user_request(services, request), request.version)


def _roll_back(services: Services, request: OperateRequest) -> ActionAnswer:
    body = _body(RollbackBody, request, '{"version": 3}')
    return roll_back_to(_user_request(services, request), body.version)


def _user_request(services: Services, request: OperateRequest) -> UserRequest:
    refuse_unknown(request.query, ())
    return UserRequest(services, request.model, request.by)


def _body(kind: type[Body], request: OperateRequest, expected: str) -> Body:
    try:
        return kind.model_validate_json(body_bytes(request.body, expected))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise PayloadInvalid(f"{where}: {first['msg']}; expected: {expected}") from error


ROUTES: Routes = {
    "/models/{model}/retrain": {"POST": _retrain},
    "/models/{model}/unblock": {"POST": _unblock},
    "/models/{model}/retry": {"POST": _retry},
    "/models/{model}/rollback": {"POST": _roll_back},
    "/models/{model}/versions/{version}/approve": {"POST": _approve},
    "/models/{model}/versions/{version}/reject": {"POST": _reject},
}

handler = operate(ROUTES, success=202)
