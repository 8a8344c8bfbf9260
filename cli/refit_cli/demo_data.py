"""The demo's handwritten digits: which are dropped, and which are only ever asked about."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from refit.domain.naming import ModelKeys
from refit.domain.schema import Schema
from sklearn.datasets import load_digits

if TYPE_CHECKING:
    from pathlib import Path

HELD_OUT_SHARE = 5  # one in five
SEED = 20_240_501


@dataclass(frozen=True)
class HeldOut:
    """Digits to ask about over HTTP: the cells of each row without label, and the labels."""

    rows: list[list[str]]
    labels: list[str]

    @property
    def side(self) -> int:
        """Return how many pixels a digit is wide and high."""
        return math.isqrt(len(self.rows[0]))


def write_digits(path: Path) -> tuple[int, HeldOut]:
    """Write four fifths of scikit-learn's 8×8 digits as CSV, label first, under a header.

    Returns:
        How many were written, and the others, which are on no disk.
    """
    digits = load_digits()
    rows = [[f"{value:g}" for value in digit] for digit in digits.data]
    labels = [str(label) for label in digits.target]
    order = np.random.default_rng(SEED).permutation(len(rows)).tolist()
    n_held_out = len(order) // HELD_OUT_SHARE
    held_out, dropped = order[:n_held_out], order[n_held_out:]
    header = ["digit", *(f"pixel_{row}_{column}" for row in range(8) for column in range(8))]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([labels[index], *rows[index]] for index in dropped)
    return len(dropped), HeldOut(
        [rows[index] for index in held_out], [labels[index] for index in held_out]
    )


def held_out_of_run(s3: Any, bucket: str, model: str, run: str) -> HeldOut:
    """Return the rows that a run held out: never trained on, but those the gate judged it by.

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
            rows.append(cells)
    return HeldOut(rows, labels)
