"""The table `[tuning]` of `model.toml`: what SageMaker searches, and how long.

Source  SageMaker Developer Guide, "Resource Limits for Automatic Model Tuning", "Tune an XGBoost
        Model" and "Grid Search"; API Reference, ParameterRanges; botocore model, ParameterValues
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from refit.domain.data_settings import Section
from refit.domain.hyperparameters import ALIASES, RULES, Number
from refit.domain.nearest_names import did_you_mean
from refit.domain.settings_errors import setting_messages

TUNABLE = (
    "num_round",
    "eta",
    "gamma",
    "max_depth",
    "min_child_weight",
    "max_delta_step",
    "subsample",
    "colsample_bytree",
    "colsample_bylevel",
    "colsample_bynode",
    "lambda",
    "alpha",
)
"""The hyperparameters of SageMaker's XGBoost that a tuning job may search."""

MAX_JOBS = 500
MAX_PARALLEL = 100
MAX_RANGES = 30
MAX_CATEGORIES = 30

Scaling: TypeAlias = Literal["auto", "linear", "logarithmic", "reverse_logarithmic"]


class NumberRange(Section):
    """The numbers between two bounds, which are included."""

    min: int | float
    max: int | float
    scaling: Scaling = "auto"

    @model_validator(mode="after")
    def _is_a_range(self) -> NumberRange:
        if not self.min < self.max:
            raise ValueError(f"min = {self.min} must be less than max = {self.max}")
        if self.scaling == "logarithmic" and not self.min > 0:
            raise ValueError(f"scaling = 'logarithmic' needs a min > 0; min is {self.min}")
        if self.scaling == "reverse_logarithmic" and not (self.min >= 0 and self.max < 1):
            raise ValueError(
                "scaling = 'reverse_logarithmic' needs 0 ≤ min and max < 1; the range is "
                f"[{self.min}, {self.max}]"
            )
        return self


Categories: TypeAlias = tuple[str, ...]
Range: TypeAlias = NumberRange | Categories


def _read_range(value: object) -> object:
    """Return a range of one of the forms that a person may write."""
    if isinstance(value, NumberRange):
        return value
    if isinstance(value, list | tuple) and value:
        if all(isinstance(item, str) for item in value):
            return tuple(value)
        numbers = [
            item for item in value if isinstance(item, int | float) and not isinstance(item, bool)
        ]
        if len(value) == len(numbers) == 2:
            return _number_range({"min": value[0], "max": value[1]})
    if isinstance(value, dict) and {"min", "max"} <= value.keys() <= {"min", "max", "scaling"}:
        return _number_range(value)
    raise ValueError(
        "a range is [min, max], { min = …, max = …, scaling = … }, or a list of texts to choose "
        'from, such as ["4", "6", "8"]'
    )


def _number_range(members: dict[str, Any]) -> NumberRange:
    try:
        return NumberRange.model_validate(members)
    except ValidationError as error:
        raise ValueError("; ".join(setting_messages(error, NumberRange, members))) from error


_Range = Annotated[Range, BeforeValidator(_read_range)]


class TuningSettings(Section):
    """A SageMaker tuning job in place of the single training job."""

    max_jobs: Annotated[int, Field(ge=0, le=MAX_JOBS)] = Field(
        0,
        description="Number of trials: training jobs with other hyperparameters, of which the best "
        "is kept. `0`: no tuning.",
    )
    max_parallel: Annotated[int, Field(ge=1, le=MAX_PARALLEL)] = Field(
        1,
        description="Trials at a time. More than 1 needs a quota of as many training instances; "
        "more than 10 a raised quota of tuning jobs.",
    )
    strategy: Literal["bayesian", "random", "grid", "hyperband"] = Field(
        "bayesian",
        description="How values are chosen. `grid` tries every combination of lists of texts; "
        "`hyperband` stops weak trials early.",
    )
    ranges: Annotated[
        dict[str, _Range], WithJsonSchema({"type": "object", "description": "ranges by name"})
    ] = Field(
        default_factory=dict,
        description="What is searched, by hyperparameter: `[min, max]`, `{ min, max, scaling }` "
        "with `auto`, `linear`, `logarithmic` or `reverse_logarithmic`, or a list of texts. "
        "Replaces [the default ranges](training.md#tuning).",
    )
    metric: str | None = Field(
        None,
        description="Metric of XGBoost on the validation rows that is optimized, such as `auc` or "
        "`mlogloss`. Default: the one that early stopping uses.",
    )
    early_stopping: Literal["auto", "off"] = Field(
        "off",
        description="`auto`: a trial is stopped when it is behind the median of the earlier ones.",
    )
    target: float | None = Field(
        None, description="The tuning ends when a trial reaches this value of the metric."
    )
    seed: Annotated[int, Field(ge=0)] | None = Field(
        None, description="Seed of the search. Default: chosen by SageMaker."
    )

    @property
    def is_on(self) -> bool:
        """Whether a tuning job runs in place of the training job."""
        return self.max_jobs > 0

    @field_validator("ranges")
    @classmethod
    def _can_be_searched(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        if len(ranges) > MAX_RANGES:
            raise ValueError(f"{len(ranges)} ranges; SageMaker allows {MAX_RANGES}")
        known = {ALIASES.get(name, name): searched for name, searched in ranges.items()}
        if len(known) < len(ranges):
            raise ValueError("a hyperparameter is named twice, once by its alias")
        for name, searched in known.items():
            _check_range(name, searched)
        return known

    @model_validator(mode="after")
    def _fits_the_strategy(self) -> TuningSettings:
        if self.max_jobs == 1:
            raise ValueError("max_jobs = 1: a search has at least 2 trials; 0 turns it off")
        if self.strategy == "hyperband" and self.early_stopping == "auto":
            raise ValueError(
                "early_stopping = 'auto' is not possible with strategy = 'hyperband', which stops "
                "trials by its own rule; set early_stopping = 'off'"
            )
        if self.strategy == "grid" and self.is_on:
            self._check_grid()
        combinations = combinations_of(self.ranges)
        if self.ranges and combinations is not None and combinations < self.max_jobs:
            raise ValueError(
                f"max_jobs = {self.max_jobs}: the ranges have only {combinations} combinations; "
                "set fewer jobs or wider ranges"
            )
        return self

    def _check_grid(self) -> None:
        numbers = [name for name, r in self.ranges.items() if isinstance(r, NumberRange)]
        if numbers or not self.ranges:
            named = f"; {numbers[0]} is a range of numbers" if numbers else ""
            raise ValueError(
                "strategy = 'grid' searches lists of texts, given in [tuning.ranges], such as "
                f'max_depth = ["4", "6", "8"]{named}'
            )
        combinations = combinations_of(self.ranges)
        if self.max_jobs != combinations:
            raise ValueError(
                f"max_jobs = {self.max_jobs}: strategy = 'grid' tries each of the {combinations} "
                f"combinations once; set max_jobs = {combinations}"
            )


def combinations_of(ranges: dict[str, Range]) -> int | None:
    """Return the number of different trials, or None if a range has any number between bounds."""
    count = 1
    for name, searched in ranges.items():
        if isinstance(searched, tuple):
            count *= len(searched)
        elif is_whole(name):
            count *= int(searched.max) - int(searched.min) + 1
        else:
            return None
    return count


def is_whole(name: str) -> bool:
    """Return whether the values of a hyperparameter are whole numbers."""
    rule = RULES[name]
    return isinstance(rule, Number) and rule.whole


def _check_range(name: str, searched: Range) -> None:
    """Check that each value of a range is one that the container takes.

    Raises:
        ValueError: names the hyperparameter, the value, and what is allowed.
    """
    if name not in TUNABLE:
        raise ValueError(
            f"{name} cannot be searched; {did_you_mean(name, TUNABLE)}SageMaker's XGBoost allows "
            f"{', '.join(TUNABLE)}"
        )
    values = searched if isinstance(searched, tuple) else (searched.min, searched.max)
    for value in values:
        if not RULES[name].allows(value):
            raise ValueError(f"{name}: {value!r} is not allowed; allowed: {RULES[name].allowed}")
    if len(set(values)) < len(values):
        raise ValueError(f"{name}: a value is listed twice")
    if len(values) > MAX_CATEGORIES:
        raise ValueError(f"{name} has {len(values)} values; SageMaker allows {MAX_CATEGORIES}")
