from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from stack_under_test import Ground, standing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with standing(tmp_path_factory.mktemp("ground")) as made:
        yield made
