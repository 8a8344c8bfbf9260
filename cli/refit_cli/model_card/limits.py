"""What a version was not tested for, and what is doubtful about its data, as sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit_cli.report.facts import RunFacts


def limits_of(facts: RunFacts) -> list[str]:
    """Return the sentences."""
    return [*_of_the_test(facts), *_of_the_data(facts)]


def _of_the_test(facts: RunFacts) -> Iterator[str]:
    evaluation = facts.evaluation
    if evaluation is None:
        yield "The version was not evaluated: nothing is known of its quality."
        return
    yield (
        f"The metrics were measured on {evaluation.new.rows:,} held-out rows of the same data; "
        "they say nothing about rows of another origin or a later time."
    )
    if evaluation.champion and not evaluation.comparable:
        yield "It could not be compared with the version that was live before it."
    if imbalance := evaluation.imbalance:
        yield (
            f"The class {imbalance.rare!r} is rare: {imbalance.rare_share:.1%} of the training "
            f"rows, beside {imbalance.common_share:.1%} of {imbalance.common!r}."
        )
    if lone := evaluation.lone_classes:
        yield f"{lone.lone:,} of {lone.classes:,} classes have one training row only."
    for name, quality in (evaluation.new.challenger.per_class or {}).items():
        if quality.support == 0:
            yield f"No held-out row is of the class {name!r}: its quality is not known."
    yield from evaluation.notes


def _of_the_data(facts: RunFacts) -> Iterator[str]:
    manifest = facts.manifest
    learned = (manifest.learned if manifest else None) or facts.run.learned
    if manifest and manifest.rows.quarantined:
        yield f"{manifest.rows.quarantined:,} rows were refused and taught it nothing."
    if learned:
        yield from learned.doubts
    if ranges_of(facts.profile):
        yield "Numbers beyond their ranges in training (see Data) rest on no training row."


def ranges_of(profile: dict[str, Any] | None) -> dict[str, list[float]]:
    """Return the smallest and the largest value of each number in training, by its column."""
    return {
        column["name"]: [column["min"], column["max"]]
        for column in (profile or {}).get("columns", [])
        if column.get("type") == "number" and column.get("min") is not None
    }
