"""What the console says of the inputs: over which time they are compared, and since when."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.support import console_answers as recorded
from tests.support.browser import NEEDS_CHROMIUM
from tests.support.recorded_runs import DIGITS, ago

if TYPE_CHECKING:
    from tests.integration.console.conftest import OpenConsole, RecordedApi

pytestmark = NEEDS_CHROMIUM

WEEK = timedelta(days=7)


@pytest.fixture
def shown(console: OpenConsole, api: RecordedApi) -> Any:
    """Return a function that opens the inputs, with changes of the recorded answer."""

    def show(column: dict[str, Any] | None = None, **changes: Any) -> Any:
        quality = recorded.quality(DIGITS)
        assert quality.inputs is not None
        first, *others = quality.columns
        update = {
            "inputs": quality.inputs.model_copy(update=changes),
            "columns": (first.model_copy(update=column or {}), *others),
        }
        api.show(recorded.model(DIGITS))
        api.give(f"GET models/{DIGITS}/quality", quality.model_copy(update=update))
        console.open(f"/models/{DIGITS}/inputs")
        console.page.get_by_role("heading", name="Columns, largest shift first").wait_for()
        return console.page

    return show


def test_inputs_are_shown_over_a_whole_season_with_the_accuracy_to_expect(shown: Any) -> None:
    page = shown()
    page.get_by_text("a whole week").wait_for()
    day = (ago(0) - WEEK).strftime("%b %Y")
    expect(page.get_by_text(re.compile(rf"from \d+ {day}, .* to \d+ "))).to_have_count(1)
    page.get_by_text("an accuracy of 90.0 % is expected").wait_for()
    expect(page.get_by_text("Distributions are compared")).to_have_count(0)
    expect(page.get_by_text("Outages")).to_have_count(0)


def test_the_first_season_says_when_inputs_are_compared_and_judges_no_shift(shown: Any) -> None:
    page = shown(
        since=ago(60),
        compared_from=ago(60) + WEEK,
        estimated_accuracy=None,
        column={"unseen": 0.25, "flagged": False},
    )
    page.get_by_text("less than a week").wait_for()
    page.get_by_text(
        "Distributions are compared, and accuracy is estimated, over a whole week"
    ).wait_for()
    page.get_by_text("25.0 % of the newest cohort never seen in training").wait_for()
    expect(page.get_by_text("the threshold of")).to_have_count(0)
    expect(page.get_by_text("is expected before labels")).to_have_count(0)


def test_an_outage_is_shown_with_its_share(shown: Any) -> None:
    page = shown(missed=0.125)
    page.get_by_text("Outages prevented about 12.5 % of the predictions of this week.").wait_for()


def test_a_single_cohort_is_shown_without_a_season(shown: Any) -> None:
    page = shown(season_s=0)
    expect(page.get_by_text("week")).to_have_count(0)
    expect(page.get_by_text("the threshold of")).not_to_have_count(0)
