"""The setting `[training] script`: the user's own program that trains the model."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

_PROGRAM = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\.py")


def _program(name: str) -> str:
    if not _PROGRAM.fullmatch(name):
        raise ValueError(
            "allowed: the name of a Python file that lies in {model}/code/, of letters, digits "
            "and underscores, such as 'train.py'"
        )
    return name


Script: TypeAlias = Annotated[
    Annotated[str, AfterValidator(_program)] | None,
    Field(
        description="A [program of your own](scripts.md) in `{model}/code/` that trains the model "
        "in the XGBoost image, such as `train.py`. Needs the template parameter `AllowedScripts`. "
        "Not with tuning."
    ),
]


def check_script(script: str | None, algorithm: str, network_isolation: bool) -> None:
    """Check that a program of the user runs in the XGBoost image, and without a network.

    Raises:
        ValueError: names the settings and the reason.
    """
    if script is not None and algorithm != "xgboost":
        raise ValueError(
            f"script = {script!r} needs algorithm = 'xgboost', and it is {algorithm!r}: a script "
            "runs in the XGBoost image; put the code of a container of your own into its image"
        )
    if script is not None and not network_isolation:
        raise ValueError(
            f"network_isolation = false does not fit script = {script!r}: a program of your own "
            "runs without network access and credentials; set network_isolation to true"
        )


def check_tunable(script: str | None, algorithm: str, max_jobs: int) -> None:
    """Check that a tuning job, if there is one, is of the built-in mode of XGBoost.

    Raises:
        ValueError: names the settings and the reason.
    """
    if algorithm != "xgboost" and max_jobs:
        raise ValueError(
            f"max_jobs = {max_jobs} needs [training] algorithm = 'xgboost', and it is "
            f"{algorithm!r}; set max_jobs = 0"
        )
    if script is not None and max_jobs:
        raise ValueError(
            f"max_jobs = {max_jobs} does not fit [training] script = {script!r}: a tuning job "
            "searches hyperparameters of the image's built-in mode; set max_jobs to 0"
        )
