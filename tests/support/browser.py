"""A headless Chromium for the tests of the console, and what they do with its page."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from refit_cli.readiness.machine import BROWSERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

# The headless shell has no window to draw: the tests take half the time.
_NAMES = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else BROWSERS
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
NEEDS_CHROMIUM = pytest.mark.skipif(
    CHROMIUM is None,
    reason="LEFT OUT for want of a browser: the tests of the console. "
    "Install Chromium (apt-get install chromium-headless-shell, or chromium), or set CHROMIUM to "
    "its path",
)
AXE = Path(__file__).parents[1] / "fixtures/axe/axe.min.js"
SLOW_MS = 60_000
DESKTOP, PHONE = (1280, 1000), (360, 740)
TABS = {
    "": "",
    "quality": "Quality",
    "inputs": "Inputs",
    "labels": "Labels",
    "versions": "Versions",
    "runs": "Runs",
    "try": "Try it",
}
"""The views of a model, with their titles."""

THREE = [(0.3, 0.25), (0.5, 0.15), (0.7, 0.3), (0.5, 0.48), (0.72, 0.66), (0.5, 0.86), (0.3, 0.75)]
"""The corners of a 3, as shares of the side of the pad."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, and stop it at the end."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=SLOW_MS)
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root, as whom containers run.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


def listen(page: Page) -> list[str]:
    """Return the list to which everything is added that the browser complains about."""
    complaints: list[str] = []

    def hear(message: Any) -> None:
        # The browser logs every answer from 400 on; the page shows these itself.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            complaints.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (event) =>"
        " console.error('violation of ' + event.violatedDirective))"
    )
    return complaints


def open_view(page: Page, url: str, address: str) -> None:
    """Open a view, such as `/models/digits/try`, and wait until the page shows it."""
    from playwright.sync_api import expect

    page.goto(f"{url}#{address}")
    _, _, model, tab, run = [*address.split("/"), "", "", ""][:5]
    parts = [run and f"Run {run}", TABS.get(tab), model or "Models", "Refit"]
    expect(page).to_have_title(" · ".join(filter(None, parts)))


def settled(page: Page) -> None:
    """Wait until everything has been loaded. A condition in JavaScript is refused by the policy."""
    from playwright.sync_api import expect

    expect(page.locator(".skeleton")).to_have_count(0)


def axe(page: Page) -> list[str]:
    """Return what axe-core finds on the page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    return [
        f"{violation['id']}: {node['html']}"
        for violation in violations
        for node in violation["nodes"][:3]
    ]


def confirm(page: Page, button: str) -> None:
    """Press a button of the open dialog, and wait until the dialog is closed."""
    page.get_by_role("dialog").get_by_role("button", name=button).click()
    page.get_by_role("dialog").wait_for(state="detached")


def draw(page: Page, points: list[tuple[float, float]]) -> None:
    """Draw a line on the pad with the mouse."""
    pad = page.get_by_label("Pad to draw on")
    pad.scroll_into_view_if_needed()
    box: Any = pad.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()
