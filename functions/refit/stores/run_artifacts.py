"""Read the artifacts that runs wrote to the bucket, and find the run that made a version.

A finished run never changes its artifacts, so each process reads an artifact once and caches it.
The champion can change, so it is read again after ten seconds, and so is the run of a version,
because the versions of a model that was removed and begun again have the same numbers.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from refit.domain.decision_rule import DecisionRule
from refit.domain.errors import ModelNotFound, ObjectNotFound, VersionNotRegistered
from refit.domain.inferences.feature_inputs import FeatureInputs
from refit.domain.model_settings import ModelSettings, parse_settings, settings_text
from refit.domain.monitoring.baseline import Baseline
from refit.domain.naming import ModelKeys, RunKeys
from refit.domain.pipeline.drop import ConsumedFiles
from refit.domain.pipeline.manifest import Drop, Manifest
from refit.domain.schema import Schema
from refit.domain.settings_document import MAX_BYTES

if TYPE_CHECKING:
    from refit.domain.evaluation.examples import ExampleRows
    from refit.domain.evaluation.gate import GateDecision
    from refit.domain.evaluation.report import Evaluation
    from refit.domain.evaluation.training_curves import Curves
    from refit.domain.evaluation.training_labels import TrainingLabels
    from refit.domain.moments import Clock
    from refit.domain.monitoring.input_counts import Columns
    from refit.domain.pipeline.model_state import Champion
    from refit.stores.bucket import Bucket
    from refit.stores.models import ModelStore

MAX_AGE_S = 10
"""Seconds for which a process may use what it read of a model that has changed or was removed."""

_CACHED_ARTIFACTS = 256
_CACHED_FILE_LISTS = 8  # each can have some megabytes

Artifact = TypeVar("Artifact", bound=BaseModel)


class RunArtifacts:
    """Reads artifacts of runs. Methods raise ObjectNotFound if the artifact does not exist."""

    def __init__(self, bucket: Bucket, models: ModelStore, clock: Clock) -> None:
        self._bucket = bucket
        self._models = models
        self._clock = clock
        self._parsed = lru_cache(maxsize=_CACHED_ARTIFACTS)(self._parse)
        self._feature_inputs = lru_cache(maxsize=_CACHED_ARTIFACTS)(self._read_feature_inputs)
        self._columns = lru_cache(maxsize=_CACHED_ARTIFACTS)(self._read_columns)
        self._largest = lru_cache(maxsize=_CACHED_ARTIFACTS)(self._read_largest)
        self._consumed = lru_cache(maxsize=_CACHED_FILE_LISTS)(self._read_consumed)
        self._run_of = lru_cache(maxsize=_CACHED_ARTIFACTS)(self._find_run)
        self._champion = lru_cache(maxsize=_CACHED_ARTIFACTS)(self._read_champion)

    def recent_champion(self, model: str) -> Champion:
        """Return the version that is live, or was live ten seconds ago.

        Raises:
            ModelNotFound: when no version is live.
        """
        return self._champion(model, self._period())

    def run_of(self, model: str, version: int) -> str:
        """Return the run that made a version.

        Raises:
            VersionNotRegistered: when no run has registered the version (yet).
        """
        return self._run_of(model, version, self._period())

    def drop(self, model: str, run: str) -> Drop:
        """Return the drop of the run, which is not cached: it can change until the run begins."""
        return Drop.model_validate_json(self._read(RunKeys(model, run).drop))

    def consumed_files(self, model: str, run: str | None) -> ConsumedFiles:
        """Return what a run and the runs before it took from the drop folder; None took nothing."""
        return ConsumedFiles() if run is None else self._consumed(model, run)

    def manifest(self, model: str, run: str) -> Manifest:
        """Return the manifest: the data that the run was trained on, and its settings."""
        return self._artifact(Manifest, RunKeys(model, run).manifest)

    def settings(self, model: str, run: str) -> ModelSettings:
        """Return model.toml as it was when the run prepared its data."""
        return self.manifest(model, run).settings

    def schema(self, model: str, run: str) -> Schema:
        """Return the columns, classes and encodings of the version that the run made."""
        return self._artifact(Schema, RunKeys(model, run).schema)

    def feature_inputs(self, model: str, run: str) -> FeatureInputs:
        """Return how the model that `[data] features_from` of the run names reads its rows."""
        return self._feature_inputs(model, run)

    def decision_rule(self, model: str, run: str) -> DecisionRule | None:
        """Return how the version predicts a class; None if its settings have no `[prediction]`."""
        if not self.settings(model, run).prediction.decides:
            return None
        return self._artifact(DecisionRule, RunKeys(model, run).decision)

    def training_labels(self, model: str, run: str) -> TrainingLabels:
        """Return how often each class occurs in the training rows, or their mean label."""
        from refit.domain.evaluation.training_labels import (  # noqa: PLC0415 (not for predict)
            TrainingLabels,
        )

        profile: dict[str, Any] = json.loads(self._read(RunKeys(model, run).profile))
        return TrainingLabels.model_validate(profile["label"])

    def largest_number(self, model: str, run: str) -> float | None:
        """Return the largest number of all training columns; None without numbers."""
        return self._largest(model, run)

    def evaluation(self, model: str, run: str) -> Evaluation:
        """Return the metrics of challenger and champion."""
        from refit.domain.evaluation.report import Evaluation  # noqa: PLC0415 (not for predict)

        return self._artifact(Evaluation, RunKeys(model, run).evaluation)

    def examples(self, model: str, run: str) -> ExampleRows:
        """Return some held-out rows with their predictions."""
        from refit.domain.evaluation.examples import ExampleRows  # noqa: PLC0415 (not for predict)

        return self._artifact(ExampleRows, RunKeys(model, run).evaluation_examples)

    def curves(self, model: str, run: str) -> Curves:
        """Return the metrics of each round of the run's training jobs."""
        from refit.domain.evaluation.training_curves import Curves  # noqa: PLC0415 (not for predict)

        return self._artifact(Curves, RunKeys(model, run).curves)

    def decision(self, model: str, run: str) -> GateDecision:
        """Return the decision of the gate."""
        from refit.domain.evaluation.gate import GateDecision  # noqa: PLC0415 (not for predict)

        return self._artifact(GateDecision, RunKeys(model, run).gate)

    def baseline(self, model: str, run: str) -> Baseline:
        """Return the baseline that the version is compared with while it is live."""
        return self._artifact(Baseline, RunKeys(model, run).baseline)

    def columns(self, model: str, run: str) -> Columns:
        """Return the columns whose live distribution is compared with that of the training data.

        This method imports NumPy.
        """
        return self._columns(model, run)

    def current_settings(self, model: str) -> ModelSettings:
        """Return the current model.toml, which is not cached, or the defaults if there is none.

        Raises:
            SettingsInvalid: when the file cannot be parsed, or a key or value is not allowed.
        """
        return self.current_settings_file(model)[0]

    def current_settings_file(self, model: str) -> tuple[ModelSettings, str | None]:
        """Return the current model.toml and its object version, which is None without a file.

        Raises:
            SettingsInvalid: when the file cannot be parsed, or a key or value is not allowed.
        """
        try:
            # One byte more than is allowed shows that there are too many.
            content, version = self._bucket.read_latest(ModelKeys(model).settings, MAX_BYTES + 1)
        except ObjectNotFound:
            return ModelSettings(), None
        return parse_settings(settings_text(content)), version

    def _artifact(self, kind: type[Artifact], key: str) -> Artifact:
        artifact = self._parsed(kind, key)
        assert isinstance(artifact, kind)
        return artifact

    def _parse(self, kind: type[BaseModel], key: str) -> BaseModel:
        return kind.model_validate_json(self._read(key))

    def _read(self, key: str) -> bytes:
        try:
            return self._bucket.read(key)
        except ObjectNotFound as error:
            raise ObjectNotFound(
                str(error),
                advice="If it was deleted, restore its last version, or drop data to train a new "
                "version of the model",
            ) from error

    def _read_largest(self, model: str, run: str) -> float | None:
        columns = json.loads(self._read(RunKeys(model, run).profile))["columns"]
        found = (column.get("max") for column in columns)
        return max((float(value) for value in found if value is not None), default=None)

    def _read_consumed(self, model: str, run: str) -> ConsumedFiles:
        return ConsumedFiles.parse(self._bucket.read(RunKeys(model, run).consumed).decode())

    def _read_feature_inputs(self, model: str, run: str) -> FeatureInputs:
        schema = self.schema(model, run)
        source = schema.features_from
        assert source is not None, "the caller has looked"
        return FeatureInputs(self.schema(source.model, source.run), schema.own, source.model)

    def _read_columns(self, model: str, run: str) -> Columns:
        from refit.domain.monitoring.input_counts import columns_of  # noqa: PLC0415 (NumPy)

        profile: dict[str, Any] = json.loads(self._read(RunKeys(model, run).profile))
        return columns_of(profile, self.baseline(model, run))

    def _period(self) -> int:
        return int(self._clock().timestamp() // MAX_AGE_S)

    def _find_run(self, model: str, version: int, _period: int) -> str:
        run = self._models.run_of_version(model, version)
        if run is None:
            raise VersionNotRegistered(f"version {version} of {model} is not registered (yet)")
        return run

    def _read_champion(self, model: str, _period: int) -> Champion:
        champion = self._models.champion(model)
        if champion is None:
            raise ModelNotFound(f"no version of model {model!r} is deployed")
        return champion
