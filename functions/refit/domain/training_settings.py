"""The table `[training]` of `model.toml`: the training job, its folds and its hyperparameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from refit.domain.algorithm_settings import (
    AlgorithmSettings,
    check_final,
    check_hyperparameters_of,
    check_isolation,
)
from refit.domain.continued_training import Continuations, ContinueFrom
from refit.domain.instance_types import INSTANCE_TYPE_SCHEMA, check_instance_type
from refit.domain.training_script import Script, check_script

MAX_FOLDS = 20
"""So many fit into the history of one execution (tests/contract/test_execution_histories.py)."""

_TRAINING_SECONDS = Field(ge=60, le=432_000)
"""SageMaker runs training jobs for at most 5 days, unless the quota of the account was raised."""


def _for_training(name: str) -> str:
    check_instance_type(name, "training")
    return name


class TrainingSettings(AlgorithmSettings):
    """The SageMaker training job."""

    image_tag: Literal["3.0-5", "3.2-0", "1.7-1"] = Field(
        "3.0-5", description="Tag of the SageMaker XGBoost image."
    )
    instance_type: (
        Annotated[str, AfterValidator(_for_training), WithJsonSchema(INSTANCE_TYPE_SCHEMA)] | None
    ) = Field(
        None,
        description="Instance type of the training job. Default: chosen by data size.",
    )
    volume_gb: Annotated[int, Field(ge=1, le=16384)] | None = Field(
        None, description="Volume of the training instance. Default: chosen by data size."
    )
    max_runtime_s: Annotated[int, _TRAINING_SECONDS] = Field(
        3600, description="A training job that runs longer is stopped."
    )
    spot: bool = Field(
        False,
        description="Use managed spot training: cheaper, but it may wait and may be interrupted.",
    )
    max_wait_s: Annotated[int, _TRAINING_SECONDS] | None = Field(
        None,
        description="With spot: longest wait including the run time. Default: twice max_runtime_s.",
    )
    network_isolation: bool = Field(
        True, description="Run the training container without network access and credentials."
    )
    folds: Annotated[int, Field(ge=0, le=MAX_FOLDS)] = Field(
        0,
        description="Number of folds of the training rows, 2 to 20: each is predicted by a model "
        "that is trained on the others. 0: no folds.",
    )
    folds_at_a_time: Annotated[int, Field(ge=1, le=MAX_FOLDS)] = Field(
        1, description="Number of folds that are trained at the same time."
    )
    final: Literal["all", "ensemble"] = Field(
        "all",
        description="With folds: `all`, the model is trained on all training rows; `ensemble`, the "
        "models of the folds answer together, by the mean of their predictions.",
    )
    script: Script = None
    continue_from: ContinueFrom = None
    max_continuations: Continuations = 10
    hyperparameters: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Hyperparameters that add to or replace those that Refit chooses: the names "
        "and ranges of the algorithm. A container of your own gets exactly these.",
    )

    @field_validator("network_isolation")
    @classmethod
    def _own_code_is_isolated(cls, is_isolated: bool, info: ValidationInfo) -> bool:
        check_isolation(is_isolated, info.data)
        return is_isolated

    @field_validator("hyperparameters")
    @classmethod
    def _are_known(
        cls, values: dict[str, str | int | float | bool], info: ValidationInfo
    ) -> dict[str, str | int | float | bool]:
        check_hyperparameters_of(values, info.data)
        return values

    @field_validator("folds")
    @classmethod
    def _one_fold_is_none(cls, folds: int) -> int:
        if folds == 1:
            raise ValueError(f"one fold leaves no row to train on; allowed: 0, 2 to {MAX_FOLDS}")
        return folds

    @field_validator("final")
    @classmethod
    def _an_ensemble_is_of_folds(cls, final: str, info: ValidationInfo) -> str:
        if final == "ensemble" and info.data.get("folds") == 0:
            raise ValueError(
                f"an ensemble is of the models of folds; set [training] folds to 2 to {MAX_FOLDS}, "
                "or final to 'all'"
            )
        check_final(final, info.data)
        return final

    @model_validator(mode="after")
    def _fit_together(self) -> TrainingSettings:
        if self.spot and self.max_wait_s is not None and self.max_wait_s < self.max_runtime_s:
            raise ValueError(
                f"max_wait_s = {self.max_wait_s} must be at least max_runtime_s = "
                f"{self.max_runtime_s}, because it includes the run time"
            )
        check_script(self.script, self.algorithm_name, self.network_isolation)
        return self
