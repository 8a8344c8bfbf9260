"""The largest drop that a run can prepare.

PrepareFunction has 15 minutes, a disk of 10 GB and at least 1 GB of memory. docs/training.md has
the measurements behind these limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit.domain.errors import DropTooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DROP_BYTES = 4 * 1024**3
"""Largest size of all files together, packed or not: the data must fit twice on the disk."""

MAX_DROP_FILES = 10_000
"""Most files: each takes time, however small it is."""

_SHOWN_FILES = 3


def check_drop_size(sizes: Mapping[str, int]) -> None:
    """Refuse a drop that cannot be prepared.

    Args:
        sizes: size in bytes of each file, by its name.

    Raises:
        DropTooLarge: when the files are too many, or too large together.
    """
    if len(sizes) > MAX_DROP_FILES:
        raise DropTooLarge(
            f"the drop has {len(sizes):,} files, and a run can prepare {MAX_DROP_FILES:,}",
            advice="Join the files, or drop fewer of them",
        )
    total = sum(sizes.values())
    if total > MAX_DROP_BYTES:
        largest = sorted(sizes, key=lambda name: -sizes[name])
        shown = ", ".join(f"{name} ({_size(sizes[name])})" for name in largest[:_SHOWN_FILES])
        more = f" and {len(sizes) - _SHOWN_FILES} more" if len(sizes) > _SHOWN_FILES else ""
        raise DropTooLarge(
            f"the drop has {_size(total)}, and a run can prepare {_size(MAX_DROP_BYTES)}: "
            f"{shown}{more}",
            advice="Drop a sample of the rows, or leave out columns. With [data] scope = "
            '"all", remove old files from raw/',
        )


def _size(size_bytes: int) -> str:
    return (
        f"{size_bytes / 1024**3:,.2f} GiB"
        if size_bytes >= 1024**3
        else (f"{size_bytes / 1024**2:,.1f} MiB")
    )
