"""Build `template.yaml` and deploy it on a ground, with the real SAM CLI.

The CLI is pointed at the ground by AWS_ENDPOINT_URL and sees neither the person's AWS settings
nor SAM's own folder; pip, which it calls, sees the person's pip settings as ever.
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

from refit_local.stack.errors import DeployFailed
from refit_local.stack.packages import digest_of, upload_packages
from refit_local.stack.record import PROJECT, StackInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The runtime on AWS is newer; here a function runs with the Python that Refit itself runs with.
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
STEP_DEADLINE_S = 900
_SOURCES = ("template.yaml", "samconfig.toml", "functions", "layers", "statemachine")
_API_URL = re.compile(r"https://([a-z0-9]+)\.execute-api\.[^/]+/([^/]+)/?")


@dataclass(frozen=True)
class Deployment:
    """What a deployed stack says of itself. The API's URL and key are empty when it has none."""

    outputs: dict[str, str]
    api_url: str
    api_key: str


def deploy(ground: StackInfo, log: Callable[[str], None], project: Path = PROJECT) -> Deployment:
    """Build and deploy the project's template, and return the stack's outputs.

    All grounds share one build, in `.refit/build` of the project: one at a time uses it.

    Args:
        ground: where to deploy; its API URL and key need not be known yet.
        log: told how long each step took.
        project: the folder of `template.yaml`.

    Raises:
        DeployFailed: when the SAM CLI fails; the text holds all it said.
    """
    folder = project / ".refit" / "build"
    folder.mkdir(parents=True, exist_ok=True)
    environment = _environment(ground, folder)
    parameters = ["--parameter-overrides", *_parameters(project)]
    with _alone_in(folder, log):
        _build(project, folder, parameters, environment, log)
        packaged = upload_packages(client(ground, "s3"), folder / "build", folder / "packages")
        rollout = ["deploy", "--template-file", str(packaged)]
        rollout += ["--stack-name", ground.stack_name, "--region", ground.region]
        _sam([*rollout, *parameters], environment, project, log)
    return _deployment(ground)


@contextmanager
def _alone_in(folder: Path, log: Callable[[str], None]) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log("another ground is being deployed; this one comes next")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(
    project: Path,
    folder: Path,
    parameters: list[str],
    environment: dict[str, str],
    log: Callable[[str], None],
) -> None:
    """Build, unless the last build was of the same files with the same parameters."""
    sources = [project / name for name in _SOURCES if (project / name).exists()]
    wanted = f"{digest_of(*sources)} {' '.join(parameters)}"
    done = folder / "built"
    if done.exists() and done.read_text() == wanted:
        log("sam build: nothing changed since the last time")
        return
    done.unlink(missing_ok=True)
    build = ["build", "--template-file", str(project / "template.yaml")]
    build += ["--build-dir", str(folder / "build"), "--cache-dir", str(folder / "cache")]
    _sam([*build, *parameters], environment, project, log)
    done.write_text(wanted)


def _parameters(project: Path) -> list[str]:
    """The template's parameters: those of samconfig's [local], and this machine's Python."""
    settings = tomllib.loads((project / "samconfig.toml").read_text())
    local = settings["local"]["deploy"]["parameters"]["parameter_overrides"]
    return [*local.split(), f"PythonRuntime={RUNTIME}"]


def _environment(ground: StackInfo, folder: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    scratch = ground.state_dir / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    return {
        **own,
        # SAM looks for a python of the runtime's version by name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{own.get('PATH', '')}",
        "TMPDIR": str(scratch),
        "AWS_ENDPOINT_URL": ground.endpoint_url,
        "AWS_ACCESS_KEY_ID": ground.access_key_id,
        "AWS_SECRET_ACCESS_KEY": ground.secret_access_key,
        "AWS_DEFAULT_REGION": ground.region,
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
    command = [sys.executable, "-m", "samcli", *arguments, *settings]
    # SAM keeps what it downloaded in `.aws-sam` of the folder it runs in.
    folder = Path(environment["__SAM_CLI_APP_DIR"]).parent
    code, said = _whole_family(command, environment, folder)
    if code is None:
        raise DeployFailed(f"{said}\n`{step}` did not end within {STEP_DEADLINE_S} s")
    if code != 0:
        raise DeployFailed(
            f"{said}\n`{step}` failed (exit code {code}); what it said stands above. If it could "
            "not fetch a package, check the network and pip's settings; if a resource failed, the "
            "ground's log next to ground.json says why."
        )
    log(f"{step}: {time.monotonic() - started:.1f} s")


def _whole_family(
    command: list[str], environment: dict[str, str], folder: Path
) -> tuple[int | None, str]:
    """Run a command; return its exit code (None: it took too long) and all it said.

    Whatever interrupts this ends the command with all it started: SAM starts pip.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(STEP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        return code, output.read().decode(errors="replace")


def _deployment(ground: StackInfo) -> Deployment:
    cloudformation = client(ground, "cloudformation")
    stack = cloudformation.describe_stacks(StackName=ground.stack_name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    key = ""
    if "ApiKeyId" in outputs:
        found = client(ground, "apigateway").get_api_key(
            apiKey=outputs["ApiKeyId"], includeValue=True
        )
        key = found["value"]
    return Deployment(outputs, local_api_url(ground, outputs.get("ApiUrl", "")), key)


def local_api_url(ground: StackInfo, url: str) -> str:
    """Return where an API answers on the ground, given the URL it would have on AWS."""
    match = _API_URL.match(url)
    if match is None:
        return url
    return f"{ground.endpoint_url}/_aws/execute-api/{match[1]}/{match[2]}"


def client(ground: StackInfo, service: str) -> Any:
    """Return a boto3 client of the ground."""
    return boto3.client(
        service,
        endpoint_url=ground.endpoint_url,
        region_name=ground.region,
        aws_access_key_id=ground.access_key_id,
        aws_secret_access_key=ground.secret_access_key,
    )
