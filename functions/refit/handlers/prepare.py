"""Turn what was dropped into training, validation and test rows.

Invoked by  TRAIN state machine, state Prepare
Input       {"model", "run"}                                          events/prepare.json
Output      {"task", "rows": {"train", "validation", "test", "quarantined"}, "features", "classes",
            "train_bytes", "validation_bytes", "has_validation", "champion", "comparable"}
Raises      SettingsInvalid, ModelNotFound, DatasetNotFound, DatasetEmpty, DatasetUnreadable,
            DatasetInvalid, TooManyBadRows, SchemaChanged, ServiceThrottled

A retraining's drop.json names slices of the ledger beside the champion's files: the rows of these
are read back from the capture files. The same run writes the same bytes under the same keys,
however often it is invoked.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from pydantic import BaseModel, ConfigDict

from refit.domain.errors import DatasetNotFound, ModelNotFound, SettingsInvalid
from refit.domain.model_settings import ModelSettings, parse_settings
from refit.domain.naming import ModelKeys, RunKeys
from refit.domain.pipeline.manifest import Drop, LabelledBySide, Manifest, SideRows
from refit.domain.schema import Schema
from refit.stores import s3, store
from refit.stores.clients import passing_troubles_named
from refit.tabular.dataset import tables_of
from refit.tabular.preparation import Preparation, prepare
from refit.tabular.quarantine import Quarantine
from refit.tabular.readers.table import DroppedFile
from refit.tabular.split import SPLITS
from refit.tabular.training_set import LabelledTables, labelled_tables
from refit.telemetry import logger

if TYPE_CHECKING:
    from refit.domain.pipeline.manifest import File
    from refit.stores.store import Champion


class Request(BaseModel):
    """The event."""

    model_config = ConfigDict(extra="ignore")

    model: str
    run: str


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Prepare one run's data."""
    request = Request.model_validate(event)
    keys = RunKeys(request.model, request.run)
    store.update_run(request.model, request.run, status=store.RunStatus.PREPARING)
    drop = Drop.model_validate(s3.get_json(keys.drop))
    settings = _settings(request.model)
    champion = store.load_champion(request.model)
    prior = _prior(keys, drop, champion)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labelled = _labelled(keys, drop, prior, folder)
        prepared, refused = _prepared(keys, drop, labelled, settings, prior, folder)
        sizes = _write(keys, prepared)
    if champion and prepared.comparable:
        _copy_held_out_rows(RunKeys(request.model, champion.run), keys)
    rows: dict[str, int] = {side: prepared.rows[side] for side in SPLITS}
    rows["quarantined"] = refused
    manifest = _manifest(keys, drop, settings, rows, prepared, labelled)
    s3.put_json(keys.manifest, manifest.model_dump(mode="json"))
    logger.info("prepared", extra={"model": request.model, "run": request.run, "rows": rows})
    classes = prepared.schema.classes
    return {
        "task": prepared.schema.task,
        "rows": rows,
        "features": len(prepared.schema.features),
        "classes": len(classes) if classes is not None else None,
        "train_bytes": sizes["train"],
        "validation_bytes": sizes["validation"],
        "has_validation": rows["validation"] > 0,
        "champion": champion and {"run": champion.run, "version": champion.version},
        "comparable": prepared.comparable,
    }


def _settings(model: str) -> ModelSettings:
    try:
        return parse_settings(s3.get_bytes(ModelKeys(model).settings).decode())
    except DatasetNotFound:
        return ModelSettings()
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"model.toml is not UTF-8 text: {error}") from error


def _prior(keys: RunKeys, drop: Drop, champion: Champion | None) -> Schema | None:
    """Return the live model's schema.

    Raises:
        ModelNotFound: when there is no live model, which a retraining needs.
    """
    if champion:
        return _schema(RunKeys(keys.model, champion.run))
    if drop.slices:
        raise ModelNotFound(
            f"{keys.model} has no live version (any more), so it cannot be retrained: drop data"
        )
    return None


def _schema(keys: RunKeys) -> Schema:
    return Schema.model_validate(s3.get_json(keys.schema))


def _labelled(keys: RunKeys, drop: Drop, prior: Schema | None, folder: Path) -> LabelledTables:
    """Read the labelled rows back from where they were captured."""
    if prior is None or not drop.slices:
        return LabelledTables([], [])

    def schema_of(version: int) -> Schema | None:
        run = store.run_of_version(keys.model, version)
        return _schema(RunKeys(keys.model, run)) if run else None

    return labelled_tables(
        drop.slices,
        lambda objects: s3.fetched(objects, folder),
        schema_of,
        prior,
        folder,
        drop.fresh_since,
    )


def _prepared(
    keys: RunKeys,
    drop: Drop,
    labelled: LabelledTables,
    settings: ModelSettings,
    prior: Schema | None,
    folder: Path,
) -> tuple[Preparation, int]:
    """Read all rows; what was refused is kept even when the whole drop is."""
    refused = folder / "refused.jsonl"
    with refused.open("wb") as out:
        quarantine = Quarantine(out)
        try:
            tables = tables_of([_dropped(keys.model, file) for file in drop.files], folder)
            tables += labelled.tables
            prepared = prepare(tables, settings.data, prior, folder, int(keys.run, 16), quarantine)
        finally:
            out.flush()
            if quarantine.count:
                s3.upload(refused, f"{keys.quarantine}rows.jsonl", "application/x-ndjson")
    return prepared, quarantine.count


def _dropped(model: str, file: File) -> DroppedFile:
    return DroppedFile(
        name=file.key.removeprefix(ModelKeys(model).raw),
        size_bytes=file.size,
        open=lambda: cast("IO[bytes]", _Stream(s3.open_stream(file.key, file.version))),
    )


class _Stream:
    """An object's bytes; a connection that breaks off is a passing trouble, not a defect."""

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body

    def read(self, size: int) -> bytes:
        with passing_troubles_named():
            return self._body.read(size)

    def close(self) -> None:
        self._body.close()


def _write(keys: RunKeys, prepared: Preparation) -> dict[str, int]:
    """Write rows, schema and profile; return the sizes of the training channels in bytes."""
    with s3.MultipartWriter(f"{keys.train}train.csv") as train:
        profile = prepared.write_train(train)
    sizes = {"train": train.size_bytes, "validation": 0}
    if prepared.rows["validation"]:
        with s3.MultipartWriter(f"{keys.validation}validation.csv") as validation:
            prepared.write_validation(validation)
        sizes["validation"] = validation.size_bytes
    with ExitStack() as stack:
        prepared.write_test(
            *(
                stack.enter_context(s3.MultipartWriter(key))
                for key in (
                    f"{keys.test}test.csv",
                    f"{keys.evaluation_input}new.csv",
                    keys.evaluation_labels("new"),
                )
            )
        )
    if prepared.fresh:
        with (
            s3.MultipartWriter(f"{keys.evaluation_input}fresh.csv") as features,
            s3.MultipartWriter(keys.evaluation_labels("fresh")) as labels,
        ):
            prepared.write_fresh(features, labels)
    s3.put_json(keys.schema, prepared.schema.as_json())
    s3.put_json(keys.profile, profile)
    return sizes


def _copy_held_out_rows(champion: RunKeys, keys: RunKeys) -> None:
    """Take over the rows that the live model was tested on: the challenger faces them as well."""
    s3.copy(f"{champion.evaluation_input}new.csv", f"{keys.evaluation_input}base.csv")
    s3.copy(champion.evaluation_labels("new"), keys.evaluation_labels("base"))


def _manifest(
    keys: RunKeys,
    drop: Drop,
    settings: ModelSettings,
    rows: dict[str, int],
    prepared: Preparation,
    labelled: LabelledTables,
) -> Manifest:
    run = store.load_run(keys.model, keys.run) or {}
    of_labelled = {side: prepared.labelled[side] for side in SPLITS}
    return Manifest(
        model=keys.model,
        run=keys.run,
        cause=drop.cause,
        files=drop.files,
        slices=tuple(labelled.slices),
        settings=settings,
        rows=SideRows.model_validate(rows),
        labelled=LabelledBySide.model_validate(of_labelled | {"fresh_test": prepared.fresh}),
        created_at=run.get("started_at"),
    )
