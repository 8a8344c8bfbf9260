"""Ask another model about the rows of a run, whose predictions become features of them.

A batch transform job answers, with a SageMaker model of its own that is made from the pinned
version's package. The state machine deletes that model when the job has ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from refit.domain.errors import EvaluationIncomplete, ObjectNotFound
from refit.domain.inferences.feature_inputs import FeatureInputs
from refit.domain.pipeline.algorithms import XGBOOST
from refit.tabular.added_columns import Answers, FeatureRequest
from refit.tabular.split import SPLITS, Split
from refit.telemetry import logger
from refit.usecases.package_models import model_request
from refit.usecases.plan_evaluation import transform_request

if TYPE_CHECKING:
    from refit.domain.naming import RunKeys
    from refit.tabular.added_columns import AddedFeatures
    from refit.tabular.preparation import Preparation
    from refit.usecases.services import Services


@dataclass(frozen=True)
class Questions:
    """The requests that ask a version.

    Attributes:
        stem: name of the SageMaker model, and beginning of the name of the transform job.
        model_request: a CreateModel request.
        request: a CreateTransformJob request without the name of the job.
    """

    stem: str
    model_request: dict[str, Any]
    request: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the questions as the state machine reads them."""
        return {
            "stem": self.stem,
            "model_request": self.model_request,
            "request": self.request,
        }


def ask_about_rows(
    services: Services, keys: RunKeys, prepared: Preparation, added: AddedFeatures
) -> Questions:
    """Write the rows as the version reads them, and return the requests that ask it.

    Raises:
        DatasetInvalid: when the rows lack a column that the version reads.
        ModelNotFound: when the version was removed.
    """
    source = added.source
    inputs = FeatureInputs(added.schema, prepared.schema.own, source.model)
    splits = {}
    for split in SPLITS:
        if prepared.rows[split]:
            with services.bucket.writer(f"{keys.features_input}{split}.csv") as sink:
                splits[split] = prepared.write_questions(split, inputs, sink)
    request = FeatureRequest(source=source, splits=splits)
    services.bucket.put_json(keys.features, request.model_dump(mode="json"))
    stored = source.model_dump(mode="json")
    services.models.update_run(keys.model, keys.run, features_from=stored)
    logger.info("asked another model", extra={"run": keys.run, "features_from": stored})
    stem = services.names(keys.model).features(keys.run)
    transform = transform_request(
        services, keys, keys.features_input, keys.features_output, XGBOOST
    )
    return Questions(
        stem=stem,
        model_request=model_request(services, stem, source, services.environment.jobs_role_arn)
        | {"Tags": transform["Tags"]},
        request=transform | {"ModelName": stem},
    )


def answers_of(services: Services, keys: RunKeys, added: AddedFeatures) -> Answers:
    """Return what the version answered about the rows of a run."""
    request = FeatureRequest.model_validate_json(services.bucket.read(keys.features))

    def opened(split: Split) -> IO[bytes]:
        key = f"{keys.features_output}{split}.csv.out"
        try:
            return services.bucket.open(key)
        except ObjectNotFound as error:
            raise EvaluationIncomplete(f"the previous step did not write {key}") from error

    return Answers(request, added.schema, opened)
