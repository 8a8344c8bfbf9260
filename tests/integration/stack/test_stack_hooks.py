from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from ministack.core.lambda_runtime import Worker
from refit_local.ministack import corrections
from refit_local.ministack.names import PINNED_VERSION, Hook, HookMoved, log_of

HINT = "see HookMoved: change the name in local/refit_local/ministack/names.py"


@pytest.mark.parametrize("hook", list(Hook), ids=lambda hook: hook.name)
def test_every_private_name_that_refit_uses_exists_in_ministack(hook: Hook) -> None:
    assert hook.get() is not None, HINT


def test_the_installed_ministack_has_the_pinned_version() -> None:
    assert version("ministack") == PINNED_VERSION, (
        f"MiniStack {version('ministack')} is installed: run these tests and the e2e tests against "
        "it, read its changes to Step Functions, Lambda and IAM, then raise PINNED_VERSION"
    )


def test_a_lambda_process_of_ministack_has_a_queue_of_log_lines() -> None:
    queue, reader = log_of(Worker("f", {}, b""))
    assert queue.empty()
    assert reader is None


def test_the_error_for_a_missing_private_name_says_what_to_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("ministack.services.stepfunctions._run_execution")
    with pytest.raises(HookMoved, match=r"_run_execution.*change Hook\.RUN_EXECUTION"):
        Hook.RUN_EXECUTION.get()


def test_every_module_with_a_correction_is_installed() -> None:
    folder = Path(corrections.__file__).parent
    written = {path.stem for path in folder.glob("*.py") if "\ndef install(" in path.read_text()}
    installed = {name for name, value in vars(corrections).items() if isinstance(value, ModuleType)}
    assert written == installed
