"""What the environment says about serving."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from refit_local.algorithms.xgboost.job import Folders

_DEFAULT_PORT = 8080
_DEFAULT_MAX_BODY_BYTES = 6 * 1024**2
_LARGEST_MAX_BODY_BYTES = 20 * 1024**2


@dataclass(frozen=True)
class ServeSettings:
    """The settings of one server, fixed for its life.

    `batch` is set for batch transform. `selected` holds the keys of SAGEMAKER_INFERENCE_OUTPUT in
    the order asked for, None where the variable is not set.
    """

    model: Path
    host: str
    port: int
    max_body_bytes: int
    batch: bool
    selected: tuple[str, ...] | None
    use_every_model: bool
    default_accept: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ServeSettings":
        """Read the variables that the image reads, and SAGEMAKER_BIND_TO_HOST.

        Raises:
            ValueError: a number is not one.
        """
        get = environment.get
        selected = get("SAGEMAKER_INFERENCE_OUTPUT")
        max_body_bytes = int(get("MAX_CONTENT_LENGTH", _DEFAULT_MAX_BODY_BYTES))
        return cls(
            model=Folders.from_environment().model,
            host=get("SAGEMAKER_BIND_TO_HOST", "127.0.0.1"),
            port=int(get("SAGEMAKER_BIND_TO_PORT", _DEFAULT_PORT)),
            max_body_bytes=min(max_body_bytes, _LARGEST_MAX_BODY_BYTES),
            batch=bool(get("SAGEMAKER_BATCH")),
            selected=None
            if selected is None
            else tuple(selected.replace(" ", "").lower().split(",")),
            use_every_model=get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") == "true",
            default_accept=get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv"),
        )
