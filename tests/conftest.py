"""For all tests: botocore's models of services are read once a process, not once a session."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import botocore.session
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _service_models_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        remembered = lru_cache(botocore.session.create_loader)
        patched.setattr(botocore.session, "create_loader", remembered)
        yield
