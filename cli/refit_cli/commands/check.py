"""`refit check`: say what would be learned from files, without uploading them."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated

import typer

from refit_cli import options, terminal
from refit_cli.errors import BadInput

if TYPE_CHECKING:
    from refit.domain.model_settings import ModelSettings

    from refit_cli.checking import Check
    from refit_cli.uploads import Split

_MODEL = "model"  # a name for the keys of files that are not uploaded


def check(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE…", help="Data files, or a directory, as for `refit put`."),
    ],
    *,
    label: options.Label = None,
    split: options.Split = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", metavar="FILE", help="Read the files by this model.toml."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Say what Refit would learn from files: label, columns, doubts, refused rows.

    The files are read on this machine exactly as a run reads them. No stack is
    needed, and nothing is uploaded.

    [bold]Examples[/]
      refit check train.csv
      refit check flowers.csv --label species
      refit check numbers.csv --label last            the last column, -1 as well
      refit check folder/ --settings model.toml
      refit check train.csv --json | jq .learned.columns

    [bold]--json[/] writes one object: learned (null if the columns cannot be told),
    and refusals, a list of {reason, advice} that is empty if the files fit.

    [bold]Exit codes[/]  0 the files fit · 1 there are doubts · 2 the files would be
    refused, or cannot be read
    """
    result = _checked(files, settings, label, split)
    if json:
        terminal.write_json(result.as_json())
        raise typer.Exit(result.exit_code)
    if result.learned is not None:
        from refit_cli.learned_text import print_learned

        print_learned(result.learned)
    result.raise_if_refused()
    raise typer.Exit(result.exit_code)


def _checked(
    files: list[Path], settings: Path | None, label: str | None, split: Split | None
) -> Check:
    from refit.domain.errors import CallerError
    from refit.domain.model_settings import ModelSettings, parse_settings

    from refit_cli.checking import Check, check_files
    from refit_cli.settings_file import read_settings
    from refit_cli.uploads import plan_files

    try:
        parsed = parse_settings(read_settings(settings)) if settings else ModelSettings()
        plan = plan_files(_MODEL, files, split)
    except (BadInput, CallerError) as error:
        return Check(None, error)
    result = check_files(plan.files, parsed, label=label, is_whole_drop=split is None)
    return result.with_notes([*plan.notes, *_unchecked(parsed)])


def _unchecked(settings: ModelSettings) -> list[str]:
    """Return which settings depend on the stack, a sentence each."""
    given = {
        "[training] image": settings.training.image,
        "[training] script": settings.training.script,
        "[training] continue_from": settings.training.continue_from,
        "[data] features_from": settings.data.features_from,
    }
    return [
        f"{key} = {value!r} depends on the stack, so `refit put` checks it before it uploads"
        for key, value in given.items()
        if value is not None
    ]
