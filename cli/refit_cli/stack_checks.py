"""Check, before an upload, what only the stack knows: other versions, its code and its parameters.

The rules are those of the run's use cases. What these credentials may not read is said, and left
to the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError
from refit.domain.inferences.feature_inputs import FeatureInputs, with_added_features
from refit.domain.naming import ModelKeys
from refit.domain.pipeline.algorithms import image_of
from refit.domain.pipeline.continuation import TrainedRun
from refit.domain.pipeline.training_plan import default_objective
from refit.domain.pipeline.user_code import check_code, check_scripts_allowed
from refit.environment import Environment
from refit.tabular.learned_schema import reconciled
from refit.usecases.check_image import check_own_image
from refit.usecases.continue_training import ChampionRun, continuation_of, earlier_run
from refit.usecases.pin_features import named_features
from refit.usecases.plan_script import code_files
from refit.usecases.services import Services

from refit_cli.connection import ACCESS_DENIED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from refit.domain.model_settings import ModelSettings
    from refit.domain.pipeline.model_state import Champion
    from refit.domain.pipeline.schema_change import LiveVersion
    from refit.domain.pipeline.training_plan import DataShape
    from refit.domain.schema import Schema
    from refit.tabular.added_columns import AddedFeatures
    from refit.tabular.preparation import Preparation

    from refit_cli.connection import StackConnection

T = TypeVar("T")


@dataclass
class StackChecks:
    """The checks of one model against its stack.

    Attributes:
        champion: the live version.
        prior: its schema.
        live: the same, for messages.
        code: size in bytes of each file of code that is uploaded together with the settings.
        notes: what could not be checked, a sentence each.
    """

    connection: StackConnection
    model: str
    champion: Champion | None = None
    prior: Schema | None = None
    live: LiveVersion | None = None
    code: Mapping[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def check_settings(self, settings: ModelSettings) -> None:
        """Check what needs no data.

        Raises:
            SettingsInvalid: as the run would.
        """
        training = settings.training
        self._known("[training] image", lambda: image_of(training, self.connection.region))
        if training.image is not None and self._has_parameter("AllowedImages", "image"):
            check_own_image(self._services, training.image)
        if training.script is not None:
            self._check_script(training.script)
        wanted = training.continue_from
        if wanted is not None:
            self._known(
                f"[training] continue_from = {wanted!r}",
                lambda: earlier_run(self._services, self.model, wanted, self._champion_run),
            )
        self.added(settings)

    def added(self, settings: ModelSettings) -> AddedFeatures | None:
        """Return the version that adds columns; None without one, or if it cannot be read.

        Raises:
            SettingsInvalid: as the run would.
        """
        return self._known(
            f"[data] features_from = {settings.data.features_from!r}",
            lambda: named_features(self._services, self.model, settings.data, self.prior),
        )

    def full_schema(self, settings: ModelSettings, prepared: Preparation) -> Schema:
        """Return the schema of the rows with the columns that another model adds.

        Raises:
            CallerError: when the rows do not fit that model, or differ from the live version's.
        """
        added = self.added(settings)
        if added is None:
            return prepared.schema
        FeatureInputs(added.schema, prepared.schema.own, added.source.model)
        schema = with_added_features(prepared.schema, added.source, added.schema)
        return reconciled(schema, self.prior, settings.data, self.live).schema

    def check_continuation(
        self, settings: ModelSettings, prepared: Preparation, schema: Schema, shape: DataShape
    ) -> None:
        """Check that the training can continue the version of `continue_from`, if there is one.

        Raises:
            SettingsInvalid: as the run would.
        """
        wanted = settings.training.continue_from
        if wanted is None:
            return
        run = TrainedRun(
            schema=schema,
            settings=settings.training,
            objective=default_objective(shape),
            split=prepared.split,
            test_fraction=settings.data.test_fraction,
            validation_fraction=settings.data.validation_fraction,
        )
        self._known(
            f"[training] continue_from = {wanted!r}",
            lambda: continuation_of(self._services, self.model, run, self._champion_run),
        )

    @property
    def _champion_run(self) -> ChampionRun | None:
        live = self.champion
        return None if live is None else ChampionRun(live.run, live.version)

    def _check_script(self, program: str) -> None:
        if self._has_parameter("AllowedScripts", "script"):
            check_scripts_allowed(program, self.connection.stack.parameters["AllowedScripts"])
        folder = ModelKeys(self.model).code
        stored = self._known(
            f"[training] script = {program!r}", lambda: code_files(self._services, self.model)
        )
        if stored is not None:
            sizes = {file.key.removeprefix(folder): file.size for file in stored}
            check_code(self.model, program, sizes | dict(self.code))

    def _has_parameter(self, parameter: str, setting: str) -> bool:
        if parameter in self.connection.stack.parameters:
            return True
        self._note(
            f"[training] {setting} was not checked: the stack does not show its parameter "
            f"{parameter}; the run checks it"
        )
        return False

    def _known(self, what: str, read: Callable[[], T]) -> T | None:
        """Return what the stack says; None, with a note, if these credentials may not read it."""
        try:
            return read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ACCESS_DENIED:
                raise
            self._note(
                f"{what} was not checked, because these credentials lack a permission "
                f"({error.operation_name}); the run checks it"
            )
            return None

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    @property
    def _services(self) -> Services:
        stack = self.connection.stack
        environment = {
            "BUCKET": stack.bucket,
            "MODEL_TABLE": stack.model_table,
            "AWS_REGION": self.connection.region,
            "ALLOWED_IMAGES": stack.parameters.get("AllowedImages", ""),
        }
        return Services(Environment(environment), self.connection.client)
