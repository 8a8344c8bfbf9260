"""Check the programs that build and deploy the template."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from refit_cli.readiness.findings import Finding, Status

if TYPE_CHECKING:
    from collections.abc import Callable

# The parameter PythonRuntime of the template: its default, and the values that it allows.
DEFAULT_RUNTIME = "python3.13"
RUNTIMES = ("python3.11", "python3.12", "python3.13")


def tools(find: Callable[[str], str | None]) -> list[Finding]:
    """Check the SAM CLI and the Python of the Lambda runtime.

    Args:
        find: returns the path of a program that runs, or None.
    """
    return [_sam(find), _python(find)]


def _sam(find: Callable[[str], str | None]) -> Finding:
    beside = Path(sys.executable).with_name("sam")
    found = find("sam") or (str(beside) if beside.exists() else None)
    if found is None:
        advice = "run `make setup`, which installs it into .venv"
        return Finding("SAM CLI", Status.MISSING, "sam", "not found", advice)
    return Finding("SAM CLI", Status.READY, "sam", found)


def _python(find: Callable[[str], str | None]) -> Finding:
    needed = f"{DEFAULT_RUNTIME}, the runtime of the functions"
    if found := find(DEFAULT_RUNTIME):
        return Finding("Python", Status.READY, needed, found)
    others = [name for name in reversed(RUNTIMES) if find(name)]
    if not others:
        advice = "install it, or build with `sam build --use-container`"
        return Finding("Python", Status.MISSING, needed, "not found", advice)
    return Finding(
        "Python",
        Status.NOTE,
        needed,
        f"{others[0]}",
        f"build and deploy with --parameter-overrides PythonRuntime={others[0]}",
    )
