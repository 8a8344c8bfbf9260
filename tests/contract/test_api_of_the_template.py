"""The API that SAM makes of the template: keys, authorizer, limits and error responses."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from samtranslator.translator.transform import transform

from tests.support.template import FUNCTIONS, RESOURCES, TEMPLATE, of_type

DEPLOYMENT = "AWS::ApiGateway::Deployment"
LOGGING = "AWSLambdaBasicExecutionRole"


PUBLIC_PATHS = {"/", "/console/{file+}"}  # the static files of the console


class ManagedPolicies:
    def load(self) -> dict[str, str]:
        return {LOGGING: f"arn:aws:iam::aws:policy/service-role/{LOGGING}"}


def translated(monkeypatch: pytest.MonkeyPatch, **parameters: str) -> dict[str, Any]:
    """Return the resources that SAM makes of the template, as `sam deploy` does."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    template = copy.deepcopy(TEMPLATE)
    del template["Globals"]["Function"]["CodeUri"]
    sources = {
        "AWS::Serverless::Function": "CodeUri",
        "AWS::Serverless::LayerVersion": "ContentUri",
        "AWS::Serverless::StateMachine": "DefinitionUri",
    }
    for resource in template["Resources"].values():
        if resource["Type"] in sources:
            resource["Properties"][sources[resource["Type"]]] = "s3://bucket/key"
    parameters = {"PythonRuntime": "python3.13", **parameters}
    resources: dict[str, Any] = transform(template, parameters, ManagedPolicies())["Resources"]
    return resources


@pytest.mark.parametrize(
    ("authorizer", "required"), [("NONE", {"api_key"}), ("AWS_IAM", {"api_key", "AWS_IAM"})]
)
def test_every_route_requires_a_key_and_if_asked_a_signature(
    monkeypatch: pytest.MonkeyPatch, authorizer: str, required: set[str]
) -> None:
    assert authorizer in TEMPLATE["Parameters"]["ApiAuthorizer"]["AllowedValues"]
    body = translated(monkeypatch, ApiAuthorizer=authorizer)["Api"]["Properties"]["Body"]
    routes = {
        (method, path): route
        for path, methods in body["paths"].items()
        for method, route in methods.items()
        if path not in PUBLIC_PATHS
    }
    asked_first = {path for method, path in routes if method == "options"}
    assert asked_first == {path for _, path in routes}, "browsers ask before they send"
    for (method, _), route in routes.items():
        if method == "options":  # browsers send no key and no signature with it
            schemes = {name for scheme in route.get("security", []) for name in scheme}
            assert schemes <= {"NONE"}
            continue
        assert {name for scheme in route["security"] for name in scheme} == required
        # With credentials of the caller, it would need permission to invoke the function.
        assert "credentials" not in route["x-amazon-apigateway-integration"]


@pytest.mark.parametrize("authorizer", ["NONE", "AWS_IAM"])
def test_the_files_of_the_console_need_neither_key_nor_signature_and_can_only_be_read(
    monkeypatch: pytest.MonkeyPatch, authorizer: str
) -> None:
    body = translated(monkeypatch, ApiAuthorizer=authorizer)["Api"]["Properties"]["Body"]
    for path in PUBLIC_PATHS:
        (method,) = body["paths"][path]
        assert method == "get"
        security = body["paths"][path][method].get("security", [])
        assert {name for scheme in security for name in scheme} <= {"NONE"}


def test_the_function_of_the_console_may_do_nothing_and_knows_no_key() -> None:
    assert "Policies" not in FUNCTIONS["ConsoleFunction"]
    assert "Environment" not in FUNCTIONS["ConsoleFunction"]


def test_a_throttled_function_is_answered_as_unavailable_and_a_defect_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = translated(monkeypatch)["Api"]["Properties"]["Body"]
    answers = body["x-amazon-apigateway-gateway-responses"]
    assert answers["INTEGRATION_FAILURE"]["statusCode"] == "503"
    parameters = answers["INTEGRATION_FAILURE"]["responseParameters"]
    assert parameters["gatewayresponse.header.Retry-After"] == "'2'"
    assert "statusCode" not in answers["DEFAULT_5XX"]


def test_the_gateway_s_own_errors_have_the_cors_headers_of_the_functions_for_an_allowed_origin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resources = translated(monkeypatch)
    answers = resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-gateway-responses"]
    for answer in answers.values():
        headers = {
            name.removeprefix("gatewayresponse.header."): value
            for name, value in answer["responseParameters"].items()
        }
        nothing = {"Ref": "AWS::NoValue"}
        allowed = {"Fn::Sub": "'${ApiAllowedOrigin}'"}
        origin = {"Fn::If": ["HasAllowedOrigin", allowed, nothing]}
        assert headers["Access-Control-Allow-Origin"] == origin
        assert headers["Vary"] == {"Fn::If": ["HasAllowedOrigin", "'Origin'", nothing]}


def test_another_allowed_origin_is_deployed_to_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    # A stage serves the gateway responses of its deployment. SAM makes a new one for another
    # definition, and sees the parameter's name in it, not its value.
    deployments = []
    for seconds in (1, 2):
        clock = "samtranslator.model.apigateway.time.time"
        monkeypatch.setattr(clock, lambda now=seconds: float(now))
        resources = translated(monkeypatch)
        deployments += [name for name, each in resources.items() if each["Type"] == DEPLOYMENT]
    assert len(set(deployments)) == 2


def test_every_route_that_needs_no_key_has_limits_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resources = translated(monkeypatch)
    without_key = {
        (path, method.upper())
        for path, methods in resources["Api"]["Properties"]["Body"]["paths"].items()
        for method, route in methods.items()
        if "api_key" not in {name for scheme in route.get("security", []) for name in scheme}
    }
    (stage,) = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::ApiGateway::Stage"
    ]
    limited = set()
    for setting in stage["MethodSettings"]:
        path = setting["ResourcePath"]
        # CloudFormation: "/~1resource~1subresource", and "/" for the root.
        assert path == "/" or re.fullmatch(r"/(~1[^/~]+)+", path)
        limited.add((path.replace("/~1", "/").replace("~1", "/"), setting["HttpMethod"]))
        assert setting["ThrottlingRateLimit"] == {"Ref": "ApiRateLimit"}
        assert setting["ThrottlingBurstLimit"] == {"Ref": "ApiBurstLimit"}
    assert limited == without_key


def test_a_key_opens_predictions_or_ground_truth_or_all_routes_that_operate_models() -> None:
    keys = of_type("AWS::ApiGateway::ApiKey")
    assert keys.keys() == {"PredictApiKey", "LabelApiKey", "OperateApiKey"}
    opened = {
        event["Properties"]["Path"]: function["Environment"]["Variables"]["API_KEY_ID"]["Ref"]
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
        and event["Properties"]["Method"] != "OPTIONS"
        and event["Properties"]["Path"] not in PUBLIC_PATHS
    }
    assert opened.pop("/models/{model}/predictions") == "PredictApiKey"
    assert opened.pop("/models/{model}/ground-truth") == "LabelApiKey"
    assert set(opened.values()) == {"OperateApiKey"}


def test_each_key_is_replaced_when_its_own_name_changes_and_first_has_none() -> None:
    for name, key in of_type("AWS::ApiGateway::ApiKey").items():
        # CloudFormation replaces a key whose Name or Value changes, and nothing else does.
        assert key["Name"] == {
            "Fn::If": [f"Has{name}Name", {"Ref": f"{name}Name"}, {"Ref": "AWS::NoValue"}]
        }
        assert "Value" not in key
        assert TEMPLATE["Parameters"][f"{name}Name"]["Default"] == ""
        has_name = {"Fn::Not": [{"Fn::Equals": [{"Ref": f"{name}Name"}, ""]}]}
        assert TEMPLATE["Conditions"][f"Has{name}Name"] == has_name


def test_every_key_is_limited_by_the_usage_plan_in_rate_and_per_day() -> None:
    plan = RESOURCES["ApiUsagePlan"]["Properties"]
    assert plan["Throttle"]["RateLimit"] == {"Ref": "ApiRateLimit"}
    assert plan["Quota"] == {"Limit": {"Ref": "ApiDailyQuota"}, "Period": "DAY"}
    in_plan = {
        entry["KeyId"]["Ref"]
        for entry in of_type("AWS::ApiGateway::UsagePlanKey").values()
        if entry["UsagePlanId"] == {"Ref": "ApiUsagePlan"}
    }
    assert in_plan == set(of_type("AWS::ApiGateway::ApiKey"))
