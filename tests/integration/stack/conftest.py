from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stack_under_test import LocalAws, running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A running emulator that all tests of this folder share."""
    with running_emulator(tmp_path_factory.mktemp("emulator")) as aws:
        yield aws
