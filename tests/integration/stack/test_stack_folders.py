"""The files of a local stack: what cannot be used is refused with a sentence, and left alone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from refit_local.stack import lifecycle, record, server_process, state_folder
from refit_local.stack.errors import StackBusy, StateFolderInUse, StateFolderUnusable
from refit_local.stack.port_lock import starts_or_ends
from stack_under_test import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(record, "PROJECT", tmp_path / "project")
    return free_port()


def silent(_: str) -> None:
    return


@pytest.mark.parametrize("name", ["a-file", "a-file/below"])
def test_a_file_in_place_of_the_state_folder_is_refused(
    port: int, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a-file").write_text("content")
    with pytest.raises(StateFolderUnusable, match="name a folder that you may write with --state"):
        lifecycle.up(port, tmp_path / name, log=silent)
    assert (tmp_path / "a-file").read_text() == "content"


@pytest.mark.parametrize("content", ["null", "[]", "7", "{}", '{"info": null}', "\0\0"])
def test_a_record_that_is_none_is_no_running_stack(port: int, content: str) -> None:
    record.folder(port).mkdir(parents=True)
    (record.folder(port) / "stack.json").write_text(content)
    assert record.read(port) is None
    assert lifecycle.info(port) is None
    assert not lifecycle.down(port, log=silent)


def test_the_log_of_the_server_before_is_kept(port: int) -> None:
    for life in ("crashed", "running"):
        record.rotate_log(port).write_text(life)
    path = record.log_path(port)
    assert path.read_text() == "running"
    assert path.with_name("stack.log.1").read_text() == "crashed"


def test_only_one_process_at_a_time_starts_or_ends_the_stack_of_a_port(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "START_ENDS_S", 0.3)
    monkeypatch.setattr(server_process, "start", lambda *_, **__: pytest.fail("it was started"))
    with starts_or_ends(port, wait_s=0):
        with pytest.raises(StackBusy, match=f"at work on port {port}; wait for it"):
            lifecycle.up(port, log=silent)
        with pytest.raises(StackBusy, match=f"at work on port {port}; wait for it"):
            lifecycle.down(port, log=silent)
    assert not lifecycle.down(port, log=silent)


def test_a_folder_that_could_not_be_deleted_can_be_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    state = tmp_path / "state"
    state_folder.prepare(port, state, keep=False, log=silent)
    (state / "s3").mkdir()
    refuse = PermissionError(13, "Permission denied", str(state / "s3"))

    def fails(_: Path) -> None:
        raise refuse

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fails)
        with pytest.raises(StateFolderUnusable, match=r"Permission denied: .*/s3"):
            state_folder.delete(state)
    assert state_folder.prepare(port, state, keep=False, log=silent) is False
    assert not (state / "s3").exists()


def test_state_is_kept_once_it_has_been_deployed(tmp_path: Path, port: int) -> None:
    state = tmp_path / "state"
    assert state_folder.prepare(port, state, keep=True, log=silent)
    assert not state_folder.is_kept(state)
    state_folder.keep_from_now_on(state)
    log: list[str] = []
    assert state_folder.prepare(port, state, keep=False, log=log.append)
    assert log == [f"using the state kept in {state}"]


def test_state_of_another_layout_is_refused_and_not_deleted(tmp_path: Path, port: int) -> None:
    state = tmp_path / "state"
    state_folder.prepare(port, state, keep=True, log=silent)
    (state / "kept").touch()  # as the first versions did
    with pytest.raises(StateFolderUnusable, match=r"layout is 1, .* `refit down --port .*discard`"):
        state_folder.prepare(port, state, keep=True, log=silent)
    assert (state / "kept").exists()


def test_a_folder_of_others_is_not_used(tmp_path: Path, port: int) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "thesis.txt").touch()
    with pytest.raises(StateFolderInUse, match="name an empty folder with --state"):
        state_folder.prepare(port, tmp_path / "state", keep=False, log=silent)
