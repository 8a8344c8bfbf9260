"""For all tests: how they share workers and stacks; botocore reads its models once per process.

Tests marked `aws` run against a stack that is deployed already: `make verify-local`, and
`make verify-aws`. Given the stack by `--deployed`, only they run.
"""

from __future__ import annotations

import gc
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import botocore.session
import psutil
import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

END_TO_END = "e2e"
GZIP_MAGIC = b"\x1f\x8b"
LONGEST = ("test_soak", "test_failures_of_aws")
"""The files of end-to-end tests that begin first, so that none is left alone at the end."""
BYTES_PER_STACK = 5 * 1024**3
STACKS = max(1, min(3, psutil.virtual_memory().total // BYTES_PER_STACK))

# Modules, tests and botocore's models stay to the end: looking for garbage among them again and
# again takes a quarter of the time.
gc.set_threshold(50_000, 20, 10)

# Busy machines would fail tests by Hypothesis' own limit of 200 ms for an example. Every run has
# the same examples, so that a failure belongs to the change; `--hypothesis-profile=explore` not.
settings.register_profile("refit", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("refit")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--deployed", metavar="FILE", help="run the tests marked `aws` against the stack in FILE"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # End-to-end tests wait much of the time, so they come first: other tests run meanwhile.
    items.sort(
        key=lambda item: (item.path.parent.name != END_TO_END, item.path.stem not in LONGEST)
    )
    given = config.getoption("--deployed") is not None
    reason = "not marked `aws`" if given else "runs against a deployed stack: make verify-local"
    for item in items:
        if (item.get_closest_marker("aws") is not None) != given:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name archives by their argument: they have the time in them, and names must not."""
    return argname if isinstance(val, bytes) and val.startswith(GZIP_MAGIC) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return one worker for each stack, and one for other tests."""
    return STACKS + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesOnStacks:
    return FilesOnStacks(config, log)


class FilesOnStacks(LoadFileScheduling):
    """Runs each file in one worker, and the end-to-end files in as many workers as stacks.

    A worker starts a stack for its first end-to-end test, and all its end-to-end tests share it.
    """

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._with_stack: set[WorkerController] = set()

    def _assign_work_unit(self, node: WorkerController) -> None:
        file = self._next_file(node)
        if file is None:
            return
        if _is_end_to_end(file):
            self._with_stack.add(node)
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)

    def _reschedule(self, node: WorkerController) -> None:
        if self.workqueue and self._next_file(node) is None:
            node.shutdown()
        else:
            super()._reschedule(node)

    def _next_file(self, node: WorkerController) -> str | None:
        has_stack = node in self._with_stack or len(self._with_stack) < STACKS
        for file in self.workqueue:
            if has_stack or not _is_end_to_end(file):
                return file
        return None


def _is_end_to_end(file: str) -> bool:
    return PurePosixPath(file).parent.name == END_TO_END


@pytest.fixture(scope="session", autouse=True)
def _read_service_models_once() -> Iterator[None]:
    # Each botocore session has a loader of its own, and boto3 creates many sessions in the tests.
    with pytest.MonkeyPatch.context() as monkeypatch:
        cached = lru_cache(botocore.session.create_loader)
        monkeypatch.setattr(botocore.session, "create_loader", cached)
        yield
