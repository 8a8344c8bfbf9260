"""Fixtures: the stack in moto, and the models whose traffic these tests count."""

from __future__ import annotations

from tests.support.aws_stack import stack, started_moto
from tests.support.captured_digits import digits
from tests.support.labelled_flowers import flowers

__all__ = ["digits", "flowers", "stack", "started_moto"]
