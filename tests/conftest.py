"""For all tests: how they share processes and stacks; botocore reads its models once per process.

Tests marked `aws` run against a stack that is deployed already: `make verify-local`, and
`make verify-aws`. Given the stack by `--deployed`, only they run.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import botocore.session
import pytest
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer

END_TO_END = "e2e"
GZIP_MAGIC = b"\x1f\x8b"
ON_SECOND_STACK = {
    "test_documented_commands",
    "test_failures_of_aws",
    "test_monitoring_and_retraining",
    "test_quotas_of_instances",
    "test_soak",
    "test_training_and_deployment",
}
"""The files of end-to-end tests that take half of the time of all."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--deployed", metavar="FILE", help="run the tests marked `aws` against the stack in FILE"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # End-to-end tests wait much of the time, so they come first: other tests run meanwhile.
    items.sort(key=lambda item: item.path.parent.name != END_TO_END)
    given = config.getoption("--deployed") is not None
    reason = "not marked `aws`" if given else "runs against a deployed stack: make verify-local"
    for item in items:
        if (item.get_closest_marker("aws") is not None) != given:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name archives by their argument: they have the time in them, and names must not."""
    return argname if isinstance(val, bytes) and val.startswith(GZIP_MAGIC) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesOnTwoStacks:
    return FilesOnTwoStacks(config, log)


class FilesOnTwoStacks(LoadFileScheduling):
    """Runs each file in one process, and all end-to-end files in two: two stacks suffice."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        path = PurePosixPath(file)
        if path.parent.name != END_TO_END:
            return file
        return "second stack" if path.stem in ON_SECOND_STACK else "first stack"


@pytest.fixture(scope="session", autouse=True)
def _read_service_models_once() -> Iterator[None]:
    # Each botocore session has a loader of its own, and boto3 creates many sessions in the tests.
    with pytest.MonkeyPatch.context() as monkeypatch:
        cached = lru_cache(botocore.session.create_loader)
        monkeypatch.setattr(botocore.session, "create_loader", cached)
        yield
