"""Completion: it is installed, completes commands and models, and is silent when it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BASH = Path("/bin/bash")


@pytest.fixture
def completed(refit):
    """Complete the last word of a line as bash does; return the suggestions."""

    def run(*words: str, **options) -> list[str]:
        environment = {
            "_REFIT_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(("refit", *words)),
            "COMP_CWORD": str(len(words)),
        }
        result = refit(env=environment, prog_name="refit", **options)
        assert result.stderr == ""
        return result.stdout.split()

    return run


@pytest.fixture
def models(stack):
    for name in ("digits", "digits-2", "flowers"):
        stack.add_run(name, "r1", "FAILED")
    return stack


def test_models_are_completed_from_the_stack(completed, models):
    assert completed("status", "d") == ["digits", "digits-2"]
    assert completed("remove", "f") == ["flowers"]
    assert completed("logs", "--stack-name", "refit", "f") == ["flowers"]


def test_commands_and_options_are_completed(completed):
    assert completed("destr") == ["destroy"]
    assert completed("destroy", "--delete") == ["--delete-data"]


def test_the_local_stack_of_the_port_is_used(completed, models, local_stacks):
    local_stacks.up(4600, None, keep=False, detach=True, log=lambda _: None)
    assert completed("status", "--port", "4600", "f") == ["flowers"]


@pytest.mark.parametrize(
    "words", [("status", "d"), ("status", "--stack-name", "other", "d"), ("status", "--aws", "d")]
)
def test_without_a_stack_or_credentials_there_are_no_names_and_no_message(completed, words):
    assert completed(*words) == []


@pytest.mark.skipif(not BASH.exists(), reason="there is no bash")
def test_the_completion_is_installed_into_bash_and_works_there(tmp_path):
    refit = Path(sys.executable).with_name("refit")
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{refit.parent}{os.pathsep}{os.environ['PATH']}",
    }
    script = (
        "refit --install-completion && source ~/.bash_completions/refit.sh && "
        "COMP_WORDS=(refit destr) COMP_CWORD=1 && _refit_completion refit && "
        'echo "completed ${COMPREPLY[*]}"'
    )
    done = subprocess.run(
        [BASH, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "bash completion installed" in done.stdout
    assert done.stdout.splitlines()[-1] == "completed destroy"
