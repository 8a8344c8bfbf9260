"""The demo's handwritten digits: which are dropped, which are live traffic, which are an exam.

No image of the traffic or the exam is ever dropped, and the exam's labels are never sent, so no
model is trained on the exam in any position.
"""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from refit.domain.naming import ModelKeys
from refit.domain.schema import Schema
from scipy import ndimage
from sklearn.datasets import load_digits

if TYPE_CHECKING:
    from pathlib import Path

N_DROPPED = 900
N_EXAM = 300
SEED = 20_240_501
TILT_DEGREES = 25

Images = npt.NDArray[np.float64]

_SETTINGS = """\
# A demo cannot wait for hours: a cohort lasts two seconds, and a label counts at the age of three.
[data]
test_fraction = 0.2

[monitoring]
cohort_s = 2
label_age_s = 3
label_wait_s = 12

[retraining]
min_labels = {min_labels}
cooldown_s = 30
"""


@dataclass(frozen=True)
class Scale:
    """How large a demo is.

    Attributes:
        rows_per_call: of the traffic.
        min_labels: of the changed world, before a retraining begins. Beside the 50,000 images of
            MNIST a few hundred would change little, and the gate would find it to be noise.
    """

    rows_per_call: int
    min_labels: int

    @property
    def settings(self) -> str:
        """The content of model.toml."""
        return _SETTINGS.format(min_labels=self.min_labels)


SMALL = Scale(rows_per_call=20, min_labels=400)
MNIST = Scale(rows_per_call=100, min_labels=4000)


@dataclass(frozen=True)
class Digits:
    """Handwritten digits.

    Attributes:
        images: (n, side²) pixels, in the units in which they were dropped.
        labels: what each shows.
    """

    images: Images
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """How many pixels a digit is wide and high."""
        return math.isqrt(self.images.shape[1])

    def part(self, *bounds: int | None) -> Self:
        """Return a slice of them."""
        chosen = slice(*bounds)
        return type(self)(self.images[chosen], self.labels[chosen])

    def tilted(self) -> Self:
        """Return them as a camera sees them that hangs 25 degrees askew."""
        frames = self.images.reshape(len(self), self.side, self.side)
        turned = ndimage.rotate(frames, TILT_DEGREES, axes=(2, 1), reshape=False, order=1)
        step = 1 if self.images.max() > 1 else 1 / 256  # of grey, in the units of the images
        return type(self)((turned / step).round().reshape(self.images.shape) * step, self.labels)

    def cells(self) -> list[list[str]]:
        """Return each digit as the cells of a CSV row."""
        return [[f"{value:g}" for value in image] for image in self.images]


@dataclass(frozen=True)
class LiveDigits:
    """What the live model is asked about: traffic whose labels come later, and an exam."""

    traffic: Digits
    exam: Digits


def write_digits(path: Path) -> LiveDigits:
    """Write 900 of scikit-learn's 1,797 digits as CSV, label first, under a header.

    Returns:
        The others, which are on no disk.
    """
    found = load_digits()
    order = np.random.default_rng(SEED).permutation(len(found.target))
    digits = Digits(found.data[order], tuple(str(label) for label in found.target[order]))
    dropped = digits.part(N_DROPPED)
    header = ["digit", *(f"pixel_{row}_{column}" for row in range(8) for column in range(8))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(
            [label, *cells] for label, cells in zip(dropped.labels, dropped.cells(), strict=True)
        )
    return LiveDigits(digits.part(N_DROPPED, -N_EXAM), digits.part(-N_EXAM, None))


def held_out_digits(s3: Any, bucket: str, model: str, run: str) -> LiveDigits:
    """Return the digits that a run held out: never trained on, but those the gate judged it by.

    They are read from what the run prepared, so they are in the units that the model reads.
    """
    keys = ModelKeys(model).run(run)
    schema = Schema.model_validate(
        json.loads(s3.get_object(Bucket=bucket, Key=keys.schema)["Body"].read())
    )
    classes = schema.classes or ()
    rows, labels = [], []
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=keys.test)
    for key in [entry["Key"] for page in pages for entry in page.get("Contents", [])]:
        lines = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
        for code, *cells in csv.reader(lines):
            labels.append(classes[int(code)])
            rows.append([float(cell) if cell else 0.0 for cell in cells])
    digits = Digits(np.array(rows), tuple(labels))
    n_exam = min(1000, len(digits) // 3)
    return LiveDigits(digits.part(-n_exam), digits.part(-n_exam, None))
