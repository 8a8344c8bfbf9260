"""Errors that end a training job, by whose fault it was.

ContainerError
├── UserError         the data, the hyperparameters or the channels are not usable
├── AlgorithmError    training failed for a reason that the input does not explain
└── PlatformError     the environment of the container is not as promised

The class names are the image's own: they stand in the traceback of its failure file.
"""


class ContainerError(Exception):
    """Base of the errors that a job's failure file reports."""

    def __init__(self, message: str, caused_by: Exception | None = None) -> None:
        """Append the kind of the underlying error to the message, as the image does."""
        if caused_by is not None:
            message += f" (caused by {type(caused_by).__name__})"
        super().__init__(message)


class UserError(ContainerError):
    """The data, the hyperparameters or the channels are not usable."""


class AlgorithmError(ContainerError):
    """Training failed for a reason that the input does not explain."""


class PlatformError(ContainerError):
    """The environment of the container is not as promised."""
