"""How the tests are shared out over two processes: what uses one ground runs in one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARE_A_GROUND = {HERE / "e2e", HERE / "integration/ground"}


@pytest.hookimpl(tryfirst=True)  # before the plugin reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group the tests by file, or by folder where a whole folder shares a ground."""
    for item in items:
        folder = item.path.parent
        group = folder if folder in SHARE_A_GROUND else item.path
        item.add_marker(pytest.mark.xdist_group(str(group.relative_to(HERE))))
