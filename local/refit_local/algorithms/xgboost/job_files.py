"""The folders and files of a container below its base directory.

SAGEMAKER_BASE_DIR names the directory that replaces /opt/ml.

Source  docs/sagemaker-contract.md, "Training container"
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

_DEFAULT_BASE = "/opt/ml"


@dataclass(frozen=True)
class ContainerFolders:
    """The folders of one container."""

    base: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ContainerFolders":
        return cls(Path(environment.get("SAGEMAKER_BASE_DIR", _DEFAULT_BASE)))

    @property
    def config(self) -> Path:
        return self.base / "input" / "config"

    @property
    def model(self) -> Path:
        return self.base / "model"

    @property
    def output_data(self) -> Path:
        return self.base / "output" / "data"

    @property
    def failure(self) -> Path:
        return self.base / "output" / "failure"

    def channel(self, name: str) -> Path:
        return self.base / "input" / "data" / name

    def below_base(self, path: str) -> Path:
        """Return the path in the base directory for a path that the job gives below /opt/ml."""
        given = PurePosixPath(path)
        if given.is_relative_to(_DEFAULT_BASE):
            return self.base / given.relative_to(_DEFAULT_BASE)
        return Path(path)


@dataclass(frozen=True)
class TrainingJob:
    """The configuration of a training job as SageMaker wrote it, before validation."""

    folders: ContainerFolders
    hyperparameters: Mapping[str, Any]
    channels: Mapping[str, Mapping[str, Any]]
    hosts: tuple[str, ...]
    checkpoints: Path | None
    train: Path
    validation: Path | None


def read_training_job(folders: ContainerFolders) -> TrainingJob:
    """Read the files that SageMaker writes before it starts the container.

    Raises:
        OSError: hyperparameters.json or inputdataconfig.json cannot be read.
        ValueError: a file is not JSON.
        KeyError: there is no train channel; the message names the environment variable that the
            image reads.
    """
    hyperparameters = _read(folders.config / "hyperparameters.json")
    channels = _read(folders.config / "inputdataconfig.json")
    # Without resourceconfig.json the job has one instance.
    resources = _read_if_exists(folders.config / "resourceconfig.json", {"hosts": ["algo-1"]})
    checkpoints = _read_if_exists(folders.config / "checkpointconfig.json", {}).get("LocalPath")
    # The image reads its channels from environment variables whose names are in upper case.
    paths = {name.upper(): folders.channel(name) for name in channels}
    if "TRAIN" not in paths:
        raise KeyError("SM_CHANNEL_TRAIN")
    return TrainingJob(
        folders=folders,
        hyperparameters=hyperparameters,
        channels=channels,
        hosts=tuple(resources["hosts"]),
        checkpoints=folders.below_base(checkpoints) if checkpoints else None,
        train=paths["TRAIN"],
        validation=paths.get("VALIDATION"),
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _read_if_exists(path: Path, default: Any) -> Any:
    return _read(path) if path.exists() else default
