"""Model `flowers` behind a stubbed endpoint, and requests to the predict API."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber
from refit.domain.schema import Schema
from refit.handlers import predict as handler
from refit.handlers.http import request_body
from refit.handlers.wiring import services
from refit.usecases.predict import predict

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.versions import promote_version, register_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from refit.usecases.predict import Predictions

RUNS = {3: "run3", 4: "run4"}
OFF = {"capture": "off"}
COLUMNS = [
    {"name": "width", "type": "number"},
    {"name": "height", "type": "number"},
    {"name": "colour", "type": "category", "values": ["blue", "red"]},
]
TWO_ROWS = b"5.1,3.5,1\n6.2,,0"


def schema(classes: list[str] | None, columns: list[dict[str, Any]] = COLUMNS) -> dict[str, Any]:
    task = "classification" if classes else "regression"
    return {"task": task, "label": "kind", "features": columns, "classes": classes}


@pytest.fixture
def deployed(stack: Stack) -> Stack:
    """Model `flowers`: version 3 is live, version 4 is registered, and nothing is captured."""
    for version, classes in {3: ["iris", "rose"], 4: ["iris", "rose", "tulip"]}.items():
        columns = Schema.model_validate(schema(classes))
        register_version("flowers", version, columns, monitoring=OFF)
    promote_version("flowers", 3, RUNS[3])
    return stack


@pytest.fixture
def live(deployed: Stack) -> Iterator[Stubber]:
    """The stub of the endpoint, to which a test adds answers."""
    with Stubber(services().client("sagemaker-runtime")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def will_answer(live: Stubber, body: str, variant: str = "v3", asked: Any = ANY) -> None:
    live.add_response(
        "invoke_endpoint",
        {
            "Body": StreamingBody(io.BytesIO(body.encode()), len(body)),
            "ContentType": "text/csv; charset=utf-8",
            "InvokedProductionVariant": variant,
        },
        {
            "EndpointName": "refit-flowers",
            "Body": asked,
            "ContentType": "text/csv",
            "Accept": "text/csv",
            "InferenceId": ANY,
        },
    )


def ask(event: dict[str, Any]) -> tuple[int, Any]:
    response = handler.handler(event, CONTEXT)
    assert response["headers"]["Content-Type"] == "application/json"
    return response["statusCode"], json.loads(response["body"])


def ask_in_small_calls() -> Predictions:
    """Send the two rows of the sample to the endpoint in two calls."""
    return predict(services(), "flowers", request_body(sample("predict")), endpoint_bytes=16)


def published(printed: str) -> dict[str, float]:
    """Return the metrics of model flowers in the lines of the log."""
    found = {}
    for line in printed.splitlines():
        entry = json.loads(line)
        for directive in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "Refit"
            assert entry["Model"] == "flowers"
            found |= {metric["Name"]: entry[metric["Name"]][0] for metric in directive["Metrics"]}
    return found
