"""Start a search from the trials of earlier tuning jobs.

Source  SageMaker Developer Guide, "Run a Warm Start Hyperparameter Tuning Job", restrictions. The
        texts of the errors are not documented
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.records.job_kinds import FINAL_STATUSES
from refit_local.sagemaker.records.naming import TUNING_JOB
from refit_local.sagemaker.tuning.checks import MAX_JOBS, jobs_of
from refit_local.sagemaker.tuning.trials import objective_of, trials_of
from refit_local.sagemaker.wire.errors import ResourceNotFound, ValidationException

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from refit_local.sagemaker.records.store import Record, RecordStore

MAX_CHANGES = 10
_ADDED = "_tuning_objective_metric"


def parents_of(store: RecordStore, request: Mapping[str, Any]) -> list[Record]:
    """Return the parent tuning jobs of a request, after checking the restrictions.

    Raises:
        ResourceNotFound: when a parent does not exist.
        ValidationException: when a restriction is broken.
    """
    warm = request.get("WarmStartConfig")
    if warm is None:
        return []
    config = request["HyperParameterTuningJobConfig"]
    if config["Strategy"] not in ("Bayesian", "Random"):
        raise ValidationException(
            f"A warm start is supported for the strategies Bayesian and Random, not "
            f"{config['Strategy']}."
        )
    names = [p["HyperParameterTuningJobName"] for p in warm["ParentHyperParameterTuningJobs"]]
    parents = []
    for name in names:
        parent = store.get(TUNING_JOB, name)
        if parent is None:
            raise ResourceNotFound(f"The parent tuning job {name} does not exist.")
        _check_parent(parent, request, identical=warm["WarmStartType"] != "TransferLearning")
        parents.append(parent)
    trials = sum(len(_trials(store, parent)) for parent in parents)
    if trials + jobs_of(config) > MAX_JOBS:
        raise ValidationException(
            f"The training jobs of the parents count: {trials} of {MAX_JOBS} are used."
        )
    return parents


def known_trials(
    store: RecordStore, parents: list[Record]
) -> Iterator[tuple[dict[str, str], float]]:
    """Yield hyperparameters and objective of each trial of the parents that has one.

    What was static in a parent and is searched now has the static value.
    """
    for parent in parents:
        static = parent["TrainingJobDefinition"].get("StaticHyperParameters", {})
        for job in _trials(store, parent):
            value = objective_of(job)
            if value is not None:
                yield {**static, **job["_tuned"]}, value


def _trials(store: RecordStore, parent: Record) -> list[Record]:
    return trials_of(store, parent["HyperParameterTuningJobArn"])


def _check_parent(parent: Record, request: Mapping[str, Any], *, identical: bool) -> None:
    name = parent["HyperParameterTuningJobName"]
    if parent["HyperParameterTuningJobStatus"] not in FINAL_STATUSES:
        raise ValidationException(f"The parent tuning job {name} has not ended.")
    config = request["HyperParameterTuningJobConfig"]
    definition = request["TrainingJobDefinition"]
    earlier = parent["HyperParameterTuningJobConfig"]
    objective = "HyperParameterTuningJobObjective"
    if earlier[objective] != config[objective]:
        raise ValidationException(f"The objective metric of the parent {name} is another one.")
    before, after = _kinds(earlier), _kinds(config)
    changed = [key for key in before.keys() & after.keys() if before[key][0] != after[key][0]]
    if changed:
        raise ValidationException(
            f"The type of {', '.join(sorted(changed))} differs from that in the parent {name}."
        )
    old = _static(parent["TrainingJobDefinition"])
    new = _static(definition)
    if len(old) + len(before) != len(new) + len(after):
        raise ValidationException(
            "The total number of static and tunable hyperparameters must be that of the parent "
            f"{name}."
        )
    changes = sum(before[key][1] for key in before.keys() & new.keys())
    changes += sum(old[key] != new[key] for key in old.keys() & new.keys())
    if changes > MAX_CHANGES:
        raise ValidationException(
            f"{changes} hyperparameters were changed since the parent {name}; {MAX_CHANGES} "
            "changes are allowed."
        )
    if identical:
        _check_identical(parent["TrainingJobDefinition"], definition, name)


def _check_identical(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> None:
    image = "AlgorithmSpecification", "TrainingImage"
    same_image = old[image[0]].get(image[1]) == new[image[0]].get(image[1])
    if not same_image or old.get("InputDataConfig") != new.get("InputDataConfig"):
        raise ValidationException(
            f"Image and input data must be those of the parent {name} for the warm start type "
            "IdenticalDataAndAlgorithm."
        )


def _static(definition: Mapping[str, Any]) -> dict[str, str]:
    static = definition.get("StaticHyperParameters", {})
    return {key: value for key, value in static.items() if key != _ADDED}


def _kinds(config: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Return the kind of each range, and how many changes it is to make it static."""
    return {
        spec["Name"]: (kind, len(spec.get("Values", [None])))
        for kind, specs in config.get("ParameterRanges", {}).items()
        for spec in specs
    }
