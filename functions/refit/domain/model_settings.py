"""The settings of a model: what `model.toml` may say, and what holds when it says nothing."""

from __future__ import annotations

import tomllib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from refit.domain.errors import SettingsInvalid

Fraction = Annotated[float, Field(ge=0, le=1)]


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


class MonitoringSettings(Section):
    """How the live model is watched."""

    capture: Literal["api", "endpoint", "off"] = Field(
        "api",
        description="Who writes the captured inferences: the predict API; the endpoint itself "
        "(SageMaker's DataCaptureConfig), for callers that invoke it directly; or nobody. Takes "
        "effect with the next deployment.",
    )
    capture_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        100, description="How many of a hundred invocations are captured."
    )
    cohort_s: Annotated[int, Field(ge=1, le=604_800)] = Field(
        3600, description="Predictions of so many seconds are judged together, as one cohort."
    )
    label_age_s: Annotated[int, Field(ge=0, le=7_776_000)] = Field(
        86_400,
        description="A prediction enters the test with what was known of it at this age. Later "
        "labels still correct the shown figures and the training data.",
    )
    label_wait_s: Annotated[int, Field(ge=0, le=7_776_000)] | None = Field(
        None,
        description="At this age a cohort's labels are as complete as they get; from then on it "
        "teaches how much sooner errors are labelled than right answers. Default: 3 × "
        "`label_age_s`.",
    )
    held_label_s: Annotated[int, Field(ge=60, le=7_776_000)] = Field(
        604_800, description="A label without its prediction waits so long, then it is given up."
    )
    max_label_age_s: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        7_776_000,
        description="Predictions are remembered so long; a label observed earlier is too old.",
    )
    tolerance: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.005, description="An error share this much above the held-out one is no harm yet."
    )
    false_alarm_every: Annotated[int, Field(ge=10, le=10_000_000)] = Field(
        8760,
        description="Cohorts between two false alarms, in the mean: a year of hourly cohorts. "
        "1/α of the test.",
    )
    min_labels: Annotated[int, Field(ge=1)] = Field(
        50, description="No alarm on fewer labelled predictions than this."
    )
    min_coverage: Fraction = Field(
        0.01, description="No alarm while a smaller share of the predictions is labelled."
    )
    input_false_alarm_every: Annotated[int, Field(ge=10, le=10_000_000)] = Field(
        8760, description="Cohorts between two false input warnings, over all features together."
    )
    input_effect: Annotated[float, Field(gt=0, le=1)] = Field(
        0.05, description="A shift of a feature's distribution below this is not worth a word."
    )
    critical_features: tuple[str, ...] = Field(
        (), description="Columns whose shift is told as critical."
    )
    capture_silence_s: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        86_400, description="So long without a captured inference raises an alarm."
    )
    label_silence_s: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        604_800, description="So long without a label raises an alarm."
    )
    max_latency_ms: Annotated[int, Field(ge=1, le=60_000)] = Field(
        1000, description="A model that takes longer (99th percentile) raises an alarm."
    )

    @property
    def complete_age_s(self) -> int:
        """The age at which a cohort's labels count as complete."""
        return 3 * self.label_age_s if self.label_wait_s is None else self.label_wait_s

    @model_validator(mode="after")
    def _ages_in_order(self) -> MonitoringSettings:
        if self.complete_age_s < self.label_age_s:
            raise ValueError("label_wait_s must be at least label_age_s")
        if self.max_label_age_s < self.complete_age_s + self.cohort_s:
            raise ValueError("max_label_age_s must be at least label_wait_s plus cohort_s")
        return self


class RetrainingSettings(Section):
    """When drift leads to a new training, and on what."""

    enabled: bool = Field(True, description="`false`: drift is told, and a person decides.")
    min_labels: Annotated[int, Field(ge=1)] = Field(
        500,
        description="Labels that a retraining needs of predictions made since the change; until "
        "there are so many it is owed.",
    )
    cooldown_s: Annotated[int, Field(ge=0, le=31_536_000)] = Field(
        86_400, description="Rest after a retraining before drift may start the next."
    )
    max_per_day: Annotated[int, Field(ge=1, le=1000)] = Field(
        2, description="Retrainings started by drift within 24 hours, at most."
    )
    max_failures: Annotated[int, Field(ge=1, le=100)] = Field(
        2,
        description="So many retrainings in a row that brought no better model block the model: "
        "a person looks, and `refit unblock` lets it go on.",
    )
    base_margin: Annotated[float, Field(ge=0)] = Field(
        0.05,
        description="In place of `[gate] margin` for a retrained challenger on the champion's old "
        "held-out rows: the world may have moved away from them.",
    )


class ModelSettings(Section):
    """All of `model.toml`. No file at all gives every default."""

    data: DataSettings = Field(default_factory=DataSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    deployment: DeploymentSettings = Field(default_factory=DeploymentSettings)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    retraining: RetrainingSettings = Field(default_factory=RetrainingSettings)


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
