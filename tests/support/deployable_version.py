"""A registered version of `digits` whose deployment is planned, on a fake SageMaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from refit.domain.vocabulary import RunStatus
from refit.handlers import plan_deployment
from refit.handlers.wiring import services

from tests.support.aws_stack import CONTEXT, Stack
from tests.support.events import sample
from tests.support.fake_sagemaker import FakeSageMaker
from tests.support.model_files import manifest

if TYPE_CHECKING:
    from refit.domain.pipeline.run import Run

RUN = "0f1e2d3c4b5a"
ROWS = "1,2\n3,4\n5,6\n"
BATCH = "[0.25, 0.75]\n[0.5, 0.5]\n[0.1, 0.9]\n"
LIVE = "0.25,0.75\n0.5,0.5\n0.1,0.9\n"
CHAMPION_CONFIG, NEW_CONFIG = "refit-digits-v1-01234567", "refit-digits-v2-9c1185a5"
NO_PING = (
    "The primary container for production variant v2 did not pass the ping health check. Please "
    "check CloudWatch logs for this endpoint."
)


@pytest.fixture
def sagemaker(stack: Stack) -> FakeSageMaker:
    services().models.begin_run("digits", RUN, "drop", None)
    root = f"digits/runs/{RUN}"
    for run in (RUN, "aaaaaaaaaaaa"):  # the candidate and the champion
        stack.put(f"digits/runs/{run}/manifest.json", manifest(run))
    stack.put(f"{root}/evaluation/in/new.csv", ROWS)
    stack.put(f"{root}/evaluation/challenger/new.csv.out", BATCH)
    fake = FakeSageMaker()
    stack.replace_clients(sagemaker=fake, sagemaker_runtime=fake)
    return fake


def planned(version: int = 2, approval: str = "Approved", **more: str) -> dict[str, Any]:
    """Plan the deployment of the change of a version."""
    event = sample("plan_deployment") | more
    event |= {"version": version, "package_arn": f"arn:package/{version}", "approval": approval}
    return dict(plan_deployment.handler(event, CONTEXT))


def deploying_run(version: int = 2) -> None:
    """Bring the run to where the event of its approved package finds it."""
    services().models.record_version("digits", version, RUN, f"arn:package/{version}")
    services().models.update_run("digits", RUN, status=RunStatus.DEPLOYING)


def recorded() -> Run:
    run = services().models.run("digits", RUN)
    assert run is not None
    return run
