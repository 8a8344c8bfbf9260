"""A request asks the pinned version of another model first, and then the model itself."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber
from refit.domain.feature_source import FeatureSource
from refit.domain.inferences.feature_inputs import with_added_features
from refit.domain.schema import Schema
from refit.handlers.wiring import services
from refit.usecases.predict import predict

from tests.support.deployed_flowers import RUNS, ask, request_body, schema
from tests.support.events import sample
from tests.support.versions import promote_version, register_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.aws_stack import Stack

SIZES = Schema.model_validate(
    {
        "task": "classification",
        "label": "size",
        "features": [
            {"name": "colour", "type": "category", "values": ["red", "blue"]},
            {"name": "width", "type": "number"},
        ],
        "classes": ["small", "large"],
    }
)


def flowers(version: int) -> Schema:
    """Return the schema of model flowers with the columns that a version of sizes adds."""
    source = FeatureSource(model="sizes", version=version, run=f"run{version}", columns=2)
    own = Schema.model_validate(schema(["iris", "rose"]))
    return with_added_features(own, source, SIZES)


@pytest.fixture
def live(stack: Stack) -> Iterator[Stubber]:
    """Version 3 of flowers is live and reads version 7 of sizes; its version 4 reads 8."""
    for version in (7, 8):
        register_version("sizes", version, SIZES)
    for version, sizes in {3: 7, 4: 8}.items():
        register_version("flowers", version, flowers(sizes), monitoring={"capture": "off"})
    promote_version("flowers", 3, RUNS[3])
    with Stubber(services().client("sagemaker-runtime")) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def answers(live: Stubber, body: str, variant: str, asked: bytes) -> None:
    target: dict[str, Any] = {"TargetVariant": variant} if variant.startswith("features") else {}
    live.add_response(
        "invoke_endpoint",
        {
            "Body": StreamingBody(io.BytesIO(body.encode()), len(body)),
            "ContentType": "text/csv",
            "InvokedProductionVariant": variant,
        },
        {
            "EndpointName": "refit-flowers",
            "Body": asked,
            "ContentType": "text/csv",
            "Accept": "text/csv",
            "InferenceId": ANY,
            **target,
        },
    )


def test_the_answers_of_the_pinned_version_are_appended_to_the_rows(live: Stubber) -> None:
    answers(live, "0.25\n0.5\n", "features-sizes-7", b"0,5.1\n1,6.2")
    answers(live, "0.25\n0.75\n", "v3", b"5.1,3.5,1,0.75,0.25\n6.2,,0,0.5,0.5")
    status, body = ask(sample("predict"))
    assert status == 200
    assert [row["prediction"] for row in body["predictions"]] == ["iris", "rose"]


def test_each_model_is_sent_as_many_rows_in_a_call_as_fit_of_its_own(live: Stubber) -> None:
    answers(live, "0.25\n0.5\n", "features-sizes-7", b"0,5.1\n1,6.2")
    answers(live, "0.25\n", "v3", b"5.1,3.5,1,0.75,0.25")
    answers(live, "0.75\n", "v3", b"6.2,,0,0.5,0.5")
    predictions = predict(services(), "flowers", request_body(sample("predict")), endpoint_bytes=20)
    assert [row["prediction"] for row in predictions.rows] == ["iris", "rose"]


def test_a_version_that_reads_another_version_is_asked_again_with_its_answers(
    live: Stubber,
) -> None:
    answers(live, "0.25\n0.5\n", "features-sizes-7", b"0,5.1\n1,6.2")
    answers(live, "0.9\n0.9\n", "v4", b"5.1,3.5,1,0.75,0.25\n6.2,,0,0.5,0.5")
    answers(live, "1\n0\n", "features-sizes-8", b"0,5.1\n1,6.2")
    answers(live, "0.25\n0.75\n", "v4", b"5.1,3.5,1,0,1\n6.2,,0,1,0")
    status, body = ask(sample("predict"))
    assert (status, body["modelVersion"]) == (200, 4)
    assert [row["prediction"] for row in body["predictions"]] == ["iris", "rose"]


def test_an_endpoint_without_the_pinned_version_is_not_ready(live: Stubber) -> None:
    live.add_client_error(
        "invoke_endpoint",
        "ValidationError",
        "Variant features-sizes-7 of endpoint refit-flowers not found.",
    )
    status, body = ask(sample("predict"))
    assert (status, body["error"]["code"]) == (503, "EndpointNotReady")
    assert "features-sizes-7" in body["error"]["message"]


def test_a_row_with_an_added_column_is_refused(live: Stubber) -> None:
    row = {"width": 1, "height": 2, "colour": "red", "sizes_probability_small": 0.5}
    request = sample("predict") | {"body": json.dumps({"instances": [row]})}
    status, body = ask(request)
    assert (status, body["error"]["code"]) == (400, "PayloadInvalid")
    assert "unknown column 'sizes_probability_small'" in body["error"]["message"]
