"""The page about AWS names only tests, modules and names that exist."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.support.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs/aws-assumptions.md").read_text("utf-8")
COLUMNS = ["assumption", "relied on in", "source", "local stack", "test"]
WITHOUT_TESTS = "Open questions"  # their tests are the probes
NAMED = re.compile(r"`([^`]+)`")
FILE = re.compile(r"[\w./]+\.(?:py|json|yaml)")
MACHINES = tuple(ROOT / f"statemachine/{name}.asl.json" for name in ("train", "deploy", "batch"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


class Assumption(NamedTuple):
    """A line of the page.

    Attributes:
        folder: where its section's paths begin.
    """

    folder: Path
    claim: str
    relied_on_in: str
    source: str
    local_stack: str
    test: str


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def tables() -> dict[str, list[str]]:
    """Return the lines of the tables by the titles of their sections."""
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    return {
        section.partition("\n")[0]: re.findall(r"^\|.*", section, re.MULTILINE)
        for section in sections
        if not section.startswith(WITHOUT_TESTS)
    }


def assumptions() -> list[Assumption]:
    """Return the lines of all tables but the open questions, if they have every column."""
    found = []
    for title, lines in tables().items():
        section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        below = re.search(r"[Pp]aths are below `([^`]+)`", section)
        folder = ROOT / (below[1] if below else "functions/refit")
        rows = [cells(line) for line in lines[2:]]
        found += [Assumption(folder, *row) for row in rows if len(row) == len(COLUMNS)]
    return found


def files_of(assumption: Assumption) -> list[Path]:
    """Return the files that the system relies on the assumption in, whether they exist or not."""
    names = [name for name in NAMED.findall(assumption.relied_on_in) if FILE.fullmatch(name)]
    folders = (assumption.folder, ROOT / "statemachine", ROOT)
    return [
        next((folder / name for folder in folders if (folder / name).is_file()), ROOT / name)
        for name in names
    ]


@pytest.mark.parametrize("title", tables())
def test_each_line_of_a_table_has_every_column(title: str) -> None:
    header, rule, *lines = tables()[title]
    assert cells(header) == COLUMNS
    assert rule == "|---|---|---|---|---|"
    assert lines
    for line in lines:
        assert len(cells(line)) == len(COLUMNS), line
        assert all(cells(line)), line


def test_a_line_is_written_once() -> None:
    claims = [assumption.claim for assumption in assumptions()]
    assert sorted(set(claims)) == sorted(claims)


@pytest.mark.parametrize(
    "name", sorted({name for line in assumptions() for name in NAMED.findall(line.test)})
)
def test_a_test_that_shows_an_assumption_exists(name: str) -> None:
    file, _, function = name.partition("::")
    modules = [path for path in TESTS if path.as_posix().endswith(f"/{file}")]
    assert len(modules) == 1, f"{file} must name one module: {modules}"
    assert not function or f"def {function}(" in modules[0].read_text("utf-8"), name


def test_the_column_of_tests_has_names_of_tests_or_a_dash() -> None:
    for assumption in assumptions():
        names = NAMED.findall(assumption.test)
        assert assumption.test == (", ".join(f"`{name}`" for name in names) or "—"), assumption


def test_what_relies_on_an_assumption_exists() -> None:
    for assumption in assumptions():
        files = files_of(assumption)
        for path in files:
            assert path.is_file(), f"{path.relative_to(ROOT)}: {assumption.claim}"
        code = "".join(path.read_text("utf-8") for path in files or MACHINES)
        for name in NAMED.findall(assumption.relied_on_in):
            if not FILE.fullmatch(name):
                assert name.rpartition(".")[2] in code, f"{name}: {assumption.claim}"
