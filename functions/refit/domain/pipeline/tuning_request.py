"""Turn a CreateTrainingJob request into a CreateHyperParameterTuningJob request.

Source  botocore model, CreateHyperParameterTuningJob
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit.domain.tuning_settings import NumberRange, is_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.pipeline.tuning_plan import TuningPlan
    from refit.domain.tuning_settings import Range, TuningSettings

# Without a cut at the smallest resource, Hyperband would judge trials by their first round.
_SHARE_BEFORE_FIRST_CUT = 27
_MAX_RESOURCE = 20_000
_SCALING = {
    "auto": "Auto",
    "linear": "Linear",
    "logarithmic": "Logarithmic",
    "reverse_logarithmic": "ReverseLogarithmic",
}


def tuning_request(
    training: Mapping[str, Any], plan: TuningPlan, settings: TuningSettings
) -> dict[str, Any]:
    """Return the request without its name.

    Args:
        training: the CreateTrainingJob request of a trial, without its name.
        plan: metric, ranges and the hyperparameters of every trial.
        settings: `[tuning]` of model.toml.
    """
    definition = {k: v for k, v in training.items() if k not in ("HyperParameters", "Tags")}
    return {
        "HyperParameterTuningJobConfig": {
            "Strategy": settings.strategy.title(),
            "HyperParameterTuningJobObjective": {
                "Type": "Maximize" if plan.maximize else "Minimize",
                "MetricName": f"validation:{plan.metric}",
            },
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": settings.max_jobs,
                "MaxParallelTrainingJobs": min(settings.max_parallel, settings.max_jobs),
            },
            "ParameterRanges": _parameter_ranges(plan.ranges),
            "TrainingJobEarlyStoppingType": settings.early_stopping.title(),
            **_options(plan, settings),
        },
        "TrainingJobDefinition": {**definition, "StaticHyperParameters": plan.static},
        "Tags": training["Tags"],
    }


def _options(plan: TuningPlan, settings: TuningSettings) -> dict[str, Any]:
    """Return the members that are sent only if they are needed."""
    options: dict[str, Any] = {}
    if settings.strategy == "hyperband":
        options["StrategyConfig"] = {
            "HyperbandStrategyConfig": {
                "MinResource": max(1, plan.rounds // _SHARE_BEFORE_FIRST_CUT),
                "MaxResource": min(plan.rounds, _MAX_RESOURCE),
            }
        }
    if settings.target is not None:
        options["TuningJobCompletionCriteria"] = {"TargetObjectiveMetricValue": settings.target}
    if settings.seed is not None:
        options["RandomSeed"] = settings.seed
    return options


def _parameter_ranges(ranges: Mapping[str, Range]) -> dict[str, list[dict[str, Any]]]:
    parts: dict[str, list[dict[str, Any]]] = {}
    for name, searched in ranges.items():
        if isinstance(searched, NumberRange):
            kind = "IntegerParameterRanges" if is_whole(name) else "ContinuousParameterRanges"
            bounds = {"MinValue": str(searched.min), "MaxValue": str(searched.max)}
            scaling = {"ScalingType": _SCALING[searched.scaling]}
            parts.setdefault(kind, []).append({"Name": name, **bounds, **scaling})
        else:
            values = list(searched)
            parts.setdefault("CategoricalParameterRanges", []).append(
                {"Name": name, "Values": values}
            )
    return parts
