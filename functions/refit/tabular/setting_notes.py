"""Say which settings of `[data]` have no effect on the files of a drop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refit.domain.data_settings import DataSettings
    from refit.tabular.readers.table import CsvTable
    from refit.tabular.split import Split

_HELD_OUT: tuple[Split, ...] = ("validation", "test")


def unused_settings(
    tables: Sequence[CsvTable], settings: DataSettings, given: frozenset[Split]
) -> list[str]:
    """Return a note for each setting that the drop leaves without an effect.

    Args:
        tables: of the drop.
        settings: as they were parsed; what is recorded of a run does not say which keys were set.
        given: splits that folders define.
    """
    was_set = settings.model_fields_set
    notes = [
        f"[data] {split}_fraction has no effect on the dropped files, because the folder {split}/ "
        f"has the {split} rows"
        for split in _HELD_OUT
        if split in given and f"{split}_fraction" in was_set
    ]
    dropped = [table for table in tables if table.origin == "dropped"]
    if dropped and all(table.columns is not None for table in dropped):
        notes += [
            f"[data] {key} has no effect, because no dropped file is CSV"
            for key in ("header", "delimiter")
            if getattr(settings, key) != "auto"
        ]
    return notes
