"""Plan what a training job has beside its data: the code of the script mode, an earlier model.

The code runs in the script mode of the XGBoost image. It is a user's own, or that of Refit which
continues an earlier model, because the image's built-in mode takes none. It is packed into the
run's folder and comes to the job as the channel `code`, because the job has no network.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from refit.domain.errors import ObjectNotFound, ServiceThrottled
from refit.domain.naming import ModelKeys
from refit.domain.pipeline.script_record import CodeFile, ScriptRecord
from refit.domain.pipeline.user_code import check_code, check_scripts_allowed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from refit.domain.naming import RunKeys
    from refit.domain.pipeline.algorithms import Algorithm
    from refit.domain.pipeline.manifest import ObjectVersion
    from refit.domain.training_settings import TrainingSettings
    from refit.usecases.services import Services

_MODEL_TYPE = "application/x-sagemaker-model"
CONTINUE = Path(__file__).parents[1] / "training_code" / "refit_continue.py"
_IN_CONTAINER = "/opt/ml/input/data/code/sourcedir.tar.gz"
# pip installs the code in the container, which has no network: it must neither build the code in an
# environment of its own, for which it would download setuptools, nor ask a package index. pip takes
# 0 of this variable as the option --no-build-isolation.
_OFFLINE = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}


@dataclass(frozen=True)
class ScriptJob:
    """What a training job in script mode has in addition; empty for the built-in mode.

    Attributes:
        record: what the run records of the user's program; None without one.
        channels: S3 URI and content type by the name of the channel.
        hyperparameters: in addition to those of the plan.
        environment: variables of the container.
    """

    record: ScriptRecord | None = None
    channels: dict[str, tuple[str, str]] = field(default_factory=dict)
    hyperparameters: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


def plan_script(
    services: Services,
    keys: RunKeys,
    settings: TrainingSettings,
    algorithm: Algorithm,
    model_data: str | None,
) -> ScriptJob:
    """Return what the training job of a run has in addition to one of the built-in mode.

    Args:
        services: the AWS services of this process.
        keys: of the run.
        settings: `[training]` of the run.
        algorithm: what trains.
        model_data: S3 URI of the model.tar.gz that the job continues; None if it continues none.

    Raises:
        SettingsInvalid: when scripts of users are not allowed, or the code of the user is not there
            or cannot be sent.
    """
    if settings.script is None and model_data is None:
        return ScriptJob()
    model_channel = {"model": (model_data, _MODEL_TYPE)} if model_data is not None else {}
    if algorithm.takes_model_channel:
        return ScriptJob(channels=model_channel)
    files: Mapping[str, bytes] = {CONTINUE.name: CONTINUE.read_bytes()}
    found: list[ObjectVersion] = []
    program = CONTINUE.name
    if settings.script is not None:
        program = settings.script
        found = _code_of_user(services, keys.model, program)
        files = _contents(services, keys.model, found)
    packed = _packed(files)
    # The key has a digest of the content, so planning again never changes what a job reads.
    key = keys.code(hashlib.sha256(packed).hexdigest()[:16])
    services.bucket.put(key, packed, "application/gzip")
    code = (f"s3://{services.environment.bucket}/{key}", "text/python")
    folder = ModelKeys(keys.model).code
    return ScriptJob(
        record=ScriptRecord(
            program=program,
            packed=key,
            files=tuple(
                CodeFile(path=file.key.removeprefix(folder), version=file.unique_version)
                for file in found
            ),
        )
        if found
        else None,
        channels={"code": code, **model_channel},
        hyperparameters={
            "sagemaker_program": program,
            "sagemaker_submit_directory": _IN_CONTAINER,
        },
        environment=_OFFLINE if settings.network_isolation else {},
    )


def _code_of_user(services: Services, model: str, program: str) -> list[ObjectVersion]:
    """Return the files below `{model}/code/`, if they may run and can be sent."""
    check_scripts_allowed(program, services.environment.allowed_scripts)
    found = code_files(services, model)
    folder = ModelKeys(model).code
    check_code(model, program, {file.key.removeprefix(folder): file.size for file in found})
    return found


def code_files(services: Services, model: str) -> list[ObjectVersion]:
    """Return the files below `{model}/code/`."""
    found = services.bucket.list(ModelKeys(model).code)
    return [file for file in found if not file.key.endswith("/")]


def _contents(services: Services, model: str, files: list[ObjectVersion]) -> dict[str, bytes]:
    folder = ModelKeys(model).code
    try:
        return {
            file.key.removeprefix(folder): services.bucket.read(file.key, file.version)
            for file in files
        }
    except ObjectNotFound as error:
        # The folder has changed since it was listed: list it again.
        raise ServiceThrottled(str(error)) from error


def _packed(files: Mapping[str, bytes]) -> bytes:
    """Return a tar.gz of the files; the same files give the same bytes."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
    return out.getvalue()
