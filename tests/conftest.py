"""For all tests: botocore reads the models of the AWS services once per process."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import botocore.session
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _read_service_models_once() -> Iterator[None]:
    # Each botocore session has a loader of its own, and boto3 creates many sessions in the tests.
    with pytest.MonkeyPatch.context() as monkeypatch:
        cached = lru_cache(botocore.session.create_loader)
        monkeypatch.setattr(botocore.session, "create_loader", cached)
        yield
