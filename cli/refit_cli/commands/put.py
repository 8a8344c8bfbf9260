"""`refit put`: check training data or settings of a model, and upload them."""
# ruff: noqa: PLC0415 (imports that are slow wait until the command runs)

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path  # noqa: TC003 (Typer reads the annotations)
from typing import TYPE_CHECKING, Annotated, Any

import typer
from refit.domain.naming import checked_model_name
from rich.markup import escape

from refit_cli import options, terminal
from refit_cli.errors import BadInput, RunFailed
from refit_cli.runtime import runtime_of

if TYPE_CHECKING:
    from refit.domain.pipeline.model_state import Champion

    from refit_cli.checking import Check
    from refit_cli.code_uploads import UploadedCode
    from refit_cli.connection import StackConnection
    from refit_cli.runtime import CommandRuntime
    from refit_cli.stack_checks import StackChecks
    from refit_cli.uploads import PlannedFile, UploadedFile

_MOST_QUESTIONS = 3


def put(
    context: typer.Context,
    model: options.Model,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", help="Data files, or directories of them."),
    ] = None,
    *,
    label: options.Label = None,
    split: options.Split = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings", metavar="FILE", help="Upload this model.toml before the data files."
        ),
    ] = None,
    code: Annotated[
        list[Path] | None,
        typer.Option(
            "--code", metavar="PATH", help="Upload this program, or a folder of code, first."
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Upload in spite of doubts, without asking."),
    ] = False,
    no_check: Annotated[
        bool,
        typer.Option("--no-check", help="Do not read the files first; for very large ones."),
    ] = False,
    port: options.Port = None,
    stack_name: options.StackName = options.DEFAULT_STACK,
    aws: options.Aws = False,
    json: options.Json = False,
) -> None:
    """Check data and upload it for a model. A run starts shortly afterwards.

    Settings and code alone start no run.

    All files of one command start one run together. Formats: CSV (separated by
    comma, semicolon, |, tab or blanks, with or without a header), JSON records,
    Parquet, mnist.pkl.gz and pairs of IDX files, each also gzipped.

    The files are first read as `refit check` reads them. What would be learned
    is shown, data that a run would refuse is not uploaded, and on a terminal you
    are asked about doubts. --label names the column to predict and is kept in the
    model's model.toml. Without it, the label is that of the live model, or a
    column called label or target.

    [bold]Examples[/]
      refit put digits train.csv --label digit
      refit put flowers iris.csv --label last
      refit put digits january.csv february.csv.gz
      refit put digits path/to/mnist.pkl.gz
      refit put churn --split test holdout.csv
      refit put churn folder/                 may contain train/… and test/…
      refit put churn --settings model.toml   settings only, for the next run
      refit put churn --code train.py         the program that model.toml names

    [bold]Exit codes[/]  0 uploaded · 1 not uploaded because of doubts, or because the
    model is being removed · 2 a name, file or setting is invalid, or a run would
    refuse the data; nothing was uploaded · 3 stack not found or not reachable ·
    130 interrupted; no data was uploaded
    """
    from refit_cli.code_uploads import read_code, upload_code
    from refit_cli.connection import connected
    from refit_cli.removal.removal import check_not_being_removed
    from refit_cli.settings_file import read_settings
    from refit_cli.uploads import plan_files, put_settings, upload_with_progress

    checked_model_name(model)
    toml = read_settings(settings) if settings else None
    programs = read_code(model, code or [])
    upload = plan_files(model, files or [], split)
    planned = upload.files
    if not planned and not programs and toml is None and label is None:
        raise BadInput(
            "there is nothing to upload: no FILE, no --settings and no --code",
            f"refit put {model} FILE",
        )
    target = options.StackTarget(port, stack_name, aws)
    with connected(target, runtime_of(context)) as connection:
        check_not_being_removed(connection, model)
        sizes = {file.name: len(file.content) for file in programs}
        data = _Data(planned, upload.notes, toml, label, sizes, is_whole_drop=split is None)
        plan = _Plan(connection, model, data, can_ask=_can_ask(context, yes=yes, json=json))
        check = plan.check(skip=no_check or not planned)
        bucket = connection.stack.bucket
        if json and check is not None and check.error is not None:
            empty: dict[str, Any] = {"settings": None, "code": [], "objects": []}
            terminal.write_json({"model": model, "bucket": bucket} | empty | check.as_json())
        if check is not None:
            if not json:
                _show(check)
            check.raise_if_refused()
            plan.confirm(check)
        uploaded_code = upload_code(connection, model, programs)
        changed = plan.changed_settings()
        settings_key = put_settings(connection, model, changed.encode()) if changed else None
        uploaded = upload_with_progress(connection, planned) if planned else []
    if json:
        objects = [asdict(file) for file in uploaded]
        learned = check.as_json()["learned"] if check else None
        terminal.write_json(
            {"model": model, "bucket": bucket, "settings": settings_key}
            | {"code": [asdict(file) for file in uploaded_code], "objects": objects}
            | {"notes": plan.notes, "learned": learned}
        )
    else:
        for note in plan.notes if check is None else ():
            terminal.inform(escape(note))
        _print_code(bucket, uploaded_code)
        _print_uploads(model, bucket, settings_key, uploaded)


def _can_ask(context: typer.Context, *, yes: bool, json: bool) -> CommandRuntime | None:
    """Return the runtime if questions can be asked, else None."""
    runtime = runtime_of(context)
    return runtime if runtime.can_ask() and not yes and not json else None


@dataclass(frozen=True)
class _Data:
    """What the user gave.

    Attributes:
        notes: what of the given directories is not uploaded.
        toml: text of the given model.toml; None without one.
        label: the label column as it was typed.
        code: size in bytes of each given file of code.
        is_whole_drop: whether no other files belong to the drop.
    """

    files: list[PlannedFile]
    notes: list[str]
    toml: str | None
    label: str | None
    code: dict[str, int]
    is_whole_drop: bool


class _Plan:
    """The check before an upload, and the settings that belong to it."""

    def __init__(
        self, connection: StackConnection, model: str, data: _Data, *, can_ask: object
    ) -> None:
        self._connection = connection
        self._model = model
        self._data = data
        self._can_ask = can_ask is not None
        self._label = data.label
        self._setting: str | int | None = None
        # Code alone is no reason to check the stored settings.
        self._has_more = bool(data.files) or data.label is not None or data.toml is not None
        needs_toml = data.toml is None and self._has_more
        self._stored, self._version = (
            _stored_settings(connection, model) if needs_toml else ("", None)
        )
        self._toml = data.toml if data.toml is not None else self._stored
        self._settings = _parsed(self._toml)
        self._stack: StackChecks | None = None

    def check(self, *, skip: bool) -> Check | None:
        """Read the files, and ask for the label if it is not clear; None if there is no check."""
        from refit.domain.errors import LabelUnclear
        from refit.domain.pipeline.schema_change import LiveVersion

        from refit_cli.checking import check_files, check_settings, resolved_label
        from refit_cli.stack_checks import StackChecks

        files = self._data.files
        live = self._live_version() if self._has_more else None
        # The run will read the data by this schema, too.
        prior = self._connection.artifacts.schema(self._model, live.run) if live else None
        version = LiveVersion(self._model, live.version, self._accepted_by()) if live else None
        self._stack = StackChecks(
            self._connection, self._model, live, prior, version, self._data.code
        )
        if skip:
            if self._has_more:
                check_settings(self._settings, self._stack)
            if self._label is not None:
                self._setting = resolved_label(self._label, files, self._settings.data, prior)
            return None
        for attempt in range(_MOST_QUESTIONS + 1):
            check = check_files(
                files,
                self._settings,
                prior=prior,
                live=version,
                label=self._label,
                is_whole_drop=self._data.is_whole_drop,
                stack=self._stack,
            )
            is_unclear = isinstance(check.error, LabelUnclear)
            if not is_unclear or not self._can_ask or attempt == _MOST_QUESTIONS:
                break
            self._label = _ask_for_label(check)
        self._setting = check.label
        return check.with_notes(self.notes)

    @property
    def notes(self) -> list[str]:
        """What is not uploaded, and what could not be checked; a sentence each."""
        return [*self._data.notes, *(self._stack.notes if self._stack else ())]

    def _live_version(self) -> Champion | None:
        return self._connection.models.champion(self._model)

    def _accepted_by(self) -> str | None:
        """Return the run that has used `schema_change = "accept"` of the stored model.toml."""
        if self._version is None or self._data.toml is not None:
            return None
        return self._connection.models.acceptance_used_by(self._model, self._version)

    def confirm(self, check: Check) -> None:
        """Ask whether to upload if there are doubts and somebody can answer.

        Raises:
            RunFailed: if the answer is no.
        """
        doubts = check.learned.doubts if check.learned else ()
        if doubts and self._can_ask and not typer.confirm("upload anyway?", err=True):
            raise RunFailed("nothing was uploaded", "answer the doubts, or give --yes")

    def changed_settings(self) -> str | None:
        """Return the model.toml to upload; None if the stored one stays as it is."""
        from refit_cli.settings_file import with_label

        text = self._toml
        if self._setting is not None:
            text = with_label(text, self._setting)
        return text if self._data.toml is not None or text != self._stored else None


def _parsed(toml: str) -> Any:
    from refit.domain.model_settings import parse_settings

    return parse_settings(toml)


def _stored_settings(connection: StackConnection, model: str) -> tuple[str, str | None]:
    """Return the text and the object version of the model.toml in the bucket."""
    from refit.domain.errors import ObjectNotFound
    from refit.domain.model_settings import settings_text
    from refit.domain.naming import ModelKeys
    from refit.domain.settings_document import MAX_BYTES

    try:
        content, version = connection.bucket.read_latest(ModelKeys(model).settings, MAX_BYTES + 1)
    except ObjectNotFound:
        return "", None
    return settings_text(content), version


def _ask_for_label(check: Check) -> str:
    from refit_cli.checking import refusal_of

    assert check.error is not None
    terminal.inform(escape(refusal_of(check.error)["reason"]))
    question = "which column is the label? (a name, a position from 0, or last)"
    return str(typer.prompt(question, err=True)).strip()


def _show(check: Check) -> None:
    from refit_cli.learned_text import print_learned

    if check.learned is not None:
        print_learned(check.learned)


def _print_code(bucket: str, uploaded: list[UploadedCode]) -> None:
    for file in uploaded:
        url = escape(f"s3://{bucket}/{file.key}")
        how = "  replaces the file that was there" if file.replaced else ""
        terminal.results().print(
            f"[green]uploaded[/]  {url}  [dim]{terminal.size(file.size)}{how}[/]"
        )
    if uploaded:
        terminal.inform(
            r"The code is used from the next run on, if \[training] script names the program"
        )


def _print_uploads(
    model: str, bucket: str, settings_key: str | None, uploaded: list[UploadedFile]
) -> None:
    console = terminal.results()
    if settings_key:
        console.print(f"[green]uploaded[/]  s3://{bucket}/{settings_key}")
    for file in uploaded:
        url = escape(f"s3://{bucket}/{file.key}")
        console.print(f"[green]uploaded[/]  {url}  [dim]{terminal.size(file.size)}[/]")
    if uploaded:
        terminal.inform(
            "A run starts when no more files arrive for a moment. Follow it with "
            f"[bold]refit watch {model}[/]"
        )
    elif settings_key:
        terminal.inform(
            f"The settings apply from the next run on, [bold]refit put {model} FILE[/]; those of "
            r"\[batch] from the next file on"
        )
