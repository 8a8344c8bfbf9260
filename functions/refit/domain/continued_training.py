"""The setting `[training] continue_from`: which version a training continues."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

MAX_CONTINUATIONS = 100


def _champion_or_version(value: object) -> object:
    is_version = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value is None or value == "champion" or is_version:
        return value
    raise ValueError("allowed: 'champion', or the number of a version, such as 3")


ContinueFrom: TypeAlias = Annotated[
    Literal["champion"] | Annotated[int, Field(ge=1)] | None,
    BeforeValidator(_champion_or_version),
    Field(
        description="Continue the training of a version by further rounds, in place of a training "
        "from the first round: `champion`, the live version, or the number of a version "
        "([when to](continued-training.md)). Without a live version, `champion` trains from the "
        "first round. Not with folds, tuning or `[data] time`."
    ),
]
Continuations: TypeAlias = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_CONTINUATIONS,
        description="With continue_from: after this many continuations in a row, a training begins "
        "from the first round, because each one adds trees and removes none.",
    ),
]


Continued: TypeAlias = Literal["champion"] | int | None


def check_fits(
    continue_from: Continued,
    algorithm: str,
    folds: int,
    time: str | int | None,
    *,
    takes_model: bool,
) -> None:
    """Check that the algorithm can continue a model, and the rows are split so that it may.

    Args:
        continue_from: the setting.
        algorithm: what trains.
        folds: `[training] folds`.
        time: `[data] time`.
        takes_model: `[training.container] model_channel`.

    Raises:
        ValueError: names the settings and the reason.
    """
    shown = f"continue_from = {continue_from!r}"
    if continue_from is not None and algorithm == "own" and not takes_model:
        raise ValueError(
            f"{shown} needs [training.container] model_channel = true, if your container continues "
            "the model that it finds in the channel 'model'; otherwise leave continue_from out"
        )
    if continue_from is not None and algorithm not in {"xgboost", "own"}:
        raise ValueError(
            f"{shown} needs algorithm = 'xgboost' or an image of your own: {algorithm!r} does not "
            "continue an earlier model; leave continue_from out"
        )
    if continue_from is not None and folds:
        raise ValueError(
            f"{shown} does not fit folds = {folds}: the earlier model was trained on rows that the "
            "folds hold out, so their figures would be too good; set folds to 0, or leave "
            "continue_from out"
        )
    if continue_from is not None and time is not None:
        raise ValueError(
            f"{shown} does not fit [data] time = {time!r}: the cut in time moves, so the earlier "
            "model may have been trained on rows that stop this training early; leave "
            "continue_from out"
        )


def check_not_tuned(continue_from: Continued, max_jobs: int) -> None:
    """Check that the training that continues a version is no tuning job.

    Raises:
        ValueError: names the settings and the reason.
    """
    if continue_from is not None and max_jobs:
        raise ValueError(
            f"max_jobs = {max_jobs} does not fit [training] continue_from = {continue_from!r}: a "
            "tuning job searches the hyperparameters of trainings from the first round; set "
            "max_jobs to 0, or leave continue_from out"
        )
