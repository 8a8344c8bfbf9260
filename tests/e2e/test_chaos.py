"""A part of the campaign of faults that needs no stack of its own; `make chaos` runs all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tests.chaos.faults  # noqa: F401 (adds all faults to the list)
from tests.chaos.campaign import Campaign
from tests.chaos.fault import select
from tests.chaos.table import text_of

if TYPE_CHECKING:
    from tests.e2e.conftest import Digits
    from tests.e2e.driver import User

SEED = 1
FAULTS = ("killed-gate",)


def test_faults_lock_no_model_lose_nothing_and_count_nothing_twice(
    user: User, digits: Digits
) -> None:
    outcomes = list(Campaign(lambda: user, digits, SEED).run(select(FAULTS)))
    assert all(outcome.times for outcome in outcomes)
    assert [text_of(outcome) for outcome in outcomes if not outcome.survived] == []
