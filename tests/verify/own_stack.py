"""Deploy the verification's stack, and recognize it as the one that was made here."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from refit_cli.errors import BadInput, RunFailed
from refit_local.stack.deploy import sam_environment
from refit_local.stack.record import PROJECT

from tests.verify.target import FOLDER, STACK, Target

if TYPE_CHECKING:
    from tests.verify.progress import Progress

TAG = "refit-verify"
CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


def find(target: Target, name: str = STACK) -> dict[str, Any] | None:
    """Return the description of a stack by name or ARN; None if there is none."""
    try:
        stack = target.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return None
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack


def check_owned(stack: dict[str, Any], progress: Progress | None) -> None:
    """Refuse a stack that this verification did not make.

    Raises:
        BadInput: if the stack lacks the tag with the verification's id, or has another ARN than
            the one that was recorded.
    """
    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
    expected = progress.id if progress else None
    same = progress is not None and progress.stack_id in {None, stack["StackId"]}
    if same and (tags.get(TAG) == expected or _is_only_reviewed(stack, progress)):
        return
    raise BadInput(
        f"there is a stack {STACK} that this verification did not make: {stack['StackId']}; "
        f"its tag {TAG} is {tags.get(TAG)!r}, and the one of this verification is {expected!r}",
        f"it is left as it is. If you do not need it, empty its bucket, then: sam delete "
        f"--stack-name {STACK}",
    )


def _is_only_reviewed(stack: dict[str, Any], progress: Progress) -> bool:
    """Return whether this is what an interrupted `sam deploy` leaves before it creates anything.

    Such a stack has a change set, no resources, and no tags yet. The name was free when the
    verification began, so one that is newer is of the verification.
    """
    started_at = datetime.fromisoformat(progress.started_at)
    in_review = stack["StackStatus"] == "REVIEW_IN_PROGRESS"
    return in_review and not stack.get("Tags") and stack["CreationTime"] >= started_at


def deploy(target: Target, progress: Progress) -> None:
    """Build and deploy the stack; deploy it again after an interruption.

    Raises:
        BadInput: if the name is taken by another stack.
        RunFailed: if the SAM CLI fails.
    """
    existing = find(target)
    if existing is not None:
        check_owned(existing, progress)
    build = FOLDER / "build"
    parameters = ["--parameter-overrides", *target.parameters]
    template = ["--template-file", str(PROJECT / "template.yaml"), "--build-dir", str(build)]
    cache = ["--cached", "--cache-dir", str(FOLDER / "cache")]
    _sam(target, ["build", *template, *cache, *parameters])
    _sam(
        target,
        [
            "deploy",
            "--template-file",
            str(build / "template.yaml"),
            "--stack-name",
            STACK,
            "--region",
            target.region,
            "--resolve-s3",
            "--s3-prefix",
            STACK,
            "--no-confirm-changeset",
            "--no-fail-on-empty-changeset",
            "--no-progressbar",
            "--capabilities",
            *CAPABILITIES,
            "--tags",
            f"{TAG}={progress.id}",
            *parameters,
        ],
    )
    stack = find(target)
    if stack is None:
        raise RunFailed(f"the stack {STACK} does not exist after its deployment")
    check_owned(stack, progress)
    progress.stack_id = stack["StackId"]
    progress.resources = resources(target, stack["StackId"])
    progress.save()


def resources(target: Target, stack_id: str) -> list[list[str]]:
    """Return type and physical id of each resource of a stack."""
    pages = target.client("cloudformation").get_paginator("list_stack_resources")
    return [
        [entry["ResourceType"], entry["PhysicalResourceId"]]
        for page in pages.paginate(StackName=stack_id)
        for entry in page["StackResourceSummaries"]
        if entry.get("PhysicalResourceId")
    ]


def _sam(target: Target, arguments: list[str]) -> None:
    if target.is_local:
        environment = sam_environment(target.info, FOLDER)
    else:
        # SAM finds the Python of the runtime by its name on the PATH.
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        environment = {**os.environ, "PATH": path, "SAM_CLI_TELEMETRY": "0"}
    log = FOLDER / f"sam-{arguments[0]}.log"
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "samcli", *arguments],
            env=environment,
            cwd=FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise RunFailed(
            f"sam {arguments[0]} failed (exit code {done.returncode}):\n{tail}",
            f"read {log}",
        )
