"""The settings of a model: the keys of `model.toml`, their defaults and what they allow."""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
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
    check_weight,
)
from refit.domain.batch_settings import BatchSettings, check_cached_rows
from refit.domain.continued_training import Continuations, ContinueFrom, check_fits, check_not_tuned
from refit.domain.data_settings import DataSettings, Fraction, Section
from refit.domain.errors import SettingsInvalid
from refit.domain.instance_types import check_instance_type
from refit.domain.quality_metrics import JUDGING
from refit.domain.training_script import Script, check_script, check_tunable
from refit.domain.tuning_settings import TuningSettings

_SECTION_AND_KEY = re.compile(r"^\s*(\[[\w.]+\])\s+(\S.*?)\s*$", re.MULTILINE)
_METRIC_CHOICES = ("auto", *JUDGING)
_GONE_KEYS = {
    ("deployment", "termination_wait_s"): "SageMaker keeps the old instances only if the variants "
    "of both versions have one name, and Refit names a variant after its version",
}
"""Keys of earlier versions of Refit, and why they have no meaning any more."""


def _checked_metric(name: str) -> str:
    if name not in _METRIC_CHOICES:
        raise ValueError(f"Input should be one of {', '.join(_METRIC_CHOICES)}")
    return name


def _for_training(name: str) -> str:
    check_instance_type(name, "training")
    return name


def _for_endpoint(name: str) -> str:
    check_instance_type(name, "endpoint")
    return name


def _class_text(value: object) -> object:
    """Return a whole number as text: `positive = 1` means the class `1`."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


JudgingMetric = Annotated[
    str,
    AfterValidator(_checked_metric),
    WithJsonSchema({"type": "string", "enum": list(_METRIC_CHOICES)}),
]


MAX_FOLDS = 20
"""So many fit into the history of one execution (tests/contract/test_execution_histories.py)."""

_INSTANCE_TYPE = Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
_TRAINING_SECONDS = Field(ge=60, le=432_000)
"""SageMaker runs training jobs for at most 5 days, unless the quota of the account was raised."""


class TrainingSettings(AlgorithmSettings):
    """The SageMaker training job."""

    image_tag: Literal["3.0-5", "3.2-0", "1.7-1"] = Field(
        "3.0-5", description="Tag of the SageMaker XGBoost image."
    )
    instance_type: Annotated[str, _INSTANCE_TYPE, AfterValidator(_for_training)] | None = Field(
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
        if self.max_wait_s is not None and self.max_wait_s < self.max_runtime_s:
            raise ValueError("max_wait_s must be at least max_runtime_s")
        check_script(self.script, self.algorithm_name, self.network_isolation)
        return self


class Costs(Section):
    """What a wrong prediction of two classes costs, in any unit."""

    false_positive: Annotated[float, Field(gt=0)] = Field(
        description="Cost of predicting the positive class for a row of the other one."
    )
    false_negative: Annotated[float, Field(gt=0)] = Field(
        description="Cost of predicting the other class for a row of the positive one."
    )


class PredictionSettings(Section):
    """Which class is predicted, given the probabilities of two classes."""

    positive: Annotated[str, BeforeValidator(_class_text)] | None = Field(
        None,
        description="The positive class, whose precision, recall and F1 are measured. Default with "
        "`threshold` or `costs`: the second class.",
    )
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="The positive class is predicted if its probability is at least this. Default: "
        "the more probable class is predicted.",
    )
    costs: Costs | None = Field(
        None,
        description="In place of `threshold`: what errors cost, such as "
        "`{ false_positive = 1, false_negative = 20 }`. The threshold with the smallest cost on "
        "the validation rows (with folds: the out-of-fold rows) is chosen and kept with the "
        "version.",
    )

    @property
    def decides(self) -> bool:
        """Whether a run with these settings writes decision.json."""
        return self != PredictionSettings()

    @model_validator(mode="after")
    def _one_threshold(self) -> PredictionSettings:
        if self.threshold is not None and self.costs is not None:
            raise ValueError("set either threshold or costs: costs choose the threshold")
        return self


class GateSettings(Section):
    """When a challenger may replace the champion."""

    metric: JudgingMetric = Field(
        "auto",
        description="The metric that decides. `auto`: RMSE for numbers, accuracy for classes, and "
        "log loss if a class has less than 10 % of the training rows.",
    )
    floor: float | None = Field(
        None,
        description="Worst value of the metric that is allowed. Default: better than the most "
        "frequent class, the class frequencies or the mean of the training rows, by more than "
        "chance.",
    )
    margin: Annotated[float, Field(ge=0)] = Field(
        0.01,
        description="How much worse than the champion the challenger may be on the champion's "
        "held-out rows: absolute, but a share of the champion's value for RMSE, MAE and the median "
        "absolute error.",
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(
        0.95, description="Confidence level of the intervals and of the significance tests."
    )
    approval: Literal["auto", "manual"] = Field(
        "auto", description="`manual`: a person approves the model package before it is deployed."
    )


class DeploymentSettings(Section):
    """The SageMaker endpoint."""

    instance_type: Annotated[str, _INSTANCE_TYPE, AfterValidator(_for_endpoint)] = Field(
        "ml.m5.large", description="Instance type of the endpoint."
    )
    instance_count: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="Number of instances of the endpoint."
    )
    verification_rows: Annotated[int, Field(ge=1, le=1000)] = Field(
        50, description="Held-out rows sent to the new endpoint before it is promoted."
    )


class MonitoringSettings(Section):
    """How the live model is monitored."""

    capture: Literal["api", "endpoint", "off"] = Field(
        "api",
        description="What captures inferences: `api`, the predict API; `endpoint`, the endpoint "
        "itself (DataCaptureConfig of SageMaker), for callers that invoke it directly; `off`, "
        "nothing. Takes effect with the next deployment.",
    )
    capture_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        100, description="Percentage of invocations that are captured."
    )
    cohort_s: Annotated[int, Field(ge=1, le=604_800)] = Field(
        3600,
        description="Cohort length. Predictions made within one cohort are evaluated together.",
    )
    label_age_s: Annotated[int, Field(ge=0, le=7_776_000)] = Field(
        86_400,
        description="Age at which a prediction enters the drift test, with the label it has then. "
        "Later labels still correct the reported figures and the training data.",
    )
    label_wait_s: Annotated[int, Field(ge=0, le=7_776_000)] | None = Field(
        None,
        description="Age at which the labels of a cohort count as complete; the cohort then shows "
        "how much sooner errors are labelled than correct predictions. Default: 3 × "
        "`label_age_s`.",
    )
    held_label_s: Annotated[int, Field(ge=60, le=7_776_000)] = Field(
        604_800,
        description="How long a label waits for its prediction before it is moved to quarantine.",
    )
    max_label_age_s: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        7_776_000,
        description="How long predictions are kept; a label observed earlier is rejected.",
    )
    tolerance: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.005,
        description="How far the error rate may exceed the held-out error rate without an alarm.",
    )
    false_alarm_every: Annotated[int, Field(ge=10, le=10_000_000)] = Field(
        8760,
        description="Average number of cohorts between two false alarms, at least; 8760 hourly "
        "cohorts are a year. 1/α of the test.",
    )
    min_labels: Annotated[int, Field(ge=1)] = Field(
        50, description="Fewest labelled predictions that can raise an alarm."
    )
    min_coverage: Fraction = Field(
        0.01, description="Smallest share of labelled predictions that can raise an alarm."
    )
    input_false_alarm_every: Annotated[int, Field(ge=10, le=10_000_000)] = Field(
        8760,
        description="Average number of cohorts between two false input warnings, of all features.",
    )
    input_effect: Annotated[float, Field(gt=0, le=1)] = Field(
        0.05, description="Smallest distribution shift (0 to 1) that is reported."
    )
    critical_features: tuple[str, ...] = Field(
        (), description="Columns whose shift is reported as critical."
    )
    capture_silence_s: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        86_400, description="Time without a captured inference that raises an alarm."
    )
    label_silence_s: Annotated[int, Field(ge=60, le=31_536_000)] = Field(
        604_800, description="Time without a label that raises an alarm."
    )
    max_latency_ms: Annotated[int, Field(ge=1, le=60_000)] = Field(
        1000, description="Model latency (99th percentile) above which an alarm is raised."
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
    """When drift starts a retraining."""

    enabled: bool = Field(True, description="`false`: drift is only reported.")
    min_labels: Annotated[int, Field(ge=1)] = Field(
        500,
        description="Labelled predictions made since the change that a retraining requires; "
        "until then it is pending.",
    )
    cooldown_s: Annotated[int, Field(ge=0, le=31_536_000)] = Field(
        86_400,
        description="Shortest time between the end of a retraining and one that drift starts.",
    )
    max_per_day: Annotated[int, Field(ge=1, le=1000)] = Field(
        2, description="Most retrainings that drift starts within 24 hours."
    )
    max_failures: Annotated[int, Field(ge=1, le=100)] = Field(
        2,
        description="Consecutive retrainings without a better model after which retraining is "
        "blocked, until `refit unblock`.",
    )
    base_margin: Annotated[float, Field(ge=0)] = Field(
        0.05,
        description="Replaces `[gate] margin` for a retrained challenger, because the champion's "
        "held-out rows may no longer represent today's data.",
    )


class ModelSettings(Section):
    """All of `model.toml`. A model without the file has every default."""

    data: DataSettings = Field(default_factory=DataSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    tuning: TuningSettings = Field(default_factory=TuningSettings)
    prediction: PredictionSettings = Field(default_factory=PredictionSettings)
    gate: GateSettings = Field(default_factory=GateSettings)
    deployment: DeploymentSettings = Field(default_factory=DeploymentSettings)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    retraining: RetrainingSettings = Field(default_factory=RetrainingSettings)
    batch: BatchSettings = Field(default_factory=BatchSettings)

    @field_validator("training")
    @classmethod
    def _fits_the_data(cls, training: TrainingSettings, info: ValidationInfo) -> TrainingSettings:
        data = info.data.get("data")
        check_weight(training.algorithm_name, data and data.weight)
        if training.final == "ensemble" and data is not None and data.time is not None:
            raise ValueError(
                f"final = 'ensemble' does not fit [data] time = {data.time!r}: the models of folds "
                "of time are trained on older rows only; set final to 'all'"
            )
        check_fits(
            training.continue_from,
            training.algorithm_name,
            training.folds,
            data and data.time,
            takes_model=training.container.model_channel,
        )
        return training

    @field_validator("monitoring")
    @classmethod
    def _added_features_are_captured_by_the_api(
        cls, monitoring: MonitoringSettings, info: ValidationInfo
    ) -> MonitoringSettings:
        data = info.data.get("data")
        if monitoring.capture == "endpoint" and data is not None and data.features_from:
            raise ValueError(
                f"capture = 'endpoint' does not fit [data] features_from = {data.features_from!r}: "
                "the endpoint would also capture what it asks that model; set capture to 'api' or "
                "'off'"
            )
        return monitoring

    @field_validator("tuning")
    @classmethod
    def _fits_the_training(cls, tuning: TuningSettings, info: ValidationInfo) -> TuningSettings:
        if (training := info.data.get("training")) is not None:
            check_not_tuned(training.continue_from, tuning.max_jobs)
            check_tunable(training.script, training.algorithm_name, tuning.max_jobs)
        return tuning

    @model_validator(mode="after")
    def _cached_answers_are_captured(self) -> ModelSettings:
        check_cached_rows(self.batch.cache_rows, self.monitoring.capture)
        return self


def without_gone_keys(settings: object) -> object:
    """Return recorded settings without the keys that earlier versions of Refit recorded."""
    if not isinstance(settings, dict):
        return settings
    kept = dict(settings)
    for section, key in _GONE_KEYS:
        if isinstance(kept.get(section), dict):
            kept[section] = {k: v for k, v in kept[section].items() if k != key}
    return kept


def parse_settings(text: str) -> ModelSettings:
    """Parse `model.toml`.

    Raises:
        SettingsInvalid: naming each key that is wrong, its value and what is allowed.
    """
    try:
        return ModelSettings.model_validate(tomllib.loads(text.removeprefix("\ufeff")))
    except tomllib.TOMLDecodeError as error:
        match = _SECTION_AND_KEY.search(text)
        advice = None
        if match:
            advice = f"Write two lines: the section {match[1]}, and below it {match[2]}"
        raise SettingsInvalid(f"model.toml is not valid TOML: {error}", advice=advice) from error
    except ValidationError as error:
        raise SettingsInvalid("model.toml: " + "; ".join(_messages(error))) from error


def settings_text(content: bytes, file: str = "model.toml") -> str:
    """Return the text of a settings file.

    Raises:
        SettingsInvalid: when it is not UTF-8.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SettingsInvalid(f"{file} is UTF-16 text: save it as UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise SettingsInvalid(
            f"{file} is not UTF-8 text: invalid byte {error.start}; save it as UTF-8"
        ) from error


def _messages(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False):
        *tables, key = [str(part) for part in problem["loc"]] or ["model.toml"]
        where = f"[{'.'.join(tables)}] {key}" if tables else f"[{key}]"
        gone = _GONE_KEYS.get((".".join(tables), key))
        text = problem["msg"].removeprefix("Value error, ")
        if gone:
            lines.append(f"{where} is no setting any more: {gone}; delete the line")
        elif problem["type"] == "extra_forbidden":
            lines.append(f"{where} is not a known key; {_allowed_keys(tables)}")
        elif problem["type"] == "value_error" and not tables:  # it names its keys itself
            lines.append(text if text.startswith("[") else f"{where} {text}")
        else:
            lines.append(f"{where} = {problem['input']!r}: {text}")
    return lines


def _allowed_keys(tables: list[str]) -> str:
    section: type[BaseModel] = ModelSettings
    for table in tables:
        annotation = section.model_fields[table].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        section = annotation
    return "allowed: " + ", ".join(section.model_fields)
