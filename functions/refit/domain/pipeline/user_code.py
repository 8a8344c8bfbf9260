"""What a program of the user (`[training] script`) must be, to run in a training job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import SettingsInvalid
from refit.domain.naming import ModelKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FILES = 100
MAX_BYTES = 10_000_000


def check_scripts_allowed(program: str, allowed: str) -> None:
    """Check that the operator of the stack allows programs of users.

    Args:
        program: `[training] script`.
        allowed: the parameter AllowedScripts of the template.

    Raises:
        SettingsInvalid: when it is not so; the message says how to allow them.
    """
    if allowed != "yes":
        raise SettingsInvalid(
            f"{_where(program)}: programs of users may not run in this stack, whose parameter "
            f"AllowedScripts is {allowed!r}",
            advice="The operator of the stack allows them with `sam deploy --parameter-overrides "
            "AllowedScripts=yes`, or `refit up --allow-scripts` on a local stack",
        )


def check_code(model: str, program: str, sizes: Mapping[str, int]) -> None:
    """Check that the folder of the code has the program, and can be sent to a job.

    Args:
        model: name of the model.
        program: `[training] script`.
        sizes: size in bytes of each file, by its path below `{model}/code/`.

    Raises:
        SettingsInvalid: says what is missing or too much.
    """
    folder = ModelKeys(model).code
    if program not in sizes:
        others = f"; it has {', '.join(sorted(sizes)[:5])}" if sizes else ", which is empty"
        raise SettingsInvalid(
            f"{_where(program)}: there is no such file in {folder}{others}",
            advice=f"Upload it with `refit put {model} --code {program}`",
        )
    check_code_files(model, sizes, _where(program))


def check_code_files(model: str, sizes: Mapping[str, int], where: str) -> None:
    """Check that files can be sent to a job as code.

    Args:
        model: name of the model.
        sizes: as for `check_code`.
        where: what the message begins with.

    Raises:
        SettingsInvalid: says what is too much.
    """
    folder = ModelKeys(model).code
    if "requirements.txt" in sizes:
        raise SettingsInvalid(
            f"{where}: {folder}requirements.txt cannot be installed, because the training has no "
            "network; delete it, and use what the image has"
        )
    size = sum(sizes.values())
    if len(sizes) > MAX_FILES or size > MAX_BYTES:
        raise SettingsInvalid(
            f"{where}: {folder} has {len(sizes):,} files of {size / 1e6:,.1f} MB together; "
            f"allowed: {MAX_FILES} files of {MAX_BYTES / 1e6:.0f} MB"
        )


def _where(program: str) -> str:
    return f"model.toml: [training] script = {program!r}"
