"""The routes of the API with their errors, which docs/openapi.json and docs/api.md describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from refit.domain.answers.actions import ActionAnswer, RetrainBody, RetryBody, RollbackBody
from refit.domain.answers.models import ModelAnswer, ModelsAnswer
from refit.domain.answers.paging import Paging
from refit.domain.answers.predictions import (
    GroundTruthAnswer,
    GroundTruthBody,
    PredictionsAnswer,
    PredictionsBody,
)
from refit.domain.answers.quality import QualityAnswer
from refit.domain.answers.runs import RunAnswer, RunsAnswer
from refit.domain.answers.versions import VersionsAnswer

if TYPE_CHECKING:
    from pydantic import BaseModel

OPERATE, PREDICT, LABEL = "OperateApiKey", "PredictApiKey", "LabelApiKey"
KEYS = {
    PREDICT: "Opens predictions only.",
    LABEL: "Opens ground truth only.",
    OPERATE: "Opens all routes that show or operate models, and no other.",
}


@dataclass(frozen=True)
class Route:
    """One operation.

    Attributes:
        errors: codes that the function answers, by status, besides those of every route.
        body_types: content types of the body besides JSON.
    """

    method: str
    path: str
    name: str
    summary: str
    answer: type[BaseModel]
    key: str = OPERATE
    success: int = 200
    body: type[BaseModel] | None = None
    is_body_required: bool = True
    paging: Paging | None = None
    errors: tuple[tuple[int, str], ...] = ()
    body_types: tuple[str, ...] = ()


_MODEL = ((400, "ModelNameInvalid"), (404, "ModelNotFound"))
_PAGE = ((400, "ParameterInvalid"),)
_NO_QUERY = _PAGE  # an unknown query parameter is refused
_VERSION = (*_MODEL, *_NO_QUERY, (404, "VersionNotFound"))

ROUTES = (
    Route(
        "GET",
        "/models",
        "listModels",
        "List the models, in the order of their names.",
        ModelsAnswer,
        paging=Paging.MODELS,
        errors=_PAGE,
    ),
    Route(
        "GET",
        "/models/{model}",
        "showModel",
        "Show a model: its stage in the loop, live version, settings, form, labels and alarms.",
        ModelAnswer,
        errors=(*_MODEL, *_NO_QUERY),
    ),
    Route(
        "GET",
        "/models/{model}/runs",
        "listRuns",
        "List the runs of a model, newest first.",
        RunsAnswer,
        paging=Paging.RUNS,
        errors=(*_MODEL, *_PAGE),
    ),
    Route(
        "GET",
        "/models/{model}/runs/{run}",
        "showRun",
        "Show a run: states, progress, curves, gate, evaluation, and what data made it.",
        RunAnswer,
        errors=(*_MODEL, *_NO_QUERY, (404, "RunNotFound")),
    ),
    Route(
        "GET",
        "/models/{model}/quality",
        "showQuality",
        "Show the quality of the live version over time, evidence of drift, and shifted inputs.",
        QualityAnswer,
        paging=Paging.COHORTS,
        errors=(*_MODEL, *_PAGE),
    ),
    Route(
        "GET",
        "/models/{model}/versions",
        "listVersions",
        "List the versions of a model, newest first.",
        VersionsAnswer,
        paging=Paging.VERSIONS,
        errors=(*_MODEL, *_PAGE),
    ),
    Route(
        "POST",
        "/models/{model}/retrain",
        "retrain",
        "Start a retraining on the data of the live version and all newer labels.",
        ActionAnswer,
        success=202,
        body=RetrainBody,
        is_body_required=False,
        errors=(
            *_MODEL,
            *_NO_QUERY,
            (400, "PayloadInvalid"),
            (409, "NothingToRetrain"),
            (409, "ModelBeingRemoved"),
        ),
    ),
    Route(
        "POST",
        "/models/{model}/unblock",
        "unblock",
        "Free the model from what nothing works on any more, and allow retraining again.",
        ActionAnswer,
        success=202,
        errors=(*_MODEL, *_NO_QUERY, (409, "NotBlocked"), (409, "ModelBeingRemoved")),
    ),
    Route(
        "POST",
        "/models/{model}/retry",
        "retry",
        "Run the same dropped files again, or deploy again if only the deployment failed.",
        ActionAnswer,
        success=202,
        body=RetryBody,
        is_body_required=False,
        errors=(
            *_MODEL,
            *_NO_QUERY,
            (400, "PayloadInvalid"),
            (404, "RunNotFound"),
            (409, "NothingToRetry"),
            (409, "RunActive"),
            (409, "ModelBeingRemoved"),
        ),
    ),
    Route(
        "POST",
        "/models/{model}/versions/{version}/approve",
        "approve",
        "Approve a version. It is deployed if it is the newest approved one.",
        ActionAnswer,
        success=202,
        errors=(*_VERSION, (409, "AlreadyApproved"), (409, "ModelBeingRemoved")),
    ),
    Route(
        "POST",
        "/models/{model}/versions/{version}/reject",
        "reject",
        "Reject a version. If it is live, the newest version that is still approved is deployed.",
        ActionAnswer,
        success=202,
        errors=(*_VERSION, (409, "AlreadyRejected"), (409, "ModelBeingRemoved")),
    ),
    Route(
        "POST",
        "/models/{model}/rollback",
        "rollback",
        "Deploy an approved older version again, by rejecting all newer approved versions.",
        ActionAnswer,
        success=202,
        body=RollbackBody,
        errors=(
            *_MODEL,
            *_NO_QUERY,
            (400, "PayloadInvalid"),
            (404, "VersionNotFound"),
            (409, "NothingToRetrain"),
            (409, "VersionNotApproved"),
            (409, "AlreadyLive"),
            (409, "NotOlderThanLive"),
            (409, "DeploymentActive"),
            (409, "ModelBeingRemoved"),
        ),
    ),
    Route(
        "POST",
        "/models/{model}/predictions",
        "predict",
        "Predict rows with the live version.",
        PredictionsAnswer,
        key=PREDICT,
        body=PredictionsBody,
        errors=(
            *_MODEL,
            (400, "PayloadInvalid"),
            (413, "PayloadTooLarge"),
            (503, "EndpointNotReady"),
        ),
        body_types=("text/csv", "application/x-ndjson"),
    ),
    Route(
        "POST",
        "/models/{model}/ground-truth",
        "recordGroundTruth",
        "Record what really happened to predictions.",
        GroundTruthAnswer,
        key=LABEL,
        success=202,
        body=GroundTruthBody,
        errors=(*_MODEL, (400, "PayloadInvalid"), (413, "PayloadTooLarge")),
    ),
)

EVERY_ROUTE = (
    (403, "KeyNotAllowed"),
    (405, "MethodNotAllowed"),
    (403, "MISSING_AUTHENTICATION_TOKEN"),
    (413, "REQUEST_TOO_LARGE"),
    (415, "UNSUPPORTED_MEDIA_TYPE"),
    (429, "QUOTA_EXCEEDED"),
    (429, "THROTTLED"),
    (500, "ObjectNotFound"),
    (502, "DEFAULT_5XX"),
    (503, "INTEGRATION_FAILURE"),
    (503, "ServiceThrottled"),
    (504, "INTEGRATION_TIMEOUT"),
)
