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


ON_SECOND_STACK = {
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


@pytest.hookimpl(tryfirst=True)  # before xdist, which reads the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _share_among_processes(items)
    given = config.getoption("--deployed") is not None
    reason = "not marked `aws`" if given else "runs against a deployed stack: make verify-local"
    for item in items:
        if (item.get_closest_marker("aws") is not None) != given:
            item.add_marker(pytest.mark.skip(reason=reason))


def _share_among_processes(items: list[pytest.Item]) -> None:
    """Run each file in one process, and all end-to-end tests in two, so that two stacks suffice.

    The end-to-end tests come first: they wait much of the time, and other tests run meanwhile.
    """
    for item in items:
        on_stack = item.path.parent.name == "e2e"
        group = f"stack {1 + (item.path.stem in ON_SECOND_STACK)}" if on_stack else item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.path.parent.name != "e2e")


@pytest.fixture(scope="session", autouse=True)
def _read_service_models_once() -> Iterator[None]:
    # Each botocore session has a loader of its own, and boto3 creates many sessions in the tests.
    with pytest.MonkeyPatch.context() as monkeypatch:
        cached = lru_cache(botocore.session.create_loader)
        monkeypatch.setattr(botocore.session, "create_loader", cached)
        yield
