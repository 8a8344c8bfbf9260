"""A fast version of table E of the benchmarks: healthy seasons raise no alarm, and rises do."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
SEED, RUNS = 13, 2


@pytest.fixture(scope="module")
def table() -> ModuleType:
    """Return the benchmark."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return importlib.import_module("drift_seasons")
    finally:
        sys.path.remove(str(BENCHMARKS))


def alarms(table: ModuleType, measure: str, **world: Any) -> dict[str, list[Any]]:
    """Return by setting what each run gives."""
    seen = [getattr(table, measure)(SEED, run, **world) for run in range(RUNS)]
    return dict(zip(table.SETTINGS, map(list, zip(*seen, strict=True)), strict=True))


@pytest.mark.parametrize("n", [20, 2000])
@pytest.mark.parametrize("swing", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("season", ["daily", "weekly", "both"])
def test_a_healthy_season_raises_no_alarm(
    table: ModuleType, n: int, swing: float, season: str
) -> None:
    seen = alarms(table, "healthy", n=n, swing=swing, season=season)
    assert not any(seen["default"])
    if season == "daily":
        assert not any(seen["season_s = 86400"])
    if swing == 0.8 and n == 2000:
        assert all(seen["without a season"])  # the control: this season is large enough to mislead


@pytest.mark.parametrize("kind", ["traffic", "class mix"])
def test_a_season_of_traffic_or_of_classes_raises_no_alarm(table: ModuleType, kind: str) -> None:
    assert not any(alarms(table, "traffic", n=200, kind=kind)["default"])


@pytest.mark.parametrize(
    ("points", "within_day", "within_default"), [(0.08, 24, 72), (0.16, 12, 48), (0.40, 2, 3)]
)
@pytest.mark.parametrize("swing", [0.0, 0.5])
def test_a_rise_is_detected_in_time(
    table: ModuleType, points: float, within_day: int, within_default: int, swing: float
) -> None:
    seen = alarms(table, "rise", n=200, points=points, swing=swing)
    assert all(at is not None and 0 <= at <= within_day for at in seen["season_s = 86400"])
    assert all(at is not None and 0 <= at <= within_default for at in seen["default"])
