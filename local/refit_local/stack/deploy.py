"""Build `template.yaml` and deploy it on a local stack, with the real SAM CLI.

AWS_ENDPOINT_URL points the CLI at the local stack. The CLI sees neither the user's AWS settings nor
SAM's own settings folder. pip, which it calls, uses the user's pip settings.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from refit_local.sagemaker.machine.images import LocalImages
from refit_local.stack import run_sam
from refit_local.stack.errors import DeployFailed
from refit_local.stack.packages import digest_of, upload_packages
from refit_local.stack.record import PROJECT, StackInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Functions run with the Python that runs Refit; the template's default runtime may be newer.
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
STEP_DEADLINE_S = 900
_SOURCES = ("template.yaml", "samconfig.toml", "functions", "layers", "statemachine")
ALLOW_SCRIPTS = "REFIT_ALLOW_SCRIPTS"
"""With the value `yes`, models of the stack may be trained by programs of their users."""
_KEY_ID = "ApiKeyId"
_API_URL = re.compile(r"https://([a-z0-9]+)\.execute-api\.[^/]+/([^/]+)/?")


@dataclass(frozen=True)
class Deployment:
    """The outputs of a deployed stack. URL and key of the API are empty if the stack has no API."""

    outputs: dict[str, str]
    api_url: str
    api_keys: dict[str, str]


def deploy(info: StackInfo, log: Callable[[str], None], project: Path = PROJECT) -> Deployment:
    """Build and deploy the project's template, and return the stack's outputs.

    All local stacks share one build in `.refit/build` of the project, which a file lock protects.

    Args:
        info: where to deploy; its API URL and key are not used.
        log: called with the duration of each step.
        project: the folder of `template.yaml`.

    Raises:
        DeployFailed: when the SAM CLI fails; the text contains its whole output.
    """
    folder = project / ".refit" / "build"
    folder.mkdir(parents=True, exist_ok=True)
    environment = sam_environment(info, folder)
    parameters = ["--parameter-overrides", *_parameters(project)]
    with _locked(folder, log):
        _build(project, folder, parameters, environment, log)
        # No parameters of the build, which would begin again.
        allowed = [f"AllowedScripts={os.environ.get(ALLOW_SCRIPTS) or 'no'}", *_allowed_images()]
        fingerprint = f"{(folder / 'built').read_text()} {' '.join(allowed)}"
        deployed = info.state_dir / "deployed"
        if deployed.exists() and deployed.read_text() == fingerprint and is_deployed(info):
            log("sam deploy: nothing has changed since the last deployment")
            return read_deployment(info)
        deployed.unlink(missing_ok=True)
        packaged = upload_packages(client(info, "s3"), folder / "build", folder / "packages")
        rollout = ["deploy", "--template-file", str(packaged)]
        rollout += ["--stack-name", info.stack_name, "--region", info.region]
        _sam([*rollout, *parameters, *allowed], environment, project, log)
        deployed.write_text(fingerprint)
    return read_deployment(info)


@contextmanager
def _locked(folder: Path, log: Callable[[str], None]) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("waiting for another deployment that uses the same build folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(
    project: Path,
    folder: Path,
    parameters: list[str],
    environment: dict[str, str],
    log: Callable[[str], None],
) -> None:
    """Build, unless the last build had the same files and parameters."""
    sources = [project / name for name in _SOURCES if (project / name).exists()]
    fingerprint = f"{digest_of(*sources)} {' '.join(parameters)}"
    built = folder / "built"
    if built.exists() and built.read_text() == fingerprint:
        log("sam build: nothing has changed since the last build")
        return
    built.unlink(missing_ok=True)
    build = ["build", "--template-file", str(project / "template.yaml")]
    build += ["--build-dir", str(folder / "build"), "--cache-dir", str(folder / "cache")]
    _sam([*build, *parameters], environment, project, log)
    built.write_text(fingerprint)


def _parameters(project: Path) -> list[str]:
    """Return the template's parameters: those of samconfig's [local], and this Python."""
    settings = tomllib.loads((project / "samconfig.toml").read_text())
    local = settings["local"]["deploy"]["parameters"]["parameter_overrides"]
    return [*local.split(), f"PythonRuntime={RUNTIME}"]


def _allowed_images() -> list[str]:
    """Return the parameter that allows the images whose commands a file names, if there is one.

    It is no parameter of the build, which would begin again for each file.
    """
    arns = LocalImages.from_environment().repository_arns
    return [f"AllowedImages={','.join(arns)}"] if arns else []


def sam_environment(info: StackInfo, folder: Path) -> dict[str, str]:
    """Return the environment in which the SAM CLI builds and deploys on a local stack.

    Args:
        info: the local stack.
        folder: for SAM's settings.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    scratch = info.state_dir / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    return {
        **inherited,
        # SAM finds the Python of the runtime by its name on the PATH.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}",
        "TMPDIR": str(scratch),
        "AWS_ENDPOINT_URL": info.endpoint_url,
        "AWS_ACCESS_KEY_ID": info.access_key_id,
        "AWS_SECRET_ACCESS_KEY": info.secret_access_key,
        "AWS_DEFAULT_REGION": info.region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.5",
        "__SAM_CLI_APP_DIR": str(folder / "settings"),
    }


def _sam(
    arguments: list[str], environment: dict[str, str], project: Path, log: Callable[[str], None]
) -> None:
    started = time.monotonic()
    step = f"sam {arguments[0]}"
    settings = ["--config-file", str(project / "samconfig.toml"), "--config-env", "local"]
    # SAM caches its downloads in `.aws-sam` of the current folder.
    folder = Path(environment["__SAM_CLI_APP_DIR"]).parent
    code, output = _run([*arguments, *settings], environment, folder)
    if code is None:
        raise DeployFailed(f"{output}\n`{step}` did not end within {STEP_DEADLINE_S} s")
    if code != 0:
        raise DeployFailed(
            f"{output}\n`{step}` failed (exit code {code}); its output is shown above. If a "
            "package could not be downloaded, check the network and pip's settings; if a resource "
            "could not be created, look for the reason in stack.log, next to stack.json."
        )
    log(f"{step}: {time.monotonic() - started:.1f} s")


def _run(arguments: list[str], environment: dict[str, str], folder: Path) -> tuple[int | None, str]:
    """Run SAM; return its exit code (None after a timeout) and its output.

    A timeout, an interruption and the end of this process end SAM and its children, such as pip.
    """
    with tempfile.TemporaryFile() as output_file, _pipe() as (reader, _):
        process = subprocess.Popen(
            [sys.executable, "-m", run_sam.__name__, str(reader), *arguments],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[reader],
        )
        try:
            code = process.wait(STEP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output_file.seek(0)
        return code, output_file.read().decode(errors="replace")


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe, whose ends no other process inherits."""
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def is_deployed(info: StackInfo) -> bool:
    """Return whether the stack exists; `refit destroy` leaves a local stack without one."""
    try:
        client(info, "cloudformation").describe_stacks(StackName=info.stack_name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return False
    return True


def read_deployment(info: StackInfo) -> Deployment:
    """Return the outputs of a deployed stack, and the URL and the key of its API."""
    cloudformation = client(info, "cloudformation")
    stack = cloudformation.describe_stacks(StackName=info.stack_name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    apigateway = client(info, "apigateway")
    keys = {
        name.removesuffix(_KEY_ID).lower(): apigateway.get_api_key(apiKey=value, includeValue=True)[
            "value"
        ]
        for name, value in outputs.items()
        if name.endswith(_KEY_ID)
    }
    return Deployment(outputs, local_api_url(info, outputs.get("ApiUrl", "")), keys)


def local_api_url(info: StackInfo, url: str) -> str:
    """Return the URL of an API on the local stack, given the URL it would have on AWS.

    A stack without an endpoint URL is on AWS, and keeps the URL.
    """
    match = _API_URL.match(url)
    if match is None or not info.endpoint_url:
        return url
    return f"{info.endpoint_url}/_aws/execute-api/{match[1]}/{match[2]}"


def client(info: StackInfo, service: str) -> Any:
    """Return a boto3 client of the local stack, with the administrator's credentials."""
    # The stubs of boto3 take literal names of services only.
    create: Any = boto3.client
    return create(
        service,
        endpoint_url=info.endpoint_url,
        region_name=info.region,
        aws_access_key_id=info.access_key_id,
        aws_secret_access_key=info.secret_access_key,
    )
