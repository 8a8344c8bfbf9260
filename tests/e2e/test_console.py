"""A person operates a model with the console, in a headless Chromium.

The tests follow one model and run in their order. Its column, its label and a class have HTML in
their names, which must do nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.e2e.driver import User, wait_for
from tests.support.browser import (
    DESKTOP,
    NEEDS_CHROMIUM,
    SLOW_MS,
    TABS,
    THREE,
    axe,
    chromium,
    confirm,
    draw,
    listen,
    open_view,
    settled,
)

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

pytestmark = NEEDS_CHROMIUM


@dataclass
class Console:
    """The console in a browser, signed in, and all that the browser complained about."""

    page: Page
    url: str
    user: User
    complaints: list[str]

    def open(self, address: str) -> None:
        open_view(self.page, self.url, address)

    def sign_in(self) -> None:
        self.page.goto(self.url)
        self.page.get_by_label("The operate key").fill(self.user.stack.api_keys["operate"])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Models").wait_for()

    def give_key(self, purpose: str) -> None:
        self.page.get_by_label(f"The {purpose} key").fill(self.user.stack.api_keys[purpose])
        self.page.get_by_role("button", name="Use this key").click()


@pytest.fixture(scope="module")
def console(user: User) -> Iterator[Console]:
    width, height = DESKTOP
    with chromium() as browser:
        page = browser.new_page(
            viewport={"width": width, "height": height}, reduced_motion="reduce"
        )
        page.set_default_timeout(SLOW_MS)
        yield Console(page, f"{user.stack.api_url}/", user, listen(page))


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
    confirm(page, "Approve")
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
    said = "Since then, a check has counted 1 labelled prediction, 0 before"
    page.get_by_text(said).wait_for()
    page.get_by_text(re.compile("^(Joined with|Is joined when) its prediction")).wait_for()


def test_a_held_out_row_can_be_chosen_with_the_keyboard_instead(console: Console) -> None:
    page = console.page
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Use a held-out row whose label is").first.press("Enter")
    page.get_by_text("In the held-out data its label is").wait_for()


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


def test_axe_finds_nothing_on_the_views_of_a_real_model(console: Console) -> None:
    page, findings = console.page, {}
    run = console.user.runs(MODEL)[0]["run"]
    for view in [*TABS, f"runs/{run}"]:
        address = f"/models/{MODEL}/{view}"
        console.open(address)
        settled(page)
        findings[address] = axe(page)
    assert {address: found for address, found in findings.items() if found} == {}


def test_the_browser_had_nothing_to_complain_about(console: Console) -> None:
    assert console.complaints == []
