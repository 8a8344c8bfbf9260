"""Read IDX files, the format in which MNIST is published: a header with the shape, then an array.

Source: Y. LeCun, The MNIST database, "The IDX file format".
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from refit.domain.errors import DatasetInvalid, DatasetUnreadable

if TYPE_CHECKING:
    from refit.tabular.readers.arrays import Numbers
    from refit.tabular.split import Split

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GIVEN_SPLITS: dict[str, Split | None] = {
    "t10k": "test",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
}


def read_idx(data: bytes, name: str) -> Numbers:
    """Return the array of an IDX file.

    Raises:
        DatasetUnreadable: if the header is invalid, or does not match the length of the data.
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise DatasetUnreadable(f"{name} is not an IDX file: its first bytes are not 0, 0, a type")
    dtype, dimensions = np.dtype(_TYPES[data[2]]), data[3]
    begin = 4 + 4 * dimensions
    if len(data) < begin or not dimensions:
        raise DatasetUnreadable(f"{name} is damaged: it ends within its header")
    shape = tuple(
        int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(dimensions)
    )
    expected = begin + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise DatasetUnreadable(
            f"{name} is damaged: it has {len(data)} bytes, but its header states {expected}"
        )
    return np.frombuffer(data, dtype=dtype, offset=begin).reshape(shape)


def paired(names: list[str]) -> list[tuple[str, str]]:
    """Return (images, labels) for each pair of IDX files that belong together.

    The names of a pair differ only in `images` and `labels`, `idx3` and `idx1`, and `.gz`.

    Raises:
        DatasetInvalid: if a file does not have a counterpart.
    """
    images = {_stem(name): name for name in names if "images" in _base(name)}
    labels = {_stem(name): name for name in names if "labels" in _base(name)}
    unnamed = [name for name in names if name not in {*images.values(), *labels.values()}]
    if unnamed:
        raise DatasetInvalid(
            f"{unnamed[0]}: the name of an IDX file must contain `images` or `labels`"
        )
    for stem in sorted(set(images) ^ set(labels)):
        present, missing = (images, "labels") if stem in images else (labels, "images")
        raise DatasetInvalid(f"{present[stem]} was dropped without the {missing} that belong to it")
    return [(images[stem], labels[stem]) for stem in sorted(images)]


def given_split(name: str) -> Split | None:
    """Return the split that a file name states (`t10k-images-…` is for testing), or None."""
    return _GIVEN_SPLITS.get(re.split(r"[-_.]", _base(name), maxsplit=1)[0])


def _base(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _stem(name: str) -> str:
    folder = name[: len(name) - len(_base(name))]
    base = _base(name).removesuffix(".gz")
    return folder + re.sub(r"images|labels", "*", re.sub(r"idx\d", "idx*", base))
