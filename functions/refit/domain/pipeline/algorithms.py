"""The catalogue of algorithms: what each reads, how it answers, and what else sets it apart.

Source  of XGBoost: docs/sagemaker-contract.md; of the linear learner: SageMaker Developer Guide,
        "Linear learner algorithm", "Linear learner response formats", "Common data formats for
        training" and "… for inference"; aws/amazon-sagemaker-examples, issue 821, says that it has
        no CSV answers
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from refit.domain.pipeline.images import linear_learner_image_uri, xgboost_image_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.algorithm_settings import AlgorithmName
    from refit.domain.training_settings import TrainingSettings


class AnswerForm(StrEnum):
    """How a line of a batch transform's output holds the prediction of a row.

    Members:
        LISTS: a number, or a JSON list of numbers.
        CSV: a number, or several with commas between them.
        SCORES: a JSON object whose `score` is a number or a list of numbers.
    """

    LISTS = "lists"
    CSV = "csv"
    SCORES = "scores"


_FORM_OF_TYPE = {"text/csv": AnswerForm.CSV, "application/jsonlines": AnswerForm.SCORES}


@dataclass(frozen=True)
class Algorithm:
    """What Refit relies on in a training image that also serves the model.

    Rows are sent to each as text/csv. A regression answers a number; a classification the
    probability of each class, or of two classes that of the second one.

    Attributes:
        name: as `[training] algorithm` names it.
        channel_type: content type of the training channels, whose files have the label first.
        answer_types: content types in which the container can answer.
        accept: content type that an endpoint is asked for.
        batch_accept: the same of a transform job; None: the container's default.
        batch_form: form of the transform job's output.
        takes_model_channel: whether the training continues the model in a channel `model`.
        takes_schema_channel: whether the training gets the run's schema.json in a channel
            `schema`, which tells numbers from the codes of texts.
        metrics: regular expressions of the metrics in the log, by name; empty for SageMaker's own.
        note: what a person should know before relying on it; None if there is nothing.
    """

    name: AlgorithmName
    channel_type: str
    answer_types: tuple[str, ...]
    accept: str
    batch_accept: str | None
    batch_form: AnswerForm
    takes_model_channel: bool = False
    takes_schema_channel: bool = False
    metrics: tuple[tuple[str, str], ...] = ()
    note: str | None = None

    @property
    def metrics_in_log(self) -> Mapping[str, str] | None:
        """The metrics as a mapping; None of XGBoost, whose lines of rounds are read."""
        return None if self.name == "xgboost" else dict(self.metrics)


XGBOOST = Algorithm(
    name="xgboost",
    channel_type="text/csv",
    answer_types=("text/csv", "application/json"),
    accept="text/csv",
    batch_accept=None,
    batch_form=AnswerForm.LISTS,
)
LINEAR_LEARNER = Algorithm(
    name="linear-learner",
    channel_type="text/csv",
    answer_types=("application/jsonlines", "application/json"),
    accept="application/jsonlines",
    batch_accept="application/jsonlines",
    batch_form=AnswerForm.SCORES,
    note="Refit's linear-learner was checked against AWS's documents only, and has never run.",
)
_OWN = Algorithm(
    name="own",
    channel_type="text/csv",
    answer_types=("text/csv",),
    accept="text/csv",
    batch_accept="text/csv",
    batch_form=AnswerForm.CSV,
    takes_schema_channel=True,
)
CATALOGUE: Mapping[AlgorithmName, Algorithm] = {
    algorithm.name: algorithm for algorithm in (XGBOOST, LINEAR_LEARNER, _OWN)
}


def algorithm_of(settings: TrainingSettings) -> Algorithm:
    """Return the algorithm that trains and serves a version, by the settings of its run."""
    algorithm = CATALOGUE[settings.algorithm_name]
    if algorithm.name != "own":
        return algorithm
    container = settings.container
    return replace(
        algorithm,
        channel_type=container.content_type,
        answer_types=(container.accept,),
        accept=container.accept,
        batch_accept=container.accept,
        batch_form=_FORM_OF_TYPE[container.accept],
        takes_model_channel=container.model_channel,
        metrics=tuple(container.metrics.items()),
    )


def image_of(settings: TrainingSettings, region: str) -> str:
    """Return the URI of the image that trains and serves.

    Raises:
        SettingsInvalid: when the region has no such image.
    """
    if settings.image is not None:
        return settings.image
    if settings.algorithm_name == "linear-learner":
        return linear_learner_image_uri(region)
    return xgboost_image_uri(region, settings.image_tag)
