"""Read files as data preparation will read them, on this machine and without uploading anything.

`refit check` shows the result, and `refit put` shows it before it uploads.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from refit.domain.column_reading import name_key
from refit.domain.errors import (
    CallerError,
    DatasetEmpty,
    DatasetInvalid,
    DatasetUnreadable,
    LabelUnclear,
    SchemaChanged,
    SettingsInvalid,
    TooManyBadRows,
)
from refit.domain.evaluation.positive_class import check_prediction
from refit.domain.evaluation.training_labels import TrainingLabels
from refit.domain.label_limits import label_limits
from refit.domain.monitoring.critical_features import check_critical_features
from refit.domain.pipeline.training_plan import DataShape
from refit.domain.pipeline.tuning_plan import check_ranges
from refit.domain.settings_effects import effect_notes
from refit.tabular.dataset import tables_of
from refit.tabular.preparation import SEED, read_drop
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.table import DroppedFile
from refit.tabular.table_dialects import table_dialects
from refit.usecases.plan_jobs import plan_jobs
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn

from refit_cli import terminal
from refit_cli.errors import BadInput, CommandError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from refit.domain.data_settings import DataSettings
    from refit.domain.learned import Learned
    from refit.domain.model_settings import ModelSettings
    from refit.domain.pipeline.schema_change import LiveVersion
    from refit.domain.schema import Schema
    from refit.tabular.preparation import Preparation
    from refit.tabular.readers.table import CsvTable

    from refit_cli.stack_checks import StackChecks
    from refit_cli.uploads import PlannedFile

# For errors whose text alone says what is wrong.
_ADVICE: tuple[tuple[type[CallerError], str], ...] = (
    (LabelUnclear, "Name the label column with --label"),
    (DatasetInvalid, "Correct the files, or say with the settings of [data] how to read them"),
    (DatasetEmpty, "Give a file with rows"),
    (DatasetUnreadable, "Save the table as CSV (UTF-8) or Parquet, and give that file"),
    (TooManyBadRows, "Correct the rows, or allow more of them with [data] max_bad_fraction"),
    (SchemaChanged, "Give files with the columns of the live model"),
    (SettingsInvalid, "Correct model.toml; docs/settings.md lists its keys"),
)


@dataclass(frozen=True)
class Check:
    """What data preparation would make of files.

    Attributes:
        learned: what it would learn, as far as it got; None if it cannot tell the columns.
        error: why it would refuse the files; None if it would not.
        label: the label column as model.toml names it, if the user named one.
    """

    learned: Learned | None
    error: CallerError | CommandError | None = None
    label: str | int | None = None

    def with_notes(self, notes: Sequence[str]) -> Check:
        """Return the result with what was skipped before the files were read."""
        if self.learned is None:
            return self
        learned = self.learned.model_copy(
            update={"notes": tuple(dict.fromkeys((*notes, *self.learned.notes)))}
        )
        return replace(self, learned=learned)

    @property
    def exit_code(self) -> ExitCode:
        """0 if the files fit, 1 if there are doubts, 2 if they would be refused."""
        if self.error is not None:
            return ExitCode.BAD_INPUT
        return ExitCode.FAILED if self.learned and self.learned.doubts else ExitCode.OK

    @property
    def refusals(self) -> list[dict[str, str]]:
        """Reason and advice, if the files would be refused."""
        return [] if self.error is None else [refusal_of(self.error)]

    def as_json(self) -> dict[str, Any]:
        """Return the result as `refit check --json` prints it."""
        learned = self.learned and self.learned.model_dump(mode="json")
        return {"learned": learned, "refusals": self.refusals}

    def raise_if_refused(self) -> None:
        """Raise the refusal as the error of a command.

        Raises:
            BadInput: if the files would be refused.
        """
        if self.error is not None:
            refusal = refusal_of(self.error)
            raise BadInput(refusal["reason"], refusal["advice"]) from self.error


def refusal_of(error: CallerError | CommandError) -> dict[str, str]:
    """Return `{"reason", "advice"}`: what is wrong, and what the user can do about it."""
    if isinstance(error, CommandError):
        advice = error.advice or "Give files that exist and can be read"
        return {"reason": error.message, "advice": advice}
    general = next((text for kind, text in _ADVICE if isinstance(error, kind)), "Correct the files")
    return {"reason": error.reason, "advice": error.advice or general}


def check_files(
    files: Sequence[PlannedFile],
    settings: ModelSettings,
    *,
    prior: Schema | None = None,
    live: LiveVersion | None = None,
    label: str | None = None,
    is_whole_drop: bool = True,
    stack: StackChecks | None = None,
) -> Check:
    """Read files as data preparation does, and find out whether it would refuse them.

    Args:
        files: the files of one drop.
        settings: of the model.
        prior: schema of the live model, if there is one.
        live: the live version, for messages; there is one if there is a schema.
        label: the label column as the user types it: a name, a position from 0, or `last`. It
            replaces that of the settings.
        is_whole_drop: whether no other files belong to the drop. If not, the files may lack splits,
            and are read without them.
        stack: checks what only the stack knows; without it, that is left out.
    """
    learned: Learned | None = None
    chosen: str | int | None = None
    if prior is not None and settings.data.features_from:
        prior = prior.own  # the run asks the other model, and compares what it adds
    try:
        check_settings(settings, stack)
        with _opened(files, is_whole_drop=is_whole_drop) as (dropped, folder):
            found = tables_of(dropped, _new(folder / "tables"))
            data, training = settings.data, settings.training
            if label is not None:
                chosen = label_setting(label, found.tables, data, prior)
                data = _with_label(data, chosen)
            with (folder / "refused.jsonl").open("wb") as out:
                drop = read_drop(
                    found.tables,
                    data,
                    prior,
                    _new(folder / "work"),
                    SEED,
                    Quarantine(out),
                    notes=(*effect_notes(settings), *found.notes),
                    folds=settings.training.folds,
                    limits=label_limits(training.algorithm_name, training.hyperparameters),
                )
                learned = drop.learned
                if not is_whole_drop:
                    drop.reconciled(live)
                    return Check(learned, None, chosen)
                prepared = drop.prepared(live=live)
                learned = prepared.learned
                check_prediction(settings.prediction, prepared.schema, prepared.threshold_rows)
                check_critical_features(settings.monitoring, prepared.schema)
                _check_jobs(settings, prepared, stack)
                learned = prepared.learned
    except (CallerError, CommandError) as error:
        return Check(learned, error, chosen)
    except OSError as error:
        unreadable = BadInput(f"{error.filename or 'a file'} cannot be read: {error.strerror}")
        return Check(learned, unreadable, chosen)
    return Check(learned, None, chosen)


def resolved_label(
    label: str, files: Sequence[PlannedFile], settings: DataSettings, prior: Schema | None
) -> str | int:
    """Return a label as model.toml names it, from the headers of the files alone.

    Raises:
        CallerError: if a file cannot be read.
    """
    if not _is_position(label) or not files:
        return _position_or_name(label)
    with _opened(files) as (dropped, folder):
        return label_setting(label, tables_of(dropped, folder).tables, settings, prior)


def label_setting(
    label: str, tables: Sequence[CsvTable], settings: DataSettings, prior: Schema | None
) -> str | int:
    """Return a label that was typed as model.toml names it.

    Digits are a position, unless a header has a column of that name.
    """
    if _is_position(label):
        unnamed = settings.model_copy(update={"label": None})
        (dialect, *_) = table_dialects(tables, unnamed, prior)
        if name_key(label) in map(name_key, dialect.header or ()):
            return label
    return _position_or_name(label)


def _position_or_name(label: str) -> str | int:
    return int(label) if _is_position(label) else label


def _is_position(label: str) -> bool:
    digits = label.removeprefix("-")
    return digits.isascii() and digits.isdigit()


def _with_label(settings: DataSettings, label: str | int) -> DataSettings:
    if isinstance(label, int) and label < -1:
        raise SettingsInvalid(
            f"the label cannot be {label}: positions count from 0",
            advice="The last column is -1 or last",
        )
    return settings.model_copy(update={"label": label})


def check_settings(settings: ModelSettings, stack: StackChecks | None) -> None:
    """Check of the settings what needs no data.

    Raises:
        SettingsInvalid: as the run would.
    """
    check_ranges(settings.training, settings.tuning)
    if stack is not None:
        stack.check_settings(settings)


def _check_jobs(settings: ModelSettings, prepared: Preparation, stack: StackChecks | None) -> None:
    """Plan the jobs as PlanTraining does.

    Raises:
        CallerError: as the run would.
    """
    train, validation = _CountingSink(), _CountingSink()
    # Also finds the columns that alone give the label, and divides the rows into folds.
    profile = prepared.write_train(train)
    prepared.write_validation(validation)
    schema = prepared.schema if stack is None else stack.full_schema(settings, prepared)
    shape = DataShape(
        task=schema.task,
        train_rows=prepared.rows["train"],
        features=len(schema.features),
        classes=None if schema.classes is None else len(schema.classes),
        train_bytes=train.size_bytes,
        validation_bytes=validation.size_bytes,
        has_validation=prepared.rows["validation"] > 0,
        validation_rows=prepared.rows["validation"],
    )
    plan_jobs(settings, schema, TrainingLabels.model_validate(profile["label"]), shape)
    if stack is not None:
        stack.check_continuation(settings, prepared, schema, shape)


class _CountingSink:
    size_bytes = 0

    def write(self, data: bytes, /) -> int:
        self.size_bytes += len(data)
        return len(data)


class _CountedFile(io.FileIO):
    """A file that reports how many bytes are read from it."""

    def __init__(self, path: Path, on_bytes: Callable[[int], None]) -> None:
        super().__init__(path)
        self._on_bytes = on_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(-1 if size is None else size)
        self._on_bytes(len(data))
        return data


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


@contextmanager
def _opened(
    files: Sequence[PlannedFile], *, is_whole_drop: bool = True
) -> Iterator[tuple[list[DroppedFile], Path]]:
    """Present local files as a drop, with an empty folder; on a terminal, show what is read."""
    console = terminal.messages()
    with (
        tempfile.TemporaryDirectory() as name,
        Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            DownloadColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ) as progress,
    ):
        task = progress.add_task("checking", total=None)

        def dropped(file: PlannedFile) -> DroppedFile:
            def opened() -> IO[bytes]:
                return _CountedFile(file.path, lambda count: progress.advance(task, count))

            name = file.key.partition("/raw/")[2]
            if not is_whole_drop:
                name = name.partition("/")[2] or name
            return DroppedFile(name, file.size, opened)

        yield [dropped(file) for file in files], Path(name)
