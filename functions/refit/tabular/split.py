"""On which side a row stands: training, validation or test, by a hash of its features.

The hash covers the feature cells as they were dropped (blanks around a cell taken off, joined by
commas, a missing value empty) and not the label. So the same row stands on the same side in this
run and in every later one, its duplicates stand with it, and correcting a label moves nothing.

It is CRC-32, the fastest hash in the standard library, spread over 64 bits by the finaliser of
SplitMix64 (a CRC alone is linear: similar rows would fall into patterns). Two different rows with
the same CRC only share a side. It has no secret: it guards against chance, not against an enemy.

Source: Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators, OOPSLA.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias
from zlib import crc32

Split: TypeAlias = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

MASK64 = 2**64 - 1
# SplitMix64's own increment: a row whose CRC is 0 must not hash to 0.
GOLDEN = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class Fractions:
    """The shares that are held out; what remains is for training.

    Attributes:
        validation: 0 to 0.5.
        test: 0 to 0.5.
    """

    validation: float
    test: float

    @property
    def bounds(self) -> tuple[int, int]:
        """Return the hashes below which a row is for testing, and below which it is held out.

        The lowest hashes are for testing, the next for validation: another fraction moves as few
        rows as can be.
        """
        test = int(self.test * 2**64)
        return test, min(test + int(self.validation * 2**64), MASK64)


def row_hash(features: bytes) -> int:
    """Return the hash of one row's feature cells: 0 to 2**64 - 1, uniform."""
    return mix(crc32(features) + GOLDEN)


def split_of(row_hash: int, fractions: Fractions) -> Split:
    """Return the side of a row by its hash."""
    test, held_out = fractions.bounds
    if row_hash < test:
        return "test"
    return "validation" if row_hash < held_out else "train"


def mix(value: int) -> int:
    """Scatter a 64-bit number over the whole range, one to one."""
    value &= MASK64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK64
    return value ^ (value >> 31)
