"""The static files of the console, and how their function serves them."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from refit.handlers.console import (
    FOLDER,
    FOREVER,
    REVALIDATE,
    SECURITY_HEADERS,
    console,
    handler,
)

from tests.support.events import sample

ROOT = Path(__file__).parents[2]
VENDORED = json.loads((ROOT / ".ci/console/vendored.json").read_text())
OWN = [path for path in FOLDER.rglob("*") if path.is_file() and "vendor" not in path.parts]
SCRIPTS = [path for path in OWN if path.suffix == ".js"]


def answer(file: str | None, **headers: str) -> dict[str, Any]:
    event = sample("console") | {
        "pathParameters": None if file is None else {"file": file},
        "headers": headers,
    }
    return handler(event, None)


def version_of_the_page() -> str:
    match = re.search(r"console/([0-9a-f]{16})/app\.js", answer(None)["body"])
    assert match
    return match[1]


def test_the_page_is_html_that_the_browser_checks_for_changes() -> None:
    page = answer(None)
    assert page["statusCode"] == 200
    assert page["headers"]["Content-Type"] == "text/html; charset=utf-8"
    assert page["headers"]["Cache-Control"] == REVALIDATE
    assert "{version}" not in page["body"]


def test_the_page_says_what_to_do_where_the_slash_is_missing() -> None:
    text = " ".join(answer(None)["body"].split())
    assert "add a slash to the end of the address" in text
    assert re.findall(r'(?:src|href)="(?!console/)', text) == [], "relative to the stage"


def test_a_file_below_the_version_of_the_page_is_kept_for_ever() -> None:
    file = answer(f"{version_of_the_page()}/lib/api.js")
    assert file["statusCode"] == 200
    assert file["headers"]["Content-Type"] == "text/javascript; charset=utf-8"
    assert file["headers"]["Cache-Control"] == FOREVER
    assert file["body"] == (FOLDER / "lib/api.js").read_text()


def test_a_file_below_another_version_is_served_but_not_kept() -> None:
    """During a deployment, an old function answers a new page, and the other way round."""
    file = answer("0123456789abcdef/lib/api.js")
    assert file["statusCode"] == 200
    assert file["headers"]["Cache-Control"] == REVALIDATE


def test_another_content_of_any_file_gives_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = version_of_the_page()
    (tmp_path / "index.html").write_bytes((FOLDER / "index.html").read_bytes())
    (tmp_path / "app.js").write_text("changed")
    monkeypatch.setattr("refit.handlers.console.FOLDER", tmp_path)
    console.cache_clear()
    try:
        assert version_of_the_page() != before
    finally:
        console.cache_clear()


@pytest.mark.parametrize("file", [None, "v/app.js"])
def test_a_browser_that_has_a_file_does_not_get_it_again(file: str | None) -> None:
    etag = answer(file)["headers"]["ETag"]
    repeated = answer(file, **{"If-None-Match": etag})
    assert repeated["statusCode"] == 304
    assert repeated["body"] == ""
    assert repeated["headers"]["ETag"] == etag


@pytest.mark.parametrize(
    "file",
    [
        "v/nothing.js",
        "v/../handlers/console.py",
        "v/../../../etc/passwd",
        "v//etc/passwd",
        "v/index.html",
        "app.js",
        "",
    ],
)
def test_only_files_of_the_console_are_served(file: str) -> None:
    refused = answer(file)
    assert refused["statusCode"] == 404
    assert json.loads(refused["body"])["error"]["code"] == "FileNotFound"


@pytest.mark.parametrize("file", [None, "v/app.js", "v/nothing"])
def test_every_answer_has_the_security_headers(file: str | None) -> None:
    assert answer(file)["headers"].items() >= SECURITY_HEADERS.items()


def test_the_policy_allows_scripts_and_requests_of_the_own_origin_only() -> None:
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }


def test_the_page_has_no_script_or_style_of_its_own_and_no_address_of_another_host() -> None:
    page = (FOLDER / "index.html").read_text()
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []
    for path in OWN:
        named = re.findall(r"https?://[^\s\"')]+", path.read_text())
        assert set(named) <= {"http://www.w3.org/2000/svg"}, path


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_script_writes_texts_only_and_evaluates_none(path: Path) -> None:
    text = path.read_text()
    banned = (
        r"innerHTML|outerHTML|dangerouslySet|insertAdjacent|document\.write|\beval\b|Function\("
    )
    assert re.findall(banned, text) == []
    assert len(text.splitlines()) < 500


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_script_imports_files_that_exist(path: Path) -> None:
    for target in re.findall(r"from \"([^\"]+)\"", path.read_text()):
        assert target.startswith("."), "there is no import map"
        assert (path.parent / target).resolve().is_file(), target


def test_all_files_fit_into_one_answer_each_and_are_small_together() -> None:
    sizes = [len(file.text.encode()) for file in console().files.values()]
    assert max(sizes) < 200_000
    assert sum(sizes) < 500_000


@pytest.mark.parametrize("name", VENDORED)
def test_a_vendored_file_is_the_one_of_its_package(name: str) -> None:
    assert hashlib.sha256((ROOT / name).read_bytes()).hexdigest() == VENDORED[name]


def test_every_vendored_file_is_listed_and_has_a_licence() -> None:
    folder = FOLDER / "vendor"
    assert {path.relative_to(ROOT).as_posix() for path in folder.iterdir()} == {
        name for name in VENDORED if name.startswith("functions/")
    }
    assert {path.name for path in folder.glob("*.LICENSE.txt")} == {
        "preact.LICENSE.txt",
        "htm.LICENSE.txt",
        "uplot.LICENSE.txt",
    }


def test_the_versions_of_the_libraries_are_exact_and_locked_with_hashes() -> None:
    wanted = json.loads((ROOT / ".ci/console/package.json").read_text())["dependencies"]
    locked = json.loads((ROOT / ".ci/console/package-lock.json").read_text())["packages"]
    for name, version in wanted.items():
        entry = locked[f"node_modules/{name}"]
        assert entry["version"] == version
        assert entry["integrity"].startswith("sha512-")
        assert "resolved" not in entry, "the registry is the user's choice"


def test_the_function_of_the_console_imports_neither_boto3_nor_pydantic() -> None:
    program = (
        "import sys, refit.handlers.console; print({'boto3', 'pydantic'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
