"""Decide which files of a drop hold data, which split they belong to, and what folders mean.

Data preparation and `refit put` both call `files_with_data`, so what is uploaded is what is read.
Nothing is left out silently: every file that is skipped and every folder that has a meaning is in
the notes, and a folder without a meaning beside one with a meaning is refused.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote

from refit.domain.errors import DatasetEmpty, DatasetInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Split: TypeAlias = Literal["train", "validation", "test"]

SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "holdout": "test",
}
"""The meaning of folders; case, blanks, hyphens and underscores do not matter."""

MISSING_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""The value of a `key=value` folder that Hive and Spark write for a missing value."""

_SPLIT_KEYS = {"split", "fold", "subset"}
_SHOWN_FILES = 3
_CHECKSUMS = (".crc", ".md5", ".sha1", ".sha256", ".sha512")
_CHECKSUM_FILES = re.compile(r"(md5|sha1|sha256|sha512)sums?(\.txt)?|checksums?(\.txt)?")
_DOCUMENTS = re.compile(
    r"(readme|license|licence|copying|notice|changelog|citation)([._-][a-z0-9]+)*"
    r"|(description|metadata|data_dictionary|codebook)\.(txt|json|ya?ml)"
    r"|(dataset-metadata|dataset_infos?|datapackage|schema)\.json"
    r"|index"
)
_DOCUMENT_SUFFIXES = (".md", ".rst", ".names", ".bib", ".cff", ".ini", ".url", ".lnk")
_TABLES = (".csv", ".tsv", ".psv", ".tab", ".parquet", ".pq", ".jsonl", ".ndjson", ".gz")
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "icon\r"}
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class DataFile:
    """A file of a drop that holds data.

    Attributes:
        name: path below the drop folder.
        split: the split that its folder names; None if it names none.
        partitions: (column, value) of its `key=value` folders, in their order.
    """

    name: str
    split: Split | None
    partitions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DropFiles:
    """The files of a drop that hold data.

    Attributes:
        files: in the order of their names.
        notes: what was skipped and how folders are read; a sentence each.
    """

    files: tuple[DataFile, ...]
    notes: tuple[str, ...]


def files_with_data(sizes: Mapping[str, int]) -> DropFiles:
    """Return the files of a drop that hold data.

    Args:
        sizes: size in bytes of each file, by its path below the drop folder.

    Raises:
        DatasetEmpty: if no file has data.
        DatasetInvalid: if a folder or a file beside others has no meaning, or the folders of a file
            contradict each other.
    """
    reasons = {name: _why_skipped(name) for name in sorted(sizes)}
    data = [name for name, reason in reasons.items() if reason is None]
    full = [name for name in data if sizes[name]]
    for name in data:
        if not sizes[name]:
            reasons[name] = "empty"
    skipped = {name: reason for name, reason in reasons.items() if reason is not None}
    if not full:
        raise _nothing(data, skipped)
    files = tuple(_data_file(name) for name in full)
    _refuse_strangers(files)
    _refuse_other_partitions(files)
    return DropFiles(files, (*skip_notes(skipped), *_split_notes(files), *_partition_notes(files)))


def is_marker(name: str) -> bool:
    """Return whether a file is written by a system beside data, such as `_SUCCESS`."""
    return _why_skipped(name) in {
        "a folder marker",
        "hidden, or written by another program",
        "a checksum",
    }


def means_something(folder: str) -> bool:
    """Return whether the name of a folder says something about the rows in it."""
    key, equals, _ = folder.partition("=")
    return _split_of_folder(folder) is not None or bool(key and equals)


def skip_notes(skipped: Mapping[str, str]) -> tuple[str, ...]:
    """Return sentences that name the skipped files.

    Args:
        skipped: the reason by name of the file, such as `empty`.
    """
    by_reason: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        by_reason.setdefault(reason, []).append(name)
    notes = []
    for reason, names in by_reason.items():
        shown = ", ".join(names[:_SHOWN_FILES])
        if len(names) > _SHOWN_FILES:
            shown += f" and {len(names) - _SHOWN_FILES} more"
        notes.append(f"skipped {shown}: {reason}")
    return tuple(notes)


def _why_skipped(name: str) -> str | None:
    """Return why a file is not data, judged by its name; None if it may be data."""
    *folders, base = name.split("/")
    lowered = base.lower()
    if not base or base.endswith("_$folder$"):
        return "a folder marker"
    if base.startswith((".", "_", "~$")) or any(
        folder.startswith((".", "_")) for folder in folders
    ):
        return "hidden, or written by another program"
    if lowered in _SYSTEM_FILES:
        return "a file of the operating system"
    if lowered.endswith(_CHECKSUMS) or _CHECKSUM_FILES.fullmatch(lowered):
        return "a checksum"
    is_document = lowered.endswith(_DOCUMENT_SUFFIXES) or _DOCUMENTS.fullmatch(lowered)
    if is_document and not lowered.endswith(_TABLES):
        return "a description, not data"
    return None


def _nothing(data: Sequence[str], skipped: Mapping[str, str]) -> DatasetEmpty:
    if len(data) == 1 == len(skipped):
        return DatasetEmpty(f"{data[0]} is empty")
    notes = "".join(f"; {note}" for note in skip_notes(skipped))
    return DatasetEmpty(f"no file with data was dropped{notes}")


def _data_file(name: str) -> DataFile:
    _refuse_kind(name)
    split: Split | None = None
    named_by = ""
    partitions: list[tuple[str, str]] = []
    for folder in name.split("/")[:-1]:
        key, equals, value = folder.partition("=")
        of_folder = _split_of_folder(folder)
        if of_folder is not None:
            if split is not None and of_folder != split:
                raise DatasetInvalid(
                    f"{name} is in {named_by}/ and in {folder}/: the folders name two splits"
                )
            split, named_by = of_folder, folder
        elif equals and key:
            column, text = unquote(key), unquote(value)
            if column in dict(partitions):
                raise DatasetInvalid(f"{name}: two folders give a value to {column!r}")
            partitions.append((column, "" if text == MISSING_PARTITION else text))
    return DataFile(name, split, tuple(partitions))


def _split_of_folder(folder: str) -> Split | None:
    key, equals, value = folder.partition("=")
    name = value if equals and key.lower() in _SPLIT_KEYS else folder
    return SPLIT_FOLDERS.get(re.sub(r"[-_ ]", "", name.lower()))


def _refuse_kind(name: str) -> None:
    lowered = name.lower()
    if lowered.endswith(_IMAGES):
        raise DatasetInvalid(
            f"{name} is an image: Refit reads tables. Drop the pixels as numbers, a row for each "
            "image (CSV, Parquet, or a pair of IDX files)"
        )
    if lowered.endswith(".toml"):
        raise DatasetInvalid(
            f"{name} is a settings file, not data: model.toml belongs beside raw/, not into it"
        )


def _refuse_strangers(files: Sequence[DataFile]) -> None:
    """Refuse a file beside the folders of the splits.

    Without a training folder, the files of the drop folder itself are the training data.
    """
    splits = {file.split for file in files} - {None}
    if not splits:
        return
    for file in files:
        if file.split is None and ("/" in file.name or "train" in splits):
            known = ", ".join(f"{folder}/" for folder in SPLIT_FOLDERS)
            beside = ", ".join(sorted(f"{folder}/" for folder in _split_folders(files)))
            raise DatasetInvalid(
                f"{file.name} is beside {beside}, and not in a folder of a split: move it into one "
                f"or remove it. These folders are understood: {known}"
            )


def _split_folders(files: Iterable[DataFile]) -> dict[str, Split]:
    """Return the paths of the folders that name a split, with their meaning."""
    paths: dict[str, Split] = {}
    for file in files:
        folders = file.name.split("/")[:-1]
        for index, folder in enumerate(folders):
            split = _split_of_folder(folder)
            if split is not None:
                paths["/".join(folders[: index + 1])] = split
                break
    return paths


def _refuse_other_partitions(files: Sequence[DataFile]) -> None:
    keys = Counter(tuple(sorted(dict(file.partitions))) for file in files)
    if len(keys) > 1:
        usual = keys.most_common(1)[0][0]
        other = next(file for file in files if tuple(sorted(dict(file.partitions))) != usual)
        expected = "/".join(f"{key}=…" for key in usual) or "no key=value folder"
        raise DatasetInvalid(
            f"{other.name}: the other files are in {expected}; all files must be in folders of the "
            "same columns"
        )


def _split_notes(files: Sequence[DataFile]) -> list[str]:
    notes = [
        f"{folder}/ is read as {split}"
        for folder, split in sorted(_split_folders(files).items())
        if folder != split
    ]
    beside = [file.name for file in files if file.split is None]
    if beside and len(beside) < len(files):
        notes.append(f"{', '.join(beside[:_SHOWN_FILES])} beside the folders is read for training")
    return notes + (_unread_splits(beside) if len(beside) == len(files) else [])


def _unread_splits(names: Sequence[str]) -> list[str]:
    """Return a note if files are named like splits, but are in no folder of a split."""
    by_split: dict[Split, str] = {}
    for name in names:
        words = re.findall(r"[a-z]+", name.lower())
        for split in {SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS}:
            by_split.setdefault(split, name)
    if len(by_split) < 2:
        return []
    first, second = sorted(by_split.items(), key=lambda item: item[1])[:2]
    return [
        f"{first[1]} and {second[1]} are read as one set of rows, which is split anew: to keep "
        f"their split, put them into {first[0]}/ and {second[0]}/"
    ]


def _partition_notes(files: Sequence[DataFile]) -> list[str]:
    notes = []
    for column in dict(files[0].partitions):
        values = sorted({dict(file.partitions)[column] for file in files})
        folders = ", ".join(f"{column}={value or MISSING_PARTITION}/" for value in values[:3])
        more = f" and {len(values) - 3} more" if len(values) > 3 else ""
        notes.append(f"{folders}{more} became the column {column!r}")
    return notes
