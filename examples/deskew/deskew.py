"""Straighten slanted handwriting before Refit trains on it.

    python examples/deskew/deskew.py mnist.pkl.gz straight/    writes straight/train/images.csv, …
    python examples/deskew/deskew.py rows.csv straight.csv     rows to train on or to predict
    python examples/deskew/deskew.py --directions …            directions of edges, not pixels

A row of a CSV file has the pixels of a square image, from 0 to 255, after a label if there is one,
which is a number. With a header, the label keeps its name. Rows to predict need the same
preparation as the rows of the training.

Source  Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition" (1998), section
        III.A: each line is shifted so that the principal axis of the digit is vertical;
        C.-L. Liu et al., "Handwritten digit recognition: benchmarking of state-of-the-art
        techniques" (2003): gradients by eight directions, blurred and sampled on a grid
"""

from __future__ import annotations

import argparse
import gzip
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Pixels = NDArray[np.float64]
"""Grey values of an image, (side, side), or of many, (n_rows, side²)."""

SPLITS = ("train", "validation", "test")
DIRECTIONS = 8
GRID = 7
BLUR = 2
BATCH = 5000


def deskewed(image: Pixels) -> Pixels:
    """Return the image without slant, and with its centre of mass in the middle.

    The slant is the covariance of the columns with the rows, divided by the variance of the rows,
    each weighed by the grey values. An image that is blank or has a single line stays as it is.
    """
    side = len(image)
    total = image.sum()
    rows, columns = np.mgrid[:side, :side]
    if total <= 0:
        return image
    centre = np.array([(rows * image).sum(), (columns * image).sum()]) / total
    variance = ((rows - centre[0]) ** 2 * image).sum() / total
    if variance == 0:
        return image
    slant = ((rows - centre[0]) * (columns - centre[1]) * image).sum() / total / variance
    shear = np.array([[1.0, 0.0], [slant, 1.0]])
    middle = np.full(2, (side - 1) / 2)
    return ndimage.affine_transform(image, shear, centre - shear @ middle, order=1)


def deskewed_rows(pixels: Pixels) -> Pixels:
    """Return the pixels of all images without slant, as whole numbers."""
    side = math.isqrt(pixels.shape[1])
    if side * side != pixels.shape[1]:
        raise SystemExit(f"{pixels.shape[1]} columns of pixels are no square image")
    return np.rint([deskewed(row.reshape(side, side)).ravel() for row in pixels])


def directions_of(pixels: Pixels) -> Pixels:
    """Return how strong the edges of each direction are in each region, (n_rows, 8 · 7 · 7).

    An edge counts for the two directions beside its own, the more the nearer they are.
    """
    side = math.isqrt(pixels.shape[1])
    images = pixels.reshape(-1, side, side).astype(np.float32)
    down, across = np.gradient(images, axis=(1, 2))
    strength, angle = np.hypot(across, down), np.arctan2(down, across)
    step = side // GRID
    grids = []
    for direction in np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS:
        apart = np.abs((angle - direction + np.pi) % (2 * np.pi) - np.pi)
        share = np.clip(1 - apart * DIRECTIONS / (2 * np.pi), 0, None)
        blurred = ndimage.gaussian_filter(strength * share, (0, BLUR, BLUR))
        grid = blurred[:, step // 2 :: step, step // 2 :: step][:, :GRID, :GRID]
        grids.append(grid.reshape(len(images), -1))
    return np.rint(np.concatenate(grids, axis=1))


def prepared(pixels: Pixels, with_directions: bool) -> Pixels:
    """Return the features of all images, as whole numbers."""
    if not with_directions:
        return deskewed_rows(pixels)
    starts = range(0, len(pixels), BATCH)
    parts = [directions_of(deskewed_rows(pixels[start : start + BATCH])) for start in starts]
    return np.concatenate(parts)


def write(target: Path, cells: Pixels, header: str) -> None:
    """Write rows of whole numbers as CSV."""
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(target, cells, fmt="%d", delimiter=",", header=header, comments="")


def is_number(text: str) -> bool:
    """Return whether a cell is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def convert_pickle(source: Path, folder: Path, with_directions: bool) -> None:
    """Write the three splits of mnist.pkl.gz, whose pixels are shares of 255.

    Loading a pickle can run code, so this is for a file that you trust.
    """
    with gzip.open(source) as file:
        splits: Any = pickle.load(file, encoding="latin1")
    for name, (pixels, labels) in zip(SPLITS, splits, strict=True):
        rows = prepared(np.asarray(pixels, float) * 255, with_directions)
        header = ",".join(["label", *(f"x{index}" for index in range(rows.shape[1]))])
        write(folder / name / "images.csv", np.column_stack([labels, rows]), header)


def convert_csv(source: Path, target: Path, with_directions: bool) -> None:
    """Write the rows of a CSV file, with their label and a header if they have them."""
    with source.open() as file:
        first = file.readline().strip()
    has_header = not all(map(is_number, first.split(",")))
    cells = np.loadtxt(source, delimiter=",", skiprows=int(has_header), ndmin=2)
    labels = cells.shape[1] - math.isqrt(cells.shape[1]) ** 2
    if labels > 1:
        raise SystemExit(f"{source}: {cells.shape[1]} columns are no label and square image")
    rows = prepared(cells[:, labels:], with_directions)
    names = [*first.split(",")[:labels], *(f"x{index}" for index in range(rows.shape[1]))]
    header = ",".join(names) if has_header else ""
    write(target, np.column_stack([cells[:, :labels], rows]), header)


def main() -> None:
    """Convert a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="mnist.pkl.gz, or a CSV file")
    parser.add_argument("target", type=Path, help="a folder for mnist.pkl.gz, else a CSV file")
    parser.add_argument(
        "--directions", action="store_true", help="directions of edges instead of pixels"
    )
    arguments = parser.parse_args()
    convert = convert_csv if arguments.source.suffix == ".csv" else convert_pickle
    convert(arguments.source, arguments.target, arguments.directions)
    print(f"wrote {arguments.target}")


if __name__ == "__main__":
    main()
