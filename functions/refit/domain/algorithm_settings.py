"""What trains a model: the keys `algorithm`, `image` and `container` of `[training]`.

Source  botocore model: ContentType, MetricDefinition, MetricDefinitionList, HyperParameters,
        AlgorithmImage; Amazon ECR User Guide, "Private repositories", on names of repositories
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from refit.domain.data_settings import Section
from refit.domain.hyperparameters import MAX_VALUE_CHARACTERS, Value, check_hyperparameters
from refit.domain.linear_learner_hyperparameters import check_linear_learner_hyperparameters

if TYPE_CHECKING:
    from collections.abc import Mapping

AlgorithmName: TypeAlias = Literal["xgboost", "linear-learner", "own"]

IMAGE_URI = re.compile(
    r"(?P<account>[0-9]{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.(?P<domain>[a-z0-9.]+)"
    r"/(?P<repository>[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
    r"(?::[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})"
)
EXAMPLE_URI = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/churn:1"
MAX_IMAGE_CHARACTERS = 255
_MAX_METRICS = 40
_MAX_NAME = 255
_MAX_REGEX = 500
_MAX_HYPERPARAMETERS = 100
_MAX_KEY = 256


class ContainerSettings(Section):
    """What a container of your own reads, answers and prints."""

    content_type: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        "text/csv",
        description="Content type that the training channels state. The files are CSV in any case.",
    )
    accept: Literal["text/csv", "application/jsonlines"] = Field(
        "text/csv",
        description="What the container is asked to answer: a line for each row, with numbers and "
        'commas, or with an object that has a `score`, such as `{"score": [0.2, 0.8]}`.',
    )
    model_channel: bool = Field(
        False,
        description="Whether the container continues an earlier model, which it finds as "
        "model.tar.gz in the channel `model`; continue_from needs it.",
    )
    metrics: dict[str, str] = Field(
        default_factory=dict,
        description="Metrics in the training log, by name: a regular expression whose only group "
        "is the value. Each match is the next point of the curve.",
    )

    @field_validator("metrics")
    @classmethod
    def _can_be_defined(cls, metrics: dict[str, str]) -> dict[str, str]:
        if len(metrics) > _MAX_METRICS:
            raise ValueError(f"{len(metrics)} metrics; SageMaker allows {_MAX_METRICS}")
        for name, text in metrics.items():
            if not 1 <= len(name) <= _MAX_NAME:
                raise ValueError(f"a name has 1 to {_MAX_NAME} characters, not {len(name)}")
            if not 1 <= len(text) <= _MAX_REGEX:
                raise ValueError(f"{name}: a regex has 1 to {_MAX_REGEX} characters")
            try:
                groups = re.compile(text).groups
            except re.error as error:
                raise ValueError(f"{name}: {text!r} is no regular expression: {error}") from error
            if groups != 1:
                raise ValueError(
                    f"{name}: {text!r} has {groups} groups; allowed: one, around the value, such "
                    r"as 'loss=(\S+)'"
                )
        return metrics


def check_image(image: str) -> str:
    """Return the URI of an image in Amazon ECR.

    Raises:
        ValueError: when it is none, or has neither tag nor digest.
    """
    if len(image) > MAX_IMAGE_CHARACTERS or not IMAGE_URI.fullmatch(image):
        raise ValueError(
            "allowed: the URI of an image in a private repository of Amazon ECR with a tag "
            f"or a digest, of up to {MAX_IMAGE_CHARACTERS} characters, such as {EXAMPLE_URI!r}"
        )
    return image


def check_weight(algorithm: AlgorithmName, weight: str | int | None) -> None:
    """Check that the algorithm reads row weights, if there are any.

    Raises:
        ValueError: when it does not; names what does.
    """
    if algorithm != "xgboost" and weight is not None:
        raise ValueError(
            f"[data] weight = {weight!r} needs algorithm = 'xgboost', because "
            f"{algorithm!r} does not read the weight of a row from CSV; leave weight out"
        )


def check_free_hyperparameters(values: Mapping[str, Value]) -> None:
    """Check the hyperparameters of a container of which Refit knows nothing.

    Raises:
        ValueError: when SageMaker would refuse one; names it and what is allowed.
    """
    if len(values) > _MAX_HYPERPARAMETERS:
        raise ValueError(f"{len(values)} hyperparameters; SageMaker allows {_MAX_HYPERPARAMETERS}")
    for name, value in values.items():
        if len(name) > _MAX_KEY:
            raise ValueError(f"a name has {len(name)} characters; SageMaker allows {_MAX_KEY}")
        text = str(value)
        if len(text) > MAX_VALUE_CHARACTERS:
            raise ValueError(
                f"{name} has {len(text)} characters; SageMaker allows {MAX_VALUE_CHARACTERS}"
            )
        if "\n" in text or "\r" in text:
            raise ValueError(f"{name} has a line break, which SageMaker does not allow")


_HYPERPARAMETER_CHECKS = {
    "xgboost": check_hyperparameters,
    "linear-learner": check_linear_learner_hyperparameters,
    "own": check_free_hyperparameters,
}


class AlgorithmSettings(Section):
    """The keys of `[training]` that say what trains."""

    image: Annotated[str, AfterValidator(check_image)] | None = Field(
        None,
        description="Image of your own in Amazon ECR, with its tag or digest. It runs only if the "
        "operator of the stack has [allowed its repository](containers.md#allow-an-image).",
    )
    algorithm: AlgorithmName | None = Field(
        None,
        validate_default=True,
        description="What trains: SageMaker's XGBoost or linear learner, or `image`. Default: "
        "`own` with an image, else `xgboost`.",
    )
    container: ContainerSettings = Field(
        default_factory=ContainerSettings,
        validate_default=True,
        description="With `image`: what the container reads, answers and prints.",
    )

    @property
    def algorithm_name(self) -> AlgorithmName:
        """What trains."""
        return _name_of(self.algorithm, self.image)

    @field_validator("algorithm")
    @classmethod
    def _fits_the_image(
        cls, algorithm: AlgorithmName | None, info: ValidationInfo
    ) -> AlgorithmName | None:
        if "image" not in info.data:
            return algorithm
        image = info.data["image"]
        if algorithm == "own" and image is None:
            raise ValueError("an algorithm of your own needs its image; set [training] image")
        if algorithm not in {None, "own"} and image is not None:
            raise ValueError(f"[training] image = {image!r} is of your own; remove one of the two")
        return algorithm

    @field_validator("container")
    @classmethod
    def _is_of_an_image(
        cls, container: ContainerSettings, info: ValidationInfo
    ) -> ContainerSettings:
        if container != ContainerSettings() and info.data.get("image", "") is None:
            raise ValueError("it describes a container of your own; set [training] image")
        return container


def check_isolation(is_isolated: bool, training: Mapping[str, Any]) -> None:
    """Check `network_isolation`, given the keys of `[training]` before it.

    Raises:
        ValueError: when code of one's own would have access to the network.
    """
    if not is_isolated and training.get("image") is not None:
        raise ValueError(
            f"image = {training['image']!r} is a container of your own, which runs without network "
            "access; allowed: true"
        )


def check_final(final: str, training: Mapping[str, Any]) -> None:
    """Check `final`, given the keys of `[training]` before it.

    Raises:
        ValueError: when the image cannot serve several models together.
    """
    if final == "ensemble" and _name_in(training) != "xgboost":
        raise ValueError(
            "only the XGBoost image answers with several models together, and algorithm is "
            f"{_name_in(training)!r}; set final to 'all'"
        )


def check_hyperparameters_of(values: Mapping[str, Value], training: Mapping[str, Any]) -> None:
    """Check `hyperparameters`, given the keys of `[training]` before them.

    Raises:
        ValueError: names the hyperparameter, its value, and what is allowed.
    """
    if {"image", "algorithm"} <= training.keys():
        _HYPERPARAMETER_CHECKS[_name_in(training)](values)


def _name_in(training: Mapping[str, Any]) -> AlgorithmName:
    return _name_of(training.get("algorithm"), training.get("image"))


def _name_of(algorithm: AlgorithmName | None, image: str | None) -> AlgorithmName:
    return algorithm or ("own" if image is not None else "xgboost")
