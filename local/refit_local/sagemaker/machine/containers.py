"""The folder that a container uses in place of /opt/ml, and its archives.

Source  docs/sagemaker-contract.md, "Training container" and "Input channels and content types"
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refit_local.sagemaker.wire.errors import JobFailed, shortened

if TYPE_CHECKING:
    from pathlib import Path

_TRACEBACK_LINE = re.compile(r"^(?: {2,}|\t|Traceback \(|$)")
_MODULE_PREFIX = re.compile(r"^(?:\w+\.)+(?=\w+: )")
_NATIVE_STACK = "Stack trace:"
_HOST = "algo-1"


@dataclass(frozen=True)
class ContainerFolder:
    """A folder in place of /opt/ml."""

    base: Path

    @property
    def model(self) -> Path:
        """The model: written by training, read by serving."""
        return self.base / "model"

    @property
    def output(self) -> Path:
        """`data/` becomes output.tar.gz; `failure` has the reason why training failed."""
        return self.base / "output"

    @property
    def checkpoints(self) -> Path:
        """Synchronized with CheckpointConfig.S3Uri."""
        return self.base / "checkpoints"

    def channel(self, name: str) -> Path:
        """Return the folder of an input channel."""
        return self.base / "input" / "data" / name

    def environment(self) -> dict[str, str]:
        """Return the variables that make a process use this folder."""
        return {"SAGEMAKER_BASE_DIR": str(self.base), "TMPDIR": str(self.base / "tmp")}

    def prepare(self) -> None:
        """Create the folders, empty."""
        shutil.rmtree(self.base, ignore_errors=True)
        for folder in (self.model, self.output / "data", self.base / "tmp"):
            folder.mkdir(parents=True)

    def write_training_config(self, job: dict[str, Any]) -> None:
        """Write the JSON files that a training container reads."""
        config = self.base / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        instance_type = job["ResourceConfig"]["InstanceType"]
        files: dict[str, Any] = {
            "hyperparameters.json": job.get("HyperParameters", {}),
            "inputdataconfig.json": {
                channel["ChannelName"]: _channel_config(channel, job)
                for channel in job.get("InputDataConfig", [])
            },
            "resourceconfig.json": {
                "current_host": _HOST,
                "current_instance_type": instance_type,
                "current_group_name": "homogeneousCluster",
                "hosts": [_HOST],
                "instance_groups": [
                    {
                        "instance_group_name": "homogeneousCluster",
                        "instance_type": instance_type,
                        "hosts": [_HOST],
                    }
                ],
                "network_interface_name": "eth0",
            },
        }
        if "CheckpointConfig" in job:
            self.checkpoints.mkdir(exist_ok=True)
            files["checkpointconfig.json"] = {
                "S3Uri": job["CheckpointConfig"]["S3Uri"],
                "LocalPath": str(self.checkpoints),
            }
        for name, content in files.items():
            (config / name).write_text(json.dumps(content), "utf-8")

    def failure_reason(self, exit_code: int) -> str:
        """Return the FailureReason of a container that failed; it begins with the message."""
        suffix = f", exit code: {exit_code}"
        path = self.output / "failure"
        text = path.read_text("utf-8", "replace").strip() if path.is_file() else ""
        if not text:
            return f"AlgorithmError: {suffix.removeprefix(', ')}"
        return shortened(f"AlgorithmError: {_message_first(text)}", suffix)


def _channel_config(channel: dict[str, Any], job: dict[str, Any]) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    mode = channel.get("InputMode", job["AlgorithmSpecification"]["TrainingInputMode"])
    config = {
        "TrainingInputMode": mode,
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    if "ContentType" in channel:
        config["ContentType"] = channel["ContentType"]
    return config


def _message_first(text: str) -> str:
    """Return `<Class>: <message>` of the last traceback, without the module of the class.

    A FailureReason has 1,024 characters, which a traceback would fill.
    """
    if "Traceback (most recent call last)" not in text:
        return text
    rest = text.rsplit("Traceback (most recent call last)", 1)[1].splitlines()[1:]
    while rest and _TRACEBACK_LINE.match(rest[0]):
        rest.pop(0)
    lines = [line for line in rest if line.strip()]
    if len(lines) > 1 and lines[0].endswith(lines[-1]):
        lines.pop()
    native_stack = next((n for n, line in enumerate(lines) if line.strip() == _NATIVE_STACK), None)
    return _MODULE_PREFIX.sub("", "\n".join(lines[:native_stack])) or text


def pack(folder: Path, archive: Path) -> None:
    """Write the content of a folder as tar.gz, with its members at the root of the archive."""
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a model.tar.gz; no member can be written outside the folder.

    Raises:
        JobFailed: when the file is not an archive, or a member is unsafe.
    """
    try:
        with tarfile.open(archive, "r:*") as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError, gzip.BadGzipFile) as error:
        raise JobFailed(
            f"ClientError: Failed to extract model data archive from {archive.name}: {error}. "
            "Please ensure that the object is a valid tar.gz archive."
        ) from error
