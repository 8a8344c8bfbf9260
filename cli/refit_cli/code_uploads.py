"""Upload the program of a model (`[training] script`) and the files beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from refit.domain.naming import ModelKeys
from refit.domain.pipeline.user_code import check_code_files

from refit_cli.connection import ACCESS_DENIED
from refit_cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from refit_cli.connection import StackConnection


@dataclass(frozen=True)
class LocalCode:
    """A local file of code.

    Attributes:
        name: its path below `{model}/code/`.
    """

    path: Path
    name: str
    content: bytes


@dataclass(frozen=True)
class UploadedCode:
    """An uploaded file of code.

    Attributes:
        replaced: whether there was a file of this key; None if these credentials may not list.
    """

    key: str
    version: str | None
    size: int
    replaced: bool | None


def read_code(model: str, paths: Sequence[Path]) -> list[LocalCode]:
    """Read files, and those of folders with their paths below the folder.

    Hidden files and Python's caches are left out.

    Raises:
        BadInput: when a file is missing or unreadable, two have the same name, or none is left.
        SettingsInvalid: when they cannot be sent to a training job.
    """
    found: list[LocalCode] = []
    for path in paths:
        files = sorted(file for file in path.rglob("*") if file.is_file())
        names = {file: file.relative_to(path).as_posix() for file in files}
        kept = {file: name for file, name in names.items() if not _is_left_out(name)}
        if path.is_dir() and not kept:
            raise BadInput(f"{path} has no file of code", "give a folder with a Python file")
        found += [_read(file, name) for file, name in (kept or {path: path.name}).items()]
    for name, count in Counter(file.name for file in found).items():
        if count > 1:
            same = ", ".join(str(file.path) for file in found if file.name == name)
            raise BadInput(
                f"{same} would all become {ModelKeys(model).code}{name}",
                "rename the files so that their names differ",
            )
    check_code_files(model, {file.name: len(file.content) for file in found}, "--code")
    return found


def _is_left_out(name: str) -> bool:
    parts = name.split("/")
    return name.endswith(".pyc") or any(
        part.startswith(".") or part == "__pycache__" for part in parts
    )


def _read(path: Path, name: str) -> LocalCode:
    try:
        return LocalCode(path, name, path.read_bytes())
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def upload_code(
    connection: StackConnection, model: str, files: Sequence[LocalCode]
) -> list[UploadedCode]:
    """Upload files of code, which starts no run; other files of the folder stay."""
    folder = ModelKeys(model).code
    before = _stored(connection, folder) if files else None
    s3, uploaded = connection.client("s3"), []
    for file in files:
        key = folder + file.name
        answer = s3.put_object(Bucket=connection.stack.bucket, Key=key, Body=file.content)
        replaced = None if before is None else key in before
        version = answer.get("VersionId")
        uploaded.append(UploadedCode(key, version, len(file.content), replaced))
    return uploaded


def _stored(connection: StackConnection, folder: str) -> set[str] | None:
    try:
        return {file.key for file in connection.bucket.list(folder)}
    except ClientError as error:
        if error.response["Error"]["Code"] not in ACCESS_DENIED:
            raise
        return None
