"""Every command of the documents exists, and is run by a test or has a reason why not."""

from __future__ import annotations

import re
import shlex

import pytest
import typer.main
from refit_cli.main import app

from tests.support.documented_commands import (
    DOCUMENTS,
    EXECUTED,
    NOT_RUN,
    ROOT,
    RUN_AS_THEY_STAND,
    RUN_BY,
    commands_of,
    documented,
)

COMMANDS = documented()
LISTED = [*RUN_AS_THEY_STAND, *RUN_BY, *NOT_RUN]
INLINE = re.compile(r"`((?:\.venv/bin/)?refit [^`\n]+|make [a-z][^`\n]*)`")
ROOT_COMMAND = typer.main.get_command(app)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def first_line(command: str) -> str:
    return command.splitlines()[0]


def test_blocks_are_split_into_commands() -> None:
    block = "make a   # why\n.venv/bin/refit b \\\n  --c && sam d\ncat > e <<'END'\n# f\nEND\n"
    text = f"```sh\n{block}```\n"
    assert commands_of(text) == ["make a", "refit b --c", "sam d", "cat > e <<'END'\n# f\nEND"]
    assert commands_of("1. x\n\n   ```sh\n   make a\n   ```\n") == ["make a"]


@pytest.mark.parametrize(
    ("document", "command"),
    sorted({(found.document, first_line(found.text)) for found in COMMANDS}),
)
def test_a_command_is_run_by_a_test_or_has_a_reason_why_not(document: str, command: str) -> None:
    assert command in LISTED, (
        f"{document}: add `{command}` to tests/support/documented_commands.py: to the commands "
        "that are run as they stand, to the test that runs it, or with the reason why none does"
    )


def test_the_lists_have_each_command_once_and_no_other() -> None:
    assert len(LISTED) == len(set(LISTED))
    assert set(LISTED) - {first_line(found.text) for found in COMMANDS} == set()


def test_the_files_that_run_commands_exist() -> None:
    for file in {EXECUTED, *RUN_BY.values()}:
        assert (ROOT / file).is_file(), file


def cli_uses() -> list[tuple[str, str]]:
    """Return every use of `refit` and `make` in blocks and in the text of the documents."""
    found = {(used.document, first_line(used.text)) for used in COMMANDS}
    for path in DOCUMENTS:
        for use in INLINE.findall(path.read_text("utf-8")):
            found.add((path.relative_to(ROOT).as_posix(), use.removeprefix(".venv/bin/")))
    return sorted(use for use in found if use[1].startswith(("refit ", "make ")))


@pytest.mark.parametrize(("document", "use"), cli_uses())
def test_the_command_and_its_options_exist(document: str, use: str) -> None:
    words = shlex.split(use.replace("…", "").replace("'", ""))
    if words[0] == "make":
        assert words[1] in TARGETS, f"{document}: {use}"
        return
    command = ROOT_COMMAND.commands.get(words[1])  # type: ignore[attr-defined]
    if words[1].startswith("-"):
        command = ROOT_COMMAND
    assert command is not None, f"{document}: there is no `refit {words[1]}`"
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in words[1:]:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in options, f"{document}: {use} has no {word}"
