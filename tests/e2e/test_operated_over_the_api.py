"""The API shows and operates models, and answers as its OpenAPI document says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import given as given_values
from schemathesis import GenerationMode

from tests.e2e.driver import wait_for

if TYPE_CHECKING:
    from tests.e2e.driver import User

MODEL, REFUSED, UNKNOWN = "operated", "operated-refused", "nobody"
SETTINGS = """
[training.hyperparameters]
num_round = 20
[monitoring]
cohort_s = 2
season_s = 0
label_age_s = 3
label_wait_s = 12
"""
DOCUMENT = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
OPERATIONS = [
    (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
]
KEYS = {"PredictApiKey": "predict", "LabelApiKey": "label", "OperateApiKey": "operate"}
EXAMPLES = 10
HEADERS_TOO_LARGE = 431
LONGEST_URL = 10_240
"""Characters of a URL of a Regional API; see docs/aws-assumptions.md."""
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
rejected = schemathesis.checks.negative_data_rejection
accepted = schemathesis.checks.positive_data_acceptance
cases: Counter[tuple[str, int]] = Counter()


def flowers(seed_of_rows: int) -> bytes:
    random = np.random.default_rng(seed_of_rows)
    kinds = random.integers(3, size=240)
    rows = np.column_stack([kinds, random.normal(5 + 2 * kinds, 0.3), random.normal(kinds, 0.2)])
    return "".join(f"{int(k)},{a:.2f},{b:.2f}\n" for k, a, b in rows).encode()


class Operator:
    """Calls the API with the key of operators."""

    def __init__(self, user: User) -> None:
        self.url = user.stack.api_url
        self.http = requests.Session()
        self.http.headers["x-api-key"] = user.stack.api_keys["operate"]

    def get(self, path: str, **query: Any) -> Any:
        response = self.http.get(f"{self.url}{path}", params=query, timeout=30)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, route: str, body: Any = None, **path: str) -> requests.Response:
        """Post to a route of the document, and compare the answer with it."""
        url = f"{self.url}{route.format(model=MODEL, **path)}"
        response = self.http.post(url, json=body, timeout=30)
        SCHEMA[route]["POST"].validate_response(response)
        return response


@pytest.fixture(scope="module")
def operator(user: User) -> Operator:
    return Operator(user)


@pytest.fixture(scope="module")
def operated(user: User) -> User:
    """Two versions of a model with labelled predictions, and a model whose drop was refused."""
    user.drop(REFUSED, {"a.csv": b"1,2\n"})
    user.drop(MODEL, {"a.csv": flowers(1)}, SETTINGS)
    first = user.wait_for_end(MODEL)
    assert first["status"] == "DEPLOYED", first
    answered = user.predict(MODEL, [[5.0, 0.1], [7.0, 1.0], [9.0, 2.1]]).json()["predictions"]
    user.label(
        MODEL,
        [
            {"inferenceId": row["inferenceId"], "label": label}
            for row, label in zip(answered, "012", strict=True)
        ],
    )
    user.drop(MODEL, {"b.csv": flowers(2)})
    second = user.wait_for_end(MODEL, 2)
    assert second["status"] == "DEPLOYED", second
    return user


def test_a_run_can_be_read_from_its_cause_to_its_version(
    operated: User, operator: Operator
) -> None:
    runs = operator.get(f"/models/{MODEL}/runs", limit=1)
    (newest,) = runs["runs"]
    assert runs["next"]
    run = operator.get(f"/models/{MODEL}/runs/{newest['run']}")
    assert run["causeText"] == "Files were dropped."
    assert run["gate"]["passed"]
    assert run["evaluation"]["new"]["challenger"]["confusion_matrix"]
    states = {visit["state"] for visit in run["states"]}
    assert {"Prepare", "Train", "Evaluate", "Gate", "PlanDeployment", "Promote"} <= states
    assert run["curves"]
    assert run["data"]["rows"]["train"] > 0


def test_a_live_model_is_shown_with_its_endpoint_alarms_and_form(
    operated: User, operator: Operator
) -> None:
    model = operator.get(f"/models/{MODEL}")
    assert model["champion"]["version"] == 2
    assert model["champion"]["endpointStatus"] == "InService"
    assert len(model["alarms"]) == 9
    assert [column["type"] for column in model["form"]["columns"]] == ["number", "number"]
    assert all(column["example"] for column in model["form"]["columns"])
    versions = operator.get(f"/models/{MODEL}/versions")["versions"]
    assert [(each["version"], each["approval"], each["live"]) for each in versions] == [
        (2, "Approved", True),
        (1, "Approved", False),
    ]


def test_a_prediction_and_its_label_are_answered_as_the_document_says(operated: User) -> None:
    answer = operated.predict(MODEL, [[5.0, 0.1], {"f0": 7.0, "f1": None}])
    assert answer.status_code == 200, answer.text
    SCHEMA["/models/{model}/predictions"]["POST"].validate_response(answer)
    records = [
        {"inferenceId": row["inferenceId"], "label": label}
        for row, label in zip(answer.json()["predictions"], ["0", "unknown"], strict=True)
    ]
    labelled = operated.http.post(
        f"{operated.stack.api_url}/models/{MODEL}/ground-truth",
        json={"labels": records},
        headers={"x-api-key": operated.stack.api_keys["label"]},
        timeout=30,
    )
    assert labelled.status_code == 202, labelled.text
    SCHEMA["/models/{model}/ground-truth"]["POST"].validate_response(labelled)


def test_a_key_opens_its_own_routes_only(operated: User, operator: Operator) -> None:
    for method, path in OPERATIONS:
        (scheme,) = DOCUMENT["paths"][path][method.lower()]["security"]
        (own,) = scheme
        for key in set(KEYS) - {own}:
            filled = path.format(model=MODEL, run="r", version="1")
            response = requests.request(
                method,
                f"{operator.url}{filled}",
                headers={"x-api-key": operated.stack.api_keys[KEYS[key]]},
                timeout=30,
            )
            code = response.json()["error"]["code"]
            assert (response.status_code, code) == (403, "KeyNotAllowed"), (method, path, key)


def test_another_method_is_refused_with_what_is_allowed(operated: User, operator: Operator) -> None:
    for method, path in OPERATIONS:
        (scheme,) = DOCUMENT["paths"][path][method.lower()]["security"]
        if "OperateApiKey" in scheme:
            filled = path.format(model=MODEL, run="r", version="1")
            response = operator.http.put(f"{operator.url}{filled}", timeout=30)
            assert (response.status_code, response.headers["Allow"]) == (405, method), path


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_answers_are_those_of_the_openapi_document(
    operated: User, method: str, path: str, mode: GenerationMode
) -> None:
    """Schemathesis makes valid and invalid requests of each operation from the document."""
    operation = SCHEMA[path][method]
    (scheme,) = DOCUMENT["paths"][path][method.lower()]["security"]
    (key,) = scheme
    headers = {"x-api-key": operated.stack.api_keys[KEYS[key]]}
    # Actions on the live model are tested below; here they must not disturb the other requests.
    is_action = method == "POST" and key == "OperateApiKey"
    names = [REFUSED, UNKNOWN] if is_action else [MODEL, MODEL, REFUSED, UNKNOWN]
    known_runs = [run["run"] for run in operated.runs(MODEL)]
    done = 0

    @seed(20260105)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given_values(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        nonlocal done
        done += 1
        is_valid = mode is GenerationMode.POSITIVE
        if is_valid and "model" in case.path_parameters and done % 4:
            case.path_parameters["model"] = names[done % len(names)]
        if is_valid and "run" in case.path_parameters and done % 2:
            case.path_parameters["run"] = known_runs[done % len(known_runs)]
        response = case.call(base_url=operated.stack.api_url, headers=headers)
        cases[f"{method} {path}", response.status_code] += 1
        if response.status_code == HEADERS_TOO_LARGE:  # refused before the API sees the request
            assert len(response.request.url or "") > LONGEST_URL
            return
        excluded = []
        if path.endswith("/predictions") or "next" in (case.query or {}):
            excluded = [accepted]  # which rows fit, and which tokens continue, no document can say
        if path.endswith("/ground-truth"):
            excluded = [rejected]  # a bad record is rejected by itself, within an answer 202
        case.validate_response(response, excluded_checks=excluded)

    check()


def test_a_model_is_rolled_back_to_an_older_version_and_forward_again(
    operated: User, operator: Operator
) -> None:
    def live() -> int:
        return int(operator.get(f"/models/{MODEL}")["champion"]["version"])

    rolled = operator.post("/models/{model}/rollback", {"version": 1})
    assert rolled.status_code == 202, rolled.text
    assert rolled.json()["by"].startswith("API key ")
    wait_for(lambda: live() == 1 or None, "the rollback", operated.pace.change_s)
    repeated = operator.post("/models/{model}/rollback", {"version": 1})
    assert (repeated.status_code, repeated.json()["error"]["code"]) == (409, "AlreadyLive")
    (second, first) = operator.get(f"/models/{MODEL}/versions")["versions"]
    assert [second["approval"], first["approval"]] == ["Rejected", "Approved"]
    approved = operator.post("/models/{model}/versions/{version}/approve", version="2")
    assert approved.status_code == 202, approved.text
    wait_for(lambda: live() == 2 or None, "the approved version", operated.pace.change_s)


def test_an_endpoint_that_was_deleted_by_hand_is_created_again_by_unblocking(
    operated: User, operator: Operator
) -> None:
    free = operator.post("/models/{model}/unblock")
    assert (free.status_code, free.json()["error"]["code"]) == (409, "NotBlocked")
    operated.client("sagemaker").delete_endpoint(EndpointName=f"refit-{MODEL}")

    def held_by() -> list[str]:
        return [hold["kind"] for hold in operator.get(f"/models/{MODEL}")["holds"]]

    wait_for(lambda: held_by() == ["endpoint"] or None, "the loss", operated.pace.change_s)
    asked = operator.post("/models/{model}/unblock")
    assert asked.status_code == 202, asked.text
    assert "Version 2 is deployed again" in asked.json()["text"]
    wait_for(lambda: held_by() == [] or None, "the endpoint", operated.pace.change_s)
    assert operated.predict(MODEL, [[5.0, 0.1]]).status_code == 200


def test_a_requested_retraining_says_who_asked(operated: User, operator: Operator) -> None:
    asked = operator.post("/models/{model}/retrain")
    assert asked.status_code == 202, asked.text

    def requested() -> bool | None:
        model = operator.get(f"/models/{MODEL}")
        retraining = model["loop"]["retraining"]
        is_known = retraining["requestedBy"] == asked.json()["by"]
        return (is_known or model["lastRun"]["cause"] == "request") or None

    wait_for(requested, "the request", operated.pace.count_s)
