"""A DeploymentConfig is honoured or refused as by AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from local_sagemaker import REGION, until
from served_models import config, invoke, make_models, settled, updated, variant

if TYPE_CHECKING:
    from local_sagemaker import RunningSageMaker

ALL_AT_ONCE = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 0,
    }
}


@pytest.fixture(scope="module")
def endpoint(local: RunningSageMaker) -> str:
    """An endpoint in service, whose variant is named Main."""
    make_models(local)
    config(local, "live", variant("many", "Main"))
    local.sagemaker.create_endpoint(EndpointName="Live", EndpointConfigName="live")
    assert local.settled("Live")["EndpointStatus"] == "InService"
    return "Live"


def test_an_alarm_during_baking_rolls_back(local: RunningSageMaker, endpoint: str) -> None:
    alarms = boto3.client("cloudwatch", region_name=REGION)
    alarms.put_metric_alarm(
        AlarmName="errors",
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    config(local, "calm", variant("one", "Main"))
    config(local, "alarming", variant("many", "Main"))
    local.sagemaker.create_endpoint(EndpointName="watched", EndpointConfigName="calm")
    local.settled("watched")
    calm = invoke(local, "watched")["Body"].read()
    policy = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 600,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
    }
    local.sagemaker.update_endpoint(
        EndpointName="watched", EndpointConfigName="alarming", DeploymentConfig=policy
    )
    until(lambda: invoke(local, "watched")["Body"].read() != calm, "the new fleet")
    (pending,) = local.sagemaker.describe_endpoint(EndpointName="watched")[
        "PendingDeploymentSummary"
    ]["ProductionVariants"]
    assert pending["VariantStatus"][0]["Status"] in ("ActivatingTraffic", "Baking")
    alarms.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="a test")
    described = settled(local, "watched")
    assert described["EndpointConfigName"] == "calm"
    assert "errors" in described["FailureReason"]
    assert invoke(local, "watched")["Body"].read() == calm


def test_an_update_with_a_deployment_config_must_keep_the_variant_names(
    local: RunningSageMaker, endpoint: str
) -> None:
    config(local, "renamed", variant("one", "Other"))
    with pytest.raises(ClientError, match="must have the same variant name as the old") as caught:
        local.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName="renamed", DeploymentConfig=ALL_AT_ONCE
        )
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert local.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "InService"


def test_a_retained_deployment_config_must_keep_the_variant_names_as_well(
    local: RunningSageMaker, endpoint: str
) -> None:
    config(local, "retained-1", variant("one", "Main"))
    config(local, "retained-2", variant("many", "Main"))
    config(local, "retained-3", variant("one", "Other"))
    local.sagemaker.create_endpoint(EndpointName="retained", EndpointConfigName="retained-1")
    local.settled("retained")
    updated(local, "retained", "retained-2", DeploymentConfig=ALL_AT_ONCE)
    with pytest.raises(ClientError, match="same variant name"):
        local.sagemaker.update_endpoint(
            EndpointName="retained", EndpointConfigName="retained-3", RetainDeploymentConfig=True
        )


@pytest.mark.parametrize(
    ("policy", "part"),
    [
        (
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "CANARY",
                        "WaitIntervalInSeconds": 60,
                        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
                    }
                }
            },
            "does not implement traffic routing of Type CANARY yet",
        ),
        (
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 10},
                    "WaitIntervalInSeconds": 1,
                }
            },
            "does not implement RollingUpdatePolicy yet",
        ),
        (
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "ALL_AT_ONCE",
                        "WaitIntervalInSeconds": 0,
                    },
                    "TerminationWaitInSeconds": 700,
                    "MaximumExecutionTimeoutInSeconds": 600,
                }
            },
            "must be greater than the sum of the wait times",
        ),
    ],
)
def test_unsupported_deployments_are_refused(
    local: RunningSageMaker, endpoint: str, policy: dict[str, Any], part: str
) -> None:
    with pytest.raises(ClientError) as caught:
        local.sagemaker.update_endpoint(
            EndpointName=endpoint, EndpointConfigName="other", DeploymentConfig=policy
        )
    assert part in str(caught.value)
