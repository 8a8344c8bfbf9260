"""A seed repeats its faults, at about the stated rate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from refit_local.ministack.hostile.faults import Faults, Kind
from refit_local.sagemaker import faults as orders

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def outcomes(seed: int, folder: Path, factor: float = 1) -> list[bool]:
    faults = Faults(seed, factor, folder)
    return [faults.strikes(Kind.LATE_EVENT) for _ in range(2_000)]


def test_a_seed_repeats_its_faults(tmp_path: Path) -> None:
    assert outcomes(1, tmp_path) == outcomes(1, tmp_path)
    assert outcomes(1, tmp_path) != outcomes(2, tmp_path)


def test_a_kind_does_not_depend_on_the_occasions_of_others(tmp_path: Path) -> None:
    faults = Faults(1, 1, tmp_path)
    for _ in range(50):
        faults.strikes(Kind.THROTTLED_REQUEST)
    assert [faults.strikes(Kind.LATE_EVENT) for _ in range(2_000)] == outcomes(1, tmp_path)


def test_faults_come_at_the_stated_rate_times_the_factor(tmp_path: Path) -> None:
    assert 300 < sum(outcomes(1, tmp_path)) < 500  # 20 % of 2,000
    assert 150 < sum(outcomes(1, tmp_path, factor=0.5)) < 250
    assert not any(outcomes(1, tmp_path, factor=0))


def test_the_lag_of_the_list_of_packages_can_be_set_for_every_local_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert orders.Faults(tmp_path).list_lag_s("a-group") == 0
    monkeypatch.setenv(orders.LIST_LAG_VARIABLE, "3")
    assert orders.Faults(tmp_path).list_lag_s("a-group") == 3
    (tmp_path / orders.FILE).write_text(json.dumps({"ListLagSeconds": 5}))
    assert orders.Faults(tmp_path).list_lag_s("a-group") == 5
