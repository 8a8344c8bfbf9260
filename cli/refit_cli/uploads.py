"""Upload files into a model's drop folder so that they form one drop.

A run starts when no file has been added to the folder for a while. If a small file were complete
before a large one, it could start a run alone. So the parts of all files are uploaded first, and
then all uploads are completed in succession: the files appear together.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from refit.domain.errors import DatasetEmpty, DatasetInvalid
from refit.domain.naming import ModelKeys
from refit.domain.pipeline.drop_files import files_with_data, means_something
from refit.domain.pipeline.drop_limits import check_drop_size
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from refit_cli import terminal
from refit_cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from refit_cli.connection import StackConnection

Split = Literal["train", "validation", "test"]

PART_BYTES = 16 * 1024**2
_MAX_PARTS = 10_000  # of S3
_PARALLEL_PARTS = 4


@dataclass(frozen=True)
class PlannedFile:
    """A local file and the object key it is uploaded to."""

    path: Path
    key: str
    size: int


@dataclass(frozen=True)
class UploadedFile:
    """An uploaded object: its key, version and size in bytes."""

    key: str
    version: str | None
    size: int


@dataclass(frozen=True)
class UploadPlan:
    """The files to upload.

    Attributes:
        files: the files with their keys.
        notes: what is skipped in directories and how their folders are read; a sentence each.
    """

    files: list[PlannedFile]
    notes: list[str]


def plan_files(model: str, paths: list[Path], split: Split | None) -> UploadPlan:
    """Return the files to upload with their keys.

    A directory is uploaded as data preparation reads it: `files_with_data` decides which of its
    files have data, and its structure is kept below raw/.

    Raises:
        BadInput: when a path is missing, empty or unreadable, two files have the same key, or a
            directory has no data or a folder whose meaning is unknown.
        DropTooLarge: when a run could not prepare the files.
    """
    plan = UploadPlan([], [])
    for path in paths:
        if path.is_dir():
            _plan_tree(plan, ModelKeys(model).raw, path, split)
        else:
            folder = f"{split}/" if split else ""
            plan.files.append(checked_file(path, f"{ModelKeys(model).raw}{folder}{path.name}"))
    for key, count in Counter(file.key for file in plan.files).items():
        if count > 1:
            same = ", ".join(str(file.path) for file in plan.files if file.key == key)
            raise BadInput(
                f"{same} would all become {key}, and each would overwrite the one before",
                "rename the files so that their names differ",
            )
    raw = ModelKeys(model).raw
    check_drop_size({file.key.removeprefix(raw): file.size for file in plan.files})
    return plan


def _plan_tree(plan: UploadPlan, raw: str, root: Path, split: Split | None) -> None:
    if split:
        raise BadInput(
            f"{root} is a directory, but --split applies to files",
            f"give the files: {root}/*",
        )
    if means_something(root.resolve().name):
        raise BadInput(
            f"{root} is a folder with a meaning for the files in it, which would be lost",
            f"give the folder that contains it: {root.resolve().parent}",
        )
    sizes = {
        path.relative_to(root).as_posix(): path.stat().st_size
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    try:
        drop = files_with_data(sizes)
    except (DatasetEmpty, DatasetInvalid) as error:
        raise BadInput(f"{root}: {error}") from error
    plan.files.extend(checked_file(root / file.name, raw + file.name) for file in drop.files)
    plan.notes.extend(drop.notes)


def checked_file(path: Path, key: str) -> PlannedFile:
    """Return a file with its key.

    Raises:
        BadInput: when the file is missing, empty, unreadable, or one of settings.
    """
    try:
        with path.open("rb"):
            size = path.stat().st_size
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if size == 0:
        raise BadInput(f"{path} is empty", "give a file with rows")
    if path.suffix == ".toml":
        raise BadInput(
            f"{path} is a settings file, not data",
            f"upload it with --settings {path}",
        )
    return PlannedFile(path, key, size)


def upload_with_progress(
    connection: StackConnection, planned: list[PlannedFile]
) -> list[UploadedFile]:
    """Upload files as one drop; on a terminal, show a progress bar for each."""
    console = terminal.messages()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bars = {file.key: progress.add_task(file.path.name, total=file.size) for file in planned}
        return Uploader(
            connection.client("s3"),
            connection.stack.bucket,
            lambda file, n_bytes: progress.advance(bars[file.key], n_bytes),
        ).upload(planned)


def put_settings(connection: StackConnection, model: str, toml: bytes) -> str:
    """Upload a valid model.toml; return its key."""
    key = ModelKeys(model).settings
    connection.client("s3").put_object(
        Bucket=connection.stack.bucket, Key=key, Body=toml, ContentType="application/toml"
    )
    return key


class Uploader:
    """Uploads planned files as one drop.

    Args:
        s3: the boto3 client.
        bucket: the stack's bucket.
        on_bytes: called with the file and the bytes of each uploaded part, from several threads.
        part_bytes: smallest size of a part; S3 takes parts of 5 MiB and more.
    """

    def __init__(
        self,
        s3: Any,
        bucket: str,
        on_bytes: Callable[[PlannedFile, int], None],
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._on_bytes = on_bytes
        self._part_bytes = part_bytes

    def upload(self, files: list[PlannedFile]) -> list[UploadedFile]:
        """Upload files; on an error or Ctrl-C, the uploads that are not complete are aborted.

        All parts are uploaded before the first upload is completed, so little can fail between two
        completions.
        """
        with self._started(files) as uploads, ThreadPoolExecutor(_PARALLEL_PARTS) as pool:
            jobs = [
                [
                    pool.submit(self._upload_part, file, upload, number, start, length)
                    for number, start, length in parts_of(file.size, self._part_bytes)
                ]
                for file, upload in uploads
            ]
            try:
                etags = [[job.result() for job in parts] for parts in jobs]
            except BaseException:  # also on Ctrl-C: do not start the remaining parts
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            return [
                self._complete(file, upload, tags)
                for (file, upload), tags in zip(uploads, etags, strict=True)
            ]

    @contextmanager
    def _started(self, files: list[PlannedFile]) -> Iterator[list[tuple[PlannedFile, str]]]:
        uploads: list[tuple[PlannedFile, str]] = []
        try:
            for file in files:
                answer = self._s3.create_multipart_upload(Bucket=self._bucket, Key=file.key)
                uploads.append((file, answer["UploadId"]))
            yield uploads
        except BaseException:  # also on Ctrl-C: S3 charges for the parts of open uploads
            for file, upload in uploads:
                self._abort(file, upload)
            raise

    def _abort(self, file: PlannedFile, upload: str) -> None:
        try:
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=file.key, UploadId=upload)
        except self._s3.exceptions.NoSuchUpload:
            return  # it was completed before

    def _upload_part(
        self, file: PlannedFile, upload: str, number: int, start: int, length: int
    ) -> str:
        with file.path.open("rb") as source:
            source.seek(start)
            answer = self._s3.upload_part(
                Bucket=self._bucket,
                Key=file.key,
                UploadId=upload,
                PartNumber=number,
                Body=source.read(length),
            )
        self._on_bytes(file, length)
        return str(answer["ETag"])

    def _complete(self, file: PlannedFile, upload: str, etags: list[str]) -> UploadedFile:
        answer = self._s3.complete_multipart_upload(
            Bucket=self._bucket,
            Key=file.key,
            UploadId=upload,
            MultipartUpload={
                "Parts": [
                    {"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)
                ]
            },
        )
        return UploadedFile(file.key, answer.get("VersionId"), file.size)


def parts_of(size: int, part_bytes: int = PART_BYTES) -> list[tuple[int, int, int]]:
    """Return (number from 1, start, length) of each part of a file of `size` > 0 bytes."""
    length = max(part_bytes, -(-size // _MAX_PARTS))
    return [
        (number, start, min(length, size - start))
        for number, start in enumerate(range(0, size, length), 1)
    ]
