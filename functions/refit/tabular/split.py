"""Assign a row to the training, validation or test split, by a hash of its features.

The hash covers the feature cells in their normal form (without surrounding blanks, joined by
commas, empty for a missing value), but not the label. So a row and its duplicates are in the same
split in every run, and correcting a label does not move a row.

The hash is CRC-32, the fastest hash in the standard library, followed by the finalizer of
SplitMix64, which spreads it over 64 bits. CRC-32 alone is linear, so similar rows would form
patterns. Two different rows with the same CRC are in the same split, which does no harm. The hash
has no key, so a user can construct rows for a given split.

Source: Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators, OOPSLA.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias
from zlib import crc32

Split: TypeAlias = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

MASK64 = 2**64 - 1
# This is the increment of SplitMix64. Without it, a row whose CRC is 0 would have the hash 0.
GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Fractions:
    """The shares of rows that are held out; all other rows are for training.

    Attributes:
        validation: share of validation rows, 0 to 0.5.
        test: share of test rows, 0 to 0.5.
    """

    validation: float
    test: float

    @property
    def bounds(self) -> tuple[int, int]:
        """Return the hash below which a row is a test row, and the one below which it is held out.

        Rows with the lowest hashes are test rows, and those with the next are validation rows. So a
        changed fraction moves as few rows as possible.
        """
        test = int(self.test * 2**64)
        return test, min(test + int(self.validation * 2**64), MASK64)


def row_hash(features: bytes) -> int:
    """Return the hash of one row's feature cells, uniform from 0 to 2**64 - 1."""
    return mix(crc32(features) + GOLDEN)


def split_of(row_hash: int, fractions: Fractions) -> Split:
    """Return the split of a row by its hash."""
    test, held_out = fractions.bounds
    if row_hash < test:
        return "test"
    return "validation" if row_hash < held_out else "train"


def mix(value: int) -> int:
    """Map 64-bit numbers one-to-one to others, so that similar numbers give unrelated results."""
    value &= MASK64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK64
    return value ^ (value >> 31)
