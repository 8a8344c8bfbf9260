"""The settings of MiniStack for a local stack: its environment variables and its folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refit_local.ministack.corrections import LAMBDA_SDK_FOLDER
from refit_local.ministack.lambda_runtime import SDK_FOLDER_VARIABLE
from refit_local.stack.record import endpoint_url

if TYPE_CHECKING:
    from pathlib import Path

ACCOUNT_ID = "000000000000"


def environment(port: int, state: Path, region: str) -> dict[str, str]:
    """Return MiniStack's settings; the administrator's credentials are set by the caller."""
    return {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "localhost",
        "MINISTACK_REGION": region,
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url(port),
        "AWS_EC2_METADATA_DISABLED": "true",
        "STATE_DIR": str(state / "ministack"),
        # MiniStack saves its state at a clean end only; `durability` stores it all the time.
        "PERSIST_STATE": "0",
        # On disk even when the state is not kept: otherwise every object stays in memory.
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "s3"),
        "TMPDIR": str(state / "tmp"),
        SDK_FOLDER_VARIABLE: str(state / LAMBDA_SDK_FOLDER),
        "LAMBDA_EXECUTOR": "local",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        # Keeps MiniStack from using Docker.
        "DOCKER_HOST": f"unix://{state}/no-docker.sock",
    }


def make_folders(state: Path) -> None:
    """Create the folders that `environment` names."""
    for folder in ("tmp", "ministack", "s3", "sagemaker"):
        (state / folder).mkdir(parents=True, exist_ok=True)
