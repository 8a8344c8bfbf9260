"""Read `template.yaml` and the definitions of the state machines as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).parents[2]
TEMPLATE: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]


def of_type(kind: str) -> dict[str, Any]:
    """Return the properties of all resources of a type, by logical name."""
    return {
        name: resource["Properties"]
        for name, resource in RESOURCES.items()
        if resource["Type"] == kind
    }


FUNCTIONS = of_type("AWS::Serverless::Function")
STATE_MACHINES = of_type("AWS::Serverless::StateMachine")
DEFINITIONS: dict[str, Any] = {
    path.name: json.loads(path.read_text()) for path in ROOT.glob("statemachine/*.json")
}


def branches_of(machine: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the branches of the Parallel states of a state machine, and what its Maps repeat."""
    return [branch for state in machine["States"].values() for branch in inner_machines(state)]


def inner_machines(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the state machines within a state."""
    return [
        *state.get("Branches", []),
        *([state["ItemProcessor"]] if state["Type"] == "Map" else []),
    ]


def states_of(machine: dict[str, Any]) -> dict[str, Any]:
    """Return all states of a state machine or branch, including the states within its states."""
    states: dict[str, Any] = {}
    for name, state in machine["States"].items():
        states[name] = state
        for inner in inner_machines(state):
            states |= states_of(inner)
    return states
