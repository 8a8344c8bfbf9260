"""What the console says when a stack or a model is gone, and when an answer belongs to the past."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from refit.domain.answers.loop import AlarmOfDrift
from refit.domain.answers.stage import Stage
from refit.domain.inferences.label_outcome import LabelStatus
from refit.domain.retraining.state import RetrainingStatus

from tests.support import console_answers as recorded
from tests.support import recorded_runs
from tests.support.browser import NEEDS_CHROMIUM, open_view
from tests.support.recorded_runs import DIGITS, NOW, RUN, ago

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.integration.console.conftest import OpenConsole, RecordedApi

pytestmark = NEEDS_CHROMIUM

HEALTHY = recorded.model(DIGITS)


def look_again(page: Page) -> None:
    """Let the page ask for everything at once."""
    page.evaluate("dispatchEvent(new Event('online'))")


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, {"message": "Not Found"}), (403, {"message": "Forbidden"}), (404, None)],
    ids=["an emulator", "API Gateway", "another server"],
)
def test_a_destroyed_stack_is_not_shown_as_healthy(
    console: OpenConsole, api: RecordedApi, status: int, body: Any
) -> None:
    page = console.page
    api.show(HEALTHY)
    console.open(f"/models/{DIGITS}")
    page.get_by_role("button", name="Retrain now").wait_for()
    answer: Any = {"status": status, "body": json.dumps(body) if body else "<h1>nothing</h1>"}
    page.route("**/models**", lambda route: route.fulfill(**answer))
    look_again(page)
    page.locator(".connection.lost").get_by_text("No connection since").wait_for()
    said = page.get_by_text("No Refit stack answers at this address any more")
    said.first.wait_for()
    expect(page.get_by_text("Live", exact=True)).to_have_count(0)
    expect(page.get_by_text("Healthy")).to_have_count(0)
    expect(page.get_by_role("button", name="Retrain now")).to_have_count(0)
    page.unroute("**/models**")
    look_again(page)
    page.get_by_role("button", name="Retrain now").wait_for()
    page.locator(".connection.lost").wait_for(state="detached")


def test_a_model_that_was_removed_is_not_shown_any_more(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    api.show(HEALTHY)
    console.open(f"/models/{DIGITS}")
    page.get_by_role("button", name="Retrain now").wait_for()
    api.refuse(f"GET models/{DIGITS}", 404, "ModelNotFound", "List the models with GET /models")
    look_again(page)
    page.get_by_text("There is no model of this name.").wait_for()
    expect(page.get_by_role("button", name="Retrain now")).to_have_count(0)
    expect(page.get_by_text("GET /models")).to_have_count(0)
    page.locator(".connection").get_by_text("Live").wait_for()
    page.get_by_role("link", name="All models", exact=True).click()
    page.get_by_role("heading", name="Models").wait_for()


@pytest.mark.parametrize(
    "address",
    [
        f"/models/{DIGITS}/bogus",
        f"/models/{DIGITS}/quality/more",
        f"/models/{DIGITS}/runs/{RUN}/more",
        "/modells",
    ],
)
def test_an_address_without_a_view_says_so(
    console: OpenConsole, api: RecordedApi, address: str
) -> None:
    api.show(HEALTHY)
    page = console.page
    page.goto(f"{page.url.partition('#')[0]}#{address}")
    page.get_by_role("heading", name="Not found").wait_for()
    expect(page).to_have_title("Not found · Refit")
    page.get_by_role("link", name="All models", exact=True).click()
    page.get_by_role("heading", name="Models").wait_for()


def test_an_unknown_run_is_said_without_a_route_of_the_api(
    console: OpenConsole, api: RecordedApi
) -> None:
    api.show(HEALTHY)
    message = "the model has no run 'nosuch'. List its runs with GET /models/digits/runs"
    api.refuse(f"GET models/{DIGITS}/runs/nosuch", 404, "RunNotFound", message)
    console.open(f"/models/{DIGITS}/runs/nosuch")
    console.page.get_by_text("The model has no run of this name.").wait_for()
    expect(console.page.get_by_text("GET /models")).to_have_count(0)


def labelled(total: int) -> Any:
    """Return an answer of which a check has counted some labelled predictions."""
    loop = HEALTHY.loop
    assert loop
    assert loop.quality
    quality = loop.quality.model_copy(update={"labelled": total})
    return HEALTHY.model_copy(update={"loop": loop.model_copy(update={"quality": quality})})


def send_label(console: OpenConsole, api: RecordedApi, status: LabelStatus) -> Page:
    page = console.page
    api.show(labelled(400))
    api.predict(DIGITS, "3")
    console.open(f"/models/{DIGITS}/try")
    page.get_by_role("button", name="whose label is 3").click()
    api.accept(DIGITS, status)
    page.get_by_role("button", name="It was 8").click()
    page.get_by_text("Label 8 sent").first.wait_for()
    return page


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (LabelStatus.REPEAT, "Nothing changes"),
        (LabelStatus.CORRECTED, "Counts in place of the label before"),
    ],
)
def test_a_label_that_changes_no_number_is_done_at_once(
    console: OpenConsole, api: RecordedApi, status: LabelStatus, text: str
) -> None:
    page = send_label(console, api, status)
    page.get_by_text(text).wait_for()
    expect(page.locator(".progress .waiting")).to_have_count(0)
    api.show(labelled(401))
    look_again(page)
    expect(page.get_by_text("401")).to_have_count(0)


@pytest.mark.parametrize("status", [LabelStatus.NEW, LabelStatus.HELD])
def test_the_count_of_a_check_is_said_but_not_that_it_has_this_label(
    console: OpenConsole, api: RecordedApi, status: LabelStatus
) -> None:
    page = send_label(console, api, status)
    page.get_by_text("Waiting for a check that changes the count").wait_for()
    api.show(labelled(401))  # the label of another client
    look_again(page)
    said = "Since then, a check has counted 401 labelled predictions, 400 before"
    page.get_by_text(said).wait_for()
    is_held = status is LabelStatus.HELD
    expect(page.get_by_text("Joined with its prediction")).to_have_count(0 if is_held else 1)
    expect(page.locator(".progress .waiting")).to_have_count(0)


def test_the_count_of_labels_is_not_followed_for_ever(new_console: Any, api: RecordedApi) -> None:
    console = new_console()
    console.page.clock.install()
    page = send_label(console, api, LabelStatus.NEW)
    page.clock.fast_forward("04:00")
    page.get_by_text("No check has changed the count of labelled predictions").wait_for()
    expect(page.locator(".progress .waiting")).to_have_count(0)


def test_the_chart_of_one_cohort_spans_this_cohort_and_draws_its_levels(
    console: OpenConsole, api: RecordedApi
) -> None:
    answer = recorded.quality(DIGITS)
    cohort = answer.series[0].model_copy(update={"start": ago(30), "end": ago(-30)})
    api.show(HEALTHY)
    api.give(f"GET models/{DIGITS}/quality", answer.model_copy(update={"series": (cohort,)}))
    page = console.page
    # uPlot writes the labels of an axis, and the lines, on a canvas.
    page.add_init_script("""
      window.drawn = { texts: [], dashed: 0 };
      const { fillText, stroke } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        drawn.texts.push(text);
        return fillText.call(this, text, ...place);
      };
      const { lineTo } = Path2D.prototype;
      Path2D.prototype.lineTo = function (...place) {
        this.lines = (this.lines ?? 0) + 1;
        return lineTo.apply(this, place);
      };
      CanvasRenderingContext2D.prototype.stroke = function (path) {
        if (path?.lines > 0 && this.getLineDash().length > 0) drawn.dashed += 1;
        return stroke.apply(this, path ? [path] : []);
      };
    """)
    page.reload()
    open_view(page, page.url.partition("#")[0], f"/models/{DIGITS}/quality")
    page.locator("canvas").first.wait_for()
    page.get_by_text("Each point is a cohort").wait_for()
    drawn = page.evaluate("drawn")
    times = {text for text in drawn["texts"] if "%" not in text}
    assert len(times) >= 2
    assert [text for text in times if not re.fullmatch("[0-9]{2}:[0-9]{2}", text)] == []
    assert drawn["dashed"] >= 2, "held-out and tolerated"
    page.get_by_text("The same as a table").first.click()
    expect(page.locator(".chart tbody").first.locator("tr")).to_have_count(1)


def with_alarm(minutes: float, **changes: Any) -> Any:
    """Return an answer whose alarm of quality was raised some minutes ago. It is live since 60."""
    alarm = HEALTHY.alarms[0].model_copy(update={"since": ago(minutes), **changes})
    loop = HEALTHY.loop
    assert loop
    loop = loop.model_copy(update={"evidence": recorded.evidence(drifted=False)})
    return HEALTHY.model_copy(update={"alarms": (alarm,), "loop": loop})


def test_an_alarm_that_was_raised_before_the_live_version_names_an_earlier_one(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    text = "The labels show that the live version of digits is worse. See `refit status digits`."
    reason = "[41] GreaterThanThreshold 0.0: ALARM"
    api.show(with_alarm(61, description=text, reason=reason))
    console.open(f"/models/{DIGITS}")
    page.get_by_text("Raised before version 2 went live").wait_for()
    expect(page.get_by_text("the live version of digits is worse")).to_have_count(0)
    expect(page.locator(".row-alarm .badge")).to_have_text("Outdated")
    api.show(with_alarm(59, description=text, reason=reason))
    look_again(page)
    page.get_by_text("the live version of digits is worse").wait_for()
    expect(page.get_by_text("Raised before version 2 went live")).to_have_count(0)
    expect(page.locator(".row-alarm code")).to_have_text("refit status digits")
    expect(page.get_by_text("`")).to_have_count(0)
    expect(page.get_by_text(reason)).to_be_hidden()
    page.get_by_text("What CloudWatch says").click()
    expect(page.get_by_text(reason)).to_be_visible()


def test_a_drift_alarm_of_another_version_is_said_to_be_its(
    console: OpenConsole, api: RecordedApi
) -> None:
    alarm = AlarmOfDrift(version=1, raised_at=ago(70), taken_back_at=None, sentence="Drift.")
    api.show(HEALTHY)
    answer = recorded.quality(DIGITS).model_copy(update={"alarm": alarm})
    api.give(f"GET models/{DIGITS}/quality", answer)
    console.open(f"/models/{DIGITS}/quality")
    console.page.get_by_text("About version 1, not the live one: Alarm raised").wait_for()


def test_a_cool_down_that_is_over_ends_at_the_next_check(
    console: OpenConsole, api: RecordedApi
) -> None:
    answer = recorded.model(DIGITS, state=RetrainingStatus.COOLING)
    loop = answer.loop
    past = {"cooled_until": NOW - timedelta(minutes=1)}
    retraining = loop.retraining.model_copy(update=past) if loop else None
    loop = loop and loop.model_copy(update={"retraining": retraining})
    api.show(answer.model_copy(update={"loop": loop}))
    console.open(f"/models/{DIGITS}")
    console.page.get_by_text("Cooling ends").wait_for()
    console.page.get_by_text("at the next check", exact=True).wait_for()


def test_a_refusal_of_a_key_is_gone_when_another_key_is_given(
    new_console: Any, api: RecordedApi
) -> None:
    page = new_console(keys={"operate": "operate-key", "predict": "wrong"}).page
    api.show(HEALTHY)
    api.refuse(f"POST models/{DIGITS}/predictions", 403, "FORBIDDEN", "no")
    open_view(page, page.url.partition("#")[0], f"/models/{DIGITS}/try")
    page.get_by_role("button", name="whose label is 3").click()
    page.get_by_text("This stack does not know this key.").wait_for()
    page.get_by_label("The predict key").fill("right")
    page.get_by_role("button", name="Use this key").click()
    page.get_by_text("The prediction appears here.").wait_for()
    expect(page.get_by_text("This stack does not know this key.")).to_have_count(0)


@pytest.mark.parametrize("way", ["Escape", "Cancel", "confirm"])
def test_the_focus_returns_to_the_button_that_opened_a_dialog(
    console: OpenConsole, api: RecordedApi, way: str
) -> None:
    page = console.page
    api.show(HEALTHY)
    api.give(f"POST models/{DIGITS}/retrain", recorded.action("retrain"), 202)
    console.open(f"/models/{DIGITS}")
    button = page.get_by_role("button", name="Retrain now")
    button.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    if way == "Escape":
        page.keyboard.press("Escape")
    else:
        name = "Retrain now" if way == "confirm" else way
        dialog.get_by_role("button", name=name).press("Enter")
    dialog.wait_for(state="detached")
    expect(button).to_be_focused()


def test_the_focus_stays_on_the_page_when_a_button_goes_because_its_action_worked(
    console: OpenConsole, api: RecordedApi
) -> None:
    page = console.page
    api.show(recorded.model(DIGITS, Stage.BLOCKED, RetrainingStatus.BLOCKED))
    api.give(f"POST models/{DIGITS}/unblock", recorded.action("unblock"), 202)
    console.open(f"/models/{DIGITS}")
    page.get_by_role("button", name="Unblock").click()
    api.show(HEALTHY)
    page.get_by_role("dialog").get_by_role("button", name="Unblock").click()
    page.get_by_role("button", name="Unblock").wait_for(state="detached")
    expect(page.locator("#main")).to_be_focused()


def test_labels_of_a_new_version_are_not_said_to_be_older_than_the_version(
    console: OpenConsole, api: RecordedApi
) -> None:
    loop = HEALTHY.loop
    assert loop
    assert loop.quality
    quality = loop.quality.model_copy(update={"since": ago(59), "cohorts": 1})
    champion = recorded.champion(DIGITS).model_copy(update={"promoted_at": ago(1).isoformat()})
    loop = loop.model_copy(update={"quality": quality})
    api.show(HEALTHY.model_copy(update={"loop": loop, "champion": champion}))
    console.open(f"/models/{DIGITS}/labels")
    said = console.page.get_by_text("Version 2, live since").first
    expect(said).to_contain_text("ago: predictions of 1 cohort.")
    expect(said.locator("time")).to_have_count(1)


def test_a_curve_of_one_round_has_an_axis_of_whole_rounds(
    console: OpenConsole, api: RecordedApi
) -> None:
    run = recorded_runs.run(DIGITS)
    curves = tuple(curve.model_copy(update={"points": curve.points[:1]}) for curve in run.curves)
    api.show(HEALTHY, run.model_copy(update={"curves": curves}))
    page = console.page
    page.add_init_script("""
      window.texts = [];
      const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        if (this.textBaseline === "top") texts.push(text);
        return fillText.call(this, text, ...place);
      };
    """)
    page.reload()
    open_view(page, page.url.partition("#")[0], f"/models/{DIGITS}/runs/{RUN}")
    page.locator("canvas").first.wait_for()
    assert {float(text) for text in page.evaluate("texts")} == {0, 1, 2}
