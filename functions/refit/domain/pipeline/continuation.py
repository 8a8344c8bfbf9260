"""Decide whether a training may continue an earlier version, and record that it did.

A continued model has seen the training rows of all versions before it. It must not be judged, and
not be stopped early, on any of them: rows must be split as the earlier version's were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from refit.domain.algorithm_settings import IMAGE_URI
from refit.domain.column_reading import name_key
from refit.domain.errors import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.domain.pipeline.split_rule import SplitRule
    from refit.domain.schema import Schema
    from refit.domain.training_settings import TrainingSettings

ROUNDS = 100
ROUNDS_WITHOUT_VALIDATION = 20
"""Further rounds at most, and without early stopping (figures: docs/continued-training.md)."""

BUILT_IN_METRICS = frozenset(
    "accuracy balanced_accuracy f1 f1_binary f1_macro mse precision precision_macro "
    "precision_micro r2 recall recall_macro recall_micro".split()
)
"""Metrics of the image's built-in mode, which XGBoost itself does not have."""

_ROUNDING = 1e-9
_HELD_OUT = frozenset({"validation", "test"})
_BUILT_IN_HYPERPARAMETERS = frozenset({"save_model_on_termination", "prob_buffer_row"})
_FIXED = {"booster": "gbtree", "num_parallel_tree": "1"}
"""Hyperparameters that all rounds of a model share, beside the objective, and their defaults."""


class Continuation(BaseModel):
    """What the training of a run continued, as the RUN item records it.

    Attributes:
        version: the version that was continued; None if the training began from the first round.
        times: number of continuations since the last training from the first round.
        reason: why the training began from the first round although the settings ask for a
            continuation.
        notes: what a person should know of the rows, as sentences without full stop.
    """

    model_config = ConfigDict(frozen=True)

    version: int | None
    times: int = 0
    reason: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The record in one line."""
        if self.version is None:
            return f"was trained from the first round: {self.reason}"
        nth = f" ({self.times} continuations in a row)" if self.times > 1 else ""
        return ". ".join([f"continued the training of version {self.version}{nth}", *self.notes])


@dataclass(frozen=True)
class TrainedRun:
    """A run, as far as it decides whether another one can continue it.

    Attributes:
        objective: that of its training job if the settings have none.
        test_fraction: share of rows with the lowest hashes, which are test rows.
        validation_fraction: share of rows with the next hashes, which are validation rows.
    """

    schema: Schema
    settings: TrainingSettings
    objective: str
    split: SplitRule
    test_fraction: float
    validation_fraction: float

    @property
    def held_out(self) -> float:
        """The share of rows that the model was not trained on."""
        return self.test_fraction + self.validation_fraction

    @property
    def repository(self) -> str | None:
        """The repository of an image of one's own; tags may differ."""
        match = IMAGE_URI.fullmatch(self.settings.image or "")
        return match["repository"] if match else None

    @property
    def fixed(self) -> dict[str, str]:
        """The hyperparameters that all rounds of a model share."""
        defaults = {"objective": self.objective} | _FIXED
        mine = self.settings.hyperparameters
        return {key: str(mine.get(key, default)) for key, default in defaults.items()}


def further_rounds(settings: TrainingSettings, has_validation: bool) -> dict[str, str]:
    """Return the number of further rounds as a hyperparameter; empty if the settings have it."""
    if "num_round" in settings.hyperparameters:
        return {}
    return {"num_round": str(ROUNDS if has_validation else ROUNDS_WITHOUT_VALIDATION)}


def continued(version: int, earlier: TrainedRun, run: TrainedRun, times: int) -> Continuation:
    """Return the record of a training that continues a version.

    Args:
        version: the earlier version.
        earlier: the run that made it.
        run: the run that trains.
        times: number of continuations in a row, this one included.

    Raises:
        SettingsInvalid: saying what differs, and what to do.
    """
    unfit = next(_differences(version, earlier, run), None) or next(_own_limits(run), None)
    if unfit is not None:
        raise SettingsInvalid(
            f"model.toml: [training] continue_from = {run.settings.continue_from!r}: {unfit}",
            advice="To train from the first round, leave continue_from out",
        )
    notes: tuple[str, ...] = ()
    if _HELD_OUT.intersection(earlier.split.given + run.split.given):
        notes = (
            "The drop itself defines the held-out rows, so Refit cannot tell whether version "
            f"{version} was trained on some of them",
        )
    return Continuation(version=version, times=times, notes=notes)


def _differences(version: int, earlier: TrainedRun, run: TrainedRun) -> Iterator[str]:
    name = f"version {version}"
    was, now = earlier.schema, run.schema
    if target := was.target_change(now):
        yield f"{name} {target}"
    if was.classes != now.classes:
        yield (
            f"{name} has {len(was.classes or ())} classes, and this run has "
            f"{len(now.classes or ())}{_new(was.classes, now.classes)}"
        )
    for change in was.changes_to(now)[:1]:
        yield f"the columns differ from those of {name}: {change}"
    for mine, theirs in zip(was.features, now.features, strict=False):
        known = mine.values or ()
        if (theirs.values or ())[: len(known)] != known:
            yield f"the categories of {mine.name!r} have other codes than in {name}"
    yield from _other_trainers(name, earlier, run)
    if earlier.settings.final == "ensemble":
        yield f"{name} is an ensemble of {earlier.settings.folds} models"
    for key, before in earlier.fixed.items():
        if run.fixed[key] != before:
            yield f"{name} was trained with {key} = {before}, and {key} is {run.fixed[key]} now"
    if (earlier.split.by, name_key(earlier.split.column or "")) != (
        run.split.by,
        name_key(run.split.column or ""),
    ):
        yield (
            f"the rows of {name} were split by {earlier.split.described} and those of this run by "
            f"{run.split.described}, so {name} may have been trained on rows that this run holds "
            "out"
        )
    yield from _larger_fractions(name, earlier, run)


def _other_trainers(name: str, earlier: TrainedRun, run: TrainedRun) -> Iterator[str]:
    """Say if another algorithm, image or program trained the version."""
    if (algorithm := earlier.settings.algorithm_name) != run.settings.algorithm_name:
        yield f"{name} was trained by algorithm {algorithm!r}"
    if earlier.repository != run.repository:
        yield f"{name} was trained by {earlier.settings.image!r}, which is of another repository"
    if earlier.settings.image_tag != run.settings.image_tag:
        yield (
            f"{name} was trained by image {earlier.settings.image_tag!r}, and image_tag is "
            f"{run.settings.image_tag!r}"
        )
    if earlier.settings.script != run.settings.script:
        yield f"{_trained_by(name, earlier)}, and this run is trained by {_program(run)}"


def _larger_fractions(name: str, earlier: TrainedRun, run: TrainedRun) -> Iterator[str]:
    """Say if the hash of a row that this run holds out may be that of an earlier training row."""
    if run.test_fraction <= earlier.test_fraction and run.held_out <= earlier.held_out + _ROUNDING:
        return
    yield (
        f"[data] test_fraction = {run.test_fraction:g} and validation_fraction = "
        f"{run.validation_fraction:g} hold out rows that {name} was trained on: its fractions were "
        f"{earlier.test_fraction:g} and {earlier.validation_fraction:g}; set no larger ones"
    )


def _trained_by(name: str, run: TrainedRun) -> str:
    return f"{name} was trained by {_program(run)}"


def _program(run: TrainedRun) -> str:
    script = run.settings.script
    return "the image's built-in mode" if script is None else f"script = {script!r}"


def _new(was: tuple[str, ...] | None, now: tuple[str, ...] | None) -> str:
    new = [repr(text) for text in now or () if text not in set(was or ())]
    return f" (new: {', '.join(new[:3])}{', …' if len(new) > 3 else ''})" if new else ""


def _own_limits(run: TrainedRun) -> Iterator[str]:
    """Say which hyperparameters belong to the built-in mode, which takes no earlier model."""
    if run.settings.algorithm_name != "xgboost":
        return
    metrics = str(run.settings.hyperparameters.get("eval_metric", "")).split(",")
    for metric in sorted(BUILT_IN_METRICS.intersection(metrics)):
        yield (
            f"[training.hyperparameters] eval_metric = {metric}: only the image's built-in mode "
            "computes it, which cannot continue a model; use a metric of XGBoost, such as rmse, "
            "logloss or mlogloss"
        )
    for key in sorted(_BUILT_IN_HYPERPARAMETERS.intersection(run.settings.hyperparameters)):
        yield (
            f"[training.hyperparameters] {key} belongs to the image's built-in mode, which cannot "
            "continue a model; leave it out"
        )
