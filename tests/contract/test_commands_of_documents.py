"""Every command of the documents exists, and is run by a test or has a reason why not."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import nbformat
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

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = documented()
LISTED = [*RUN_AS_THEY_STAND, *RUN_BY, *NOT_RUN]
# A text in backquotes may go on in the next line, but not beyond its paragraph.
INLINE = re.compile(
    r"`((?:\.venv/bin/)?(?:refit |make [a-z]|python [\w/]+\.py)(?:[^`\n]|\n(?! *\n))*)`"
)
RUN_OF_A_WORKFLOW = re.compile(r"^ *- run: (.+)$", re.MULTILINE)
FENCE = re.compile(r"^ *(?P<fence>```+|~~~+) *(?P<kind>\S*)", re.MULTILINE)
PROGRAMS = "refit|make|sam|aws|curl|docker|git|jupyter|pip|pytest|python3?"
STARTS_LIKE_A_COMMAND = re.compile(
    rf"^(?:\$ *)?(?:\.venv/bin/)?(?:{PROGRAMS}) +[\w./$<-]", re.MULTILINE
)
NOTEBOOK = ROOT / "notebooks/handwritten_digits.ipynb"
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
    assert (ROOT / EXECUTED).is_file()
    assert len(LISTED) == len(set(LISTED))
    assert set(LISTED) - {first_line(found.text) for found in COMMANDS} == set()


@pytest.mark.parametrize(("command", "file"), sorted(RUN_BY.items()))
def test_the_file_that_runs_a_command_exists_and_names_it(command: str, file: str) -> None:
    text = (ROOT / file).read_text()
    program, name, *_ = shlex.split(command)
    if program == "refit":
        assert re.search(rf"\b{name}\b", text), f"{file} does not run `refit {name}`"


def outside_of_shell_blocks(text: str) -> str:
    """Return the blocks that are not `sh`, and the lines that are indented like a block."""
    found, kind, end = [], None, ""
    for line in text.splitlines():
        if kind is None and (fence := FENCE.match(line)):
            kind, end = fence["kind"], fence["fence"]
        elif kind is not None and line.strip() == end:
            kind = None
        elif kind not in {None, "sh"} or (kind is None and line.startswith(("    ", "\t"))):
            found.append(line.strip())
    return "\n".join(found)


def test_commands_outside_of_shell_blocks_are_found() -> None:
    text = (
        "a\n```console\n$ refit up\n```\n\n    make x\n\n~~~\nsam build\n~~~\n```sh\nrefit b\n```\n"
    )
    found = outside_of_shell_blocks(text)
    assert STARTS_LIKE_A_COMMAND.findall(found) == ["$ refit u", "make x", "sam b"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_stand_in_shell_blocks_where_they_are_found(path: Path) -> None:
    found = STARTS_LIKE_A_COMMAND.findall(outside_of_shell_blocks(path.read_text("utf-8")))
    assert found == [], "mark the block as `sh`, so that its commands are tested"


def texts() -> list[tuple[str, str]]:
    """Return the documents and the text of the notebook, with their names."""
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    notebook = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return [
        *((path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in DOCUMENTS),
        (NOTEBOOK.name, notebook),
    ]


def cli_uses() -> list[tuple[str, str]]:
    """Return every use of `refit`, `make` and of our programs, in blocks and in the text."""
    found = {(used.document, first_line(used.text)) for used in COMMANDS}
    for name, text in texts():
        for use in [*INLINE.findall(text), *RUN_OF_A_WORKFLOW.findall(text)]:
            found.add((name, re.sub(r"\s+", " ", use).removeprefix(".venv/bin/")))
    return sorted(use for use in found if use[1].startswith(("refit ", "make ", "python ")))


def arguments_of(command: str) -> list[str]:
    """Return the arguments of a command of a block, without what the shell reads."""
    words = shlex.split(command)[2:]
    return words[: next((n for n, word in enumerate(words) if word in {">", "|"}), None)]


@pytest.mark.parametrize(
    "command",
    sorted({first_line(used.text) for used in COMMANDS if used.text.startswith("refit ")}),
)
def test_a_command_of_a_block_has_the_arguments_that_it_needs(command: str) -> None:
    name = command.split()[1]
    parsed = ROOT_COMMAND.commands[name]  # type: ignore[attr-defined]
    # Raises what the command line would print: a missing argument, a value that is not allowed.
    parsed.make_context(name, arguments_of(command)).close()


@pytest.mark.parametrize(("document", "use"), cli_uses())
def test_the_command_and_its_options_exist(document: str, use: str) -> None:
    words = shlex.split(use.replace("…", "").replace("'", ""))
    if words[0] == "python":
        assert words[1] == "-" or words[1] == "-m" or (ROOT / words[1]).is_file(), use
        return
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
