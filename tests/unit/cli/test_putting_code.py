"""`refit put --code` uploads the program of a model, and starts no run."""

from __future__ import annotations

import json

import pytest

from tests.support.cli import BUCKET


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "train.py"
    path.write_text("print('trains')\n")
    return path


def test_a_program_is_uploaded_below_code_and_says_what_it_replaced(refit, stack, program):
    first = refit("put", "digits", "--code", program)
    assert first.exit_code == 0, first.output
    assert stack.keys() == ["digits/code/train.py"]
    body = stack.s3.get_object(Bucket=BUCKET, Key="digits/code/train.py")["Body"].read()
    assert body == program.read_bytes()
    assert "replaces" not in first.stdout
    second = refit("put", "digits", "--code", program)
    assert "replaces the file that was there" in " ".join(second.stdout.split())
    (entry,) = json.loads(refit("put", "digits", "--code", program, "--json").stdout)["code"]
    assert (entry["key"], entry["replaced"]) == ("digits/code/train.py", True)


def test_a_folder_is_uploaded_with_its_structure_without_caches(refit, stack, tmp_path):
    folder = tmp_path / "code"
    for name in ("train.py", "losses/__init__.py", "losses/pinball.py", ".git/config"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("" if "__init__" in name else "x = 1\n")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/train.cpython-311.pyc").write_bytes(b"0")
    assert refit("put", "digits", "--code", folder).exit_code == 0
    assert stack.keys() == [
        "digits/code/losses/__init__.py",
        "digits/code/losses/pinball.py",
        "digits/code/train.py",
    ]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no file"),
        (lambda path: path.mkdir(), "has no file of code"),
        (lambda path: path.write_bytes(b"0" * 10_000_001), "allowed: 100 files of 10 MB"),
    ],
)
def test_code_that_cannot_be_sent_is_not_uploaded(refit, stack, tmp_path, make, says):
    path = tmp_path / "train.py"
    make(path)
    result = refit("put", "digits", "--code", path)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert stack.keys() == []


def test_requirements_are_refused_with_the_reason(refit, stack, program):
    (program.parent / "requirements.txt").write_text("numpy\n")
    result = refit(
        "put", "digits", "--code", program, "--code", program.parent / "requirements.txt"
    )
    assert result.exit_code == 2
    assert "cannot be installed" in " ".join(result.stderr.split())
    assert stack.keys() == []
