"""Take the pictures of the console that the documentation shows.

    make screenshots

Uses the local stack on the port, or starts one. Trains two models, sends predictions and labels
until one has drifted, and writes each view to docs/console/, light and dark, and some as a phone
shows them. Models of an earlier call are used again: `refit down --discard` deletes them.
"""

from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from refit_local.stack import lifecycle
from sklearn.datasets import load_wine

from tests.e2e.conftest import Digits
from tests.e2e.driver import User
from tests.support.browser import CHROMIUM, PHONE, SLOW_MS, THREE, chromium, draw, settled

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = Path(__file__).parents[1] / "docs/console"
DIGITS, WINE = "handwriting", "wine"
SETTINGS = """
[monitoring]
cohort_s = 10
season_s = 0
label_age_s = 3
label_wait_s = 12

[retraining]
enabled = false
"""
TRAINED, TRAFFIC = slice(0, 900), slice(900, 1780)
STEADY_CALLS, DRIFTED_CALLS, ROWS = 14, 5, 22
PAUSE_S = 9
LARGEST_BYTES = 150_000
TALLEST = 1_900
DESKTOP = (1180, 820)
VIEWS = {
    "sign-in": None,
    "models": "/",
    "overview": f"/models/{DIGITS}",
    "quality": f"/models/{DIGITS}/quality",
    "inputs": f"/models/{DIGITS}/inputs",
    "labels": f"/models/{DIGITS}/labels",
    "versions": f"/models/{DIGITS}/versions",
    "runs": f"/models/{DIGITS}/runs",
    "run": f"/models/{DIGITS}/runs/{{run}}",
    "held-out": f"/models/{DIGITS}/runs/{{run}}",
    "draw": f"/models/{DIGITS}/try",
    "form": f"/models/{WINE}/try",
}
ON_A_PHONE = ["models", "overview", "quality", "draw"]
PREDICTING = ("draw", "form")


def wine() -> bytes:
    """Return the wines of scikit-learn as CSV with a header, with their cultivars by name."""
    data = load_wine()
    cultivars = ("Barolo", "Grignolino", "Barbera")
    lines = [",".join(["cultivar", *data.feature_names])]
    for label, row in zip(data.target, data.data, strict=True):
        lines.append(",".join([cultivars[label], *map(str, row)]))
    return "\n".join([*lines, ""]).encode()


def make_models(user: User) -> None:
    """Train both models, and send predictions and labels, of which the last ones have drifted."""
    digits = Digits()
    user.drop(DIGITS, {"digits.csv": digits.csv(TRAINED)}, SETTINGS)
    user.drop(WINE, {"wine.csv": wine()}, "[data]\nlabel = 'cultivar'\n")
    user.wait_for_end(DIGITS, timeout_s=600)
    user.wait_for_end(WINE, timeout_s=600)
    for call in range(STEADY_CALLS + DRIFTED_CALLS):
        rows = slice(TRAFFIC.start + call * ROWS, TRAFFIC.start + (call + 1) * ROWS)
        images = digits.images[rows]
        if call >= STEADY_CALLS:
            images = np.rot90(images.reshape(-1, 8, 8), axes=(1, 2)).reshape(-1, 64)
        answer = user.predict(DIGITS, images.tolist()).json()["predictions"]
        texts = digits.texts(rows)
        user.label(
            DIGITS,
            [
                {"inferenceId": row["inferenceId"], "label": text}
                for row, text in zip(answer, texts, strict=True)
            ],
        )
        time.sleep(PAUSE_S)


def take(browser: Browser, user: User, view: str, theme: Any, size: tuple[int, int]) -> Image.Image:
    """Return the picture of one view."""
    width, height = size
    context = browser.new_context(
        color_scheme=theme, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    url = f"{user.stack.api_url}/"
    page.goto(url)
    address = VIEWS[view]
    if address is not None:
        for purpose, key in user.stack.api_keys.items():
            page.evaluate(f"sessionStorage.setItem('refit-key-{purpose}', '{key}')")
        page.goto(f"{url}#{address.format(run=user.runs(DIGITS)[-1]['run'])}")
        page.reload()
        page.locator("main h1").wait_for()
        page.wait_for_load_state("networkidle")
        settled(page)
    _use(page, view)
    page.evaluate("scrollTo(0, 0)")
    card = page.locator(".card").filter(has=page.get_by_role("heading", name="Some held-out rows"))
    shot = card.screenshot() if view == "held-out" else page.screenshot(full_page=True)
    picture = Image.open(io.BytesIO(shot))
    context.close()
    return picture.crop((0, 0, picture.width, min(picture.height, TALLEST)))


def _use(page: Page, view: str) -> None:
    if view == "draw":
        draw(page, THREE)
        page.get_by_role("button", name="Predict").click()
        page.get_by_test_id("prediction").wait_for()
    elif view == "form":
        page.get_by_role("button", name="Use a held-out row").first.click()
        page.get_by_role("button", name=re.compile("^Predict")).click()
        page.get_by_test_id("prediction").wait_for()


def save(picture: Image.Image, name: str) -> None:
    """Write a picture with a palette of 128 colours, which halves its size."""
    path = FOLDER / f"{name}.png"
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > LARGEST_BYTES:
        raise SystemExit(f"{path} has more than {LARGEST_BYTES:,} bytes: crop it")


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Return two pictures in one."""
    gap = 24
    size = (left.width + gap + right.width, max(left.height, right.height))
    both = Image.new("RGB", size, "#808080")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + gap, 0))
    return both


def main(port: int) -> None:
    """Take all pictures."""
    if CHROMIUM is None:
        raise SystemExit(
            "The pictures need Chromium, and there is none: apt-get install "
            "chromium-headless-shell, or chromium, "
            "or set CHROMIUM to its path"
        )
    running = lifecycle.info(port)
    if running is None:
        print(f"no local stack is running on port {port}: starting one, and stopping it at the end")
    user = User(running or lifecycle.up(port))
    if DIGITS not in user.models():
        print("training two models, and sending predictions and labels for three minutes")
        make_models(user)
    FOLDER.mkdir(exist_ok=True)
    with chromium() as browser:
        # Views that send a prediction come last: it is in the pictures that are taken after it.
        for view in sorted(VIEWS, key=PREDICTING.__contains__):
            for theme in ("light", "dark"):
                save(take(browser, user, view, theme, DESKTOP), f"{view}-{theme}")
            if view in ON_A_PHONE:
                phones = [take(browser, user, view, theme, PHONE) for theme in ("light", "dark")]
                save(beside(*phones), f"{view}-phone")
    print(f"the pictures are in {FOLDER}: look at each one")
    if running is None:
        lifecycle.down(port)


if __name__ == "__main__":
    main(int(sys.argv[1]))
