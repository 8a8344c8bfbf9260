"""The documentation site has every page, loads nothing from elsewhere, and refuses broken links."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "examples/*/README.md", "benchmarks/README.md")
    for path in ROOT.glob(pattern)
}
LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]*src=\"?(https?:[^\" >]+)|<link[^>]*href=\"?(https?:[^\" >]+)"
)


def paths_of(entries: list[dict[str, Any]]) -> list[str]:
    found: list[str] = []
    for entry in entries:
        for value in entry.values():
            found += [value] if isinstance(value, str) else paths_of(value)
    return found


def test_the_navigation_has_every_page_once_and_readme_links_to_each() -> None:
    settings = tomllib.loads((ROOT / "zensical.toml").read_text())
    paths = paths_of(settings["project"]["nav"])
    assert len(paths) == len(set(paths))
    assert set(paths) == PAGES, "add the page to `nav` of zensical.toml"
    linked = re.findall(r"\]\(([\w./-]+\.md)[)#]", (ROOT / "README.md").read_text())
    assert PAGES - {"README.md"} - set(linked) == set()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the site is made of."""
    for folder in ("docs", "examples", "benchmarks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns(".*"))
    for path in [*ROOT.glob("*.md"), ROOT / "zensical.toml"]:
        shutil.copy(path, tmp_path)
    return tmp_path


def build(project: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, project / "docs/build_site.py"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_site_loads_nothing_from_another_server_and_can_be_searched(project: Path) -> None:
    done = build(project)
    assert done.returncode == 0, done.stderr
    html = project / ".refit/site/html"
    for page in html.rglob("*.html"):
        assert not LOADED.findall(page.read_text()), page.relative_to(html)
    assert "e-process" in (html / "search.json").read_text()
    assert (html / "docs/assets/iframe-worker.js").is_file()


@pytest.mark.parametrize(
    "link", ["[x](nowhere.md)", "[x](aws.md#nothing)", "![x](console/nothing.png)"]
)
def test_a_broken_link_fails_the_build_and_is_named(project: Path, link: str) -> None:
    page = project / "docs/concepts.md"
    page.write_text(f"{page.read_text()}\n{link}\n")
    done = build(project)
    assert done.returncode != 0
    assert "docs/concepts.md" in done.stderr
    assert "does not exist" in done.stderr
