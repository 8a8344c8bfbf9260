"""Turn the data of a run into training, validation and test rows.

The drop.json of a retraining lists slices of the ledger in addition to the files of the champion.
The rows of the slices are read back from the capture files. Preparing a run again writes the same
bytes to the same keys.

With `[data] features_from` the rows are prepared twice: first the other model is asked about them,
then its answers are added as columns (usecases/ask_about_rows.py).
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from refit.domain.errors import DatasetNotFound, ModelNotFound, ObjectNotFound
from refit.domain.evaluation.positive_class import check_prediction
from refit.domain.label_limits import label_limits
from refit.domain.monitoring.critical_features import check_critical_features
from refit.domain.naming import ModelKeys, RunKeys
from refit.domain.pipeline.drop_limits import check_drop_size
from refit.domain.pipeline.manifest import LabelledBySide, Manifest, SideRows
from refit.domain.pipeline.schema_change import LiveVersion
from refit.domain.settings_effects import effect_notes
from refit.domain.vocabulary import RunStatus
from refit.stores.bucket import PART_BYTES
from refit.tabular.dataset import tables_of
from refit.tabular.preparation import SEED, read_drop
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.table import DroppedFile
from refit.tabular.split import SPLITS
from refit.tabular.training_set import LabelledTables, labelled_tables
from refit.telemetry import logger
from refit.usecases.ask_about_rows import answers_of, ask_about_rows
from refit.usecases.base_rows import BaseRows, copy_base_rows
from refit.usecases.pin_features import pin_features
from refit.usecases.write_folds import write_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.learned import Learned
    from refit.domain.model_settings import ModelSettings
    from refit.domain.pipeline.manifest import Drop, ObjectVersion
    from refit.domain.pipeline.model_state import Champion
    from refit.domain.schema import Schema
    from refit.tabular.added_columns import AddedFeatures
    from refit.tabular.preparation import Preparation
    from refit.usecases.ask_about_rows import Questions
    from refit.usecases.services import Services


@dataclass(frozen=True)
class PreparedData:
    """The prepared data, as far as the later steps need it.

    Attributes:
        rows: number of rows by split, and of refused rows as `quarantined`.
        champion: the version that the challenger is compared with; None when no version is live.
        comparable: whether the champion can predict the same rows.
    """

    schema: Schema
    rows: SideRows
    train_bytes: int
    validation_bytes: int
    champion: Champion | None
    comparable: bool


@dataclass(frozen=True)
class _Source:
    """The data and settings that a run is prepared from.

    Attributes:
        settings_version: version of model.toml; None without the file.
        live: the champion, for messages.
        added: the version of another model that adds columns; None without one.
        notes: sentences for the record of what was learned.
    """

    keys: RunKeys
    drop: Drop
    settings: ModelSettings
    settings_version: str | None
    champion: Champion | None
    live: LiveVersion | None
    champion_schema: Schema | None
    added: AddedFeatures | None
    notes: tuple[str, ...] = ()


def prepare_data(
    services: Services, model: str, run: str, *, is_answered: bool = False
) -> PreparedData | Questions:
    """Prepare the data of a run.

    Args:
        services: the AWS services and the clock of this process.
        model: name of the model.
        run: id of the run.
        is_answered: whether the model that `[data] features_from` names has been asked.

    Returns:
        The prepared data; or, with this setting and before it was asked, the questions.

    Raises:
        SettingsInvalid: when model.toml is not valid, or `[prediction]` does not fit the data, or
            `[data] features_from` names no version that can be asked.
        ModelNotFound: when a retraining has no champion any more.
        DatasetNotFound: when a file of the drop has been deleted.
        DropTooLarge: when the files are more than can be prepared.
        DatasetEmpty: when there is no usable row.
        DatasetUnreadable: when a file is damaged, unsafe or not what its name says.
        DatasetInvalid: when the data cannot be trained on.
        TooManyBadRows: when more rows are refused than the settings allow.
        SchemaChanged: when the columns differ from those of the champion.
        EvaluationIncomplete: when the answers do not match the rows one to one.
    """
    services.models.update_run(model, run, status=RunStatus.PREPARING)
    source = _source(services, model, run, is_answered=is_answered)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labelled = _labelled_tables(services, source, folder)
        prepared, refused = _read(services, source, labelled, folder)
        # Reading takes minutes, in which the model may have been removed.
        if services.models.run(model, run) is None:
            raise ModelNotFound(f"{model} was removed while run {run} prepared its data")
        prediction = source.settings.prediction
        folds = source.settings.training.folds
        check_prediction(prediction, prepared.schema, prepared.threshold_rows)
        check_critical_features(source.settings.monitoring, prepared.schema)
        if source.added is not None and not is_answered:
            return ask_about_rows(services, source.keys, prepared, source.added)
        if source.added is not None:
            prepared.answers = answers_of(services, source.keys, source.added)
        train_bytes, validation_bytes = _write(services, source.keys, prepared)
        if folds:
            write_folds(services, source.keys, prepared, folds, train_bytes)
        elif prediction.costs is not None:
            _write_threshold_rows(services, source.keys, prepared)
    base = BaseRows(exist=False)
    if source.champion and prepared.comparable:
        champion = RunKeys(model, source.champion.run)
        held_out = source.settings.data.test_fraction
        base = copy_base_rows(services, champion, source.keys, prepared.split, held_out)
    rows = SideRows(
        train=prepared.rows["train"],
        validation=prepared.rows["validation"],
        test=prepared.rows["test"],
        quarantined=refused,
    )
    _write_manifest(services, source, rows, prepared, labelled, base)
    logger.info("prepared", extra={"model": model, "run": run, "rows": rows.model_dump()})
    return PreparedData(
        schema=prepared.schema,
        rows=rows,
        train_bytes=train_bytes,
        validation_bytes=validation_bytes,
        champion=source.champion,
        comparable=prepared.comparable,
    )


def _source(services: Services, model: str, run: str, *, is_answered: bool) -> _Source:
    drop = services.artifacts.drop(model, run)
    settings, settings_version = services.artifacts.current_settings_file(model)
    champion = services.models.champion(model)
    if champion is None and drop.slices:
        raise ModelNotFound(
            f"{model} has no live version any more, so it cannot be retrained: drop data"
        )
    schema = _schema_of(services, model, champion, drop) if champion else None
    notes: tuple[str, ...] = ()
    if champion is not None and schema is None:
        notes = (
            f"Version {champion.version}, which is live, lacks its schema.json or manifest.json, "
            "which were deleted. So its columns and its quality were not compared.",
        )
        champion = None
    return _Source(
        keys=RunKeys(model, run),
        drop=drop,
        settings=settings,
        settings_version=settings_version,
        champion=champion,
        live=_live_version(services, model, run, champion, settings_version),
        champion_schema=schema,
        added=pin_features(services, RunKeys(model, run), settings.data, schema, is_answered),
        notes=notes,
    )


def _schema_of(services: Services, model: str, champion: Champion, drop: Drop) -> Schema | None:
    """Return the columns of the live version; None if its files were deleted.

    Such a version cannot predict, so dropped data replaces it as if there were none. A retraining
    needs it, because it reads its labelled rows.
    """
    try:
        services.artifacts.manifest(model, champion.run)
        return services.artifacts.schema(model, champion.run)
    except ObjectNotFound as error:
        if drop.slices:
            raise
        extra = {"model": model, "version": champion.version, "reason": str(error)}
        logger.warning("the live version lacks a file and is not compared", extra=extra)
        return None


def _live_version(
    services: Services,
    model: str,
    run: str,
    champion: Champion | None,
    settings_version: str | None,
) -> LiveVersion | None:
    if champion is None:
        return None
    used_by = None
    if settings_version is not None:
        used_by = services.models.acceptance_used_by(model, settings_version)
    # The run that used the acceptance may be prepared again.
    return LiveVersion(model, champion.version, None if used_by == run else used_by)


def _labelled_tables(services: Services, source: _Source, folder: Path) -> LabelledTables:
    """Read the labelled rows back from their capture files."""
    if source.champion_schema is None or not source.drop.slices:
        return LabelledTables([], [])
    model = source.keys.model

    def schema_of(version: int) -> Schema | None:
        run = services.models.run_of_version(model, version)
        return services.artifacts.schema(model, run) if run else None

    return labelled_tables(
        source.drop.slices,
        lambda objects: services.bucket.download_each(objects, folder),
        schema_of,
        source.champion_schema,
        folder,
        source.drop.fresh_since,
    )


def _read(
    services: Services, source: _Source, labelled: LabelledTables, folder: Path
) -> tuple[Preparation, int]:
    """Read and check all rows; return them and the number of refused rows.

    Refused rows are stored in quarantine even if the run fails.
    """
    keys, training = source.keys, source.settings.training
    refused = folder / "refused.jsonl"
    with refused.open("wb") as out:
        quarantine = Quarantine(out)
        try:
            files = _dropped_files(services, keys.model, source.drop.files, folder)
            tables = tables_of(files, folder)
            drop = read_drop(
                tables.tables + labelled.tables,
                source.settings.data,
                source.champion_schema,
                folder,
                SEED,
                quarantine,
                notes=(*source.notes, *effect_notes(source.settings), *tables.notes),
                folds=source.settings.training.folds,
                added=source.added,
                limits=label_limits(training.algorithm_name, training.hyperparameters),
            )
            _record_learned(services, keys, drop.learned)  # also if the run fails from here on
            prepared = drop.prepared(live=source.live)
        finally:
            out.flush()
            if quarantine.count:
                key = f"{keys.quarantine}rows.jsonl"
                services.bucket.upload(refused, key, "application/x-ndjson")
    return prepared, quarantine.count


def _dropped_files(
    services: Services, model: str, files: Sequence[ObjectVersion], folder: Path
) -> list[DroppedFile]:
    """Return the files as preparation reads them.

    Each file is opened several times. A small one is downloaded before, together with others,
    because the answer of S3 takes longer than its bytes.
    """
    raw = ModelKeys(model).raw
    sizes = {file.key.removeprefix(raw): file.size for file in files}
    check_drop_size(sizes)
    small = [file for file in files if file.size <= PART_BYTES]
    downloads = folder / "downloads"
    downloads.mkdir()
    paths = services.bucket.download_all([file.pair for file in small], downloads)
    local = {file.pair: path for file, path in zip(small, paths, strict=True)}

    def dropped(file: ObjectVersion) -> DroppedFile:
        def opened() -> IO[bytes]:
            path = local.get(file.pair)
            return _opened(services, file) if path is None else path.open("rb")

        return DroppedFile(name=file.key.removeprefix(raw), size_bytes=file.size, open=opened)

    return [dropped(file) for file in files]


def _opened(services: Services, file: ObjectVersion) -> IO[bytes]:
    try:
        return services.bucket.open(file.key, file.version)
    except ObjectNotFound as error:
        raise DatasetNotFound(f"{error}: drop the file again") from error


def _write(services: Services, keys: RunKeys, prepared: Preparation) -> tuple[int, int]:
    """Write rows, schema and profile; return the sizes of the training and validation channels."""
    bucket = services.bucket
    with bucket.writer(f"{keys.train}train.csv") as train:
        profile = prepared.write_train(train)
    validation_bytes = 0
    if prepared.rows["validation"]:
        with bucket.writer(f"{keys.validation}validation.csv") as validation:
            prepared.write_validation(validation)
        validation_bytes = validation.size_bytes
    test_keys = (
        f"{keys.test}test.csv",
        f"{keys.evaluation_input}new.csv",
        keys.evaluation_labels("new"),
    )
    with ExitStack() as stack:
        prepared.write_test(*(stack.enter_context(bucket.writer(key)) for key in test_keys))
    if prepared.fresh:
        with (
            bucket.writer(f"{keys.evaluation_input}fresh.csv") as features,
            bucket.writer(keys.evaluation_labels("fresh")) as labels,
        ):
            prepared.write_fresh(features, labels)
    _write_roles(services, keys, prepared)
    bucket.put_json(keys.schema, prepared.schema.as_json())
    bucket.put_json(keys.profile, profile)
    return train.size_bytes, validation_bytes


def _write_roles(services: Services, keys: RunKeys, prepared: Preparation) -> None:
    """Write the weights and the times of the held-out rows, if the settings name such columns."""
    bucket = services.bucket
    if prepared.has_weights:
        with bucket.writer(keys.evaluation_weights("new"), "text/plain") as weights:
            prepared.write_held_out_weights("test", weights)
    if prepared.has_weights and prepared.fresh:
        with bucket.writer(keys.evaluation_weights("fresh"), "text/plain") as weights:
            prepared.write_fresh_weights(weights)
    if prepared.has_times:
        with bucket.writer(keys.evaluation_times("new"), "text/plain") as times:
            prepared.write_test_times(times)


def _write_threshold_rows(services: Services, keys: RunKeys, prepared: Preparation) -> None:
    """Write the validation rows on which the costs choose the threshold, as the test rows are."""
    with (
        services.bucket.writer(f"{keys.evaluation_input}validation.csv") as features,
        services.bucket.writer(keys.evaluation_labels("validation")) as labels,
    ):
        prepared.write_validation_apart(features, labels)
    if prepared.has_weights:
        key = keys.evaluation_weights("validation")
        with services.bucket.writer(key, "text/plain") as weights:
            prepared.write_held_out_weights("validation", weights)


def _write_manifest(
    services: Services,
    source: _Source,
    rows: SideRows,
    prepared: Preparation,
    labelled: LabelledTables,
    base: BaseRows,
) -> None:
    keys = source.keys
    run = services.models.run(keys.model, keys.run)
    labelled_rows = {side: prepared.labelled[side] for side in SPLITS}
    manifest = Manifest(
        model=keys.model,
        run=keys.run,
        cause=source.drop.cause,
        files=source.drop.files,
        slices=tuple(labelled.slices),
        settings=source.settings,
        rows=rows,
        labelled=LabelledBySide.model_validate(labelled_rows | {"fresh_test": prepared.fresh}),
        learned=prepared.learned,
        split=prepared.split,
        has_base=base.exist,
        comparison_notes=base.notes,
        # With a champion, rows are not comparable only if an acceptance admitted their columns.
        accepted_by=source.settings_version
        if source.champion and not prepared.comparable
        else None,
        features_from=prepared.schema.features_from,
        created_at=run.started_at if run else None,
    )
    services.bucket.put_json(keys.manifest, manifest.model_dump(mode="json"))
    _record_learned(services, keys, prepared.learned)


def _record_learned(services: Services, keys: RunKeys, learned: Learned) -> None:
    stored = learned.for_item().model_dump(mode="json")
    services.models.update_run(keys.model, keys.run, learned=stored)
