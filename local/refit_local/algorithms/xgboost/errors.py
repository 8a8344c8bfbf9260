"""Errors that end a training job, by their cause.

ContainerError
├── UserError         the data, the hyperparameters or the channels are invalid
├── AlgorithmError    training failed for another reason than invalid input
└── PlatformError     the environment of the container is invalid

The class names are those of the image, because its failure file contains them.
"""


class ContainerError(Exception):
    """Base of the errors that the failure file of a job reports."""

    def __init__(self, message: str, caused_by: Exception | None = None) -> None:
        """Append the class of the underlying error to the message, as the image does."""
        if caused_by is not None:
            message += f" (caused by {type(caused_by).__name__})"
        super().__init__(message)


class UserError(ContainerError):
    """The data, the hyperparameters or the channels are invalid."""


class AlgorithmError(ContainerError):
    """Training failed for another reason than invalid input."""


class PlatformError(ContainerError):
    """The environment of the container is invalid."""
