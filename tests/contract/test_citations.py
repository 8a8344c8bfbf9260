"""Documents and headings that code cites exist, and so do the files that documents name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CITATION = re.compile(r'(docs/[\w-]+\.md)(?:,\s+("[^"]+"(?:\s+and\s+"[^"]+")*))?')
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
NAMED_FILE = re.compile(r"`([\w./-]+/[\w.-]+\.(?:py|json|yaml|md))`")
FOLDERS = (ROOT, ROOT / "functions/refit", ROOT / "docs")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    for name in NAMED_FILE.findall(document.read_text("utf-8")):
        assert any((folder / name).exists() for folder in FOLDERS), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_links_of_a_document_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([\w./-]+)[)#]", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target
