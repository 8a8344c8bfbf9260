"""Documents and headings that code cites exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CITATION = re.compile(r'(docs/[\w-]+\.md)(?:,\s+("[^"]+"(?:\s+and\s+"[^"]+")*))?')
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SOURCES = sorted(
    path
    for folder in ("functions", "local", "cli", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if ".venv" not in path.parts and "docs/" in path.read_text("utf-8")
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_cited_document_and_its_headings_exist(path: Path) -> None:
    for document, quoted in CITATION.findall(path.read_text("utf-8")):
        assert (ROOT / document).is_file(), document
        headings = HEADING.findall((ROOT / document).read_text("utf-8"))
        for heading in re.findall(r'"([^"]+)"', quoted):
            assert heading in headings, f"{document} has no heading {heading}"
