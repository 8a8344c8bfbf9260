"""Check the splits of a drop, and say how its rows were split."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from refit.domain.cells import number_text
from refit.domain.errors import DatasetInvalid
from refit.domain.pipeline.split_rule import SplitRule, TimeCut

if TYPE_CHECKING:
    from refit.domain.column_reading import ColumnReading
    from refit.domain.data_settings import DataSettings, RowRole
    from refit.tabular.reading_plan import ReadingPlan
    from refit.tabular.split import Split
    from refit.tabular.spooled import SpooledRows

REQUIRED_SPLITS: tuple[Split, ...] = ("test", "train")
_HELD_OUT: tuple[Split, ...] = ("validation", "test")
_FEWEST_GROUPS = 5
_FAR = 2
"""A share of held-out rows is far from the setting if it differs by more than this factor."""


def check_given_splits(given: frozenset[Split], settings: DataSettings) -> None:
    """Refuse folders that hold out rows if the settings hold out the newest ones.

    Raises:
        DatasetInvalid: naming the folder and the setting.
    """
    folders = [f"{split}/" for split in _HELD_OUT if split in given]
    if settings.time is not None and folders:
        raise DatasetInvalid(
            f"the drop has the folder {' and '.join(folders)}, and [data] time = "
            f"{settings.time!r} holds out the newest rows: drop the files without these folders, "
            "or remove [data] time"
        )


def check_splits(spooled: SpooledRows, settings: DataSettings) -> None:
    """Check that there are rows to train on and rows to evaluate with.

    Raises:
        DatasetInvalid: if a required split has no row, or all of its weights are 0.
    """
    for split in REQUIRED_SPLITS:
        if not spooled.rows[split]:
            raise DatasetInvalid(_no_row(split, spooled, settings))
    for split, weight in spooled.weights.items():
        if spooled.is_weighted and spooled.rows[split] and not weight:
            raise DatasetInvalid(
                f"all {spooled.rows[split]:,} {split} rows have the weight 0 ([data] weight = "
                f"{settings.weight!r}): at least one must count"
            )


def _no_row(split: Split, spooled: SpooledRows, settings: DataSettings) -> str:
    total = spooled.rows.total()
    enough = round(5 / settings.test_fraction)
    none = f"none of the {total:,} rows is in the {split} split"
    if spooled.groups is not None:
        count = spooled.groups.total
        return (
            f"{none}, which a hash of each {settings.group!r} decides ([data] group), and there "
            f"{'is 1 group' if count == 1 else f'are {count:,} groups'}: drop rows of more groups "
            f"({enough} are almost always enough), or add a {split}/ folder"
        )
    if spooled.is_timed:
        return (
            f"all {total - spooled.labelled.total():,} dropped rows have the same "
            f"{settings.time!r} ([data] time), so there are no newest rows to hold out: drop rows "
            "of several times, or remove [data] time"
        )
    return (
        f"{none}, which a hash of each row decides: drop more rows ({enough} different ones are "
        f"almost always enough), or add a {split}/ folder"
    )


def split_rule(plan: ReadingPlan, spooled: SpooledRows, given: frozenset[Split]) -> SplitRule:
    """Return how the dropped rows were split."""
    readings, splits = _readings(plan), tuple(sorted(given))
    if "group" in readings:
        return SplitRule(by="group", column=readings["group"].name, given=splits)
    if "time" not in readings:
        return SplitRule(given=splits)
    reading, cut = readings["time"], None
    if spooled.cuts is not None:
        cut = TimeCut(
            kind="date" if reading.type == "date" else "number",
            number=spooled.cuts.test,
            text=_time_text(spooled.cuts.test, reading),
        )
    return SplitRule(by="time", column=reading.name, cut=cut, given=splits)


def split_notes(plan: ReadingPlan, spooled: SpooledRows) -> list[str]:
    """Say how the rows were split and weighted by the columns that the settings name."""
    readings, notes = _readings(plan), []
    if "group" in readings and spooled.groups is not None:
        name = readings["group"].name
        notes.append(f"rows are split by {name!r}: {spooled.groups.total:,} groups")
        if spooled.groups.ungrouped:
            notes.append(
                f"{spooled.groups.ungrouped:,} rows have no {name!r} and are split by their "
                "features"
            )
    if "time" in readings and spooled.cuts is not None:
        reading = readings["time"]
        dropped = {split: spooled.rows[split] - spooled.labelled[split] for split in _HELD_OUT}
        notes.append(
            f"rows are split by {reading.name!r}: {dropped['test']:,} test rows are after "
            f"{_time_text(spooled.cuts.test, reading)}, and {dropped['validation']:,} validation "
            f"rows before them are after {_time_text(spooled.cuts.validation, reading)}"
        )
    labelled = spooled.labelled.total()
    if spooled.is_weighted and labelled:
        notes.append(f"{labelled:,} labelled predictions have no weight and count as 1")
    return notes


def split_doubts(
    spooled: SpooledRows, settings: DataSettings, given: frozenset[Split]
) -> list[str]:
    """Return what a person should check about the splits, as sentences."""
    doubts = []
    if spooled.groups is not None:
        shared, total = spooled.groups.shared, spooled.groups.total
        if shared:
            doubts.append(
                f"{shared:,} of {total:,} groups ({settings.group!r}) occur in more than one of "
                "the splits that the folders define, so the held-out rows are not independent of "
                "the training rows: put all rows of a group into one folder"
            )
        count = spooled.groups.count("test")
        if spooled.rows["test"] and 0 < count < _FEWEST_GROUPS:
            doubts.append(
                f"the test rows are of {'1 group' if count == 1 else f'{count} groups'} "
                f"({settings.group!r}) only, so the metrics are less certain than their intervals "
                "say: drop rows of more groups"
            )
    if settings.group is not None or settings.time is not None:
        doubts += _far_shares(spooled, settings, given)
    return doubts


def _far_shares(spooled: SpooledRows, settings: DataSettings, given: frozenset[Split]) -> list[str]:
    rows = spooled.rows.total()
    wanted = {"validation": settings.validation_fraction, "test": settings.test_fraction}
    name = settings.group or settings.time
    doubts = []
    for split in _HELD_OUT:
        share = spooled.rows[split] / max(1, rows)
        is_far = share > _FAR * wanted[split] or _FAR * share < wanted[split]
        if is_far and split not in given and rows:
            doubts.append(
                f"{share:.1%} of the rows are {split} rows, not {wanted[split]:.1%} ([data] "
                f"{split}_fraction), because all rows of one {name!r} are in the same split"
            )
    return doubts


def _readings(plan: ReadingPlan) -> dict[RowRole, ColumnReading]:
    return {role.role: role.reading for role in plan.roles}


def _time_text(number: float, reading: ColumnReading) -> str:
    if reading.type != "date":
        return number_text(number)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=round(number * 86_400_000))
    text = moment.replace(tzinfo=None).isoformat(sep=" ")
    return text.removesuffix(" 00:00:00")
