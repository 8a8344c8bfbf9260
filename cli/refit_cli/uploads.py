"""Puts files into a model's drop folder so that they make one drop.

A run starts when the folder has been quiet for a while. Were a large file uploaded after a small
one, the small one alone could start a run. So every file is uploaded in parts first, and only when
all parts are there are the uploads completed, one right after the other: the files appear together.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from refit.domain.naming import ModelKeys

from refit_cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

PART_BYTES = 16 * 1024**2
_MOST_PARTS = 10_000
_PARALLEL_PARTS = 4


@dataclass(frozen=True)
class PlannedFile:
    """A file on disk and the key it gets."""

    path: Path
    key: str
    size: int


@dataclass(frozen=True)
class UploadedFile:
    """An object that was made: its key, version and size."""

    key: str
    version: str | None
    size: int


def plan_files(model: str, paths: list[Path], split: Split | None) -> list[PlannedFile]:
    """Return which file goes where.

    A directory must hold train/, validation/ or test/; its tree is kept below raw/.

    Raises:
        BadInput: when a path is missing, empty or unreadable, or two files get one key.
    """
    planned = [file for path in paths for file in _planned(model, path, split)]
    for key, count in Counter(file.key for file in planned).items():
        if count > 1:
            same = ", ".join(str(file.path) for file in planned if file.key == key)
            raise BadInput(
                f"{same} would all become {key}, and only the last would stay",
                "rename them, so that each has a name of its own",
            )
    return planned


def _planned(model: str, path: Path, split: Split | None) -> Iterator[PlannedFile]:
    raw = ModelKeys(model).raw
    if path.is_dir():
        if split:
            raise BadInput(
                f"{path} is a directory, and --split is for files",
                f"give its files: {path}/*",
            )
        yield from _planned_tree(raw, path)
    else:
        folder = f"{split}/" if split else ""
        yield _checked(path, f"{raw}{folder}{path.name}")


def _planned_tree(raw: str, root: Path) -> Iterator[PlannedFile]:
    found = [split for split in SPLITS if (root / split).is_dir()]
    if not found:
        raise BadInput(
            f"{root} is a directory without train/, validation/ or test/ in it",
            f"give its files ({root}/*), or a directory whose folders are the splits",
        )
    for split in found:
        for path in sorted((root / split).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield _checked(path, raw + path.relative_to(root).as_posix())


def _checked(path: Path, key: str) -> PlannedFile:
    try:
        with path.open("rb"):
            size = path.stat().st_size
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    if size == 0:
        raise BadInput(f"{path} is empty: nothing can be learnt from it")
    if path.suffix == ".toml":
        raise BadInput(
            f"{path} is a settings file, not data",
            f"give it with --settings {path}",
        )
    return PlannedFile(path, key, size)


class Uploader:
    """Uploads planned files as one drop.

    Args:
        s3: the boto3 client.
        bucket: the stack's bucket.
        on_bytes: called with (file, bytes) for each part that arrived, from several threads.
    """

    def __init__(self, s3: Any, bucket: str, on_bytes: Callable[[PlannedFile, int], None]) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._on_bytes = on_bytes

    def upload(self, files: list[PlannedFile]) -> list[UploadedFile]:
        """Upload all of them, or none: what was begun is taken back on any error or Ctrl-C."""
        with self._begun(files) as uploads, ThreadPoolExecutor(_PARALLEL_PARTS) as pool:
            jobs = [
                [
                    pool.submit(self._upload_part, file, upload, number, start, length)
                    for number, start, length in parts_of(file.size)
                ]
                for file, upload in uploads
            ]
            try:
                etags = [[job.result() for job in parts] for parts in jobs]
            except BaseException:  # also at Ctrl-C: no part goes up any more
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            return [
                self._complete(file, upload, tags)
                for (file, upload), tags in zip(uploads, etags, strict=True)
            ]

    @contextmanager
    def _begun(self, files: list[PlannedFile]) -> Iterator[list[tuple[PlannedFile, str]]]:
        uploads: list[tuple[PlannedFile, str]] = []
        try:
            for file in files:
                answer = self._s3.create_multipart_upload(Bucket=self._bucket, Key=file.key)
                uploads.append((file, answer["UploadId"]))
            yield uploads
        except BaseException:  # also at Ctrl-C: parts that nobody puts together cost money
            for file, upload in uploads:
                self._abort(file, upload)
            raise

    def _abort(self, file: PlannedFile, upload: str) -> None:
        try:
            self._s3.abort_multipart_upload(Bucket=self._bucket, Key=file.key, UploadId=upload)
        except self._s3.exceptions.NoSuchUpload:
            return  # it was complete already

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


def parts_of(size: int) -> list[tuple[int, int, int]]:
    """Return (number from 1, start, length) of the parts of a file of `size` > 0 bytes."""
    length = max(PART_BYTES, -(-size // _MOST_PARTS))
    return [
        (number, start, min(length, size - start))
        for number, start in enumerate(range(0, size, length), 1)
    ]
