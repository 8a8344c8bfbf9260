"""Every function of the template has a handler, a docstring and sample events that fit it."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from functools import cache

import pytest
from refit.environment import Environment

from tests.support.events import EVENTS, sample
from tests.support.template import DEFINITIONS, FUNCTIONS, ROOT, TEMPLATE, states_of


def module_of(function: str) -> str:
    return str(FUNCTIONS[function]["Handler"].rpartition(".")[0])


def verb_of(function: str) -> str:
    return module_of(function).rpartition(".")[2]


def layers_of(function: str) -> set[str]:
    return {layer["Ref"] for layer in FUNCTIONS[function].get("Layers", [])}


def docstring_of(function: str) -> str:
    path = (ROOT / "functions" / module_of(function).replace(".", "/")).with_suffix(".py")
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def invoked_by(function: str) -> str:
    """Return the docstring's paragraph on what invokes the function, on one line."""
    match = re.search(r"^Invoked by (.*?)^Input ", docstring_of(function), re.DOTALL | re.MULTILINE)
    assert match, f"the docstring of {function} does not say what invokes it"
    return " ".join(match[1].split())


def invoking_states(function: str) -> set[str]:
    return {
        name
        for machine in DEFINITIONS.values()
        for name, state in states_of(machine).items()
        if f'"FunctionName": "${{{function}Arn}}"' in json.dumps(state.get("Arguments"))
    }


def triggers_of(function: str) -> set[str]:
    """Return what invokes a function: names of states, queues and tables, and API routes."""
    triggers = invoking_states(function)
    for event in FUNCTIONS[function].get("Events", {}).values():
        properties = event["Properties"]
        match event["Type"]:
            case "SQS":
                triggers.add(properties["Queue"]["Fn::GetAtt"][0])
            case "DynamoDB":
                triggers.add(properties["Stream"]["Fn::GetAtt"][0])
            case "Api":
                method = properties["Method"]
                triggers.add(
                    "OPTIONS of every route"
                    if method == "OPTIONS"
                    else f"{method} {properties['Path']}"
                )
            case "EventBridgeRule":
                triggers.add("EventBridge")
    return triggers


ALL_TRIGGERS = set.union(*(triggers_of(name) for name in FUNCTIONS))
BATCHED = {
    name: event["Properties"]["BatchSize"]
    for name, function in FUNCTIONS.items()
    for event in function.get("Events", {}).values()
    if "BatchSize" in event["Properties"]
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_handler_imports_and_is_called_handler(name: str) -> None:
    assert FUNCTIONS[name]["Handler"].endswith(".handler")
    assert callable(importlib.import_module(module_of(name)).handler)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_verb_names_the_function_its_module_and_its_sample_event(name: str) -> None:
    verb = re.sub(r"(?<!^)(?=[A-Z])", "_", name.removesuffix("Function")).lower()
    assert FUNCTIONS[name]["Handler"] == f"refit.handlers.{verb}.handler"
    assert (EVENTS / f"{verb}.json").is_file()


IMPORT_EACH = """
import importlib, json, sys, traceback
blocked, modules = map(json.loads, sys.argv[1:])
sys.modules.update(dict.fromkeys(blocked))
failures = {}
for module in modules:
    try:
        importlib.import_module(module)
    except ImportError:
        failures[module] = traceback.format_exc()
    if sys.modules.pop("duckdb", None) is not None:
        failures[module] = "DuckDB is heavy: import it where Parquet is read"
print(json.dumps(failures))
"""


@cache
def failures_of_imports(blocked: frozenset[str], modules: tuple[str, ...]) -> dict[str, str]:
    """Import modules in a process that lacks some packages; return why some fail."""
    command = [sys.executable, "-c", IMPORT_EACH, json.dumps(sorted(blocked)), json.dumps(modules)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    failures: dict[str, str] = json.loads(done.stdout)
    return failures


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handler_imports_only_what_its_layers_bring(name: str) -> None:
    layers = layers_of(name)
    absent = {"NumpyLayer": "numpy", "ParquetLayer": "duckdb"}
    blocked = {module for layer, module in absent.items() if layer not in layers}
    blocked |= {"xgboost", "pandas", "polars", "sagemaker", "scipy", "sklearn", "requests"}
    alike = tuple(module_of(each) for each in FUNCTIONS if layers_of(each) == layers)
    assert module_of(name) not in failures_of_imports(frozenset(blocked), alike)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gets_only_variables_that_the_environment_reads(name: str) -> None:
    variables = FUNCTIONS[name].get("Environment", {}).get("Variables", {}).keys()
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"].keys()
    assert variables | shared <= Environment.names()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handlers_docstring_names_what_invokes_it_and_nothing_else(name: str) -> None:
    named = {
        trigger
        for trigger in ALL_TRIGGERS
        if re.search(rf"(?<!\w){re.escape(trigger)}(?![\w/])", invoked_by(name))
    }
    assert named == triggers_of(name)


@pytest.mark.parametrize("name", BATCHED)
def test_a_handlers_docstring_states_its_batch_size(name: str) -> None:
    (size,) = re.findall(r"batches of up to ([\d,]+)", invoked_by(name))
    assert int(size.replace(",", "")) == BATCHED[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handlers_docstring_names_sample_events_that_exist_and_its_own_first(name: str) -> None:
    named = re.findall(r"events/(\w+)\.json", docstring_of(name))
    assert named[:1] == [verb_of(name)]
    assert all((EVENTS / f"{event}.json").is_file() for event in named)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_handlers_docstring_describes_input_output_and_errors(name: str) -> None:
    for section in ("Input", "Output", "Raises"):
        assert re.search(rf"^{section} +\S", docstring_of(name), re.MULTILINE), section


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_functions_own_sample_event_is_complete(name: str) -> None:
    assert "extends" not in json.loads((EVENTS / f"{verb_of(name)}.json").read_text())


@pytest.mark.parametrize("name", sorted(path.stem for path in EVENTS.glob("*.json")))
def test_a_sample_event_belongs_to_a_function_and_changes_only_what_its_base_has(name: str) -> None:
    verbs = {verb_of(function) for function in FUNCTIONS}
    base = json.loads((EVENTS / f"{name}.json").read_text()).get("extends")
    if base is None:
        assert any(name == verb or name.startswith(f"{verb}_") for verb in verbs)
        return
    verb = base.removesuffix(".json")
    assert verb in verbs
    assert name.startswith(f"{verb}_")
    assert sample(name) != sample(verb)
    assert sample(name).keys() == sample(verb).keys()
