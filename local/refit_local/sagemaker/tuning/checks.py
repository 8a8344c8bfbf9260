"""The rules of CreateHyperParameterTuningJob that the shapes of the API do not state.

Source  SageMaker Developer Guide, "Resource Limits for Automatic Model Tuning", "Grid Search",
        "Hyperband", "Tune an XGBoost Model"; API Reference, ParameterRanges; the text about the
        combinations in aws/amazon-sagemaker-operator-for-k8s, issue 123, that about the metric in
        aws/amazon-sagemaker-examples, issue 1207. The other texts are not documented
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.jobs.training_metrics import metric_definitions
from refit_local.sagemaker.tuning.search import searched_ranges, size_of
from refit_local.sagemaker.wire.errors import (
    NotImplementedLocally,
    ResourceLimitExceeded,
    ValidationException,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_JOBS = 500
MAX_PARALLEL = 10
MAX_RANGES = 30
MAX_HYPERPARAMETERS = 100
MAX_RESOURCE = 20_000
_TUNABLE = frozenset(
    "num_round eta gamma max_depth min_child_weight max_delta_step subsample colsample_bytree "
    "colsample_bylevel colsample_bynode lambda alpha".split()
)
_WHOLE = frozenset({"num_round", "max_depth"})
_RESOURCE_KEYS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")


def check_tuning(request: Mapping[str, Any]) -> None:
    """Check a CreateHyperParameterTuningJob request.

    Raises:
        ValidationException: when a rule is broken.
        ResourceLimitExceeded: when a default quota of tuning jobs is exceeded.
    """
    config = request["HyperParameterTuningJobConfig"]
    for member in ("Autotune", "TrainingJobDefinitions"):
        if request.get(member):
            raise NotImplementedLocally(f"{member} of CreateHyperParameterTuningJob")
    definition = request.get("TrainingJobDefinition")
    if definition is None:
        raise ValidationException("A TrainingJobDefinition is required.")
    for member in ("HyperParameterTuningResourceConfig", "HyperParameterRanges", "RetryStrategy"):
        if definition.get(member):
            raise NotImplementedLocally(f"TrainingJobDefinition.{member}")
    _check_objective(config)
    _check_ranges(config.get("ParameterRanges", {}), definition.get("StaticHyperParameters", {}))
    _check_strategy(config, definition.get("StaticHyperParameters", {}))
    _check_limits(config)


def jobs_of(config: Mapping[str, Any]) -> int:
    """Return the number of trials; a grid search without a number tries every combination."""
    given = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    return given if given is not None else (_combinations(config) or 1)


def _check_objective(config: Mapping[str, Any]) -> None:
    objective = config.get("HyperParameterTuningJobObjective")
    if objective is None:
        raise ValidationException("A HyperParameterTuningJobObjective is required.")
    names = [definition["Name"] for definition in metric_definitions()]
    if objective["MetricName"] not in names:
        raise ValidationException(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric "
            f"in the metric definitions. The algorithm emits {', '.join(names)}."
        )


def _check_ranges(ranges: Mapping[str, Any], static: Mapping[str, str]) -> None:
    if ranges.get("AutoParameters"):
        raise NotImplementedLocally("ParameterRanges.AutoParameters")
    specs = [spec for kind in ranges.values() for spec in kind]
    names = [spec["Name"] for spec in specs]
    if not names:
        raise ValidationException("At least one hyperparameter range is required.")
    if len(names) > MAX_RANGES:
        raise ValidationException(
            f"The number of hyperparameters to search is {len(names)}; at most {MAX_RANGES} are "
            "allowed."
        )
    twice = sorted({name for name in names if names.count(name) > 1 or name in static})
    if twice:
        raise ValidationException(
            f"A hyperparameter must have one range, or be static: {', '.join(twice)}"
        )
    untunable = sorted(set(names) - _TUNABLE)
    if untunable:
        raise ValidationException(
            "The hyperparameter tuning job you requested has the following untunable "
            f"hyperparameters: [{', '.join(untunable)}]. You can tune only "
            f"[{', '.join(sorted(_TUNABLE))}]."
        )
    # The service adds the objective to the static ones.
    if len(names) + len(static) + 1 > MAX_HYPERPARAMETERS:
        raise ValidationException(
            f"At most {MAX_HYPERPARAMETERS} hyperparameters are allowed, static and tunable ones "
            "together."
        )
    for spec in ranges.get("IntegerParameterRanges", []):
        _check_numbers(spec, whole=True)
    for spec in ranges.get("ContinuousParameterRanges", []):
        _check_numbers(spec, whole=False)


def _check_numbers(spec: Mapping[str, str], *, whole: bool) -> None:
    name = spec["Name"]
    try:
        low, high = (float(spec[bound]) for bound in ("MinValue", "MaxValue"))
    except ValueError:
        raise ValidationException(f"The bounds of the range {name} must be numbers.") from None
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        raise ValidationException(
            f"The MinValue of the range {name} must be less than its MaxValue."
        )
    if whole and not (low.is_integer() and high.is_integer()):
        raise ValidationException(f"The bounds of the integer range {name} must be integers.")
    if not whole and name in _WHOLE:
        raise ValidationException(f"{name} is an integer hyperparameter: use an integer range.")
    if whole and name not in _WHOLE:
        raise ValidationException(f"{name} is a continuous hyperparameter: use such a range.")
    scaling = spec.get("ScalingType", "Auto")
    if scaling == "Logarithmic" and low <= 0:
        raise ValidationException(
            f"The range {name} must have values greater than 0 for Logarithmic scaling."
        )
    if scaling == "ReverseLogarithmic" and (whole or low < 0 or high >= 1):
        raise ValidationException(
            f"The range {name} must be continuous and within 0 <= x < 1 for ReverseLogarithmic "
            "scaling."
        )


def _check_strategy(config: Mapping[str, Any], static: Mapping[str, str]) -> None:
    strategy = config["Strategy"]
    resources = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig")
    if strategy == "Hyperband":
        if config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
            raise ValidationException(
                "TrainingJobEarlyStoppingType must be Off for the strategy Hyperband."
            )
        _check_resources(resources or {}, static)
    elif resources is not None:
        raise ValidationException(
            f"HyperbandStrategyConfig is supported for the strategy Hyperband only, not {strategy}."
        )
    if strategy == "Grid":
        kinds = [kind for kind, specs in config["ParameterRanges"].items() if specs]
        if kinds != ["CategoricalParameterRanges"]:
            raise ValidationException(
                "The strategy Grid supports only categorical parameters; give no integer or "
                "continuous ranges."
            )


def _check_resources(resources: Mapping[str, Any], static: Mapping[str, str]) -> None:
    largest = resources.get("MaxResource")
    if largest is None:
        keys = ", ".join(_RESOURCE_KEYS)
        if any(key in static for key in _RESOURCE_KEYS):
            raise NotImplementedLocally("a MaxResource that is read from a hyperparameter")
        raise ValidationException(
            f"MaxResource is required: it can be inferred from none of the hyperparameters {keys}."
        )
    if largest > MAX_RESOURCE:
        raise ValidationException(f"MaxResource must be at most {MAX_RESOURCE}.")
    if resources.get("MinResource", 1) >= largest:
        raise ValidationException("MinResource must be less than MaxResource.")


def _check_limits(config: Mapping[str, Any]) -> None:
    limits = config["ResourceLimits"]
    combinations = _combinations(config)
    jobs = limits.get("MaxNumberOfTrainingJobs")
    if jobs is None and config["Strategy"] != "Grid":
        raise ValidationException("MaxNumberOfTrainingJobs is required.")
    if config["Strategy"] == "Grid" and jobs not in (None, combinations):
        raise ValidationException(
            f"MaxNumberOfTrainingJobs must be equal to {combinations}, the number of combinations."
        )
    if jobs is not None and combinations is not None and combinations < jobs:
        raise ValidationException(
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{float(combinations)}] must be "
            f"equal or greater than the value of MaxNumberOfJobs, [{jobs}]. Provide additional "
            "ranges."
        )
    total = jobs_of(config)
    if limits["MaxParallelTrainingJobs"] > total:
        raise ValidationException(
            f"MaxParallelTrainingJobs must be at most MaxNumberOfTrainingJobs, [{total}]."
        )
    if total > MAX_JOBS:
        raise ResourceLimitExceeded(
            f"A hyperparameter tuning job can have at most {MAX_JOBS} training jobs."
        )
    if limits["MaxParallelTrainingJobs"] > MAX_PARALLEL:
        raise ResourceLimitExceeded(
            f"A hyperparameter tuning job can have at most {MAX_PARALLEL} concurrent training jobs."
        )


def _combinations(config: Mapping[str, Any]) -> int | None:
    sizes = [size_of(r.distribution) for r in searched_ranges(config.get("ParameterRanges", {}))]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)
