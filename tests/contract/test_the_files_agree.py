"""The template, the state machines, the code and the sample events say the same."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from refit.domain import errors
from refit.environment import Environment
from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
MACHINES = {path.name: json.loads(path.read_text()) for path in ROOT.glob("statemachine/*.json")}
AWS_ERRORS = re.compile(r"(States|Lambda|SageMaker)\.[A-Za-z0-9]+\Z")


def of_type(kind: str) -> dict[str, Any]:
    return {name: it["Properties"] for name, it in RESOURCES.items() if it["Type"] == kind}


FUNCTIONS = of_type("AWS::Serverless::Function")
STATE_MACHINES = of_type("AWS::Serverless::StateMachine")


def states_of(machine: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, state in machine["States"].items():
        found[name] = state
        for branch in state.get("Branches", []):
            found |= states_of(branch)
    return found


ALL_STATES = [
    pytest.param(state, id=f"{file}:{name}")
    for file, machine in MACHINES.items()
    for name, state in states_of(machine).items()
]


def layers_of(function: dict[str, Any]) -> set[str]:
    return {layer["Ref"] for layer in function.get("Layers", [])}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_handler_imports_and_is_called_handler(name: str) -> None:
    module, _, entry = FUNCTIONS[name]["Handler"].rpartition(".")
    assert entry == "handler"
    assert callable(importlib.import_module(module).handler)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_verb_names_the_function_its_module_and_its_sample_event(name: str) -> None:
    verb = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Function")).lower()
    assert FUNCTIONS[name]["Handler"] == f"refit.handlers.{verb}.handler"
    assert (ROOT / f"events/{verb}.json").is_file()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handler_imports_only_what_its_layers_bring(name: str) -> None:
    absent = {"NumpyLayer": "numpy", "ParquetLayer": "duckdb"}
    blocked = {
        module for layer, module in absent.items() if layer not in layers_of(FUNCTIONS[name])
    }
    blocked |= {"xgboost", "pandas", "polars", "sagemaker", "scipy", "sklearn", "requests"}
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(blocked)!r}))\n"
        f"import {FUNCTIONS[name]['Handler'].rpartition('.')[0]}\n"
        "print(sys.modules.get('duckdb') is not None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False", "DuckDB is heavy: import it where Parquet is read"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_told_only_what_the_settings_read(name: str) -> None:
    variables = FUNCTIONS[name].get("Environment", {}).get("Variables", {})
    variables |= TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    known = {field.upper() for field in Environment.model_fields}
    assert set(variables) <= known


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handlers_docstring_says_who_calls_it_with_what(name: str) -> None:
    path = ROOT / "functions" / (FUNCTIONS[name]["Handler"].rpartition(".")[0].replace(".", "/"))
    docstring = ast.get_docstring(ast.parse(path.with_suffix(".py").read_text())) or ""
    for part in ("Invoked by", "Input", "Output", "Raises"):
        assert re.search(rf"^{part} ", docstring, re.MULTILINE), part


@pytest.mark.parametrize("name", STATE_MACHINES)
def test_every_substitution_is_used_and_every_placeholder_is_filled(name: str) -> None:
    text = (ROOT / STATE_MACHINES[name]["DefinitionUri"]).read_text()
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(
        STATE_MACHINES[name]["DefinitionSubstitutions"]
    )


@pytest.mark.parametrize(
    "state", [it for it in ALL_STATES if it.values[0]["Type"] in {"Task", "Parallel"}]
)
def test_every_task_retries_and_catches_by_name(state: dict[str, Any]) -> None:
    assert state["Retry"]
    in_a_branch = "End" in state and "TransformJobName" in str(state.get("Arguments"))
    assert in_a_branch or state["Catch"], "its Parallel catches for a branch"


@pytest.mark.parametrize("state", ALL_STATES)
def test_an_error_that_is_matched_exists(state: dict[str, Any]) -> None:
    for rule in state.get("Retry", []) + state.get("Catch", []):
        for name in rule["ErrorEquals"]:
            if not AWS_ERRORS.match(name):
                assert issubclass(getattr(errors, name), errors.RefitError), name


@pytest.mark.parametrize("state", ALL_STATES)
def test_no_state_retries_what_cannot_pass_by_itself(state: dict[str, Any]) -> None:
    for rule in state.get("Retry", []):
        for name in rule["ErrorEquals"]:
            if not AWS_ERRORS.match(name):
                assert issubclass(getattr(errors, name), errors.TransientError), name


@pytest.mark.parametrize("file", MACHINES)
def test_every_state_can_be_reached(file: str) -> None:
    def reached(machine: dict[str, Any]) -> set[str]:
        seen: set[str] = set()
        ahead = [machine["StartAt"]]
        while ahead:
            name = ahead.pop()
            if name in seen:
                continue
            seen.add(name)
            state = machine["States"][name]
            ahead += [state[key] for key in ("Next", "Default") if key in state]
            ahead += [choice["Next"] for choice in state.get("Choices", [])]
            ahead += [catcher["Next"] for catcher in state.get("Catch", [])]
            for branch in state.get("Branches", []):
                assert reached(branch) == set(branch["States"])
        return seen

    assert reached(MACHINES[file]) == set(MACHINES[file]["States"])


def test_every_queue_has_a_dead_letter_queue_and_every_dead_letter_queue_an_alarm() -> None:
    queues = of_type("AWS::SQS::Queue")
    alarms = str(of_type("AWS::CloudWatch::Alarm"))
    for name, queue in queues.items():
        if name.endswith("DeadLetters"):
            assert f"{name}.QueueName" in alarms or f"'{name}', 'QueueName'" in alarms, name
        else:
            assert "deadLetterTargetArn" in queue["RedrivePolicy"], name


def test_every_function_has_a_role_of_its_own_and_names_its_resources() -> None:
    unnarrowable = {"sagemaker:ListModelPackages"}
    for name, function in FUNCTIONS.items():
        assert "Role" not in function
        for policy in function["Policies"]:
            assert not isinstance(policy, str), f"{name}: a managed policy is wider than the need"
            for statement in policy["Statement"]:
                actions = statement["Action"]
                actions = {actions} if isinstance(actions, str) else set(actions)
                assert not any(action.endswith("*") for action in actions), name
                assert statement["Resource"] != "*" or actions <= unnarrowable, name


def test_layers_and_functions_pin_the_versions_of_the_lock() -> None:
    locked = dict(
        re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(), re.M)
    )
    locked = {name.replace("_", "-"): version for name, version in locked.items()}
    files = [ROOT / "functions/requirements.txt", *ROOT.glob("layers/*/requirements.txt")]
    assert len(files) == 3
    for file in files:
        pins = re.findall(r"^([\w.-]+)==([\w.]+)", file.read_text(), re.MULTILINE)
        assert pins, file
        for name, version in pins:
            assert locked[name.lower().replace("_", "-")] == version, f"{file}: {name}"


def test_the_reference_of_the_settings_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate_settings.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert (ROOT / "docs/settings.md").read_text() == generate.reference(), (
        "run `python docs/generate_settings.py`"
    )
