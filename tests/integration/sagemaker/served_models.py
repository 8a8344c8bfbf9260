"""Models with different predictions, and endpoints that serve them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_sagemaker import make_model, put_training_data, training_request, until

if TYPE_CHECKING:
    from local_sagemaker import RunningSageMaker

ROW = b"0.9,0.1,0.5"


def make_models(local: RunningSageMaker) -> None:
    """Create models with different predictions, `one` and `many`, and one that is `broken`."""
    put_training_data(local)
    for name, rounds in (("one", "1"), ("many", "8")):
        hyperparameters = {"num_round": rounds, "objective": "binary:logistic"}
        local.sagemaker.create_training_job(
            **training_request(f"for-{name}", HyperParameters=hyperparameters)
        )
        job = local.trained(f"for-{name}")
        make_model(local, name, job["ModelArtifacts"]["S3ModelArtifacts"])
    make_model(local, "broken", local.put("broken/model.tar.gz", b"this is no archive"))


def variant(model: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    made = {
        "VariantName": name or model,
        "ModelName": model,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    return {**made, **more}


def config(local: RunningSageMaker, name: str, *variants: dict[str, Any], **more: Any) -> str:
    local.sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=list(variants), **more
    )
    return name


def invoke(
    local: RunningSageMaker, endpoint: str, body: bytes = ROW, **more: Any
) -> dict[str, Any]:
    arguments = {"ContentType": "text/csv", "Accept": "text/csv", **more}
    return local.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **arguments)


def updated(local: RunningSageMaker, name: str, to: str, **more: Any) -> dict[str, Any]:
    """Update an endpoint to another config and return its last description."""
    local.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=to, **more)
    described = local.sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] in ("Updating", "InService")
    return settled(local, name)


def settled(local: RunningSageMaker, name: str) -> dict[str, Any]:
    """Wait for the end of an update and return the description of the endpoint."""

    def description() -> dict[str, Any] | None:
        described = local.sagemaker.describe_endpoint(EndpointName=name)
        return described if described["EndpointStatus"] != "Updating" else None

    return until(description, "the update")
