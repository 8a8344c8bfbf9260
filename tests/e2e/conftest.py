"""One stack for all end-to-end tests: the real template, with IAM enforced.

It is a local stack of their own, or the stack that `--deployed` names.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from refit_local.ministack.service_quotas import OVERRIDES
from refit_local.sagemaker.machine.images import FILE_VARIABLE
from refit_local.stack import lifecycle
from refit_local.stack.deploy import ALLOW_SCRIPTS
from sklearn.datasets import load_digits

from tests.e2e import hostility
from tests.e2e.deployed import read_deployed
from tests.e2e.driver import User

if TYPE_CHECKING:
    from collections.abc import Iterator


RETRIES = 6
"""Repetitions of an API call that was answered 503, as its Retry-After asks for."""


EXAMPLES = Path(__file__).parents[2] / "examples"
QUOTAS = {
    # Every test has models of its own, whose endpoints stay.
    "ml.m5.large for endpoint usage": 100,
    "Number of instances across active endpoints": 100,
    # Only the tests of quotas use this instance type.
    "ml.c5.xlarge for training job usage": 1,
    "ml.c5.xlarge for endpoint usage": 0,
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def user(request: pytest.FixtureRequest) -> Iterator[User]:
    if deployed := request.config.getoption("--deployed"):
        yield User(*read_deployed(deployed))
        return
    port = free_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(OVERRIDES, json.dumps(QUOTAS))
        environment.setenv(ALLOW_SCRIPTS, "yes")
        environment.setenv(FILE_VARIABLE, str(EXAMPLES / "sklearn/images.toml"))
        stack = lifecycle.up(port)
    user = User(stack, retries=RETRIES if hostility.is_wanted() else 0)
    try:
        yield user
        if hostility.is_wanted():
            hostility.check_that_nothing_is_lost_or_repeated(user)
    finally:
        if hostility.is_wanted():
            hostility.show_faults(stack.state_dir)
            hostility.show_failed_runs(user)
        lifecycle.down(port)


class Digits:
    """The 8x8 handwritten digits of scikit-learn: 1,797 rows of 64 integers."""

    def __init__(self) -> None:
        data = load_digits()
        order = np.random.default_rng(7).permutation(len(data.target))
        self.images = data.data.astype(int)[order]
        self.labels = data.target[order]

    def csv(self, rows: slice, wrong: bool = False) -> bytes:
        """Return CSV with the label first; `wrong` labels each image as the next digit."""
        labels = (self.labels[rows] + 1) % 10 if wrong else self.labels[rows]
        table = np.column_stack([labels, self.images[rows]])
        return "".join(",".join(map(str, row)) + "\n" for row in table).encode()

    def rows(self, rows: slice) -> list[list[int]]:
        return self.images[rows].tolist()

    def texts(self, rows: slice) -> list[str]:
        return [str(label) for label in self.labels[rows]]


@pytest.fixture(scope="session")
def digits() -> Digits:
    return Digits()
