"""Step Functions: which fields the optimized integration of SageMaker takes.

TestState runs one state without a state machine; it is written in JSONPath, since the TestState of
the local stack does not read the arguments of JSONata. The requests name what does not exist, so
that SageMaker refuses them and nothing is created: what matters is which of the two refuses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests.verify.probes.base import DIFFERS, HOLDS, UNKNOWN, Answer, Lab, Probe
from tests.verify.target import PREFIX

_NOTHING = f"{PREFIX}-nothing"
_ROLE = "arn:aws:iam::{account}:role/refit-verify-nothing"


@dataclass(frozen=True)
class IntegrationField(Probe):
    """A field of a request of the optimized integration.

    Attributes:
        action: of the integration.
        field: the field that is asked about.
        arguments: a request with the field.
        machine: the output that names the state machine whose role sends it.
        is_taken: whether Refit assumes that the integration takes the field.
    """

    name: str
    action: str
    field: str
    arguments: dict[str, Any]
    machine: str
    is_taken: bool

    @property
    def assumption(self) -> str:
        verb = "takes" if self.is_taken else "may not take"
        return f"The optimized integration sagemaker:{self.action} {verb} {self.field}."

    @property
    def question(self) -> str:
        return f"Who refuses a request with {self.field}: Step Functions, or SageMaker?"

    def ask(self, lab: Lab) -> Answer:
        text = json.dumps(self.arguments).replace("{account}", lab.target.account)
        task = f"sagemaker:{self.action}"
        return self._judged(lab, *_failure_of(lab, task, json.loads(text), self.machine))

    def _judged(self, lab: Lab, error: str, cause: str) -> Answer:
        lab.evidence.append(f"TestState of {self.action} with {self.field}: {error}: {cause}")
        if error.startswith("SageMaker"):
            verdict = HOLDS if self.is_taken else DIFFERS
            return Answer(verdict, f"The field is taken: SageMaker answers {error}.")
        if "not supported" in cause or error in {"States.Runtime", "InvalidDefinition"}:
            verdict = DIFFERS if self.is_taken else HOLDS
            return Answer(verdict, f"Step Functions refuses the field: {error}.")
        return Answer(UNKNOWN, f"Neither refuses the field: {error}.")


class SdkValidationError(Probe):
    name = "sdk-validation-error"
    assumption = (
        "An aws-sdk: task reports an error that the API's model does not have as "
        "SageMaker.SageMakerException, with the message before `(Service: SageMaker`."
    )
    question = "How does aws-sdk:sagemaker:describeEndpoint report an endpoint that does not exist?"

    def ask(self, lab: Lab) -> Answer:
        request = {"EndpointName": _NOTHING}
        task = "aws-sdk:sagemaker:describeEndpoint"
        error, cause = _failure_of(lab, task, request, "DeployStateMachineArn")
        lab.evidence.append(f"TestState of {task}: {error}: {cause}")
        expected = error == "SageMaker.SageMakerException" and "(Service: SageMaker" in cause
        return Answer(HOLDS if expected else DIFFERS, f"As {error}.")


def _failure_of(lab: Lab, task: str, request: dict[str, Any], machine: str) -> tuple[str, str]:
    """Return error and cause of a task that runs with the role of a state machine."""
    states = lab.client("stepfunctions")
    described = states.describe_state_machine(stateMachineArn=lab.outputs[machine])
    state = {
        "Type": "Task",
        "Resource": f"arn:{lab.partition}:states:::{task}",
        "Parameters": request,
        "End": True,
    }
    try:
        response = states.test_state(
            definition=json.dumps(state), roleArn=described["roleArn"], input="{}"
        )
    except ClientError as error:
        # An invalid definition is refused before it runs.
        refusal = error.response["Error"]
        return str(refusal["Code"]), str(refusal["Message"])
    return response.get("error", "no error"), response.get("cause", "")


def _training(field: str, **values: Any) -> IntegrationField:
    return IntegrationField(
        f"training-{'spot' if 'Spot' in field else 'isolation'}",
        "createTrainingJob",
        field,
        {
            "TrainingJobName": _NOTHING,
            "AlgorithmSpecification": {
                "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/nothing:1",
                "TrainingInputMode": "File",
            },
            "RoleArn": _ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://refit-verify-nothing/"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60, **values.pop("stopping", {})},
            **values,
        },
        "TrainStateMachineArn",
        is_taken=True,
    )


FIELDS = (
    IntegrationField(
        "update-endpoint-deployment-config",
        "updateEndpoint",
        "DeploymentConfig",
        {
            "EndpointName": _NOTHING,
            "EndpointConfigName": _NOTHING,
            "DeploymentConfig": {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "ALL_AT_ONCE",
                        "WaitIntervalInSeconds": 0,
                    }
                }
            },
        },
        "DeployStateMachineArn",
        is_taken=False,
    ),
    IntegrationField(
        "endpoint-config-data-capture",
        "createEndpointConfig",
        "DataCaptureConfig",
        {
            "EndpointConfigName": _NOTHING,
            "ProductionVariants": [
                {
                    "VariantName": "v1",
                    "ModelName": _NOTHING,
                    "InitialInstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                }
            ],
            "DataCaptureConfig": {
                "EnableCapture": True,
                "InitialSamplingPercentage": 100,
                "DestinationS3Uri": "s3://refit-verify-nothing/",
                "CaptureOptions": [{"CaptureMode": "Input"}],
            },
        },
        "DeployStateMachineArn",
        is_taken=False,
    ),
    _training(
        "EnableManagedSpotTraining",
        EnableManagedSpotTraining=True,
        stopping={"MaxWaitTimeInSeconds": 120},
    ),
    _training("EnableNetworkIsolation", EnableNetworkIsolation=True),
)
