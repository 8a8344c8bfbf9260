"""Read the files of a channel into the matrix that XGBoost trains on.

XGBoost's text loader reads CSV and libsvm: a matrix made from an array has the same numbers, but
the model trained on it differs in its bytes. The text loader does not report invalid data; data
has to be checked before training.
"""

import csv
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refit_local.algorithms.xgboost import recordio
from refit_local.algorithms.xgboost.content_types import CSV, LIBSVM, PARQUET
from refit_local.algorithms.xgboost.errors import UserError
from refit_local.algorithms.xgboost.xgboost_library import xgb

_log = logging.getLogger(__name__)
_MAX_DEPTH = 3
_LOAD_ERRORS = (xgb.core.XGBoostError, ValueError, TypeError, IndexError, OSError)


def size_bytes(folder: Path) -> int:
    """Return the total size of all files below a folder, 0 if the folder does not exist.

    Raises:
        UserError: a file's name starts with a dot, at any depth.
    """
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            if name.startswith("."):
                raise UserError("Hidden file found in the data path! Remove that before training.")
            total += (Path(root) / name).stat().st_size
    return total


def warn_about_shared_files(train: Path, validation: Path) -> None:
    """Log a warning for each file that is in both channels with the same name and size.

    Raises:
        UserError: a channel's folder does not exist.
    """
    if not train.exists():
        raise UserError("training data's path is not existed")
    if not validation.exists():
        raise UserError("validation data's path is not existed")
    for path in sorted(train.iterdir()):
        other = validation / path.name
        if path.is_file() and other.is_file() and path.stat().st_size == other.stat().st_size:
            _log.warning(
                "Suspected identical files found. (%s and %s with same size %d bytes). Note: "
                "Duplicate data in the training set and validation set is usually not intentional "
                "and can impair the validity of the model evaluation by the validation score.",
                path,
                other,
                path.stat().st_size,
            )


def check_format(folder: Path, data_format: str) -> None:
    """Check the first lines of each CSV or libsvm file of a channel.

    Raises:
        UserError: the delimiter of a CSV cannot be detected, or a file is not libsvm.
    """
    for path in _files(folder):
        if path.name.startswith("_"):
            continue
        if data_format == CSV:
            _delimiter(path)
        elif data_format == LIBSVM:
            _check_libsvm(path)


def load(folders: Sequence[Path], data_format: str, *, weighted: bool) -> xgb.DMatrix:
    """Load all files of the given channels as one labelled matrix, ordered by file name.

    Args:
        folders: the channels' folders; sub-folders are read to a depth of three.
        data_format: one of the formats of `content_types`.
        weighted: column 1 of a CSV is the row's weight (`csv_weights=1`).

    Raises:
        UserError: XGBoost cannot read the files, or they contain no labels.
    """
    paths = [path for folder in folders for path in _files(folder)]
    try:
        if data_format == CSV:
            matrix = _load_csv(paths, weighted)
        elif data_format == LIBSVM:
            matrix = _load_text(paths, "format=libsvm")
        elif data_format == PARQUET:
            matrix = _load_parquet(paths)
        else:
            matrix = _load_recordio(paths)
    except _LOAD_ERRORS as error:
        raise UserError(f"Failed to load {data_format} data with exception:\n{error}") from error
    if matrix.get_label().size == 0:
        raise UserError(
            "Got input data without labels. Please check the input data set. If training job is "
            "running on multiple instances, please switch to using single instance if number of "
            "records in the data set is less than number of workers (16 * number of instance) in "
            "the cluster."
        )
    return matrix


def _files(folder: Path, depth: int = 1) -> list[Path]:
    files: list[Path] = []
    too_deep = False
    for path in sorted(folder.iterdir()):
        if path.is_file():
            files.append(path)
        elif path.is_dir() and depth < _MAX_DEPTH:
            files.extend(_files(path, depth + 1))
        else:
            too_deep = True
    if too_deep:
        _log.warning(
            "The depth of folder %s exceed the limit %d. Files in deeper sub dirs won't be loaded. "
            "Please adjust the folder structure accordingly.",
            folder,
            _MAX_DEPTH,
        )
    return files


def _load_csv(paths: Sequence[Path], weighted: bool) -> xgb.DMatrix:
    delimiter = _delimiter(paths[0])
    _log.info("Determined delimiter of CSV input is '%s'", delimiter)
    for path in paths[1:]:
        if not path.name.startswith("_") and (other := _delimiter(path)) != delimiter:
            _log.warning("%s is delimited by '%s' and read by '%s'", path, other, delimiter)
    _warn_about_first_line(paths[0])
    arguments = f"format=csv&label_column=0&delimiter={delimiter}"
    return _load_text(paths, arguments + "&weight_column=1" if weighted else arguments)


def _load_text(paths: Sequence[Path], arguments: str) -> xgb.DMatrix:
    with _links(paths) as links:
        return xgb.DMatrix(f"{';'.join(links)}?{arguments}")


def _load_parquet(paths: Sequence[Path]) -> xgb.DMatrix:
    import duckdb  # noqa: PLC0415 - slow to import, and few jobs train on Parquet

    try:
        with duckdb.connect() as connection:
            relation = connection.read_parquet([str(path) for path in paths])
            columns = relation.fetchnumpy().values()
    except duckdb.Error as error:
        raise ValueError(str(error)) from error
    data = np.column_stack([_with_nan(column) for column in columns])
    return xgb.DMatrix(data[:, 1:], label=data[:, 0])


def _with_nan(column: NDArray[Any]) -> NDArray[Any]:
    if not isinstance(column, np.ma.MaskedArray):
        return column
    if not column.mask.any():
        complete: NDArray[Any] = column.data
        return complete
    return np.where(column.mask, np.nan, column.data.astype(np.float64))


def _load_recordio(paths: Sequence[Path]) -> xgb.DMatrix:
    features, labels = recordio.read(b"".join(path.read_bytes() for path in paths))
    return xgb.DMatrix(features, label=labels)


@contextmanager
def _links(paths: Sequence[Path]) -> Iterator[list[str]]:
    """Link the files under names without characters that are special in a URI."""
    with tempfile.TemporaryDirectory(prefix="xgboost-input-") as folder:
        links = []
        for number, path in enumerate(paths):
            link = Path(folder) / f"{number:06}"
            link.symlink_to(path.resolve())
            links.append(str(link))
        yield links


def _delimiter(path: Path) -> str:
    with path.open(errors="ignore") as file:
        line = file.readline()
    try:
        return csv.Sniffer().sniff(line).delimiter
    except csv.Error as error:
        raise UserError(f"Could not determine delimiter on line {line[:50]}:\n{error}") from error


def _warn_about_first_line(path: Path) -> None:
    with path.open(errors="ignore") as file:
        line = file.readline()
    if '"' in line:
        _log.warning("%s has quoted fields: XGBoost reads such lines as empty", path)
    elif any(character.isalpha() and character not in "eEnNaA" for character in line):
        _log.warning(
            "%s starts with text: XGBoost reads a header as a row with label 0 and no features",
            path,
        )


def _check_libsvm(path: Path) -> None:
    with path.open(errors="ignore") as file:
        for line in file:
            features = _libsvm_features(line)
            if features is None:
                raise UserError(
                    f"First line '{line[:50]}...' of file '{path.name}' is not 'LIBSVM' format. "
                    "Please ensure the file is in 'LIBSVM' format."
                )
            if features > 1:
                return
    _log.warning(
        "File %s is not an invalid LIBSVM file but has no features. Accepting simple validation.",
        path.name,
    )


def _libsvm_features(line: str) -> int | None:
    """Return the number of features of a line `label[:weight] index:value …`, None if invalid."""
    label, *features = line.split(" ")
    parts = label.split(":")
    if len(parts) > 2 or not all(map(_is_number, parts)):
        return None
    if not all(":" in feature for feature in features):
        return None
    if features and len(features[0].split(":")) != 2:
        return None
    return len(features)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
