"""The settings of a model: the keys of `model.toml`, their defaults and what they allow."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from refit.domain.algorithm_settings import check_weight
from refit.domain.batch_settings import BatchSettings, check_cached_rows
from refit.domain.column_reading import name_key
from refit.domain.continued_training import check_fits, check_not_tuned
from refit.domain.data_settings import ColumnNames, DataSettings, Fraction, Section
from refit.domain.errors import SettingsInvalid
from refit.domain.instance_types import INSTANCE_TYPE_SCHEMA, check_instance_type
from refit.domain.nearest_names import did_you_mean
from refit.domain.quality_metrics import JUDGING
from refit.domain.season_lengths import DAY_S, WEEK_S, fits, lengths_of
from refit.domain.settings_document import check_size, settings_document
from refit.domain.settings_effects import refused_effects
from refit.domain.settings_errors import setting_messages, shown_value
from refit.domain.training_script import check_tunable
from refit.domain.training_settings import TrainingSettings
from refit.domain.tuning_settings import TuningSettings

MAX_LABELS = 1_000_000_000
MAX_MARGIN = 100
MAX_COST = 1_000_000_000
_METRIC_CHOICES = ("auto", *JUDGING)
_GONE_KEYS = {
    ("deployment", "termination_wait_s"): "SageMaker keeps the old instances only if the variants "
    "of both versions have one name, and Refit names a variant after its version",
}
"""Keys of earlier versions of Refit, and why they have no meaning any more."""


def _checked_metric(name: str) -> str:
    if name not in _METRIC_CHOICES:
        raise ValueError(
            f"{did_you_mean(name, _METRIC_CHOICES)}allowed: {', '.join(_METRIC_CHOICES)}"
        )
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


class Costs(Section):
    """What a wrong prediction of two classes costs, in any unit."""

    false_positive: Annotated[float, Field(gt=0, le=MAX_COST)] = Field(
        description="Cost of predicting the positive class for a row of the other one."
    )
    false_negative: Annotated[float, Field(gt=0, le=MAX_COST)] = Field(
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
            costs = shown_value(self.costs.model_dump())
            raise ValueError(
                f"threshold = {self.threshold:g} and costs = {costs} do not fit together, because "
                "costs choose the threshold; remove one of them"
            )
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
    margin: Annotated[float, Field(ge=0, le=MAX_MARGIN)] = Field(
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

    instance_type: Annotated[
        str, AfterValidator(_for_endpoint), WithJsonSchema(INSTANCE_TYPE_SCHEMA)
    ] = Field("ml.m5.large", description="Instance type of the endpoint.")
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
    season_s: Annotated[int, Field(ge=0, le=2_678_400)] = Field(
        WEEK_S,
        description="Length of the season in which the error rate, the traffic and the inputs of a "
        "healthy model rise and fall, such as 86400 for a day. A week contains days. 0: no season, "
        "for short demos.",
    )
    season_swing: Annotated[float, Field(ge=1, le=100)] = Field(
        2.0,
        description="How many times as high the odds of an error may be at times of a season "
        "without an alarm. With days in a week: by day of the week, and again by hour.",
    )
    false_alarm_every: Annotated[int, Field(ge=10, le=10_000_000)] = Field(
        8760,
        description="Average number of cohorts between two false alarms, at least; 8760 hourly "
        "cohorts are a year. 1/α of the test.",
    )
    min_labels: Annotated[int, Field(ge=1, le=MAX_LABELS)] = Field(
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
    critical_features: ColumnNames = Field(
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

    def is_critical(self, feature: str) -> bool:
        """Return whether a feature is one of `critical_features`."""
        return name_key(feature) in map(name_key, self.critical_features)

    @property
    def complete_age_s(self) -> int:
        """The age at which a cohort's labels count as complete."""
        return 3 * self.label_age_s if self.label_wait_s is None else self.label_wait_s

    @model_validator(mode="after")
    def _cohorts_fit_seasons(self) -> MonitoringSettings:
        if not fits(self.cohort_s, self.season_s):
            day = f" and the {DAY_S} s of a day in it" if len(lengths_of(self.season_s)) > 1 else ""
            raise ValueError(
                f"cohort_s = {self.cohort_s} must divide season_s = {self.season_s}{day}, or "
                "contain it a whole number of times; season_s = 0 means no season"
            )
        return self

    @model_validator(mode="after")
    def _ages_in_order(self) -> MonitoringSettings:
        if self.complete_age_s < self.label_age_s:
            raise ValueError(
                f"label_wait_s = {self.label_wait_s} must be at least label_age_s = "
                f"{self.label_age_s}"
            )
        if self.max_label_age_s < self.complete_age_s + self.cohort_s:
            default = " (by default 3 × label_age_s)" if self.label_wait_s is None else ""
            raise ValueError(
                f"max_label_age_s = {self.max_label_age_s} must be at least label_wait_s = "
                f"{self.complete_age_s}{default} plus cohort_s = {self.cohort_s}, which is "
                f"{self.complete_age_s + self.cohort_s}"
            )
        return self


class RetrainingSettings(Section):
    """When drift starts a retraining."""

    enabled: bool = Field(True, description="`false`: drift is only reported.")
    min_labels: Annotated[int, Field(ge=1, le=MAX_LABELS)] = Field(
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
    base_margin: Annotated[float, Field(ge=0, le=MAX_MARGIN)] = Field(
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


def as_recorded_now(settings: object) -> object:
    """Return settings that an earlier version of Refit recorded, as this one would record them.

    Keys that are gone are left out. Cohorts that fit no season were allowed before there was one:
    such a version is judged without a season.
    """
    if not isinstance(settings, dict):
        return settings
    kept = dict(settings)
    for section, key in _GONE_KEYS:
        if isinstance(kept.get(section), dict):
            kept[section] = {k: v for k, v in kept[section].items() if k != key}
    monitoring = kept.get("monitoring")
    if isinstance(monitoring, dict) and "season_s" not in monitoring:
        cohort_s = monitoring.get("cohort_s", 1)
        if isinstance(cohort_s, int) and 86_400 % cohort_s and cohort_s != 604_800:
            kept["monitoring"] = monitoring | {"season_s": 0}
    return kept


def parse_settings(text: str) -> ModelSettings:
    """Parse `model.toml`.

    Raises:
        SettingsInvalid: naming each key that is wrong, its value and what is allowed.
    """
    document = settings_document(text)
    try:
        settings = ModelSettings.model_validate(document)
    except ValidationError as error:
        messages = setting_messages(error, ModelSettings, document, _GONE_KEYS)
        raise SettingsInvalid("model.toml: " + "; ".join(messages)) from error
    if messages := refused_effects(settings):
        raise SettingsInvalid("model.toml: " + "; ".join(messages))
    return settings


def settings_text(content: bytes, file: str = "model.toml") -> str:
    """Return the text of a settings file.

    Raises:
        SettingsInvalid: when it is not UTF-8, or too large.
    """
    check_size(len(content), file)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SettingsInvalid(f"{file} is UTF-16 text: save it as UTF-8")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise SettingsInvalid(
            f"{file} is not UTF-8 text: invalid byte {error.start}; save it as UTF-8"
        ) from error
