from __future__ import annotations

from importlib.metadata import version

import pytest
from ministack.core.lambda_runtime import Worker
from refit_local.ministack.names import PINNED_VERSION, Hook, HookMoved, log_of

HINT = "see HookMoved: move the name in local/refit_local/ground/ministack_names.py"


@pytest.mark.parametrize("hook", list(Hook), ids=lambda hook: hook.name)
def test_every_private_name_of_ministack_is_where_refit_looks_for_it(hook: Hook) -> None:
    assert hook.get() is not None, HINT


def test_the_installed_ministack_is_the_one_the_hooks_were_made_for() -> None:
    assert version("ministack") == PINNED_VERSION, (
        f"MiniStack {version('ministack')} is installed: run these tests and the e2e tests against "
        "it, read its changes to Step Functions, Lambda and IAM, then raise PINNED_VERSION"
    )


def test_a_lambda_process_has_the_queue_of_log_lines_that_is_read() -> None:
    queue, reader = log_of(Worker("f", {}, b""))
    assert queue.empty()
    assert reader is None


def test_a_name_that_moved_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("ministack.services.stepfunctions._run_execution")
    with pytest.raises(HookMoved, match=r"_run_execution.*move Hook\.RUN_EXECUTION"):
        Hook.RUN_EXECUTION.get()
