import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from refit_local.state.database import (
    FILE_NAME,
    DatabaseUnreadable,
    connect,
    read_snapshot,
    write_snapshot,
)

WRITER = """
import sys
from pathlib import Path
from refit_local.state.database import connect, write_snapshot
database = connect(Path(sys.argv[1]))
for number in range(100_000):
    with database.transaction():
        write_snapshot(database, "first", str(number).encode())
        write_snapshot(database, "second", str(number).encode())
    print(number, flush=True)
"""


def test_a_snapshot_is_read_by_the_next_process(tmp_path: Path) -> None:
    database = connect(tmp_path)
    write_snapshot(database, "sqs", b"one")
    write_snapshot(database, "sqs", b"two")
    # Not closed: a killed process does not close it either.
    assert read_snapshot(connect(tmp_path), "sqs") == b"two"
    assert read_snapshot(connect(tmp_path), "sns") is None
    database.close()


def test_an_error_takes_back_the_whole_transaction(tmp_path: Path) -> None:
    database = connect(tmp_path)

    def write_and_fail() -> None:
        with database.transaction():
            write_snapshot(database, "sqs", b"one")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert read_snapshot(database, "sqs") is None
    write_snapshot(database, "sqs", b"two")
    assert read_snapshot(database, "sqs") == b"two"


def test_threads_write_one_after_the_other(tmp_path: Path) -> None:
    database = connect(tmp_path)
    write_snapshot(database, "count", b"0")

    def count() -> None:
        for _ in range(50):
            with database.transaction():
                number = int(read_snapshot(database, "count") or b"")
                write_snapshot(database, "count", str(number + 1).encode())

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_snapshot(database, "count") == b"200"


def test_a_killed_process_loses_no_transaction_that_has_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) == 50:
                writer.kill()
                break
        last = int([line, *writer.stdout][-1])
    database = connect(tmp_path)
    first, second = read_snapshot(database, "first"), read_snapshot(database, "second")
    assert first == second
    assert int(first or b"") >= last


def test_a_full_disk_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    database = connect(tmp_path)
    write_snapshot(database, "sqs", b"small")
    database.read("PRAGMA max_page_count = 20")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        write_snapshot(database, "sqs", bytes(1_000_000))
    assert read_snapshot(database, "sqs") == b"small"


def test_a_damaged_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 1000)
    with pytest.raises(DatabaseUnreadable, match=r"state\.db cannot be opened.*down --discard"):
        connect(tmp_path)
