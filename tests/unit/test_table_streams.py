from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refit_local.state.database import connect
from refit_local.state.table_streams import StreamLog, StreamLogs, StreamPositions
from refit_local.state.transaction_tokens import TransactionTokens

if TYPE_CHECKING:
    from pathlib import Path

KEY = ("0", "eu", "table")
READER = ("0", "eu", "reader")


def record(number: int) -> dict[str, Any]:
    return {"eventID": str(number)}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> StreamLogs:
    return StreamLogs(connect(tmp_path_factory.mktemp("state")))


def filled(logs: StreamLogs, count: int) -> StreamLog:
    logs[KEY] = []
    for number in range(count):
        logs[KEY].append(record(number))
    return logs[KEY]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.just("append"), st.integers(0, 4)), max_size=15))
def test_appends_and_trims_give_the_same_records_as_a_list(
    logs: StreamLogs, operations: list[str | int]
) -> None:
    log, expected, trimmed = filled(logs, 0), list[dict[str, Any]](), 0
    for number, operation in enumerate(operations):
        if isinstance(operation, int):
            trimmed += len(expected[:operation])
            del log[:operation], expected[:operation]
        else:
            log.append(record(number))
            expected.append(record(number))
        log.reload()
        assert (len(log), bool(log), log.start) == (len(expected), bool(expected), trimmed)
        assert list(log) == log[:] == expected
        assert log[1:3] == expected[1:3]
        assert log[:1] == [log[0]] if expected else not log


def test_a_stream_goes_on_where_it_ended_though_its_records_have_expired(tmp_path: Path) -> None:
    log = filled(StreamLogs(connect(tmp_path)), 5)
    del log[:5]
    again = StreamLogs(connect(tmp_path))[KEY]
    assert (again.start, len(again)) == (5, 0)
    again.append(record(5))
    assert (again.start, again[0]) == (5, record(5))


def test_a_closed_stream_is_read_until_the_database_is_opened_again(tmp_path: Path) -> None:
    logs = StreamLogs(connect(tmp_path))
    filled(logs, 2)
    closed = logs.pop(KEY)
    assert list(closed) == [record(0), record(1)]
    assert list(filled(logs, 1)) == [record(0)]
    again = connect(tmp_path)
    assert list(StreamLogs(again)) == [KEY]
    assert again.read("SELECT count(*) FROM stream_records") == [(1,)]


def test_records_of_a_failed_transaction_are_forgotten(tmp_path: Path) -> None:
    database = connect(tmp_path)
    logs = StreamLogs(database)
    filled(logs, 1)

    def append_and_fail() -> None:
        with database.transaction():
            logs[KEY].append(record(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_and_fail()
    logs.reload()
    logs[KEY].append(record(2))
    assert list(logs[KEY]) == [record(0), record(2)]


def test_the_position_of_a_reader_is_the_last_one_that_was_set(tmp_path: Path) -> None:
    positions = StreamPositions(connect(tmp_path))
    positions[READER] = 3
    positions[READER] = 7
    positions["0", "eu", "gone"] = 1
    del positions["0", "eu", "gone"]
    assert dict(StreamPositions(connect(tmp_path))) == {READER: 7}


def test_an_older_snapshot_does_not_move_a_reader(tmp_path: Path) -> None:
    positions = StreamPositions(connect(tmp_path))
    positions[READER] = 7
    positions.update({READER: 3, ("0", "eu", "other"): 2})
    assert dict(positions) == {READER: 7, ("0", "eu", "other"): 2}
    assert copy.deepcopy(positions) == {}


def test_a_repeated_transaction_is_known_by_its_token_and_content(tmp_path: Path) -> None:
    request = {"TransactItems": [{"Put": {"Item": {"id": {"S": "ü"}}}}]}
    entry = {"signature": request, "response": {"a": 1}, "sizes": {"table": [1]}}
    TransactionTokens(connect(tmp_path)).store(("0", "eu"), "token", entry, at=100)
    tokens = TransactionTokens(connect(tmp_path))
    known = tokens.read(("0", "eu"), "token", since=99)
    assert known is not None
    assert known.pop("signature") == request
    assert known == {"response": {"a": 1}, "sizes": {"table": [1]}}
    assert (tokens.read(("0", "eu"), "token", since=99) or {})["signature"] != {"other": 1}
    assert tokens.read(("0", "us"), "token", since=99) is None
    assert tokens.read(("0", "eu"), "token", since=100) is None
    tokens.delete_before(100)
    assert tokens.read(("0", "eu"), "token", since=0) is None
