"""The API shows models, their runs, quality and versions, in pages of stable order."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from refit.domain.evaluation.examples import ExampleRow
from refit.domain.evaluation.training_curves import Curves, JobCurves
from refit.domain.inferences.cohort_key import cohort_start
from refit.domain.learned import Learned, LearnedColumn
from refit.domain.moments import utc_now
from refit.domain.monitoring.input_counts import InputCounter, columns_of
from refit.domain.naming import ModelKeys, RunKeys
from refit.domain.vocabulary import RunStatus
from refit.handlers import read_models
from refit.handlers.wiring import services
from refit.usecases.check_drift import check_drift

from tests.integration.monitoring.live_model import (
    BASELINE,
    MODEL,
    PROFILE,
    ago,
    count_cohort,
    go_live,
)
from tests.integration.monitoring.operated import event_of, get, refused, send
from tests.support.aws_stack import CONTEXT
from tests.support.registered_versions import FakeRegistry

if TYPE_CHECKING:
    from tests.support.aws_stack import Stack

READS = (
    "/models",
    "/models/digits",
    "/models/digits/runs",
    "/models/digits/runs/run1",
    "/models/digits/quality",
    "/models/digits/versions",
)


@pytest.fixture
def registry(stack: Stack) -> FakeRegistry:
    registry = FakeRegistry()
    stack.replace_clients(sagemaker=registry)
    return registry


@pytest.fixture
def live(stack: Stack) -> FakeRegistry:
    """Version 1 of digits is live, and its registry shows it."""
    go_live(1)
    registry = FakeRegistry()
    registry.approvals["arn:1"] = "Approved"
    stack.replace_clients(sagemaker=registry)
    return registry


def check() -> None:
    """Check the live version for drift, as CheckDrift does every minute."""
    check_drift(services(), MODEL)


def begin(model: str, runs: int) -> None:
    for number in range(runs):
        run = f"run{number:02d}"
        services().models.begin_run(model, run, "drop", None)
        services().models.update_run(model, run, status=RunStatus.FAILED, error="SomeError")
        services().models.release_run(model, run)


def test_without_models_the_list_is_empty(registry: FakeRegistry) -> None:
    assert get("/models") == {"models": [], "next": None}


def test_a_model_is_listed_with_its_stage_version_run_and_trend(live: FakeRegistry) -> None:
    for minutes in (20, 19, 18):
        count_cohort(1, ago(minutes), labelled=100, errors=5)
    check()
    (model,) = get("/models")["models"]
    assert (model["model"], model["stage"]) == ("digits", "watching")
    assert model["champion"]["version"] == 1
    assert (model["lastRun"]["run"], model["lastRun"]["status"]) == ("run1", "DEPLOYED")
    assert model["quality"]["value"] == pytest.approx(0.95)
    assert [point["value"] for point in model["trend"]] == pytest.approx([0.95] * 3)


def test_a_list_of_50_models_takes_four_requests(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        begin(f"m{number:02d}", 3)
    asked: list[str] = []
    original = BaseClient._make_api_call

    def count(client: Any, operation: str, request: Any) -> Any:
        asked.append(operation)
        return original(client, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", count)
    assert len(get("/models")["models"]) == 50
    assert asked == ["Query", "BatchGetItem", "BatchGetItem", "BatchGetItem"]


def test_the_pages_of_models_have_each_model_once_in_order(registry: FakeRegistry) -> None:
    names = [f"m{number}" for number in range(5)]
    for name in reversed(names):
        begin(name, 1)
    found, following = [], None
    while True:
        page = get("/models", limit="2", **({"next": following} if following else {}))
        found += [model["model"] for model in page["models"]]
        following = page["next"]
        if following is None:
            break
    assert found == names


def test_the_pages_of_runs_have_each_run_once_newest_first_while_others_begin(
    registry: FakeRegistry,
) -> None:
    begin("digits", 5)
    first = get("/models/digits/runs", limit="2")
    services().models.begin_run("digits", "later", "drop", None)
    second = get("/models/digits/runs", limit="2", next=first["next"])
    third = get("/models/digits/runs", limit="2", next=second["next"])
    runs = [run["run"] for page in (first, second, third) for run in page["runs"]]
    assert runs == ["run04", "run03", "run02", "run01", "run00"]
    assert third["next"] is None


def test_a_model_without_a_version_waits_for_data_and_says_why(registry: FakeRegistry) -> None:
    begin("digits", 1)
    model = get("/models/digits")
    assert model["stage"] == "waiting_for_data"
    assert "run00 failed" in model["text"]
    assert (model["champion"], model["form"], model["loop"]) == (None, None, None)


def test_a_live_model_is_shown_with_form_settings_endpoint_and_labels(live: FakeRegistry) -> None:
    model = get("/models/digits")
    assert model["champion"]["endpointStatus"] == "InService"
    assert model["settings"]["values"]["monitoring"]["cohort_s"] == 60
    names = [column["name"] for column in model["form"]["columns"]]
    assert names == list(services().artifacts.schema(MODEL, "run1").all_columns)
    assert model["loop"]["labels"]["held"] == 0
    assert model["stage"] == "serving"


def test_rows_of_a_square_number_of_numbers_can_be_pictures(live: FakeRegistry) -> None:
    keys = RunKeys(MODEL, "run1")
    pixels = [{"name": f"p{number}", "type": "number"} for number in range(64)]
    columns = {"task": "classification", "label": "digit", "features": pixels, "classes": ["0"]}
    services().bucket.put_json(keys.schema, columns)
    profile = {"columns": [{"name": "p0", "max": None}, {"name": "p1", "max": 16}]}
    services().bucket.put_json(keys.profile, profile)
    form = get("/models/digits")["form"]
    assert (form["imageSide"], form["imageMax"]) == (8, 16)


def test_an_alarm_is_shown_with_its_state(live: FakeRegistry, stack: Stack) -> None:
    alarm = {
        "MetricName": "QualityDrift",
        "Namespace": "Refit",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "Statistic": "Maximum",
    }
    cloudwatch = services().client("cloudwatch")
    cloudwatch.put_metric_alarm(AlarmName="refit-digits-quality-drift", **alarm)
    cloudwatch.put_metric_alarm(AlarmName="refit-digits-other", **alarm)
    cloudwatch.set_alarm_state(
        AlarmName="refit-digits-quality-drift", StateValue="ALARM", StateReason="1 > 0"
    )
    (shown,) = get("/models/digits")["alarms"]
    assert (shown["kind"], shown["state"], shown["reason"]) == ("quality-drift", "ALARM", "1 > 0")


def test_quality_names_the_parts_of_the_evidence_and_what_changed_it(live: FakeRegistry) -> None:
    for minutes in range(30, 20, -1):
        count_cohort(1, ago(minutes), labelled=100, errors=5)
    for minutes in range(20, 15, -1):
        count_cohort(1, ago(minutes), labelled=100, errors=60)
    check()
    quality = get("/models/digits/quality")
    assert quality["evidence"]["drifted"]
    assert quality["alarm"]["version"] == 1
    assert quality["parts"][0]["className"] is None
    total = sum(10 ** part["log10"] for part in quality["parts"] if part["log10"] is not None)
    assert total == pytest.approx(10 ** quality["evidence"]["log10"], rel=0.01)
    starts = [cohort["start"] for cohort in quality["series"]]
    assert starts == sorted(starts, reverse=True)
    assert len(starts) == 15
    worse = {cohort["start"] for cohort in quality["series"] if cohort["errorRate"] > 0.5}
    assert {change["start"] for change in quality["changes"]} <= worse
    largest = quality["changes"][0]
    factor = largest["after"] - largest["before"]
    assert factor > 15
    assert f"multiplied the evidence by 10^{factor:.1f}." in largest["text"]
    judged = [cohort for cohort in quality["series"] if cohort["log10"] is not None]
    assert judged
    assert all(0 < cohort["bar"] < 0.5 for cohort in judged)


def test_the_pages_of_cohorts_have_each_cohort_once(live: FakeRegistry) -> None:
    for minutes in range(30, 20, -1):
        for _ in range(2):
            count_cohort(1, ago(minutes), labelled=10, errors=1)
    first = get("/models/digits/quality", limit="7")
    second = get("/models/digits/quality", limit="7", next=first["next"])
    starts = [cohort["start"] for page in (first, second) for cohort in page["series"]]
    assert starts == sorted(set(starts), reverse=True)
    assert (len(starts), second["next"]) == (10, None)


def test_a_page_of_cohorts_of_an_earlier_version_is_refused(live: FakeRegistry) -> None:
    for minutes in (20, 19):
        count_cohort(1, ago(minutes), labelled=10, errors=1)
    page = get("/models/digits/quality", limit="1")
    go_live(2)
    services().client = services().client
    code = refused("GET", "/models/digits/quality", {"limit": "1", "next": page["next"]})
    assert code == (400, "ParameterInvalid")


def test_shifted_inputs_are_ranked_with_histograms_against_the_profile(
    live: FakeRegistry, stack: Stack
) -> None:
    start = cohort_start(utc_now() - timedelta(minutes=10), 60)
    columns = columns_of(PROFILE, BASELINE)
    counter = InputCounter(columns)
    width = len(columns.features)
    import numpy as np

    counter.add(np.full((200, width), 1e9))
    key = ModelKeys(MODEL).input_counts(1, start, "abc")
    services().bucket.put(key, counter.counts().to_bytes())
    count_cohort(1, start, labelled=10, errors=1)
    check()
    quality = get("/models/digits/quality")
    assert quality["inputs"]["flagged"] > 0
    shares = [column["value"] / column["threshold"] for column in quality["columns"]]
    assert shares == sorted(shares, reverse=True)
    first = quality["columns"][0]
    assert first["flagged"]
    assert len(first["live"]) == len(first["reference"])
    assert sum(first["live"]) == 200
    if first["edges"] is not None:
        assert len(first["live"]) == len(first["edges"]) + 1


def test_a_run_is_shown_with_cause_curves_and_data(live: FakeRegistry) -> None:
    values = tuple(1 / (1 + number) for number in range(1000))
    job = JobCurves(job="j", title="training", rounds=1000, metrics={"validation-error": values})
    curves = Curves(model=MODEL, run="run1", jobs=(job,))
    services().bucket.put_json(RunKeys(MODEL, "run1").curves, curves.model_dump(mode="json"))
    run = get("/models/digits/runs/run1")
    assert run["causeText"] == "Files were dropped."
    (curve,) = run["curves"]
    assert (curve["rounds"], curve["points"][-1]["round"]) == (1000, 1000)
    assert len(curve["points"]) <= 200
    assert run["training"][0]["rounds"] == 1000
    assert run["data"]["files"][0]["key"] == "digits/raw/a.csv"
    assert (run["gate"], run["evaluation"], run["trials"]) == (None, None, None)


def example(values: tuple[str | None, ...]) -> dict[str, Any]:
    return ExampleRow(number=0, values=values, truth="3", predicted="8").model_dump(mode="json")


def test_held_out_rows_of_a_table_are_shown_with_the_columns_that_the_model_uses(
    live: FakeRegistry,
) -> None:
    keys = RunKeys(MODEL, "run1")
    columns = [{"name": "size", "type": "number"}, {"name": "age", "type": "number"}]
    table = {"task": "classification", "label": "kind", "classes": ["3", "8"]}
    left_out = {"columns": ["id", "size", "age"], "left_out": {"id": "it is unique"}}
    services().bucket.put_json(keys.schema, table | left_out | {"features": columns})
    services().bucket.put_json(keys.evaluation_examples, {"rows": [example(("1.5", None))]})
    examples = get("/models/digits/runs/run1")["examples"]
    assert (examples["columns"], examples["imageSide"]) == (["size", "age"], None)
    assert examples["rows"][0]["values"] == ["1.5", None]
    assert (examples["rows"][0]["truth"], examples["rows"][0]["predicted"]) == ("3", "8")


def test_held_out_pictures_have_a_value_for_each_pixel_also_for_those_that_are_left_out(
    live: FakeRegistry, stack: Stack
) -> None:
    keys = RunKeys(MODEL, "run1")
    names = [f"p{number}" for number in range(64)]
    pixels = [{"name": name, "type": "number"} for name in names[1:]]
    table = {"task": "classification", "label": "digit", "classes": ["3", "8"]}
    left_out = {"columns": names, "left_out": {"p0": "it is constant"}}
    services().bucket.put_json(keys.schema, table | left_out | {"features": pixels})
    profile = {"columns": [{"name": "p1", "max": 16}]}
    services().bucket.put_json(keys.profile, profile)
    column = LearnedColumn(name="p0", type="ignored", missing=0, example="7", reason="constant")
    learned = Learned(
        label="digit",
        task="classification",
        classes=("3", "8"),
        columns=(column,),
        header=True,
        delimiter=",",
        decimal=".",
        rows=2,
        refused=0,
        refused_reasons={},
    )
    manifest = stack.get(keys.manifest) | {"learned": learned.model_dump(mode="json")}
    services().bucket.put_json(keys.manifest, manifest)
    rows = {"rows": [example(("16",) * 63)]}
    services().bucket.put_json(keys.evaluation_examples, rows)
    examples = get("/models/digits/runs/run1")["examples"]
    assert (examples["imageSide"], examples["imageMax"]) == (8, 16)
    assert examples["rows"][0]["values"] == ["7", *["16"] * 63]


def test_the_reason_of_a_retraining_is_said_in_the_lists_without_a_read_of_its_own(
    live: FakeRegistry,
) -> None:
    reason = "40 of 100 predictions are wrong."
    services().models.begin_run(MODEL, "again", "drift", None, champion=1, reason=reason)
    said = f"Drift was detected: {reason}"
    assert get("/models/digits/runs")["runs"][0]["causeText"] == said
    assert get("/models")["models"][0]["lastRun"]["causeText"] == said
    assert get("/models/digits/runs/again")["causeText"] == said


def test_versions_are_listed_newest_first_with_approval_and_data(
    live: FakeRegistry, stack: Stack
) -> None:
    go_live(2)
    live.approvals["arn:2"] = "PendingManualApproval"
    live.approvals["arn:3"] = "Approved"  # not by Refit
    stack.replace_clients(sagemaker=live)
    first = get("/models/digits/versions", limit="2")
    second = get("/models/digits/versions", limit="2", next=first["next"])
    versions = first["versions"] + second["versions"]
    assert [version["version"] for version in versions] == [3, 2, 1]
    assert [version["live"] for version in versions] == [False, True, False]
    assert [version["run"] for version in versions] == [None, "run2", "run1"]
    assert versions[1]["approval"] == "PendingManualApproval"
    assert versions[1]["data"]["rows"]["train"] == 1
    assert second["next"] is None


def test_a_token_that_the_registry_has_forgotten_is_refused(live: FakeRegistry) -> None:
    live.approvals["arn:2"] = "Approved"
    token = get("/models/digits/versions", limit="1")["next"]
    live.list_model_packages = lambda **request: FakeRegistry().list_model_packages(  # type: ignore[method-assign]
        **request | {"NextToken": "forgotten"}
    )
    code = refused("GET", "/models/digits/versions", {"limit": "1", "next": token})
    assert code == (400, "ParameterInvalid")


@pytest.mark.parametrize("path", READS)
def test_only_the_operate_key_opens_a_route(live: FakeRegistry, path: str) -> None:
    event = event_of("GET", path)
    event["requestContext"]["identity"]["apiKeyId"] = "another"
    status, content = send(event)
    assert (status, content["error"]["code"]) == (403, "KeyNotAllowed")


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("method", ["POST", "DELETE", "HEAD"])
def test_another_method_is_refused_with_what_is_allowed(
    live: FakeRegistry, path: str, method: str
) -> None:
    answer = read_models.handler(event_of(method, path), CONTEXT)
    assert (answer["statusCode"], answer["headers"]["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", [path.replace("digits", "nobody") for path in READS[1:]])
def test_an_unknown_model_is_not_found(live: FakeRegistry, path: str) -> None:
    assert refused("GET", path) == (404, "ModelNotFound")


@pytest.mark.parametrize("run", ["nobody", "x" * 2000])
def test_an_unknown_run_is_not_found(live: FakeRegistry, run: str) -> None:
    assert refused("GET", f"/models/digits/runs/{run}") == (404, "RunNotFound")


def test_a_malformed_name_is_refused(live: FakeRegistry) -> None:
    assert refused("GET", "/models/No%20Name") == (400, "ModelNameInvalid")


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "many", "1001", "", "٣"])
@pytest.mark.parametrize("path", ["/models", "/models/digits/runs", "/models/digits/quality"])
def test_a_bad_limit_is_refused_with_what_is_allowed(
    live: FakeRegistry, path: str, limit: str
) -> None:
    status, content = send(event_of("GET", path, {"limit": limit}))
    assert (status, content["error"]["code"]) == (400, "ParameterInvalid")
    assert "limit" in content["error"]["message"]
    assert "allowed: 1 to" in content["error"]["message"]


@pytest.mark.parametrize("token", ["", "x", "W10", "é", "!" * 9000, "bnVsbA", "WyJSVU5TIiwi"])
@pytest.mark.parametrize(
    "path",
    ["/models", "/models/digits/runs", "/models/digits/quality", "/models/digits/versions"],
)
def test_a_bad_token_is_refused(live: FakeRegistry, path: str, token: str) -> None:
    assert refused("GET", path, {"next": token}) == (400, "ParameterInvalid")


def forged(*parts: Any) -> str:
    import base64

    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/models", forged("MODELS", "", "")),
        ("/models", forged("MODELS", "", 7)),
        ("/models/digits/runs", forged("RUNS", "digits", "A")),
        ("/models/digits/runs", forged("RUNS", "other", "BEGUN#2026")),
        ("/models/digits/quality", forged("COHORTS", "digits", [1, "yesterday"])),
        ("/models/digits/quality", forged("COHORTS", "digits", [1, "2026-01-05T00:00:00"])),
        ("/models/digits/quality", forged("COHORTS", "digits", "x")),
        ("/models/digits/versions", forged("VERSIONS", "digits", {})),
    ],
)
def test_a_changed_token_is_refused(live: FakeRegistry, path: str, token: str) -> None:
    assert refused("GET", path, {"next": token}) == (400, "ParameterInvalid")


def test_an_unknown_or_repeated_parameter_is_refused(live: FakeRegistry) -> None:
    assert refused("GET", "/models", {"page": "2"}) == (400, "ParameterInvalid")
    assert refused("GET", "/models/digits", {"limit": "2"}) == (400, "ParameterInvalid")
    event = event_of("GET", "/models", {"limit": "2"})
    event["multiValueQueryStringParameters"] = {"limit": ["1", "2"]}
    assert send(event)[0] == 400


def test_cross_origin_requests_are_refused_unless_an_origin_is_allowed(
    live: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused("OPTIONS", "/models") == (403, "CrossOriginRefused")
    plain = read_models.handler(event_of("GET", "/models"), CONTEXT)
    assert not [name for name in plain["headers"] if name.startswith("Access-Control")]
    monkeypatch.setenv("API_ALLOWED_ORIGIN", "https://console.example.com")
    answer = read_models.handler(event_of("OPTIONS", "/models"), CONTEXT)
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert answer["headers"]["Access-Control-Allow-Origin"] == "https://console.example.com"
    allowed = read_models.handler(event_of("GET", "/models"), CONTEXT)
    assert allowed["headers"]["Access-Control-Allow-Origin"] == "https://console.example.com"


def test_the_largest_form_stays_below_the_limit_of_an_answer(stack: Stack) -> None:
    from refit.domain.pipeline.manifest import Manifest
    from refit.domain.schema import Feature, Schema
    from refit.usecases.show_model import form_of

    go_live(1)
    manifest = Manifest.model_validate_json(stack.read(RunKeys(MODEL, "run1").manifest))
    texts = tuple(f"{number:04d}" + "é" * 200 for number in range(400))
    features = tuple(
        Feature(name=f"f{number}" + "é" * 90, type="category", values=texts)
        for number in range(4096)
    )
    schema = Schema(task="classification", label="l", features=features, classes=texts)
    form = form_of(schema, manifest)
    assert form.columns_total == 4096
    assert len(form.model_dump_json().encode()) < 4_000_000
