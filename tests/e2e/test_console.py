"""A person operates a model with the console, in a headless Chromium.

The tests follow one model and run in their order. Its column, its label and a class have HTML in
their names, which must do nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.e2e.driver import User, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.e2e.conftest import Digits

MODEL = "drawn"
HTML_LABEL = "digit<b>"
HTML_COLUMN = "<img src=x onerror=alert(1)>"
HTML_CLASS = "<script>alert(9)</script>"
SETTINGS = f"""
[data]
label = "{HTML_LABEL}"
test_fraction = 0.2

[gate]
approval = "manual"

[training.hyperparameters]
num_round = 40

[retraining]
enabled = false

[monitoring]
"""
CHROMIUM = shutil.which(os.environ.get("CHROMIUM", "chromium"))
AXE = Path(__file__).parents[1] / "fixtures/axe/axe.min.js"
SLOW_MS = 60_000
TABS = ["", "/quality", "/inputs", "/labels", "/versions", "/runs", "/try"]
THREE = [(0.3, 0.25), (0.5, 0.15), (0.7, 0.3), (0.5, 0.48), (0.72, 0.66), (0.5, 0.86), (0.3, 0.75)]
"""The corners of a 3, as shares of the side of the pad."""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason="LEFT OUT for want of a browser: the tests of the console. "
    "Install Chromium (apt-get install chromium), or set CHROMIUM to its path",
)


@dataclass
class Console:
    """The console in a browser, signed in, and all that the browser complained about."""

    page: Page
    url: str
    user: User
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        self.page.goto(f"{self.url}#{address}")

    def open_tab(self, tab: str) -> None:
        from playwright.sync_api import expect

        self.open(f"/models/{MODEL}{tab}")
        current = self.page.locator(".tabs a[aria-current=page]")
        expect(current).to_have_attribute("href", f"#/models/{MODEL}{tab}", timeout=SLOW_MS)

    def sign_in(self) -> None:
        self.page.goto(self.url)
        self.page.get_by_label("The operate key").fill(self.user.stack.api_keys["operate"])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Models").wait_for()

    def give_key(self, purpose: str) -> None:
        self.page.get_by_label(f"The {purpose} key").fill(self.user.stack.api_keys[purpose])
        self.page.get_by_role("button", name="Use this key").click()

    def confirm(self, button: str) -> None:
        self.page.get_by_role("dialog").get_by_role("button", name=button).click()
        self.page.get_by_role("dialog").wait_for(state="detached")


@pytest.fixture(scope="module")
def console(user: User) -> Iterator[Console]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root, as whom containers run.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(SLOW_MS)
        opened = Console(page, f"{user.stack.api_url}/", user)
        page.on("console", lambda message: _listen(opened, message.type, message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.on("dialog", lambda dialog: opened.complaints.append(f"dialog: {dialog.message}"))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " console.error('violation of ' + event.violatedDirective))"
        )
        yield opened
        browser.close()


def _listen(console: Console, kind: str, text: str) -> None:
    # The browser logs every answer from 400 on; the page shows these itself.
    if kind == "error" and not text.startswith("Failed to load resource"):
        console.complaints.append(text)


def csv(digits: Digits, rows: slice) -> bytes:
    names = [HTML_LABEL, HTML_COLUMN, *(f"pixel {number}" for number in range(1, 64))]
    labels = [HTML_CLASS if label == "9" else label for label in digits.texts(rows)]
    lines = [",".join(names)]
    lines += [
        ",".join([label, *map(str, image)])
        for label, image in zip(labels, digits.rows(rows), strict=True)
    ]
    return "\n".join([*lines, ""]).encode()


def test_a_wrong_key_is_refused_in_words(console: Console) -> None:
    page = console.page
    page.goto(console.url)
    page.get_by_label("The operate key").fill("no-such-key")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("This stack does not know this key.").wait_for()
    page.get_by_label("The operate key").fill(console.user.stack.api_keys["predict"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("does not open this route").wait_for()
    console.sign_in()
    stored = page.evaluate("[localStorage.length, Object.keys(sessionStorage)]")
    assert stored == [0, ["refit-key-operate"]]


def test_a_run_is_followed_without_a_reload_until_it_awaits_approval(
    console: Console, user: User, digits: Digits
) -> None:
    page = console.page
    user.drop(MODEL, {"a.csv": csv(digits, slice(0, 500))}, SETTINGS + user.pace.monitoring)
    wait_for(lambda: user.runs(MODEL) or None, "the start of the run", user.pace.run_s)
    console.open(f"/models/{MODEL}/runs")
    page.get_by_role("link", name=re.compile("^Run ")).click()
    page.get_by_role("heading", name=re.compile("Training now|Learning curves")).wait_for()
    page.locator("#main .card").get_by_text("Awaiting approval").first.wait_for()
    for heading in ("Steps", "Gate", "Evaluation", "Confusion matrix", "What was learned"):
        page.get_by_role("heading", name=heading).wait_for()


def test_names_with_html_are_shown_as_they_are(console: Console) -> None:
    page = console.page
    for name in (HTML_LABEL, HTML_COLUMN, HTML_CLASS):
        page.get_by_text(name, exact=True).first.wait_for()
    assert page.locator("#app img, #app script").count() == 0


def test_an_approved_version_becomes_live(console: Console) -> None:
    page = console.page
    page.get_by_role("link", name="Versions").click()
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Predictions continue during the deployment").wait_for()
    console.confirm("Approve")
    page.get_by_role("heading", name="Version 1", exact=True).wait_for()
    page.locator(".version.is-live").wait_for()


def test_a_drawn_digit_is_predicted_and_its_truth_is_counted(console: Console) -> None:
    page = console.page
    page.get_by_role("link", name="Try it").click()
    console.give_key("predict")
    draw(page, THREE)
    page.get_by_role("button", name="Predict").click()
    console.give_key("label")
    assert page.get_by_test_id("prediction").inner_text() in {*"012345678", HTML_CLASS}
    page.get_by_role("button", name="It was 3").click()
    page.get_by_text(re.compile("^Counted: 1 labelled prediction, 0 before")).wait_for()
    page.get_by_text("Joined with its prediction").wait_for()


def draw(page: Page, points: list[tuple[float, float]]) -> None:
    pad = page.get_by_label("Pad to draw on")
    pad.scroll_into_view_if_needed()
    box: Any = pad.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def test_a_row_can_be_chosen_with_the_keyboard_instead(console: Console) -> None:
    page = console.page
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Use the picture of the training data").press("Enter")
    page.get_by_test_id("prediction").wait_for()


def test_drift_of_quality_and_inputs_is_shown_with_its_reasons(
    console: Console, user: User, digits: Digits
) -> None:
    page = console.page
    rotated = np.rot90(digits.images[600:1200].reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)
    for start in range(0, 600, 100):
        rows = user.predict(MODEL, rotated[start : start + 100].tolist()).json()["predictions"]
        texts = digits.texts(slice(600 + start, 700 + start))
        user.label(
            MODEL,
            [
                {"inferenceId": row["inferenceId"], "label": HTML_CLASS if text == "9" else text}
                for row, text in zip(rows, texts, strict=True)
            ],
        )
    console.open(f"/models/{MODEL}/quality")
    page.get_by_text("Alarm raised").wait_for()
    page.get_by_role("heading", name="What the evidence consists of").wait_for()
    page.get_by_role("link", name="Inputs").click()
    page.get_by_role("heading", name="Columns, largest shift first").wait_for()
    assert page.locator(".columns li").count() > 1
    page.get_by_role("link", name="Refit, all models").click()
    page.get_by_role("listitem").filter(has_text=MODEL).get_by_text(
        "Quality has drifted"
    ).wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_view(console: Console, theme: Any) -> None:
    page = console.page
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    run = console.user.runs(MODEL)[0]["run"]
    findings = {}
    page.evaluate(AXE.read_text("utf-8"))
    for tab in TABS:
        console.open_tab(tab)
        settled(page)
        findings[tab] = axe(page)
    for address in ["/", f"/models/{MODEL}/runs/{run}", "/models/no-such-model"]:
        console.open(address)
        settled(page)
        findings[address] = axe(page)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in to Refit").wait_for()
    findings["sign in"] = axe(page)
    console.sign_in()
    assert {address: found for address, found in findings.items() if found} == {}


def settled(page: Page) -> None:
    """Wait until everything has been loaded. A condition in JavaScript is refused by the policy."""
    from playwright.sync_api import expect

    expect(page.locator(".skeleton")).to_have_count(0, timeout=SLOW_MS)


def axe(page: Page) -> list[str]:
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        f"{violation['id']}: {node['html']}"
        for violation in violations
        for node in violation["nodes"][:3]
    ]


def test_no_view_scrolls_sideways_on_a_phone(console: Console) -> None:
    page = console.page
    page.set_viewport_size({"width": 360, "height": 740})
    run = console.user.runs(MODEL)[0]["run"]
    wide = {}
    for tab in TABS:
        console.open_tab(tab)
        settled(page)
        wide[tab] = page.evaluate("document.documentElement.scrollWidth")
    for address in ["/", f"/models/{MODEL}/runs/{run}"]:
        console.open(address)
        settled(page)
        wide[address] = page.evaluate("document.documentElement.scrollWidth")
    assert {address: width for address, width in wide.items() if width > 360} == {}


def test_a_lost_connection_is_shown_with_its_time_and_ends_by_itself(console: Console) -> None:
    page = console.page
    page.set_viewport_size({"width": 1280, "height": 1000})
    console.open_tab("/labels")
    page.get_by_text("How well predictions are labelled").wait_for()
    page.route("**/models**", lambda route: route.abort())
    page.evaluate("dispatchEvent(new Event('online'))")
    page.locator(".connection.lost").get_by_text("No connection since").wait_for()
    page.get_by_text("How well predictions are labelled").wait_for()
    page.unroute("**/models**")
    page.locator(".connection.lost").wait_for(state="detached")


def test_the_browser_had_nothing_to_complain_about(console: Console) -> None:
    assert console.complaints == []
