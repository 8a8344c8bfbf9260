"""The fixture that prepares a drop from memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.preparing import Preparing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def prepared(tmp_path: Path) -> Preparing:
    return Preparing(tmp_path)
