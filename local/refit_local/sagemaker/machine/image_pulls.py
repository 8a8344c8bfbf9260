"""Check that an execution role may pull the image of a job or of a model.

Source  SageMaker Developer Guide, "How to use SageMaker AI execution roles", CreateTrainingJob API
        and CreateModel API; the beginning of the text in aws/sagemaker-spark, issue 158. Not
        documented: whether CreateModel or the start of its containers refuses; here the former does
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from refit_local.sagemaker.wire.errors import ValidationException

if TYPE_CHECKING:
    from refit_local.sagemaker.host import HostServices

_IMAGE = re.compile(r"([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.[a-z0-9.]+/([^:@]+)")
_ACTIONS = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
)


def check_pull(host: HostServices, role_arn: str, image: str) -> None:
    """Check the rights of a role on the repository of an image.

    Raises:
        ValidationException: when a right is missing.
    """
    match = _IMAGE.match(image)
    if host.may is None or match is None:
        return
    account, region, repository = match.groups()
    needed = [
        (action, f"arn:aws:ecr:{region}:{account}:repository/{repository}") for action in _ACTIONS
    ]
    needed.append(("ecr:GetAuthorizationToken", "*"))
    if not all(host.may(role_arn, action, resource) for action, resource in needed):
        raise ValidationException(
            f"Access denied for repository: {repository} in registry ID: {account}. Please check "
            "that the repository exists and that the role may pull its images."
        )
