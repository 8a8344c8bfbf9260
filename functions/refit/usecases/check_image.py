"""Check that the operator of the stack allows an image to run: before each job and deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.pipeline.allowed_images import AllowedImages

if TYPE_CHECKING:
    from refit.usecases.services import Services


def check_own_image(services: Services, image: str) -> None:
    """Check an image that the settings name against the parameter AllowedImages of the template.

    Raises:
        SettingsInvalid: when the image is not allowed; the message says how to allow it.
    """
    AllowedImages.parse(services.environment.allowed_images).check_own(image)


def check_image(services: Services, image: str) -> None:
    """Check the image of a trained model, which may also be SageMaker's.

    Raises:
        SettingsInvalid: when the image is not allowed; the message says how to allow it.
    """
    environment = services.environment
    AllowedImages.parse(environment.allowed_images).check(image, environment.aws_region)
