"""Small tables of the kinds that people bring, for tests of the command line."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {"setosa": 1.5, "versicolor": 4.2, "virginica": 5.6}


def flowers(rows: int = 150, *, decimal: str = ".") -> list[list[str]]:
    """Return rows of two measures and the kind of a flower, which they almost tell."""
    rng = random.Random(7)
    made = []
    for number in range(rows):
        kind = list(_KINDS)[number % 3]
        long = f"{rng.gauss(_KINDS[kind], 0.6):.2f}".replace(".", decimal)
        wide = f"{abs(rng.gauss(_KINDS[kind] / 3, 0.3)):.2f}".replace(".", decimal)
        made.append([long, wide, kind])
    return made


def write_csv(
    path: Path, rows: list[list[str]], header: list[str] | None = None, delimiter: str = ","
) -> Path:
    """Write a CSV file without quotes, and return its path."""
    lines = [header] if header else []
    path.write_text("".join(delimiter.join(row) + "\n" for row in [*lines, *rows]))
    return path
