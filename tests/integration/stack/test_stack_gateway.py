"""An API tells its function which key was used, and answers for a throttled one with 503."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from botocore.credentials import Credentials
from refit_cli.api.request_signature import RequestSignature
from stack_under_test import KEYS, LocalAws, until

IDENTITY = """
import json
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"]["identity"])}
"""
LAMBDA_PATH = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions"
SLOW = """
import time
def handler(event, context):
    time.sleep(3)
    print("answered")
    return {"statusCode": 200, "body": "late"}
"""
METHOD = """
def handler(event, context):
    return {"statusCode": 200, "body": f"{context.function_name} {event['httpMethod']}"}
"""
FAILING = """
def handler(event, context):
    raise RuntimeError("a secret")
"""
ERROR = '{"error": {"code": "$context.error.responseType"}}'


@dataclass
class Api:
    url: str
    keys: dict[str, str]
    """Value of each key, by its id."""

    def post(self, key: str) -> requests.Response:
        return requests.post(self.url, data="{}", headers={"x-api-key": key}, timeout=20)


@pytest.fixture(scope="module")
def api(aws: LocalAws) -> Api:
    gateway = aws.client("apigateway")
    api_id = gateway.create_rest_api(name="identified")["id"]
    [root] = gateway.get_resources(restApiId=api_id)["items"]
    function = aws.function("identity", IDENTITY)
    signed = gateway.create_resource(restApiId=api_id, parentId=root["id"], pathPart="signed")
    slow = gateway.create_resource(restApiId=api_id, parentId=root["id"], pathPart="slow")
    slow_function = aws.function("slow", SLOW)
    for resource, authorization in ((root, "NONE"), (signed, "AWS_IAM"), (slow, "NONE")):
        method: dict[str, Any] = {
            "restApiId": api_id,
            "resourceId": resource["id"],
            "httpMethod": "POST",
        }
        gateway.put_method(**method, authorizationType=authorization, apiKeyRequired=True)
        called = slow_function if resource is slow else function
        gateway.put_integration(
            **method,
            type="AWS_PROXY",
            integrationHttpMethod="POST",
            uri=f"{LAMBDA_PATH}/{called}/invocations",
            timeoutInMillis=500 if resource is slow else 29_000,
        )
    gateway.put_gateway_response(
        restApiId=api_id,
        responseType="INTEGRATION_FAILURE",
        statusCode="503",
        responseParameters={"gatewayresponse.header.Retry-After": "'2'"},
        responseTemplates={"application/json": ERROR},
    )
    gateway.create_deployment(restApiId=api_id, stageName="v1")
    plan = gateway.create_usage_plan(name="p", apiStages=[{"apiId": api_id, "stage": "v1"}])
    keys = {}
    for name in ("first", "second"):
        key = gateway.create_api_key(name=name, enabled=True)
        gateway.create_usage_plan_key(usagePlanId=plan["id"], keyId=key["id"], keyType="API_KEY")
        keys[key["id"]] = key["value"]
    return Api(f"{aws.url}/_aws/execute-api/{api_id}/v1/", keys)


def test_the_event_has_the_id_of_the_key_that_was_used(api: Api) -> None:
    for key_id, value in api.keys.items():
        identity = api.post(value).json()
        assert (identity["apiKeyId"], identity["apiKey"]) == (key_id, value)


def test_a_method_that_requires_a_signature_and_a_key_gets_both_or_refuses(
    aws: LocalAws, api: Api
) -> None:
    key = next(iter(api.keys.values()))
    signature = RequestSignature(Credentials(*KEYS.values()), "us-east-1")
    headers = {"x-api-key": key, "content-type": "application/json"}

    def post(path: str, **options: Any) -> int:
        return requests.post(f"{api.url}{path}", data="{}", timeout=20, **options).status_code

    assert post("signed", headers=headers, auth=signature) == 200
    assert post("signed", headers=headers) == 403
    assert post("signed", headers={"content-type": "application/json"}, auth=signature) == 403
    keys = aws.client("iam")
    keys.create_user(UserName="powerless")
    created = keys.create_access_key(UserName="powerless")["AccessKey"]
    powerless = Credentials(created["AccessKeyId"], created["SecretAccessKey"])
    refused = RequestSignature(powerless, "us-east-1")
    assert post("signed", headers=headers, auth=refused) == 403


def test_a_request_of_more_than_ten_megabytes_is_refused_with_413(api: Api) -> None:
    headers = {"x-api-key": next(iter(api.keys.values())), "content-type": "application/json"}
    statuses = [
        requests.post(api.url, data=b"x" * size, headers=headers, timeout=30).status_code
        for size in (1024, 10 * 1024 * 1024 + 1)
    ]
    assert statuses == [200, 413]


def test_a_throttled_function_is_answered_with_503_and_counted(aws: LocalAws, api: Api) -> None:
    functions = aws.client("lambda")
    functions.put_function_concurrency(FunctionName="identity", ReservedConcurrentExecutions=0)
    try:
        answer = api.post(next(iter(api.keys.values())))
    finally:
        functions.delete_function_concurrency(FunctionName="identity")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.json() == {"error": {"code": "INTEGRATION_FAILURE"}}

    def errors(namespace: str, metric: str, **dimensions: str) -> float:
        points = aws.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=time.time() - 300,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        return sum(point["Sum"] for point in points)

    assert until(lambda: errors("AWS/ApiGateway", "5XXError", ApiName="identified")) == 1
    assert until(lambda: errors("AWS/Lambda", "Throttles", FunctionName="identity")) == 1
    assert json.loads(api.post(next(iter(api.keys.values()))).text)["apiKeyId"]


def test_a_function_that_takes_longer_than_the_integration_is_answered_with_504_and_runs_on(
    aws: LocalAws, api: Api
) -> None:
    headers = {"x-api-key": next(iter(api.keys.values()))}
    answer = requests.post(f"{api.url}slow", data="{}", headers=headers, timeout=20)
    assert answer.status_code == 504
    assert answer.json()["message"] == "Endpoint request timed out"
    assert until(lambda: [line for line in aws.log("/aws/lambda/slow") if "answered" in line])


def test_any_method_of_a_definition_is_answered_and_an_own_method_comes_first(
    aws: LocalAws,
) -> None:
    def integrated(function: str) -> dict[str, Any]:
        uri = f"{LAMBDA_PATH}/{aws.function(function, METHOD)}/invocations"
        proxy = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri}
        return {"x-amazon-apigateway-integration": proxy}

    path = {"x-amazon-apigateway-any-method": integrated("any"), "options": integrated("own")}
    definition = {
        "openapi": "3.0.1",
        "info": {"title": "any", "version": "1"},
        "paths": {"/models/{model}": path},
    }
    resources = {"Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": definition}}}
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="any", TemplateBody=json.dumps({"Resources": resources}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="any")
    described = cloudformation.describe_stack_resource(StackName="any", LogicalResourceId="Api")
    api_id = described["StackResourceDetail"]["PhysicalResourceId"]
    aws.client("apigateway").create_deployment(restApiId=api_id, stageName="v1")
    url = f"{aws.url}/_aws/execute-api/{api_id}/v1/models/digits"
    answers = {
        method: requests.request(method, url, timeout=20).text
        for method in ("GET", "DELETE", "OPTIONS")
    }
    assert answers == {"GET": "any GET", "DELETE": "any DELETE", "OPTIONS": "own OPTIONS"}


def test_a_function_that_fails_is_answered_with_502_in_the_form_of_the_api(
    aws: LocalAws,
) -> None:
    gateway = aws.client("apigateway")
    api_id = gateway.create_rest_api(name="failing")["id"]
    [root] = gateway.get_resources(restApiId=api_id)["items"]
    method = {"restApiId": api_id, "resourceId": root["id"], "httpMethod": "GET"}
    gateway.put_method(**method, authorizationType="NONE")
    uri = f"{LAMBDA_PATH}/{aws.function('failing', FAILING)}/invocations"
    gateway.put_integration(**method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    gateway.put_gateway_response(
        restApiId=api_id,
        responseType="DEFAULT_5XX",
        responseTemplates={"application/json": ERROR},
    )
    gateway.create_deployment(restApiId=api_id, stageName="v1")
    response = requests.get(f"{aws.url}/_aws/execute-api/{api_id}/v1/", timeout=20)
    assert (response.status_code, response.json()) == (502, {"error": {"code": "DEFAULT_5XX"}})


def test_the_gateway_responses_of_a_definition_are_in_effect(aws: LocalAws) -> None:
    answer = {"statusCode": 503, "responseTemplates": {"application/json": ERROR}}
    definition = {
        "openapi": "3.0.1",
        "info": {"title": "defined", "version": "1"},
        "paths": {},
        "x-amazon-apigateway-gateway-responses": {"INTEGRATION_FAILURE": answer},
    }
    resources = {"Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": definition}}}
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="api", TemplateBody=json.dumps({"Resources": resources}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="api")
    described = cloudformation.describe_stack_resource(StackName="api", LogicalResourceId="Api")
    api_id = described["StackResourceDetail"]["PhysicalResourceId"]
    response = aws.client("apigateway").get_gateway_response(
        restApiId=api_id, responseType="INTEGRATION_FAILURE"
    )
    assert response["statusCode"] == "503"
    assert response["responseTemplates"] == {"application/json": ERROR}


def test_the_cors_headers_of_a_gateway_response_depend_on_a_condition_of_the_template(
    aws: LocalAws,
) -> None:
    for name, origin in (("open", "https://page.example.com"), ("closed", "")):
        allowed = {"Fn::If": ["HasOrigin", f"'{origin}'", {"Ref": "AWS::NoValue"}]}
        parameters = {"gatewayresponse.header.Access-Control-Allow-Origin": allowed}
        definition = {
            "openapi": "3.0.1",
            "info": {"title": name, "version": "1"},
            "paths": {"/": {"get": {"x-amazon-apigateway-integration": {"type": "MOCK"}}}},
            "x-amazon-apigateway-gateway-responses": {
                "DEFAULT_4XX": {"responseParameters": parameters}
            },
        }
        url = deploy_api(aws, f"cors-{name}", definition, {"HasOrigin": bool(origin)})
        response = requests.get(f"{url}nothing-is-here", timeout=20)
        assert 400 <= response.status_code < 500
        assert response.headers.get("Access-Control-Allow-Origin") == (origin or None)


def test_a_method_that_needs_no_key_is_throttled_by_the_settings_of_its_stage(
    aws: LocalAws,
) -> None:
    function = aws.function("public", METHOD)
    integration = {
        "type": "AWS_PROXY",
        "httpMethod": "POST",
        "uri": f"{LAMBDA_PATH}/{function}/invocations",
    }
    methods = {
        method: {"x-amazon-apigateway-integration": integration} for method in ("get", "options")
    }
    definition = {
        "openapi": "3.0.1",
        "info": {"title": "public", "version": "1"},
        "paths": {"/console/{file+}": methods, "/": methods},
    }
    # A token in 100 seconds: none comes back while the test runs.
    limits = {"ThrottlingRateLimit": 0.01, "ThrottlingBurstLimit": 2}
    settings = [
        {"ResourcePath": path, "HttpMethod": "GET", **limits}
        for path in ("/", "/~1console~1{file+}")
    ]
    url = deploy_api(aws, "throttled", definition, {}, MethodSettings=settings)
    for path in ("", "console/app.js"):
        statuses = [requests.get(url + path, timeout=20).status_code for _ in range(3)]
        assert statuses == [200, 200, 429], path
    # Each method has limits of its own.
    assert requests.options(url, timeout=20).status_code == 200


def test_a_key_with_a_new_name_replaces_the_old_one_and_leaves_the_others(
    aws: LocalAws, api: Api
) -> None:
    rest_api_id = api.url.split("/")[-3]
    named = {"Fn::If": ["HasName", {"Ref": "Name"}, {"Ref": "AWS::NoValue"}]}
    plan = {"ApiStages": [{"ApiId": rest_api_id, "Stage": "v1"}]}
    resources: dict[str, Any] = {
        "Plan": {"Type": "AWS::ApiGateway::UsagePlan", "Properties": plan},
        "Key": {"Type": "AWS::ApiGateway::ApiKey", "Properties": {"Name": named, "Enabled": True}},
        "Other": {"Type": "AWS::ApiGateway::ApiKey", "Properties": {"Enabled": True}},
    }
    for key in ("Key", "Other"):
        resources[f"{key}InPlan"] = {
            "Type": "AWS::ApiGateway::UsagePlanKey",
            "Properties": {
                "KeyId": {"Ref": key},
                "KeyType": "API_KEY",
                "UsagePlanId": {"Ref": "Plan"},
            },
        }
    template = {
        "Parameters": {"Name": {"Type": "String", "Default": ""}},
        "Conditions": {"HasName": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Name"}, ""]}]}},
        "Resources": resources,
    }
    cloudformation, gateway = aws.client("cloudformation"), aws.client("apigateway")

    def values() -> dict[str, str]:
        described = cloudformation.describe_stack_resources(StackName="keys")["StackResources"]
        ids = {entry["LogicalResourceId"]: entry["PhysicalResourceId"] for entry in described}
        return {
            key: gateway.get_api_key(apiKey=ids[key], includeValue=True)["value"]
            for key in ("Key", "Other")
        }

    request = {"StackName": "keys", "TemplateBody": json.dumps(template)}
    cloudformation.create_stack(**request)
    cloudformation.get_waiter("stack_create_complete").wait(StackName="keys")
    before = values()
    assert {api.post(value).status_code for value in before.values()} == {200}
    renamed = [{"ParameterKey": "Name", "ParameterValue": "leaked-2"}]
    cloudformation.update_stack(**request, Parameters=renamed)
    cloudformation.get_waiter("stack_update_complete").wait(StackName="keys")
    after = values()
    assert after["Other"] == before["Other"]
    assert api.post(after["Other"]).status_code == 200
    assert after["Key"] != before["Key"]
    assert api.post(after["Key"]).status_code == 200
    assert api.post(before["Key"]).status_code == 403


def deploy_api(
    aws: LocalAws,
    name: str,
    definition: dict[str, Any],
    conditions: dict[str, bool],
    **stage: Any,
) -> str:
    """Deploy an API with a stage as CloudFormation does, and return its URL."""
    resources = {
        "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": definition}},
        "Deployment": {
            "Type": "AWS::ApiGateway::Deployment",
            "Properties": {"RestApiId": {"Ref": "Api"}},
        },
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "DeploymentId": {"Ref": "Deployment"},
                "StageName": "v1",
                **stage,
            },
        },
    }
    template = {
        "Conditions": {
            condition: {"Fn::Equals": [str(holds), "True"]}
            for condition, holds in conditions.items()
        },
        "Resources": resources,
    }
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name)
    described = cloudformation.describe_stack_resource(StackName=name, LogicalResourceId="Api")
    api_id = described["StackResourceDetail"]["PhysicalResourceId"]
    return f"{aws.url}/_aws/execute-api/{api_id}/v1/"
