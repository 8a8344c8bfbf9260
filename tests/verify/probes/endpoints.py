"""SageMaker's endpoints: what an update and a deletion allow.

The endpoints use ml.t2.medium, of which a new account may have two; an endpoint of its own costs
a few cents.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from tests.verify.limits import PROBE_INSTANCE
from tests.verify.probes.base import DIFFERS, HOLDS, UNKNOWN, Answer, Lab, NoSubject, Probe
from tests.verify.probes.refusals import message_of
from tests.verify.target import PREFIX

_START_S = 1500


class UpdateToAnotherVariant(Probe):
    name = "update-to-another-variant"
    assumption = (
        "UpdateEndpoint changes the variant's name if no DeploymentConfig is sent, and is refused "
        "with a BlueGreenUpdatePolicy."
    )
    question = "Does an endpoint update from the variant v1 to v2, with and without the policy?"

    def ask(self, lab: Lab) -> Answer:
        sagemaker = lab.client("sagemaker")
        # Before the endpoint, so that they are deleted after it.
        first, second, third = (_config(lab, variant) for variant in ("v1", "v2", "v3"))
        endpoint = _endpoint(lab, "update", first)
        if _settled(lab, endpoint) != "InService":
            return Answer(UNKNOWN, "The first endpoint did not start.")
        policy = {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
            }
        }
        request = {"EndpointName": endpoint, "EndpointConfigName": second}
        refused = lab.attempt(
            "UpdateEndpoint v1 to v2 with BlueGreenUpdatePolicy",
            sagemaker.update_endpoint,
            **request,
            DeploymentConfig=policy,
        )
        guarded = "is refused" if refused else f"ends {_settled(lab, endpoint)}"
        if refused is None:
            request["EndpointConfigName"] = third
        plain = lab.attempt("UpdateEndpoint without it", sagemaker.update_endpoint, **request)
        status = _settled(lab, endpoint)
        variants = _variants(sagemaker, endpoint)
        lab.evidence.append(f"after it: {status}, variants {variants}")
        works = plain is None and status == "InService" and variants != ["v1"]
        verdict = HOLDS if works and refused else DIFFERS
        return Answer(
            verdict,
            f"With the policy it {guarded}; without it, it {'works' if works else 'fails'}.",
        )


class UpdateInProgress(Probe):
    name = "update-in-progress"
    assumption = "An update of an endpoint that is changing is refused with `Cannot update`."
    question = "With which message is the update of an endpoint refused that is being created?"

    def ask(self, lab: Lab) -> Answer:
        first, second = _config(lab, "v1"), _config(lab, "v2")
        endpoint = _endpoint(lab, "busy", first)
        status = _status(lab.client("sagemaker"), endpoint)
        if status != "Creating":
            return Answer(UNKNOWN, f"It was {status} already.")
        update = lab.client("sagemaker").update_endpoint
        message = message_of(lab, update, EndpointName=endpoint, EndpointConfigName=second)
        return Answer(HOLDS if message.startswith("Cannot update") else DIFFERS, f"With: {message}")


class DeleteWhileCreating(Probe):
    name = "delete-while-creating"
    assumption = "An endpoint that is being created cannot be deleted."
    question = "Does DeleteEndpoint refuse an endpoint whose status is Creating?"

    def ask(self, lab: Lab) -> Answer:
        endpoint = _endpoint(lab, "delete", _config(lab, "v1"))
        status = lab.client("sagemaker").describe_endpoint(EndpointName=endpoint)["EndpointStatus"]
        lab.evidence.append(f"status before the deletion: {status}")
        if status != "Creating":
            return Answer(UNKNOWN, f"The endpoint was {status} already.")
        refused = lab.attempt(
            "DeleteEndpoint", lab.client("sagemaker").delete_endpoint, EndpointName=endpoint
        )
        if refused:
            return Answer(HOLDS, f"It is refused: {refused}.")
        return Answer(DIFFERS, "It is accepted.")


def _config(lab: Lab, variant: str) -> str:
    """Create an endpoint configuration of the journey's model with one variant."""
    sagemaker, name = lab.client("sagemaker"), lab.name(variant)
    models = sagemaker.list_models(NameContains=f"{PREFIX}-")["Models"]
    if not models:
        raise NoSubject("there is no model: the tests have not come so far")
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": variant,
                "ModelName": models[0]["ModelName"],
                "InitialInstanceCount": 1,
                "InstanceType": PROBE_INSTANCE,
            }
        ],
    )
    lab.undo.callback(sagemaker.delete_endpoint_config, EndpointConfigName=name)
    return name


def _endpoint(lab: Lab, suffix: str, config: str) -> str:
    """Create an endpoint; it is deleted as soon as AWS allows it."""
    sagemaker, name = lab.client("sagemaker"), lab.name(suffix)

    def delete() -> None:
        _settled(lab, name)
        with suppress(ClientError):  # the probe has deleted it
            sagemaker.delete_endpoint(EndpointName=name)
        lab.wait_for(lambda: _status(sagemaker, name) is None, "its deletion", _START_S)

    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    lab.undo.callback(delete)
    return name


def _status(sagemaker: Any, endpoint: str) -> str | None:
    try:
        return str(sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"])
    except ClientError:
        return None


def _settled(lab: Lab, endpoint: str) -> str:
    """Wait for the end of a change; return the status after it, or `gone`."""
    sagemaker = lab.client("sagemaker")

    def status() -> str | None:
        current = _status(sagemaker, endpoint) or "gone"
        return None if current in {"Creating", "Updating", "Deleting", "RollingBack"} else current

    return str(lab.wait_for(status, f"the end of the change of {endpoint}", _START_S))


def _variants(sagemaker: Any, endpoint: str) -> list[str]:
    described = sagemaker.describe_endpoint(EndpointName=endpoint)
    return [variant["VariantName"] for variant in described.get("ProductionVariants", [])]
