r"""Script mode: run the Python module that the hyperparameters name, in place of the algorithm.

The image installs the code with pip, and then runs `python -m <module> --<name> <value> …` in
/opt/ml/code. Here nothing is installed or downloaded: the module is run where it was unpacked.

Source  docs/sagemaker-contract.md, "Script mode"
"""

import json
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refit_local.algorithms.xgboost.job_files import ContainerFolders

_log = logging.getLogger(__name__)

_PREFIX = "sagemaker_"
_PROGRAM = "sagemaker_program"
_SUBMIT_DIRECTORY = "sagemaker_submit_directory"
# These are the toolkit's own, and no arguments of the script.
_OF_THE_TOOLKIT = ("_tuning_objective_metric", "default_user_module_name")


class ScriptError(Exception):
    """The code of the user cannot be installed or has failed; its text is the failure file."""


class InstallModuleError(ScriptError):
    """The image would install packages for the script, which needs the network."""

    def __init__(self, command: str) -> None:
        super().__init__(f'InstallModuleError:\nCommand "{command}"')


class ExecuteUserScriptError(ScriptError):
    """The script ended with another exit code than 0; only the log says why."""

    def __init__(self, command: str) -> None:
        super().__init__(f'ExecuteUserScriptError:\nCommand "{command}"')


def read_hyperparameters(folders: ContainerFolders) -> dict[str, Any]:
    """Return the hyperparameters as the toolkit decodes them: as JSON where they are JSON."""
    texts = json.loads((folders.config / "hyperparameters.json").read_text())
    return {name: _decoded(text) for name, text in texts.items()}


def is_script_mode(hyperparameters: Mapping[str, Any]) -> bool:
    """Return whether the job names a program."""
    return _program(hyperparameters) is not None


def run_script(folders: ContainerFolders, hyperparameters: Mapping[str, Any]) -> None:
    """Run the program of the job.

    Raises:
        ScriptError: the code cannot be installed, or ended with another exit code than 0.
        OSError: the code is not there.
        ValueError: the code is in S3.
    """
    own = {
        name: value
        for name, value in hyperparameters.items()
        if not name.startswith(_PREFIX) and name not in _OF_THE_TOOLKIT
    }
    program = str(_program(hyperparameters))
    module = program.removesuffix(".py")
    code = folders.base / "code"
    _log.info("Invoking user training script.")
    _unpack(str(hyperparameters.get(_SUBMIT_DIRECTORY, code)), code, folders)
    if (code / "requirements.txt").exists():
        _log.error("the local stack installs no packages; nor does AWS under network isolation")
        raise InstallModuleError(f"{sys.executable} -m pip install . -r requirements.txt")
    command = [sys.executable, "-m", module, *_arguments(own)]
    environment = _environment(folders, own, hyperparameters, program, command[3:])
    _log.info("Invoking script with the following command:\n\n%s\n", shlex.join(command))
    # The script writes to the same streams, which are the log of the job.
    sys.stdout.flush()
    if subprocess.run(command, cwd=code, env=environment, check=False).returncode:
        raise ExecuteUserScriptError(" ".join(command))


def _program(hyperparameters: Mapping[str, Any]) -> Any:
    return os.environ.get(_PROGRAM.upper()) or hyperparameters.get(_PROGRAM)


def _decoded(text: Any) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return text


def _unpack(source: str, code: Path, folders: ContainerFolders) -> None:
    """Put the code into its folder: from a folder, a tar.gz file, or a single file."""
    if source.startswith("s3://"):
        raise ValueError(
            f"{_SUBMIT_DIRECTORY} is {source}: the local stack downloads no code, and AWS does not "
            "under network isolation; send the code as the channel `code`"
        )
    path = folders.below_base(source)
    if path == code:
        return
    code.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, code, dirs_exist_ok=True)
    elif tarfile.is_tarfile(path):
        with tarfile.open(path, "r:gz") as archive:
            archive.extractall(code, filter="data")
    else:
        shutil.copy2(path, code)


def _arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """Return `--name value` of each hyperparameter, in the order of the names."""
    arguments = []
    for name in sorted(hyperparameters):
        value = hyperparameters[name]
        if isinstance(value, Mapping):
            value = ",".join(f"{key}={item}" for key, item in sorted(value.items()))
        option = f"--{name}" if len(name) > 1 else f"-{name}"
        arguments += [option, "" if value is None else str(value)]
    return arguments


def _environment(
    folders: ContainerFolders,
    own: Mapping[str, Any],
    hyperparameters: Mapping[str, Any],
    program: str,
    arguments: list[str],
) -> dict[str, str]:
    """Return the environment of the script: that of the container, and the variables `SM_…`."""
    channels = json.loads((folders.config / "inputdataconfig.json").read_text())
    resources = json.loads((folders.config / "resourceconfig.json").read_text())
    framework = {k: v for k, v in hyperparameters.items() if k.startswith(_PREFIX)}
    values: dict[str, Any] = {
        "hosts": resources["hosts"],
        "current_host": resources["current_host"],
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        "resource_config": resources,
        "input_data_config": channels,
        "channels": sorted(channels),
        "hps": dict(own),
        "user_args": arguments,
        "user_entry_point": program,
        "module_name": program.removesuffix(".py"),
        "module_dir": str(hyperparameters.get(_SUBMIT_DIRECTORY, folders.base / "code")),
        "framework_params": {
            k: v for k, v in framework.items() if k not in (_PROGRAM, _SUBMIT_DIRECTORY)
        },
        "input_dir": str(folders.base / "input"),
        "input_config_dir": str(folders.config),
        "output_dir": str(folders.base / "output"),
        "output_data_dir": str(folders.output_data),
        "output_intermediate_dir": str(folders.base / "output" / "intermediate"),
        "model_dir": str(folders.model),
        "num_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        "num_gpus": 0,
        "log_level": logging.INFO,
        **{f"channel_{name}": str(folders.channel(name)) for name in channels},
        **{f"hp_{name}": value for name, value in own.items()},
    }
    shown = {f"SM_{name.upper()}": _text(value) for name, value in values.items()}
    path = os.pathsep.join(filter(None, [str(folders.base / "code"), *sys.path]))
    return {**os.environ, **shown, "PYTHONPATH": path}


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
