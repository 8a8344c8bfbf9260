"""The handwritten digits of the demo: training data, live traffic and an exam.

No image of the traffic or of the exam is uploaded as training data, and the labels of the exam are
never sent. So no model is trained on the exam, upright or rotated.
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

N_UPLOADED = 900
N_EXAM = 300
SEED = 20_240_501
ROTATION_DEGREES = 25

_SETTINGS = """\
# Short times for a demo: cohorts of 2 seconds, labels that count when they are 3 seconds old.
[data]
label = "digit"
test_fraction = 0.2

[monitoring]
cohort_s = 2
season_s = 0
label_age_s = 3
label_wait_s = 12

[retraining]
min_labels = {min_labels}
cooldown_s = 30
"""


@dataclass(frozen=True)
class Scale:
    """The size of a demo.

    Attributes:
        rows_per_call: number of digits in a request of the traffic.
        min_labels: new labels that a retraining needs. MNIST needs more: among its 50,000 training
            images, the effect of a few hundred is too small for the gate.
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
        images: (n, side²) pixels, in the units of the training data.
        labels: the n digits shown.
    """

    images: npt.NDArray[np.float64]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def side(self) -> int:
        """Width and height of an image in pixels."""
        return math.isqrt(self.images.shape[1])

    def slice(self, start: int | None, stop: int | None = None) -> Self:
        """Return the digits from `start` to before `stop`."""
        return type(self)(self.images[start:stop], self.labels[start:stop])

    def select(self, indices: npt.NDArray[np.int64]) -> Self:
        """Return the digits at these indices."""
        return type(self)(self.images[indices], tuple(self.labels[index] for index in indices))

    def rotated(self) -> Self:
        """Return the digits rotated by 25 degrees."""
        frames = self.images.reshape(len(self), self.side, self.side)
        turned = ndimage.rotate(frames, ROTATION_DEGREES, axes=(2, 1), reshape=False, order=1)
        grey_step = 1 if self.images.max() > 1 else 1 / 256  # in the units of the images
        images = (turned / grey_step).round().reshape(self.images.shape) * grey_step
        return type(self)(images, self.labels)

    def cells(self) -> list[list[str]]:
        """Return each digit as the cells of a CSV row."""
        return [[f"{value:g}" for value in image] for image in self.images]


@dataclass(frozen=True)
class LiveDigits:
    """Digits that are not in the training data: traffic, whose labels are sent, and the exam."""

    traffic: Digits
    exam: Digits


def write_digits(path: Path) -> LiveDigits:
    """Write 900 of scikit-learn's 1,797 digits as CSV, with a header, label first.

    Returns:
        The remaining digits.
    """
    dataset = load_digits()
    order = np.random.default_rng(SEED).permutation(len(dataset.target))
    digits = Digits(dataset.data[order], tuple(str(label) for label in dataset.target[order]))
    uploaded = digits.slice(None, N_UPLOADED)
    header = ["digit", *(f"pixel_{row}_{column}" for row in range(8) for column in range(8))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(
            [label, *cells] for label, cells in zip(uploaded.labels, uploaded.cells(), strict=True)
        )
    return LiveDigits(digits.slice(N_UPLOADED, -N_EXAM), digits.slice(-N_EXAM))


def held_out_digits(s3: Any, bucket: str, model: str, run: str) -> LiveDigits:
    """Return the digits that a run held out: used by its gate, but not for training.

    They are read from the run's prepared data, so they are in the units that the model expects.
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
        for class_index, *cells in csv.reader(lines):
            labels.append(classes[int(class_index)])
            rows.append([float(cell) if cell else 0.0 for cell in cells])
    digits = Digits(np.array(rows), tuple(labels))
    n_exam = min(1000, len(digits) // 3)
    return LiveDigits(digits.slice(None, -n_exam), digits.slice(-n_exam))
