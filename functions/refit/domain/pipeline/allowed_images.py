"""Which images may run: SageMaker's own, and those of the repositories that the operator allows.

A person who may write to the bucket can name any image in model.toml, and a container runs with
the rights of a role of the stack. So the template's parameter AllowedImages decides, and not the
settings.

Source  Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic
        Container Registry": the ARN of a repository; a tag has none
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from refit.domain.algorithm_settings import IMAGE_URI
from refit.domain.errors import SettingsInvalid
from refit.domain.pipeline.images import (
    ACCOUNTS,
    LINEAR_LEARNER_ACCOUNTS,
    TAGS,
    linear_learner_image_uri,
    registry_of,
    xgboost_image_uri,
)

_REPOSITORY_ARN = re.compile(
    r"arn:[a-z0-9-]+:ecr:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12})"
    r":repository/(?P<name>[a-z0-9]+(?:[._/-][a-z0-9]+)*)"
)


@dataclass(frozen=True)
class AllowedImages:
    """The repositories whose images may run, whatever their tag or digest.

    Attributes:
        repositories: such as `123456789012.dkr.ecr.eu-central-1.amazonaws.com/churn`.
    """

    repositories: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, arns: str) -> AllowedImages:
        """Read the value of the parameter: ARNs of repositories with commas between them.

        Raises:
            SettingsInvalid: when one is no ARN of an ECR repository; a wildcard is none.
        """
        repositories = set()
        for arn in filter(None, (part.strip() for part in arns.split(","))):
            match = _REPOSITORY_ARN.fullmatch(arn)
            if match is None:
                raise SettingsInvalid(
                    f"the parameter AllowedImages has {arn!r}; allowed: ARNs of ECR repositories, "
                    "such as arn:aws:ecr:eu-central-1:123456789012:repository/churn, without "
                    "wildcards and tags"
                )
            registry = registry_of(match["account"], match["region"])
            repositories.add(f"{registry}/{match['name']}")
        return cls(frozenset(repositories))

    def check(self, image: str, region: str) -> None:
        """Check that an image may serve a model.

        Raises:
            SettingsInvalid: when it is neither one of SageMaker's that Refit knows, nor of an
                allowed repository; the message says how to allow it.
        """
        if image not in _of_sagemaker(region):
            self.check_own(image)

    def check_own(self, image: str) -> None:
        """Check that an image may be trained which the settings name.

        SageMaker's images are none: with free hyperparameters they would run scripts.

        Raises:
            SettingsInvalid: when it is not of an allowed repository; the message says how to allow
                it.
        """
        if _repository_of(image) in self.repositories:
            return
        allowed = ", ".join(sorted(self.repositories)) or "no image of your own"
        raise SettingsInvalid(
            f"model.toml: [training] image = {image!r} is not allowed to run",
            advice=f"{_advice(image)}. Allowed today: {allowed}; SageMaker's own algorithms are "
            "named by [training] algorithm",
        )


def _repository_of(image: str) -> str | None:
    match = IMAGE_URI.fullmatch(image)
    if match is None:
        return None
    registry = f"{match['account']}.dkr.ecr.{match['region']}.{match['domain']}"
    return f"{registry}/{match['repository']}"


def _of_sagemaker(region: str) -> set[str]:
    images: set[str] = set()
    if region in ACCOUNTS:
        images.update(xgboost_image_uri(region, tag) for tag in TAGS)
    if region in LINEAR_LEARNER_ACCOUNTS:
        images.add(linear_learner_image_uri(region))
    return images


def _advice(image: str) -> str:
    match = IMAGE_URI.fullmatch(image)
    arn = "arn:aws:ecr:…"
    if match is not None:
        partition = "aws-cn" if match["region"].startswith("cn-") else "aws"
        arn = (
            f"arn:{partition}:ecr:{match['region']}:{match['account']}"
            f":repository/{match['repository']}"
        )
    return (
        "The operator of the stack allows all images of a repository with the parameter "
        f"AllowedImages of template.yaml: sam deploy --parameter-overrides AllowedImages={arn}; "
        "on the local stack: refit up --images FILE (docs/containers.md)"
    )
