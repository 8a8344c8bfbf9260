"""For all tests: botocore reads the models of the AWS services once per process.

Tests marked `aws` run against a stack that is deployed already: `make verify-local`, and
`make verify-aws`. Given the stack by `--deployed`, only they run.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import botocore.session
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--deployed", metavar="FILE", help="run the tests marked `aws` against the stack in FILE"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    given = config.getoption("--deployed") is not None
    reason = "not marked `aws`" if given else "runs against a deployed stack: make verify-local"
    for item in items:
        if (item.get_closest_marker("aws") is not None) != given:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _read_service_models_once() -> Iterator[None]:
    # Each botocore session has a loader of its own, and boto3 creates many sessions in the tests.
    with pytest.MonkeyPatch.context() as monkeypatch:
        cached = lru_cache(botocore.session.create_loader)
        monkeypatch.setattr(botocore.session, "create_loader", cached)
        yield
