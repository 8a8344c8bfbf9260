"""The console in Chromium, whose requests are answered with recorded answers of the API.

No stack runs: the files of the page come from the function that serves them, with its headers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.answers.answer import ErrorAnswer, ErrorDetail
from refit.domain.answers.predictions import (
    GroundTruthAnswer,
    LabelResult,
    PredictionAnswer,
    PredictionsAnswer,
)
from refit.domain.inferences.label_outcome import LabelStatus
from refit.handlers import console as console_function

from tests.support import console_answers as recorded
from tests.support import recorded_runs
from tests.support.browser import CHROMIUM, DESKTOP, SLOW_MS, chromium, listen, open_view
from tests.support.events import sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route
    from pydantic import BaseModel

URL = "http://localhost:1/v1/"
KEYS = {"operate": "operate-key", "predict": "predict-key", "label": "label-key"}


@dataclass
class RecordedApi:
    """Answers requests of the page.

    Attributes:
        answers: by method and path; a status, and the content.
        sent: path and content of each POST.
    """

    answers: dict[str, tuple[int, BaseModel]] = field(default_factory=dict)
    sent: list[tuple[str, Any]] = field(default_factory=list)

    def give(self, request: str, answer: BaseModel, status: int = 200) -> None:
        """Answer a request such as `GET models/digits` from now on."""
        self.answers[request] = (status, answer)

    def refuse(self, request: str, status: int, code: str, message: str) -> None:
        """Answer a request with an error from now on."""
        self.give(request, ErrorAnswer(error=ErrorDetail(code=code, message=message)), status)

    def show(self, answer: Any, run: Any = None) -> None:
        """Answer the requests for one model, and for the run of its live version."""
        path = f"GET models/{answer.model}"
        self.give(path, answer)
        self.give(f"{path}/runs/{recorded_runs.RUN}", run or recorded_runs.run(answer.model))
        self.give(f"{path}/runs", recorded_runs.runs())
        self.give(f"{path}/versions", recorded_runs.versions())
        self.give(f"{path}/quality", recorded.quality(answer.model))

    def predict(self, model: str, prediction: Any, probabilities: Any = None) -> None:
        """Answer predictions, and accept their labels."""
        row = PredictionAnswer(
            inference_id="i-1", prediction=prediction, probabilities=probabilities
        )
        answer = PredictionsAnswer(model=model, model_version=2, predictions=[row])
        self.give(f"POST models/{model}/predictions", answer)
        self.accept(model, LabelStatus.NEW)

    def accept(self, model: str, status: LabelStatus) -> None:
        """Answer labels with a status."""
        result = LabelResult(inference_id="i-1", status=status)
        answer = GroundTruthAnswer(model=model, results=[result], counts={status: 1})
        self.give(f"POST models/{model}/ground-truth", answer)

    def handle(self, route: Route) -> None:
        request = route.request
        path = request.url.removeprefix(URL).partition("?")[0]
        if path == "" or path.startswith("console/"):
            file = path.removeprefix("console/") or None
            event = sample("console") | {"pathParameters": file and {"file": file}, "headers": {}}
            served = console_function.handler(event, None)
            route.fulfill(
                status=served["statusCode"], headers=served["headers"], body=served["body"]
            )
            return
        if request.method == "POST":
            self.sent.append((path, json.loads(request.post_data or "null")))
        missing = ErrorAnswer(error=ErrorDetail(code="ModelNotFound", message="no such model"))
        status, answer = self.answers.get(f"{request.method} {path}", (404, missing))
        body = answer.model_dump_json(by_alias=True)
        route.fulfill(status=status, content_type="application/json", body=body)


@pytest.fixture
def api() -> RecordedApi:
    recorded_api = RecordedApi()
    recorded_api.give("GET models", recorded.models())
    return recorded_api


@pytest.fixture(scope="module")  # while Playwright runs, its thread has no other event loop
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no browser")
    with chromium() as started:
        yield started


@dataclass
class OpenConsole:
    """The console in a page of its own, signed in with all keys."""

    page: Page
    complaints: list[str]

    def open(self, address: str) -> None:
        open_view(self.page, URL, address)


@pytest.fixture
def new_console(browser: Browser, api: RecordedApi) -> Iterator[Any]:
    """Return a function that opens the console; its arguments are those of the browser."""
    contexts = []

    def open_page(keys: dict[str, str] = KEYS, **options: Any) -> OpenConsole:
        width, height = DESKTOP
        size: Any = {"width": width, "height": height}
        context = browser.new_context(**{"viewport": size, "reduced_motion": "reduce"} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SLOW_MS)
        page.route("**/*", api.handle)
        complaints = listen(page)
        for purpose, key in keys.items():
            page.add_init_script(f"sessionStorage.setItem('refit-key-{purpose}', '{key}')")
        page.goto(URL)
        return OpenConsole(page, complaints)

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def console(new_console: Any) -> Iterator[OpenConsole]:
    opened = new_console()
    yield opened
    assert opened.complaints == []
