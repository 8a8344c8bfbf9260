"""The images that run locally: a process in place of each, without Docker.

A file names the commands of images of one's own:

    [images."123456789012.dkr.ecr.us-east-1.amazonaws.com/churn"]
    train = "python train"
    serve = "python serve"

The key is the repository with its registry; its tag or digest does not matter. A command runs in
the folder of the file. `python` is the Python that runs the local stack. SAGEMAKER_BASE_DIR is the
folder in place of /opt/ml.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.wire.errors import NotImplementedLocally

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE_VARIABLE = "REFIT_IMAGES"
"""Environment variable with the path of the file."""

_XGBOOST = "refit_local.algorithms.xgboost"
_XGBOOST_REPOSITORY = "sagemaker-xgboost"
_ONLY_ON_AWS = {"linear-learner": "its code is not public, so nothing can run in place of it"}
_IMAGE = re.compile(r"((?:[^/]+/)*([^/:@]+))(?::[^/@]+)?(?:@sha256:[0-9a-f]{64})?")
_REPOSITORY = re.compile(
    r"([0-9]{12})\.dkr\.ecr\.([a-z0-9-]+)\.[a-z0-9.]+/([a-z0-9]+(?:[._/-][a-z0-9]+)*)"
)


class ImagesInvalid(Exception):
    """When a file of images cannot be used. The text names file, key and what is allowed."""


@dataclass(frozen=True)
class ImageCommands:
    """What runs in place of an image.

    Attributes:
        train: program and arguments in place of `docker run <image> train`.
        serve: the same of `serve`.
        folder: the working folder; None for that of the local stack.
    """

    train: tuple[str, ...]
    serve: tuple[str, ...]
    folder: Path | None = None


@dataclass(frozen=True)
class LocalImages:
    """The images that run locally.

    Attributes:
        own: commands by repository; XGBoost's is known.
    """

    own: Mapping[str, ImageCommands] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> LocalImages:
        """Read the file that the environment names, if it names one.

        Raises:
            ImagesInvalid: when the file cannot be used.
        """
        name = os.environ.get(FILE_VARIABLE)
        return cls.read(Path(name)) if name else cls()

    @classmethod
    def read(cls, path: Path) -> LocalImages:
        """Read a file.

        Raises:
            ImagesInvalid: when the file cannot be used.
        """
        try:
            content = tomllib.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ImagesInvalid(f"{path} cannot be read as TOML: {error}") from error
        images = content.pop("images", None)
        if content or not isinstance(images, dict) or not images:
            raise ImagesInvalid(f'{path}: allowed: tables [images."REGISTRY/REPOSITORY"] only')
        folder = path.resolve().parent
        return cls({name: _commands(path, name, entry, folder) for name, entry in images.items()})

    @property
    def repository_arns(self) -> list[str]:
        """ARNs of the repositories in the file, for the parameter AllowedImages."""
        matches = [match for name in self.own if (match := _REPOSITORY.fullmatch(name))]
        return [f"arn:aws:ecr:{m[2]}:{m[1]}:repository/{m[3]}" for m in matches]

    def commands(self, image: str) -> ImageCommands:
        """Return what runs in place of an image.

        Raises:
            NotImplementedLocally: when nothing does.
        """
        match = _IMAGE.fullmatch(image)
        repository, name = (match[1], match[2]) if match else ("", "")
        if repository in self.own:
            return self.own[repository]
        if name == _XGBOOST_REPOSITORY:
            begin = (sys.executable, "-m", _XGBOOST)
            return ImageCommands((*begin, "train"), (*begin, "serve"))
        if name in _ONLY_ON_AWS:
            raise NotImplementedLocally(f"the image {image}: {_ONLY_ON_AWS[name]}")
        known = ", ".join([_XGBOOST_REPOSITORY, *self.own])
        raise NotImplementedLocally(
            f"the image {image}: it runs images of the repositories {known}; name the commands of "
            "others in a file for `refit up --images FILE` (docs/containers.md)"
        )

    def is_own(self, image: str) -> bool:
        """Return whether the file names the image."""
        match = _IMAGE.fullmatch(image)
        return match is not None and match[1] in self.own


def _commands(path: Path, name: str, entry: Any, folder: Path) -> ImageCommands:
    where = f'{path}: [images."{name}"]'
    if not _REPOSITORY.fullmatch(name):
        raise ImagesInvalid(
            f"{where}: the name is a repository of Amazon ECR without tag, such as "
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn"
        )
    if not isinstance(entry, dict) or entry.keys() != {"train", "serve"}:
        raise ImagesInvalid(f"{where} needs the keys train and serve, and no other")
    return ImageCommands(
        _arguments(f"{where} train", entry["train"], folder),
        _arguments(f"{where} serve", entry["serve"], folder),
        folder,
    )


def _arguments(where: str, value: Any, folder: Path) -> tuple[str, ...]:
    try:
        arguments = shlex.split(value) if isinstance(value, str) else []
    except ValueError as error:
        raise ImagesInvalid(f"{where} = {value!r}: {error}") from error
    if not arguments:
        raise ImagesInvalid(f'{where} = {value!r}: allowed: a command, such as "python train"')
    program, *rest = arguments
    if program == "python":
        return (sys.executable, *rest)
    # As a process finds it that begins in the folder.
    found = shutil.which(folder / program if "/" in program else program)
    if found is None:
        raise ImagesInvalid(
            f"{where} = {value!r}: there is no program {program!r} that can be run; allowed: "
            "python, a program on the PATH, or a path from the folder of the file"
        )
    return (program, *rest)
