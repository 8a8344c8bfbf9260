"""Copy the held-out rows of the champion that a challenger has not been trained on.

Both versions predict the copies, which are the base rows of the gate.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from itertools import compress
from typing import IO, TYPE_CHECKING

from refit.domain.pipeline.split_rule import NotComparable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refit.domain.naming import RunKeys
    from refit.domain.pipeline.split_rule import SplitRule
    from refit.usecases.services import Services

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class BaseRows:
    """What was copied.

    Attributes:
        exist: whether there are base rows.
        notes: which rows were not copied, and why, as sentences for the gate.
    """

    exist: bool
    notes: tuple[str, ...] = ()


def copy_base_rows(
    services: Services,
    champion: RunKeys,
    keys: RunKeys,
    rule: SplitRule,
    test_fraction: float,
) -> BaseRows:
    """Copy rows, labels and weights.

    Args:
        services: the AWS services and the clock of this process.
        champion: keys of the champion's run.
        keys: keys of the challenger's run.
        rule: how the rows of the challenger's run were split.
        test_fraction: share of the rows that the challenger's run has held out as test rows.
    """
    manifest = services.artifacts.manifest(champion.model, champion.run)
    files = [
        (f"{champion.evaluation_input}new.csv", f"{keys.evaluation_input}base.csv"),
        (champion.evaluation_labels("new"), keys.evaluation_labels("base")),
    ]
    if manifest.settings.data.weight is not None:
        files.append((champion.evaluation_weights("new"), keys.evaluation_weights("base")))
    try:
        cut = rule.fair_after(manifest.split)
    except NotComparable as error:
        return BaseRows(
            exist=False,
            notes=(
                f"Not comparable on base rows: {error}, so each version may have been trained on "
                "held-out rows of the other; the new rows decide.",
            ),
        )
    before = manifest.settings.data.test_fraction
    if cut is None and "test" not in manifest.split.given and test_fraction < before:
        return BaseRows(
            exist=False,
            notes=(
                f"Not comparable on base rows: [data] test_fraction was {before:g} for the live "
                f"version and is {test_fraction:g} now, so the new version may have been trained "
                "on held-out rows of the live one; the new rows decide.",
            ),
        )
    if cut is None:
        for source, target in files:
            services.bucket.copy(source, target)
        return BaseRows(exist=True)
    times = services.bucket.read(champion.evaluation_times("new")).split(b"\n")[:-1]
    # A labelled prediction has no time. Its split does not depend on the cut.
    fair = [not time or float(time) > cut for time in times]
    if manifest.settings.data.weight is not None:
        weights = services.bucket.read(champion.evaluation_weights("new")).split(b"\n")[:-1]
        if not any(map(float, compress(weights, fair))):  # nothing to measure
            fair = [False] * len(fair)
    return _copied(services, files, fair, _notes(fair, rule, manifest.split))


def _copied(
    services: Services,
    files: Sequence[tuple[str, str]],
    fair: Sequence[bool],
    notes: tuple[str, ...],
) -> BaseRows:
    """Copy the lines of the fair rows of each file."""
    if not any(fair):
        return BaseRows(exist=False, notes=notes)
    for source, target in files:
        if all(fair):
            services.bucket.copy(source, target)
            continue
        with ExitStack() as stack:
            stream = services.bucket.open(source)
            stack.callback(stream.close)
            writer = stack.enter_context(services.bucket.writer(target))
            rows = iter(fair)
            for lines in _lines(stream):
                for line in compress(lines, rows):
                    writer.write(line + b"\n")
    return BaseRows(exist=True, notes=notes)


def _notes(fair: Sequence[bool], rule: SplitRule, champion: SplitRule) -> tuple[str, ...]:
    assert rule.cut is not None
    assert champion.cut is not None
    notes = []
    rows, after = len(fair), f"the new cut ({rule.cut.text} in {rule.column!r})"
    if not any(fair):
        notes.append(
            f"Not comparable on base rows: all {rows:,} of them are older than {after}, so the "
            "challenger may have been trained on them; the new rows decide."
        )
    elif not all(fair):
        notes.append(
            f"Of the {rows:,} held-out rows of the live version, {sum(fair):,} are base rows: the "
            f"others are older than {after}, so the challenger may have been trained on them."
        )
    if rule.is_older_than(champion):
        notes.append(
            f"The new rows begin after {rule.cut.text}, before the cut of the live version "
            f"({champion.cut.text}), so the live version may have been trained on some of them."
        )
    return tuple(notes)


def _lines(stream: IO[bytes]) -> Iterator[list[bytes]]:
    """Yield the lines of a stream without line ends, about a megabyte at a time."""
    rest = b""
    while block := stream.read(_READ_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        yield lines
    assert not rest, "each row was written with a line end"
