"""The local SageMaker, started and ended for the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from local_sagemaker import BUCKET, REGION, RunningSageMaker, SageMakerLauncher
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def aws() -> Iterator[None]:
    with mock_aws():
        boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
        yield


@pytest.fixture(scope="module")
def launcher(aws: None) -> Iterator[SageMakerLauncher]:
    made = SageMakerLauncher()
    yield made
    made.close()


@pytest.fixture(scope="module")
def local(
    launcher: SageMakerLauncher, tmp_path_factory: pytest.TempPathFactory
) -> RunningSageMaker:
    """One local SageMaker for the tests of a module that do not disturb each other."""
    return launcher.start(tmp_path_factory.mktemp("state"))
