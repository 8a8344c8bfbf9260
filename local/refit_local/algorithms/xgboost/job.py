"""Where a container finds its job: the folders and files below the base directory.

Source  the container contract of SageMaker training; SAGEMAKER_BASE_DIR stands in for /opt/ml
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

_DEFAULT_BASE = "/opt/ml"


@dataclass(frozen=True)
class Folders:
    """The folders of one container."""

    base: Path

    @classmethod
    def from_environment(cls) -> "Folders":
        return cls(Path(os.environ.get("SAGEMAKER_BASE_DIR", _DEFAULT_BASE)))

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


@dataclass(frozen=True)
class TrainingJob:
    """What a training job was asked to do, as yet unchecked."""

    folders: Folders
    hyperparameters: Mapping[str, Any]
    channels: Mapping[str, Mapping[str, Any]]
    hosts: tuple[str, ...]
    checkpoints: Path | None
    train: Path
    validation: Path | None


def read_training_job(folders: Folders) -> TrainingJob:
    """Read the files that SageMaker writes before it starts the container.

    Raises:
        OSError: hyperparameters.json or inputdataconfig.json cannot be read.
        ValueError: a file is not JSON.
        KeyError: there is no train channel; the message is the name of the variable in which the
            image looks for it.
    """
    hyperparameters = _read(folders.config / "hyperparameters.json")
    channels = _read(folders.config / "inputdataconfig.json")
    # A job of one instance need not say so.
    resources = _read_if_there(folders.config / "resourceconfig.json", {"hosts": ["algo-1"]})
    checkpoints = _read_if_there(folders.config / "checkpointconfig.json", {}).get("LocalPath")
    # The image passes its channels in variables named in upper case.
    paths = {name.upper(): folders.channel(name) for name in channels}
    if "TRAIN" not in paths:
        raise KeyError("SM_CHANNEL_TRAIN")
    return TrainingJob(
        folders=folders,
        hyperparameters=hyperparameters,
        channels=channels,
        hosts=tuple(resources["hosts"]),
        checkpoints=_below_base(checkpoints, folders.base) if checkpoints else None,
        train=paths["TRAIN"],
        validation=paths.get("VALIDATION"),
    )


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def _read_if_there(path: Path, otherwise: Any) -> Any:
    return _read(path) if path.exists() else otherwise


def _below_base(path: str, base: Path) -> Path:
    """Place a path that a job states as of /opt/ml below the base directory in use."""
    stated = PurePosixPath(path)
    if stated.is_relative_to(_DEFAULT_BASE):
        return base / stated.relative_to(_DEFAULT_BASE)
    return Path(path)
