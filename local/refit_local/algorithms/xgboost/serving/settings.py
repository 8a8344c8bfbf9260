"""The settings of the model server, read from environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from refit_local.algorithms.xgboost.job_files import ContainerFolders

_DEFAULT_PORT = 8080
_DEFAULT_MAX_BODY_BYTES = 6 * 1024**2
_LARGEST_MAX_BODY_BYTES = 20 * 1024**2


@dataclass(frozen=True)
class ServeSettings:
    """The settings of one server; they do not change while it runs.

    Attributes:
        model: the model folder.
        host: address to listen on.
        port: port to listen on.
        max_body_bytes: a larger request body is refused (413).
        for_transform: the server runs for a batch transform (SAGEMAKER_BATCH).
        selected: the keys of SAGEMAKER_INFERENCE_OUTPUT in their order, None if it is not set.
        use_every_model: combine all models of the folder, and not only use the first.
        default_accept: content type of the response when the request accepts any.
    """

    model: Path
    host: str
    port: int
    max_body_bytes: int
    for_transform: bool
    selected: tuple[str, ...] | None
    use_every_model: bool
    default_accept: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ServeSettings":
        """Read the variables that the image reads, SAGEMAKER_BASE_DIR and SAGEMAKER_BIND_TO_HOST.

        Raises:
            ValueError: a port or size is not an integer, or a script is to serve the model.
        """
        get = environment.get
        if program := get("SAGEMAKER_PROGRAM"):
            raise ValueError(
                f"SAGEMAKER_PROGRAM is {program}: the local stack serves models by the built-in "
                "mode only"
            )
        selected = get("SAGEMAKER_INFERENCE_OUTPUT")
        max_body_bytes = int(get("MAX_CONTENT_LENGTH", _DEFAULT_MAX_BODY_BYTES))
        return cls(
            model=ContainerFolders.from_environment(environment).model,
            host=get("SAGEMAKER_BIND_TO_HOST", "127.0.0.1"),
            port=int(get("SAGEMAKER_BIND_TO_PORT", _DEFAULT_PORT)),
            max_body_bytes=min(max_body_bytes, _LARGEST_MAX_BODY_BYTES),
            for_transform=bool(get("SAGEMAKER_BATCH")),
            selected=None
            if selected is None
            else tuple(selected.replace(" ", "").lower().split(",")),
            use_every_model=get("SAGEMAKER_INFERENCE_ENSEMBLE", "true") == "true",
            default_accept=get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv"),
        )
