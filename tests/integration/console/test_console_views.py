"""All views of the console with recorded answers: for everyone, on every screen, with any text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from refit.domain.answers.stage import Stage
from refit.domain.retraining.state import RetrainingStatus

from tests.support import console_answers as recorded
from tests.support.browser import NEEDS_CHROMIUM, PHONE, TABS, axe, settled
from tests.support.recorded_runs import DIGITS, HOUSES, HTML, RUN, WINE

if TYPE_CHECKING:
    from tests.integration.console.conftest import OpenConsole, RecordedApi

pytestmark = NEEDS_CHROMIUM

ADDRESSES = [
    "/",
    *(f"/models/{DIGITS}/{tab}" for tab in TABS),
    f"/models/{DIGITS}/runs/{RUN}",
    f"/models/{WINE}/try",
    f"/models/{WINE}/runs/{RUN}",
    f"/models/{HOUSES}/quality",
    f"/models/{HOUSES}/try",
    f"/models/{HOUSES}/runs/{RUN}",
    "/models/no-such-model",
]


@pytest.fixture(autouse=True)
def all_models(api: RecordedApi) -> None:
    api.show(recorded.model(DIGITS, Stage.BLOCKED, RetrainingStatus.BLOCKED))
    api.show(recorded.model(WINE))
    api.show(recorded.model(HOUSES))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_view(new_console: Any, theme: str) -> None:
    console = new_console(color_scheme=theme)
    page, findings = console.page, {}
    for address in ADDRESSES:
        console.open(address)
        settled(page)
        findings[address] = axe(page)
    page.goto(f"{page.url.partition('#')[0]}#/no-such-view")
    page.get_by_role("heading", name="Not found").wait_for()
    findings["no view"] = axe(page)
    console.open(f"/models/{DIGITS}")
    page.get_by_role("button", name="Unblock").click()
    findings["dialog"] = axe(page)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to Refit").wait_for()
    findings["sign in"] = axe(page)
    assert {address: found for address, found in findings.items() if found} == {}
    assert console.complaints == []


def test_an_address_that_changes_while_the_page_starts_is_followed(new_console: Any) -> None:
    console = new_console()
    # Effects after painting run half a second late, as on a busy machine.
    console.page.add_init_script(
        "const later = setTimeout;"
        "window.setTimeout = (run, wait, ...others) => later(run, (wait ?? 0) + 500, ...others);"
        "window.requestAnimationFrame = (run) => later(run, 500);"
    )
    console.page.reload()
    console.open(f"/models/{DIGITS}/try")


def test_no_view_scrolls_sideways_on_a_phone(new_console: Any) -> None:
    width, height = PHONE
    console = new_console(viewport={"width": width, "height": height})
    wide = {}
    for address in ADDRESSES:
        console.open(address)
        settled(console.page)
        wide[address] = console.page.evaluate("document.documentElement.scrollWidth")
    assert {address: found for address, found in wide.items() if found > width} == {}


def test_texts_with_html_are_shown_as_they_are(console: OpenConsole) -> None:
    page = console.page
    for address in (
        f"/models/{WINE}/try",
        f"/models/{WINE}/runs/{RUN}",
        f"/models/{DIGITS}/inputs",
    ):
        console.open(address)
        settled(page)
        page.get_by_text(HTML).first.wait_for()
        assert page.locator("#app img, #app script").count() == 0


def test_a_lost_connection_is_shown_with_its_time_and_ends_by_itself(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    console.open(f"/models/{DIGITS}/labels")
    page.get_by_text("How well predictions are labelled").wait_for()
    page.route("**/models**", lambda route: route.abort())
    page.evaluate("dispatchEvent(new Event('online'))")
    page.locator(".connection.lost").get_by_text("No connection since").wait_for()
    page.get_by_text("How well predictions are labelled").wait_for()
    page.unroute("**/models**")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.locator(".connection.lost").wait_for(state="detached")


def test_the_cause_of_each_run_is_said_in_the_list(console: OpenConsole) -> None:
    console.open(f"/models/{DIGITS}/runs")
    said = console.page.get_by_text("Drift was detected: 40 of 120 predictions are wrong.")
    expect(said).to_have_count(2)
    expect(console.page.locator(".row-run").nth(1)).to_contain_text("accuracy 96.4 %")


def test_a_run_shows_held_out_pictures_with_what_they_are_and_what_was_predicted(
    console: OpenConsole,
) -> None:
    page = console.page
    console.open(f"/models/{DIGITS}/runs/{RUN}")
    pictures = page.locator(".pictures li")
    expect(pictures).to_have_count(10)
    expect(pictures.first).to_contain_text("predicted 7, 81 %")
    expect(pictures.first).to_contain_text("version 1: 0")


def test_a_run_of_a_table_shows_held_out_rows(console: OpenConsole) -> None:
    console.open(f"/models/{HOUSES}/runs/{RUN}")
    rows = console.page.get_by_role("region", name="Held-out rows", exact=True).locator("tbody tr")
    expect(rows).to_have_count(1)
    for text in ("310,000", "287,512", "93.5"):
        expect(rows.first).to_contain_text(text)


def test_a_stack_that_needs_signed_requests_says_what_to_use_instead(
    new_console: Any, api: RecordedApi
) -> None:
    message = "Missing Authentication Token"
    api.refuse("GET models", 403, "MISSING_AUTHENTICATION_TOKEN", message)
    page = new_console(keys={}).page
    page.get_by_label("The operate key").fill("a-key")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("ApiAuthorizer is AWS_IAM").wait_for()
    page.get_by_text("use the refit command").wait_for()


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (403, "FORBIDDEN", "This stack does not know this key."),
        (403, "KeyNotAllowed", "does not open this route"),
        (429, "THROTTLED", "the limit of the API key is reached"),
        (502, "DEFAULT_5XX", "The API has a problem at the moment."),
    ],
)
def test_a_refused_sign_in_says_why(
    new_console: Any, api: RecordedApi, status: int, code: str, text: str
) -> None:
    api.refuse("GET models", status, code, "no")
    page = new_console(keys={}).page
    page.get_by_label("The operate key").fill("a-key")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text(text).wait_for()
