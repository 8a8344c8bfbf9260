"""Actions, the pad and the form of the console: what the page sends, and what it says then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from refit.domain.answers.stage import Stage
from refit.domain.inferences.label_outcome import LabelStatus
from refit.domain.retraining.state import RetrainingStatus

from tests.support import console_answers as recorded
from tests.support import recorded_runs
from tests.support.browser import NEEDS_CHROMIUM, THREE, confirm, draw
from tests.support.recorded_runs import DIGITS, HOUSES, HTML, RUN, WINE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.integration.console.conftest import OpenConsole, RecordedApi

pytestmark = NEEDS_CHROMIUM

BLOCKED = recorded.model(DIGITS, Stage.BLOCKED, RetrainingStatus.BLOCKED)
FAILED = recorded.model(DIGITS, last_run=recorded_runs.failed())
ACTIONS = [
    ("retrain", BLOCKED, "", "Retrain now", "retrain", None),
    ("unblock", BLOCKED, "", "Unblock", "unblock", None),
    ("retry", FAILED, "", "Repeat this run", "retry", {"run": "failed000000"}),
    ("approve", BLOCKED, "/versions", "Approve: version 3", "versions/3/approve", None),
    ("reject", BLOCKED, "/versions", "Reject: version 2", "versions/2/reject", None),
    ("rollback", BLOCKED, "/versions", "Roll back to this: version 1", "rollback", {"version": 1}),
]


@pytest.mark.parametrize(
    ("name", "model", "tab", "button", "path", "body"), ACTIONS, ids=[row[0] for row in ACTIONS]
)
def test_an_action_is_sent_once_it_is_confirmed_and_its_answer_is_shown(
    console: OpenConsole,
    api: RecordedApi,
    name: str,
    model: Any,
    tab: str,
    button: str,
    path: str,
    body: Any,
) -> None:
    api.show(model)
    api.give(f"POST models/{DIGITS}/{path}", recorded.action(name), 202)
    console.open(f"/models/{DIGITS}{tab}")
    console.page.get_by_role("button", name=button).click()
    assert api.sent == []
    confirm(console.page, button.partition(":")[0])
    console.page.get_by_text("It has begun.").wait_for()
    assert api.sent == [(f"models/{DIGITS}/{path}", body)]


def test_a_retraining_without_anything_new_is_a_choice(
    console: OpenConsole, api: RecordedApi
) -> None:
    api.show(recorded.model(DIGITS))
    api.give(f"POST models/{DIGITS}/retrain", recorded.action("retrain"), 202)
    console.open(f"/models/{DIGITS}")
    console.page.get_by_role("button", name="Retrain now").click()
    console.page.get_by_label("Retrain even if no label or setting is new").check()
    confirm(console.page, "Retrain now")
    console.page.get_by_text("It has begun.").wait_for()
    assert api.sent == [(f"models/{DIGITS}/retrain", {"again": True})]


def test_what_holds_a_model_is_shown_with_the_command_that_frees_it(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    endpoint = recorded.hold("endpoint", "Endpoint refit-digits does not exist.", None)
    api.show(recorded.model(DIGITS, holds=(endpoint, recorded.hold("run", "Run r is OLD.", 120))))
    console.open(f"/models/{DIGITS}")
    page.get_by_text("Endpoint refit-digits does not exist.").wait_for()
    expect(page.get_by_text("Run r is OLD. Since 2 h ago.")).to_be_visible()
    expect(page.get_by_text(f"To free it: refit unblock {DIGITS}")).to_have_count(2)
    expect(page.get_by_role("button", name="Unblock")).to_be_visible()


def test_a_run_that_has_just_begun_is_nothing_to_free(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    api.show(recorded.model(DIGITS, holds=(recorded.hold("run", "Run r is TRAINING.", 6),)))
    console.open(f"/models/{DIGITS}")
    page.get_by_role("heading", name="Version 2 is live").wait_for()
    expect(page.get_by_text("Run r is TRAINING.")).to_have_count(0)
    expect(page.get_by_role("button", name="Unblock")).to_have_count(0)


def test_a_refused_action_says_why_and_can_be_cancelled(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    api.show(BLOCKED)
    api.refuse(f"POST models/{DIGITS}/rollback", 409, "VersionNotApproved", "it was rejected")
    console.open(f"/models/{DIGITS}/versions")
    page.get_by_role("button", name="Roll back to this: version 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back to this").click()
    page.get_by_role("dialog").get_by_text("it was rejected").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")


def open_pad(console: OpenConsole, api: RecordedApi, side: int = 8) -> Page:
    api.show(recorded.model(DIGITS, side=side), recorded_runs.run(DIGITS, side))
    api.predict(DIGITS, "3", {"3": 0.9, "8": 0.1})
    console.open(f"/models/{DIGITS}/try")
    console.page.get_by_label("Pad to draw on").wait_for()
    return console.page


def sent_row(api: RecordedApi) -> list[float]:
    path, body = api.sent[-1]
    assert path == f"models/{DIGITS}/predictions"
    return list(body["instances"][0])


@pytest.mark.parametrize("side", [8, 28])
def test_a_drawn_digit_is_sent_as_a_row_of_the_size_of_the_training_data(
    console: OpenConsole, api: RecordedApi, side: int
) -> None:
    page = open_pad(console, api, side)
    draw(page, THREE)
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_test_id("prediction")).to_have_text("3")
    row = sent_row(api)
    assert (len(row), min(row)) == (side * side, 0)
    assert 10 < max(row) <= 16
    if side == 28:  # as in MNIST, four pixels around the ink, up to the centring by mass
        edges = [value for place, value in enumerate(row) if place // 28 in {0, 27}]
        assert max(edges) == 0


def ink_of(row: list[float]) -> float:
    """Return the ink of an 8×8 picture, in pixels with full ink."""
    return sum(row) / 16


def drawn_row(
    console: OpenConsole, api: RecordedApi, points: list[tuple[float, float]]
) -> list[float]:
    """Draw a line through points of the pad, and return the row that is sent."""
    page = open_pad(console, api)
    draw(page, points)
    page.get_by_role("button", name="Predict").click()
    page.get_by_test_id("prediction").wait_for()
    return sent_row(api)


@pytest.mark.parametrize(
    "points", [[(0.5, 0.15), (0.5, 0.85)], [(0.42, 0.3), (0.5, 0.2), (0.5, 0.8)]]
)
def test_a_drawn_1_has_full_ink_as_the_training_data_has(
    console: OpenConsole, api: RecordedApi, points: list[tuple[float, float]]
) -> None:
    row = drawn_row(console, api, points)
    rows = [row[start : start + 8] for start in range(0, 64, 8)]
    assert all(max(cells) >= 15 for cells in rows[1:-1]), rows
    assert 14 <= ink_of(row) <= 25, "99 of 100 digits of scikit-learn"


def test_a_drawn_digit_fills_the_height_and_has_as_much_ink_as_the_training_data(
    console: OpenConsole, api: RecordedApi
) -> None:
    row = drawn_row(console, api, THREE)
    assert 16 <= ink_of(row) <= 25
    assert sum(value >= 15 for value in row) >= 5
    assert max(row[:8]) >= 8
    assert max(row[-8:]) >= 8


@pytest.mark.parametrize("points", [[(0.2, 0.5), (0.8, 0.51)], [(0.5, 0.5), (0.5, 0.5)]])
def test_a_line_or_a_dot_stays_one(
    console: OpenConsole, api: RecordedApi, points: list[tuple[float, float]]
) -> None:
    row = drawn_row(console, api, points)
    assert max(row[:16] + row[-16:]) == 0


def test_a_finger_draws_on_the_pad_without_scrolling_the_page(
    new_console: Any, api: RecordedApi
) -> None:
    console = new_console(has_touch=True, viewport={"width": 360, "height": 740})
    page = open_pad(console, api)
    box: Any = page.get_by_label("Pad to draw on").bounding_box()
    places = [
        {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in THREE
    ]
    touch = page.context.new_cdp_session(page)
    before = page.evaluate("scrollY")
    send = "Input.dispatchTouchEvent"
    touch.send(send, {"type": "touchStart", "touchPoints": places[:1]})
    for place in places[1:]:
        touch.send(send, {"type": "touchMove", "touchPoints": [place]})
    touch.send(send, {"type": "touchEnd", "touchPoints": []})
    assert page.evaluate("scrollY") == before
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_test_id("prediction")).to_be_in_viewport()
    assert sum(value > 0 for value in sent_row(api)) > 8


def test_a_held_out_picture_is_predicted_and_its_label_is_said(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = open_pad(console, api)
    page.get_by_role("button", name="whose label is 1 and that was taken for 7").press("Enter")
    page.get_by_text("In the held-out data its label is 1").wait_for()
    assert sent_row(api) == [float(value) for value in recorded_runs.pixels(8, 1)]


def test_a_run_without_held_out_rows_offers_the_picture_of_the_training_data(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    api.show(recorded.model(DIGITS), recorded_runs.run(DIGITS, examples=None))
    api.predict(DIGITS, "3")
    console.open(f"/models/{DIGITS}/try")
    page.get_by_role("button", name="Use the picture of the training data").click()
    page.get_by_test_id("prediction").wait_for()
    assert sent_row(api) == [float(value) for value in recorded_runs.pixels(8)]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (LabelStatus.NEW, "Waiting for a check that changes the count of labelled predictions"),
        (LabelStatus.HELD, "Is joined when its prediction has been captured"),
        (LabelStatus.REPEAT, "Nothing changes"),
        (LabelStatus.CORRECTED, "Counts in place of the label before"),
    ],
)
def test_a_label_is_sent_and_the_page_says_what_becomes_of_it(
    console: OpenConsole, api: RecordedApi, status: LabelStatus, text: str
) -> None:
    page = open_pad(console, api)
    draw(page, THREE)
    page.get_by_role("button", name="Predict").click()
    api.accept(DIGITS, status)
    page.get_by_role("button", name="It was 8").click()
    page.get_by_text(text).wait_for()
    label = {"labels": [{"inferenceId": "i-1", "label": "8"}]}
    assert api.sent[-1] == (f"models/{DIGITS}/ground-truth", label)


def test_the_form_sends_all_columns_as_a_file_has_them_and_null_for_an_empty_field(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    api.show(recorded.model(WINE))
    api.predict(WINE, "barolo")
    console.open(f"/models/{WINE}/try")
    page.get_by_role(
        "button", name="whose label is barolo and that was taken for grignolino"
    ).click()
    page.get_by_role("button", name="Predict").click()
    page.get_by_text("In the held-out data its label is barolo").wait_for()
    row = {"alcohol": "12,9", "colour": "white", "organic": "false", "bottled": "2024-06-30"}
    assert api.sent[-1][1] == {"instances": [{**row, HTML: None}]}
    page.get_by_label("alcohol").fill("14")
    expect(page.get_by_test_id("prediction")).to_have_count(0)


def test_the_form_of_a_regression_predicts_a_number_and_sends_a_number_as_its_label(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    api.show(recorded.model(HOUSES))
    api.predict(HOUSES, 287_512.25)
    console.open(f"/models/{HOUSES}/try")
    page.get_by_role("button", name="whose label is 310,000").click()
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_test_id("prediction")).to_have_text("287,512")
    page.get_by_label("What was it really?").fill("300000.5")
    page.get_by_role("button", name="Send the label").click()
    page.get_by_text("Label 300000.5 sent: accepted").wait_for()
    label = {"labels": [{"inferenceId": "i-1", "label": 300_000.5}]}
    assert api.sent[-1] == (f"models/{HOUSES}/ground-truth", label)


def test_a_cooling_model_says_when_the_next_retraining_may_begin(
    console: OpenConsole, api: RecordedApi
) -> None:
    api.show(recorded.model(DIGITS, state=RetrainingStatus.COOLING))
    console.open(f"/models/{DIGITS}")
    expect(console.page.get_by_text("Cooling ends")).to_be_visible()
    console.page.get_by_text("in 4").first.wait_for()


def test_the_page_of_a_run_that_failed_last_can_repeat_it(
    console: OpenConsole, api: RecordedApi
) -> None:
    failed = recorded_runs.run(DIGITS, **dict(recorded_runs.failed()), examples=None)
    api.show(FAILED)
    api.give(f"GET models/{DIGITS}/runs/failed000000", failed)
    console.open(f"/models/{DIGITS}/runs/failed000000")
    buttons = console.page.get_by_role("button", name="Repeat this run")
    expect(buttons).to_have_count(2)
    console.open(f"/models/{DIGITS}/runs/{RUN}")
    expect(buttons).to_have_count(1)
