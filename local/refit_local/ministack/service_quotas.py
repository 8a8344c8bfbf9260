"""Service Quotas: the instance quotas of SageMaker, which `refit doctor` reads.

AWS        has one quota for each instance type and use of SageMaker, in pages of at most 100. Most
           defaults are 0: an account has more when AWS has granted an increase
MiniStack  has no Service Quotas
Source     API Reference of Service Quotas; the names, codes and defaults in docs/aws-assumptions.md

The local stack is an account whose increases were granted. REFIT_QUOTAS, a JSON object of names
and values, gives it others. Nobody reviews a request for an increase: it applies at once. The local
SageMaker enforces the quotas (records/instance_quotas.py).
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from typing import Any
from uuid import uuid4

import botocore.session

from refit_local.ministack.hooks import Document, Response, account, region
from refit_local.ministack.iam import Permission
from refit_local.ministack.services import Service, register_service

OVERRIDES = "REFIT_QUOTAS"
PAGE = 100
GRANTED = 8.0
GRANTED_IN_ALL = 20.0
_USES = {
    "training job": "TrainingInstanceType",
    "spot training job": "TrainingInstanceType",
    "transform job": "TransformInstanceType",
    "endpoint": "ProductionVariantInstanceType",
}
# Codes of AWS. Those of other quotas are made up: callers look them up by name.
_CODES = {
    "ml.m5.large for training job usage": "L-611FA074",
    "ml.m5.large for spot training job usage": "L-29688C85",
    "ml.m5.large for transform job usage": "L-236AE59F",
    "ml.m5.large for endpoint usage": "L-614B09FD",
    "Number of instances across all training jobs": "L-00C91CB5",
    "Number of instances across all transform jobs": "L-60D2A6F0",
    "Number of instances across active endpoints": "L-7A3DF611",
}
_DEFAULTS = {
    "ml.t2.medium for endpoint usage": 2.0,
    "ml.m6g.large for endpoint usage": 2.0,
    "ml.m6g.xlarge for endpoint usage": 1.0,
    "Number of instances across all training jobs": 4.0,
    "Number of instances across all transform jobs": 4.0,
    "Number of instances across active endpoints": 4.0,
}


class Refused(Exception):
    """When a request is answered with an error of Service Quotas.

    Args:
        code: the error's name in the service model.
        message: what happened.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ServiceQuotas:
    """The quotas of one account."""

    def __init__(self, overrides: dict[str, float]) -> None:
        self._overrides = overrides
        self._applied = dict(overrides)

    def reset(self) -> None:
        """Forget the increases."""
        self._applied = dict(self._overrides)

    def value(self, name: str) -> float:
        """Return the applied value of a quota."""
        return float(self._quota(name, applied=True)["Value"])

    async def handle_request(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Response:
        """Answer one request."""
        operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        request = json.loads(body or b"{}")
        try:
            return _answer(200, self._respond(operation, request))
        except Refused as error:
            return _answer(400, {"__type": error.code, "message": error.message})

    def _respond(self, operation: str, request: Document) -> Document:
        if request.get("ServiceCode") != "sagemaker":
            raise Refused(
                "NoSuchResourceException",
                f"The local stack has quotas of sagemaker only, not of "
                f"{request.get('ServiceCode')!r}.",
            )
        match operation:
            case "ListServiceQuotas":
                return self._page(request, applied=True)
            case "ListAWSDefaultServiceQuotas":
                return self._page(request, applied=False)
            case "GetServiceQuota":
                return {"Quota": self._quota(_name_of(request), applied=True)}
            case "GetAWSDefaultServiceQuota":
                return {"Quota": self._quota(_name_of(request), applied=False)}
            case "RequestServiceQuotaIncrease":
                return {"RequestedQuota": self._increase(request)}
            case _:
                raise Refused("ServiceException", f"The local stack does not have {operation}.")

    def _page(self, request: Document, *, applied: bool) -> Document:
        size = request.get("MaxResults", PAGE)
        if not 1 <= size <= PAGE:
            raise Refused("IllegalArgumentException", f"MaxResults is {size}, not 1 to {PAGE}.")
        token = request.get("NextToken", "0")
        names = _names()
        if not token.isdigit() or int(token) > len(names):
            raise Refused("InvalidPaginationTokenException", f"Invalid NextToken {token!r}.")
        start = int(token)
        quotas = [self._quota(name, applied=applied) for name in names[start : start + size]]
        more = {"NextToken": str(start + size)} if start + size < len(names) else {}
        return {"Quotas": quotas, **more}

    def _quota(self, name: str, *, applied: bool) -> Document:
        code = _code(name)
        is_total = name.startswith("Number")
        value = _DEFAULTS.get(name, 0.0)
        if applied:
            value = self._applied.get(name, GRANTED_IN_ALL if is_total else GRANTED)
        return {
            "ServiceCode": "sagemaker",
            "ServiceName": "Amazon SageMaker",
            "QuotaArn": f"arn:aws:servicequotas:{region()}:{account()}:sagemaker/{code}",
            "QuotaCode": code,
            "QuotaName": name,
            "Value": value,
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }

    def _increase(self, request: Document) -> Document:
        name, desired = _name_of(request), float(request["DesiredValue"])
        quota = self._quota(name, applied=True)
        if desired <= quota["Value"]:
            raise Refused(
                "IllegalArgumentException",
                f"The desired value {desired:g} is not above the current {quota['Value']:g}.",
            )
        self._applied[name] = desired
        shared = {key: quota[key] for key in ("ServiceCode", "QuotaCode", "QuotaName", "QuotaArn")}
        return {"Id": uuid4().hex, **shared, "DesiredValue": desired, "Status": "PENDING"}


@cache
def _names() -> list[str]:
    # The stubs of botocore do not know `enum`, which shapes of strings have.
    model: Any = botocore.session.get_session().get_service_model("sagemaker")
    of_types = [
        f"{instance} for {use} usage"
        for use, shape in _USES.items()
        for instance in model.shape_for(shape).enum
    ]
    return [*of_types, *(name for name in _CODES if name.startswith("Number"))]


def _code(name: str) -> str:
    return _CODES.get(name) or "L-" + hashlib.sha256(name.encode()).hexdigest()[:8].upper()


@cache
def _names_by_code() -> dict[str, str]:
    return {_code(name): name for name in _names()}


def _name_of(request: Document) -> str:
    code = request.get("QuotaCode")
    name = _names_by_code().get(str(code))
    if name is None:
        raise Refused("NoSuchResourceException", f"There is no quota {code!r} of sagemaker.")
    return name


@cache
def account_quotas() -> ServiceQuotas:
    """Return the quotas of the account of this process, which the environment may override."""
    return ServiceQuotas(json.loads(os.environ.get(OVERRIDES, "{}")))


def _answer(status: int, body: Document) -> Response:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode()


def _permissions(operation: str | None, path: str, body: bytes) -> list[Permission]:
    return [Permission(f"servicequotas:{operation}", "*")]


def install() -> None:
    """Register the service."""
    quotas = account_quotas()
    register_service(
        Service(
            name="servicequotas",
            aliases=(),
            target_prefix="ServiceQuotasV20190624",
            sdk_name="ServiceQuotas",
            models=("service-quotas",),
            handle_request=quotas.handle_request,
            permissions=_permissions,
            reset=quotas.reset,
        )
    )
