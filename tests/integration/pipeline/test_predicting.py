"""POST /models/{model}/predictions: what a client sends, and what it gets."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from botocore.stub import Stubber
from refit.domain.errors import AnswerMalformed, PayloadInvalid
from refit.domain.moments import utc_now
from refit.handlers import predict as handler
from refit.handlers.http import request_body
from refit.handlers.wiring import services
from refit.usecases.predict import predict

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.deployed_flowers import (
    COLUMNS,
    RUNS,
    TWO_ROWS,
    ask,
    ask_in_small_calls,
    deployed,
    live,
    published,
    schema,
    will_answer,
)
from tests.support.events import sample
from tests.support.versions import promote_version

__all__ = ["deployed", "live"]


@pytest.mark.parametrize(
    "name", ["predict", "predict_columns", "predict_csv", "predict_csv_base64"]
)
def test_every_form_of_a_request_is_answered(
    live: Stubber, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    will_answer(live, "0.25\n0.75\n", asked=TWO_ROWS)
    status, body = ask(sample(name))
    assert status == 200
    assert (body["model"], body["modelVersion"]) == ("flowers", 3)
    first, second = body["predictions"]
    assert (first["prediction"], first["probabilities"]) == ("iris", {"iris": 0.75, "rose": 0.25})
    assert second["prediction"] == "rose"
    assert first["inferenceId"] != second["inferenceId"]
    metrics = published(capsys.readouterr().out)
    assert metrics["Predictions"] == 2
    assert metrics["PredictionLatency"] > 0


def test_a_rows_id_is_the_calls_inference_id_and_its_number(live: Stubber) -> None:
    runtime = services().client("sagemaker-runtime")
    asked: list[str] = []
    runtime.meta.events.register(
        "provide-client-params.sagemaker-runtime.InvokeEndpoint",
        lambda params, **_: asked.append(params["InferenceId"]),
    )
    will_answer(live, "0.25\n0.75\n")
    will_answer(live, "0.25\n0.75\n")
    ids = [
        [prediction["inferenceId"] for prediction in ask(sample("predict"))[1]["predictions"]]
        for _ in range(2)
    ]
    assert ids == [[f"{call}-0", f"{call}-1"] for call in asked]
    assert asked[0] != asked[1]
    assert all(len(call) == 32 for call in asked)


def test_rows_beyond_one_call_are_sent_in_several_and_answered_in_order(live: Stubber) -> None:
    will_answer(live, "0.25\n", asked=b"5.1,3.5,1")
    will_answer(live, "0.75\n", asked=b"6.2,,0")
    predictions = ask_in_small_calls()
    assert [row["prediction"] for row in predictions.rows] == ["iris", "rose"]
    # A call of one row has one id: there is nothing to number.
    assert [len(row["inferenceId"]) for row in predictions.rows] == [32, 32]


def test_during_a_deployment_the_version_that_answered_is_told_and_decodes(live: Stubber) -> None:
    will_answer(live, "0.1,0.2,0.7\n0.8,0.1,0.1\n", variant="v4")
    status, body = ask(sample("predict"))
    assert (status, body["modelVersion"]) == (200, 4)
    assert [row["prediction"] for row in body["predictions"]] == ["tulip", "iris"]


def test_a_version_that_no_run_has_registered_is_waited_for(live: Stubber) -> None:
    will_answer(live, "0.25\n0.75\n", variant="v9")
    status, body = ask(sample("predict"))
    assert (status, body["error"]["code"]) == (503, "VersionNotRegistered")
    assert body["error"]["message"] == "version 9 of flowers is not registered (yet)"


def test_a_request_that_two_versions_answered_is_sent_again(live: Stubber) -> None:
    will_answer(live, "0.25\n", variant="v3")
    will_answer(live, "0.1,0.2,0.7\n", variant="v4")
    will_answer(live, "0.1,0.2,0.7\n", variant="v4")
    will_answer(live, "0.8,0.1,0.1\n", variant="v4")
    predictions = ask_in_small_calls()
    assert predictions.version == 4
    assert [row["prediction"] for row in predictions.rows] == ["tulip", "iris"]


def test_a_version_with_its_columns_in_another_order_is_asked_in_its_own(
    deployed: Stack, live: Stubber
) -> None:
    # What it answered first was a guess: the container takes any row of the right width.
    deployed.put(
        f"flowers/runs/{RUNS[4]}/schema.json",
        schema(["iris", "rose"], [COLUMNS[1], COLUMNS[0], COLUMNS[2]]),
    )
    will_answer(live, "0.9\n0.9\n", variant="v4", asked=TWO_ROWS)
    will_answer(live, "0.25\n0.75\n", variant="v4", asked=b"3.5,5.1,1\n,6.2,0")
    status, body = ask(sample("predict_columns"))
    assert status == 200
    assert [row["prediction"] for row in body["predictions"]] == ["iris", "rose"]


def test_rows_that_lack_a_column_of_the_new_version_are_refused_by_its_name(
    deployed: Stack, live: Stubber
) -> None:
    wider = [*COLUMNS, {"name": "scent", "type": "number"}]
    deployed.put(f"flowers/runs/{RUNS[4]}/schema.json", schema(["iris", "rose"], wider))
    will_answer(live, "0.9\n0.9\n", variant="v4")
    status, body = ask(sample("predict_columns"))
    assert (status, body["error"]["code"]) == (400, "PayloadInvalid")
    assert "'scent'" in body["error"]["message"]


def test_the_champion_is_read_again_after_ten_seconds(deployed: Stack, live: Stubber) -> None:
    moments = [utc_now()]
    moving = replace(deployed.services, clock=lambda: moments[0])
    body = request_body(sample("predict"))
    will_answer(live, "0.25\n0.75\n")
    assert predict(moving, "flowers", body).version == 3
    promote_version("flowers", 4, RUNS[4])
    deployed.put(f"flowers/runs/{RUNS[4]}/schema.json", schema(["x", "y"], COLUMNS[:2]))
    moments[0] += timedelta(seconds=10)
    with pytest.raises(PayloadInvalid, match="the model requires 2"):
        predict(moving, "flowers", body)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("predict_too_few_values", "an instance has 2 values; the model requires 3 ('width'"),
        ("predict_nan", "NaN is not JSON"),
    ],
)
def test_bad_rows_never_reach_the_endpoint(
    live: Stubber, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, body = ask(sample(name))
    assert (status, body["error"]["code"]) == (400, "PayloadInvalid")
    assert message in body["error"]["message"]
    assert published(capsys.readouterr().out) == {"PredictionsRefused": 1}


def test_ten_megabytes_are_too_large(live: Stubber) -> None:
    status, body = ask(sample("predict") | {"body": "1" * 10_000_000})
    assert (status, body["error"]["code"]) == (413, "PayloadTooLarge")


def test_an_answer_too_large_for_lambda_is_refused_before_it_is_asked_for(live: Stubber) -> None:
    rows = '[1,2,"red"],' * 60_000 + '[1,2,"red"]'
    status, body = ask(sample("predict") | {"body": f'{{"instances": [{rows}]}}'})
    assert (status, body["error"]["code"]) == (413, "PayloadTooLarge")
    assert "send at most" in body["error"]["message"]


@pytest.mark.parametrize(
    "name",
    [
        *("../flowers", quote("../flowers", safe=""), "flowers/../x", "two words", "x" * 200),
        *("Flowers", "", "-x", "x-", "flowers\n", "☃"),
    ],
)
def test_a_bad_model_name_is_refused(
    live: Stubber, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    event = sample("predict") | {"pathParameters": {"model": name}}
    status, body = ask(event)
    assert (status, body["error"]["code"]) == (400, "ModelNameInvalid")
    assert published(capsys.readouterr().out) == {}


def test_a_percent_encoded_path_is_refused(live: Stubber) -> None:
    status, body = ask(sample("predict_traversal"))
    assert (status, body["error"]["code"]) == (400, "ModelNameInvalid")


@pytest.mark.usefixtures("deployed")
def test_an_unknown_model_is_not_found_and_makes_no_metric(
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = sample("predict") | {"pathParameters": {"model": "trees"}}
    status, body = ask(event)
    assert (status, body["error"]["code"]) == (404, "ModelNotFound")
    assert body["error"]["message"] == "no version of model 'trees' is deployed"
    assert published(capsys.readouterr().out) == {}


@pytest.mark.parametrize(
    ("code", "status", "said", "expected"),
    [
        ("ValidationError", 400, {}, "EndpointNotReady"),
        ("ModelNotReadyException", 429, {}, "EndpointNotReady"),
        ("ThrottlingException", 400, {}, "ServiceThrottled"),
        ("ServiceUnavailable", 503, {}, "ServiceThrottled"),
        (
            "ModelError",
            424,
            {"OriginalStatusCode": 500, "OriginalMessage": "x"},
            "ServiceThrottled",
        ),
        (
            "ModelError",
            424,
            {"OriginalStatusCode": 400, "OriginalMessage": "x"},
            "EndpointNotReady",
        ),
    ],
)
def test_what_may_pass_is_503_with_a_time_to_retry(
    live: Stubber,
    capsys: pytest.CaptureFixture[str],
    code: str,
    status: int,
    said: dict[str, Any],
    expected: str,
) -> None:
    live.add_client_error(
        "invoke_endpoint", code, "not now", status, modeled_fields=said, response_meta={}
    )
    response = handler.handler(sample("predict"), CONTEXT)
    assert response["statusCode"] == 503
    assert int(response["headers"]["Retry-After"]) > 0
    assert json.loads(response["body"])["error"]["code"] == expected
    assert published(capsys.readouterr().out) == {"PredictionsUnanswered": 1}


def test_an_answer_that_fits_nothing_fails_the_lambda_so_that_its_alarm_sees_it(
    live: Stubber,
) -> None:
    will_answer(live, "0.25\n")
    with pytest.raises(AnswerMalformed, match="1 answers for 2 rows"):
        handler.handler(sample("predict"), CONTEXT)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"httpMethod": "GET"}, 405, "MethodNotAllowed"),
        ({"pathParameters": None, "path": "/models"}, 404, "RouteNotFound"),
    ],
)
def test_another_method_or_route_is_a_json_error(
    live: Stubber, change: dict[str, Any], status: int, code: str
) -> None:
    got, body = ask(sample("predict") | change)
    assert (got, body["error"]["code"]) == (status, code)


def test_predict_needs_no_numpy() -> None:
    script = "import refit.handlers.predict, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def decide_from(deployed: Stack, threshold: float) -> None:
    """Give the live version a rule: iris from this probability on."""
    root = f"flowers/runs/{RUNS[3]}"
    stored = deployed.get(f"{root}/manifest.json")
    stored["settings"]["prediction"] = {"positive": "iris", "threshold": threshold}
    deployed.put(f"{root}/manifest.json", stored)
    deployed.put(f"{root}/decision.json", {"positive": "iris", "threshold": threshold})
    services.cache_clear()


def test_the_rule_of_the_version_decides_and_all_probabilities_are_returned(
    deployed: Stack,
) -> None:
    decide_from(deployed, 0.25)
    with Stubber(services().client("sagemaker-runtime")) as stubber:
        will_answer(stubber, "0.75\n0.76\n")
        _, body = ask(sample("predict"))
    first, second = body["predictions"]
    assert first["prediction"] == "iris", "0.25 is at the threshold"
    assert first["probabilities"] == {"iris": 0.25, "rose": 0.75}
    assert second["prediction"] == "rose"


def test_a_version_without_the_section_answers_without_reading_a_rule(live: Stubber) -> None:
    will_answer(live, "0.25\n0.75\n")  # there is no decision.json
    assert ask(sample("predict"))[0] == 200
