"""The settings of a model: what `model.toml` may say, and what holds when it says nothing."""

from __future__ import annotations

import tomllib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from refit.domain.errors import SettingsInvalid

Fraction = Annotated[float, Field(ge=0, le=1)]
Task = Literal["classification", "regression"]


class Section(BaseModel):
    """A table of `model.toml`: an unknown key is an error, not a wish."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(Section):
    """How dropped files become training, validation and test rows."""

    task: Literal["auto", "classification", "regression"] = Field(
        "auto",
        description="`auto`: text labels, or at most 50 distinct whole numbers, are classes.",
    )
    label: str | int = Field(
        0, description="The label's column: its name in the header, or its position from 0."
    )
    header: Literal["auto", "yes", "no"] = Field(
        "auto", description="`auto`: a first line with text where the other rows have numbers."
    )
    delimiter: Literal["auto", ",", ";", "|", "\t"] = Field(
        "auto", description="Of CSV files; `auto` finds it in the first lines."
    )
    scope: Literal["drop", "all"] = Field(
        "drop",
        description="`drop`: a run trains on the files dropped together; `all`: on all of raw/.",
    )
    max_bad_fraction: Fraction = Field(
        0.01, description="More refused rows than this share fail the run."
    )
    validation_fraction: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.1, description="Share of the rows that early stopping looks at."
    )
    test_fraction: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.1, description="Share of the rows held out: no model is ever trained on them."
    )
    schema_change: Literal["refuse", "accept"] = Field(
        "refuse", description="What to do when the columns differ from the live model's."
    )


class TrainingSettings(Section):
    """How SageMaker trains."""

    image_tag: Literal["3.0-5", "3.2-0", "1.7-1"] = Field(
        "3.0-5", description="Of SageMaker's XGBoost image."
    )
    instance_type: str | None = Field(
        None, pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$", description="Default: from the data's size."
    )
    volume_gb: Annotated[int, Field(ge=1, le=16384)] | None = Field(
        None, description="Default: from the data's size."
    )
    max_runtime_s: Annotated[int, Field(ge=60, le=2_419_200)] = Field(
        3600, description="A training that takes longer is stopped."
    )
    spot: bool = Field(False, description="Managed spot: cheaper, may wait, may start over.")
    max_wait_s: Annotated[int, Field(ge=60, le=2_419_200)] | None = Field(
        None, description="With spot: the longest wait, run time included. Default: twice that."
    )
    hyperparameters: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Added to, or in place of, those that Refit plans."
    )

    @model_validator(mode="after")
    def _wait_covers_runtime(self) -> TrainingSettings:
        if self.max_wait_s is not None and self.max_wait_s < self.max_runtime_s:
            raise ValueError("max_wait_s must be at least max_runtime_s")
        return self


class GateSettings(Section):
    """When a challenger is good enough."""

    metric: Literal["auto", "accuracy", "log_loss", "rmse", "mae"] = Field(
        "auto", description="`auto`: accuracy for classes, RMSE for numbers."
    )
    floor: float | None = Field(
        None,
        description="The worst value allowed. Default: better than always giving the commonest "
        "class, or the mean.",
    )
    margin: Annotated[float, Field(ge=0)] = Field(
        0.01,
        description="How much worse than the champion on its own held-out rows is tolerated: "
        "absolute for accuracy and log loss, a share of the champion's value for RMSE and MAE.",
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="Of the intervals, and of what counts as more than noise."
    )
    approval: Literal["auto", "manual"] = Field(
        "auto", description="`manual`: a person approves the package before it is deployed."
    )


class DeploymentSettings(Section):
    """How the endpoint is made and updated."""

    instance_type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")] = Field(
        "ml.m5.large", description="Of the endpoint."
    )
    instance_count: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="How many of them share the traffic."
    )
    termination_wait_s: Annotated[int, Field(ge=0, le=3600)] = Field(
        0, description="How long the old fleet stays after traffic has moved."
    )
    verification_rows: Annotated[int, Field(ge=1, le=1000)] = Field(
        50, description="Held-out rows asked of the live endpoint before it is promoted."
    )


class ModelSettings(Section):
    """All of `model.toml`. No file at all gives every default."""

    data: DataSettings = Field(default_factory=DataSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    deployment: DeploymentSettings = Field(default_factory=DeploymentSettings)


def parse_settings(text: str) -> ModelSettings:
    """Parse `model.toml`.

    Raises:
        SettingsInvalid: naming each key that is wrong, its value and what is allowed.
    """
    try:
        return ModelSettings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"model.toml is not valid TOML: {error}") from error
    except ValidationError as error:
        raise SettingsInvalid("model.toml: " + "; ".join(_explained(error))) from error


def _explained(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        *tables, key = [str(part) for part in problem["loc"]] or ["model.toml"]
        where = f"[{'.'.join(tables)}] {key}" if tables else f"[{key}]"
        if problem["type"] == "extra_forbidden":
            lines.append(f"{where} is not a known key; {_allowed_keys(tables)}")
        else:
            lines.append(f"{where} = {problem['input']!r}: {problem['msg']}")
    return lines


def _allowed_keys(tables: list[str]) -> str:
    section: type[BaseModel] = ModelSettings
    for table in tables:
        annotation = section.model_fields[table].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        section = annotation
    return "allowed: " + ", ".join(section.model_fields)
