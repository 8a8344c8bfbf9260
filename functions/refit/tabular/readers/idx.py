"""IDX files, the form in which MNIST is published: an array behind a header of its shape.

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
        DatasetUnreadable: when the header is none, or the data is shorter or longer than it says.
    """
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise DatasetUnreadable(f"{name} is not an IDX file: its first bytes are not 0, 0, a type")
    dtype, dimensions = np.dtype(_TYPES[data[2]]), data[3]
    begin = 4 + 4 * dimensions
    if len(data) < begin or not dimensions:
        raise DatasetUnreadable(f"{name} is damaged: it ends within its header")
    shape = tuple(
        int.from_bytes(data[4 + 4 * place : 8 + 4 * place], "big") for place in range(dimensions)
    )
    expected = begin + math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise DatasetUnreadable(
            f"{name} is damaged: {len(data)} bytes where its header says {expected}"
        )
    return np.frombuffer(data, dtype=dtype, offset=begin).reshape(shape)


def paired(names: list[str]) -> list[tuple[str, str]]:
    """Return (images, labels) for each pair of IDX files that belong together.

    They do when their names differ only in `images` and `labels`, `idx3` and `idx1`, and `.gz`.

    Raises:
        DatasetInvalid: naming a file whose partner is missing.
    """
    images = {_stem(name): name for name in names if "images" in _base(name)}
    labels = {_stem(name): name for name in names if "labels" in _base(name)}
    stray = [name for name in names if name not in {*images.values(), *labels.values()}]
    if stray:
        raise DatasetInvalid(
            f"{stray[0]}: an IDX file's name says whether it holds `images` or `labels`"
        )
    for stem in sorted(set(images) ^ set(labels)):
        found, wanted = (images, "labels") if stem in images else (labels, "images")
        raise DatasetInvalid(f"{found[stem]} was dropped without the {wanted} that belong to it")
    return [(images[stem], labels[stem]) for stem in sorted(images)]


def given_split(name: str) -> Split | None:
    """Return the side that a name gives (`t10k-images-…` is for testing), or None."""
    return _GIVEN_SPLITS.get(re.split(r"[-_.]", _base(name), maxsplit=1)[0])


def _base(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _stem(name: str) -> str:
    folder = name[: len(name) - len(_base(name))]
    base = _base(name).removesuffix(".gz")
    return folder + re.sub(r"images|labels", "*", re.sub(r"idx\d", "idx*", base))
