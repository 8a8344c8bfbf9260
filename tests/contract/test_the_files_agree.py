"""The template's queues, permissions and layers, and the generated references, fit the code."""

from __future__ import annotations

import re

import generate_api
import generate_settings
from refit.domain import errors
from refit.domain.redelivery import LONGEST_DELAY_S
from refit.handlers import operate_models, read_models

from tests.support.template import FUNCTIONS, ROOT, TEMPLATE, of_type


def test_every_queue_has_a_dead_letter_queue_and_every_dead_letter_queue_an_alarm() -> None:
    queues = of_type("AWS::SQS::Queue")
    dead_letters = {name for name in queues if name.endswith("DeadLetters")}
    for name in queues.keys() - dead_letters:
        target = name.removesuffix("Queue") + "DeadLetters"
        policy = queues[name]["RedrivePolicy"]
        assert policy["deadLetterTargetArn"] == {"Fn::GetAtt": [target, "Arn"]}, name
    monitored = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    assert monitored == dead_letters


def test_a_message_that_keeps_failing_reaches_its_dead_letter_queue_before_it_expires() -> None:
    # The longest way there: each time the function crashes before it begins, so that the visibility
    # timeout passes, or it fails and the longest delay passes.
    queues = of_type("AWS::SQS::Queue")
    quiet_s = TEMPLATE["Parameters"]["QuietSeconds"]["MaxValue"]
    for name, queue in queues.items():
        if "RedrivePolicy" not in queue:
            continue
        delay_s = quiet_s if "DelaySeconds" in queue else 0
        receives = queue["RedrivePolicy"]["maxReceiveCount"]
        longest_s = delay_s + receives * max(queue["VisibilityTimeout"], LONGEST_DELAY_S)
        assert queue["MessageRetentionPeriod"] > 1.5 * longest_s, name
        # SQS keeps the time at which the message was first sent.
        dead_letters = queues[queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        kept_s = dead_letters["MessageRetentionPeriod"] - longest_s
        assert kept_s > 7 * 86_400, f"{name}: a dead letter is kept for less than a week"


def test_a_queue_hides_a_message_while_it_is_handled_and_failed_ones_return_sooner() -> None:
    # Six timeouts leave time for retries of a throttled function, which a limit of the event
    # source's concurrency avoids. AWS refuses less than one timeout.
    queues = of_type("AWS::SQS::Queue")
    for function in FUNCTIONS.values():
        for event in function.get("Events", {}).values():
            if event["Type"] != "SQS":
                continue
            name = event["Properties"]["Queue"]["Fn::GetAtt"][0]
            timeout_s = function.get("Timeout", TEMPLATE["Globals"]["Function"]["Timeout"])
            is_limited = "MaximumConcurrency" in event["Properties"].get("ScalingConfig", {})
            least_s = timeout_s + 1 if is_limited else 6 * timeout_s
            assert queues[name]["VisibilityTimeout"] >= least_s, name
            deaths = queues[name]["RedrivePolicy"]["maxReceiveCount"]
            assert deaths > 2, f"{name}: two deaths would lose a message"
            granted = [
                statement["Resource"]
                for policy in function["Policies"]
                for statement in policy["Statement"]
                if "sqs:ChangeMessageVisibility" in statement["Action"]
            ]
            assert granted == [{"Fn::GetAtt": [name, "Arn"]}]
            assert "ReportBatchItemFailures" in event["Properties"]["FunctionResponseTypes"]


def test_every_function_has_a_role_of_its_own_and_names_its_resources() -> None:
    unnarrowable = {
        "sagemaker:ListModelPackages",
        "sagemaker:ListModels",
        "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
    }
    for name, function in FUNCTIONS.items():
        assert "Role" not in function
        for policy in function.get("Policies", []):
            assert not isinstance(policy, str), f"{name}: a managed policy is wider than the need"
            for statement in policy["Statement"]:
                actions = statement["Action"]
                actions = {actions} if isinstance(actions, str) else set(actions)
                assert not any(action.endswith("*") for action in actions), name
                assert statement["Resource"] != "*" or actions <= unnarrowable, name


def test_layers_and_functions_pin_the_versions_of_the_lock() -> None:
    locked = dict(
        re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.M)
    )
    locked = {name.replace("_", "-"): version for name, version in locked.items()}
    layers = [layer["ContentUri"] for layer in of_type("AWS::Serverless::LayerVersion").values()]
    assert {f"layers/{path.name}" for path in ROOT.glob("layers/*/")} == set(layers)
    for folder in ("functions", *layers):
        file = ROOT / folder / "requirements.txt"
        pins = re.findall(r"^([\w.-]+)==([\w.]+)", file.read_text(), re.MULTILINE)
        assert pins, file
        for name, version in pins:
            assert locked[name.lower().replace("_", "-")] == version, f"{file}: {name}"


def test_the_reference_of_the_api_is_up_to_date() -> None:
    advice = "run `python docs/generate_api.py`"
    assert (ROOT / "docs/api.md").read_text() == generate_api.page(), advice
    assert (ROOT / "docs/openapi.json").read_text() == generate_api.openapi_text(), advice


def test_the_reference_of_the_api_has_the_routes_of_the_functions_and_of_the_template() -> None:
    described = {(route.path, route.method) for route in generate_api.ROUTES}
    operating = {**read_models.ROUTES, **operate_models.ROUTES}
    handled = {(path, method) for path, methods in operating.items() for method in methods}
    posted = {("/models/{model}/predictions", "POST"), ("/models/{model}/ground-truth", "POST")}
    assert described == handled | posted
    in_template = {
        event["Properties"]["Path"]
        for name, function in FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api"
        and event["Properties"]["Method"] != "OPTIONS"
        and name != "ConsoleFunction"  # static files
    }
    assert {path for path, _ in described} == in_template


def test_the_reference_of_the_api_names_errors_that_exist() -> None:
    codes = {code for route in generate_api.ROUTES for _, code in route.errors}
    assert all(issubclass(getattr(errors, code), errors.RefitError) for code in codes)
    refusals = {kind.__name__ for kind in errors.ActionRefused.__subclasses__()}
    assert refusals <= codes


def test_the_settings_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/settings.md").read_text() == generate_settings.page(), (
        "run `python docs/generate_settings.py`"
    )
