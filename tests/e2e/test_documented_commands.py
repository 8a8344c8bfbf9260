"""Commands of README and the documents, run as they stand, in the order of the quick start."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.documented_commands import RUN_AS_THEY_STAND, documented

if TYPE_CHECKING:
    from tests.e2e.driver import User

TEXTS = {found.text.splitlines()[0]: found.text for found in documented()}
MODEL = "iris"
OTHER_NAME = "flowers"
"""What other pages call the model; another test has a model of this name."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("documented")


@pytest.fixture(scope="module")
def environment(user: User) -> dict[str, str]:
    programs = Path(sys.executable).parent
    return os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "REFIT_PORT": str(user.stack.port),
        "API_URL": user.stack.api_url,
        "PREDICT_KEY": user.stack.api_keys["predict"],
        "LABEL_KEY": user.stack.api_keys["label"],
    }


def files_of_other_pages(folder: Path) -> None:
    header, *rows = (folder / "iris.csv").read_text().splitlines(keepends=True)
    (folder / "rows.csv").write_text("".join(row.rpartition(",")[0] + "\n" for row in rows[:3]))
    (folder / "new.csv").write_text("".join([header, *rows[:3]]))
    shutil.copy(folder / "iris.csv", folder / "flowers.csv")


@pytest.mark.parametrize("first_line", RUN_AS_THEY_STAND, ids=lambda line: line[:50])
def test_a_documented_command_does_what_its_page_says(
    first_line: str, folder: Path, environment: dict[str, str]
) -> None:
    command = TEXTS[first_line]
    if OTHER_NAME in command or "rows.csv" in command:
        files_of_other_pages(folder)
        command = re.sub(rf"\b{OTHER_NAME}\b(?!\.csv)", MODEL, command)
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if command.startswith("curl"):
        assert "error" not in json.loads(done.stdout), done.stdout


def test_the_quick_start_has_left_what_it_names(folder: Path) -> None:
    answers = (folder / "answers.jsonl").read_text().splitlines()
    truth = (folder / "truth.csv").read_text().splitlines()
    right = sum(
        json.loads(answer)["prediction"] == line.partition(",")[2]
        for answer, line in zip(answers, truth, strict=True)
    )
    assert right > 0.9 * len(truth) == 0.9 * 150
    assert (folder / "iris.html").read_text().startswith("<!")
    assert len((folder / "scored.csv").read_text().splitlines()) == 151
