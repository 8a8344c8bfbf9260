"""The fields that the optimized Step Functions integrations of SageMaker accept.

An optimized integration takes a list of its own, not every field of the API. AWS's guide lists the
fields no more, so each list here is the union of what AWS has published:

guide    Step Functions Developer Guide, "Manage SageMaker with Step Functions", revision of 2021-10
         (awsdocs/aws-step-functions-developer-guide, doc_source/connect-sagemaker.md)
CDK      aws-cdk-lib/aws-stepfunctions-tasks/lib/sagemaker: what its tasks render
issue    aws/aws-step-functions-data-science-sdk-python, issue 42: AWS on EnableManagedSpotTraining

Of a field that is listed, every member is accepted that the API has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from refit_local.sagemaker.wire.requests import service_model

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIELDS = {
    "createTrainingJob": {
        *("AlgorithmSpecification", "HyperParameters", "InputDataConfig"),  # guide, CDK
        *("OutputDataConfig", "ResourceConfig", "RoleArn", "StoppingCondition"),  # guide, CDK
        *("Tags", "TrainingJobName", "VpcConfig"),  # guide, CDK
        *("EnableNetworkIsolation", "Environment"),  # CDK
        "EnableManagedSpotTraining",  # issue
    },
    "createTransformJob": {
        *("BatchStrategy", "Environment", "MaxConcurrentTransforms"),  # guide, CDK
        *("MaxPayloadInMB", "ModelName", "Tags", "TransformInput"),  # guide, CDK
        *("TransformJobName", "TransformOutput", "TransformResources"),  # guide, CDK
        "ModelClientConfig",  # CDK
    },
    "createHyperParameterTuningJob": {
        *("HyperParameterTuningJobConfig", "HyperParameterTuningJobName"),  # guide
        *("Tags", "TrainingJobDefinition", "WarmStartConfig"),  # guide
    },
    "createModel": {
        *("Containers", "EnableNetworkIsolation", "ExecutionRoleArn"),  # guide, CDK
        *("ModelName", "PrimaryContainer", "Tags", "VpcConfig"),  # guide, CDK
    },
    "createEndpointConfig": {
        *("EndpointConfigName", "KmsKeyId", "ProductionVariants", "Tags"),  # guide, CDK
    },
    "createEndpoint": {"EndpointConfigName", "EndpointName", "Tags"},  # guide, CDK
    "updateEndpoint": {"EndpointConfigName", "EndpointName"},  # guide, CDK
}
OPERATIONS = tuple(_FIELDS)


def unsupported_fields(operation: str, arguments: dict[str, Any]) -> list[str]:
    """Return the names of the fields that the optimized integration refuses, in order.

    Args:
        operation: as in the Resource of the task, e.g. `createTrainingJob`.
        arguments: the arguments of the task.
    """
    unlisted = [name for name in arguments if name not in _FIELDS[operation]]
    shape = service_model().operation_model(operation[0].upper() + operation[1:]).input_shape
    listed = {name: value for name, value in arguments.items() if name not in unlisted}
    return [*unlisted, *(_unknown(shape, listed) if shape else ())]


def _unknown(shape: Shape, value: Any) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for name, item in value.items():
            if name not in shape.members:
                yield name
            else:
                yield from _unknown(shape.members[name], item)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for item in value:
            yield from _unknown(shape.member, item)
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for item in value.values():
            yield from _unknown(shape.value, item)
