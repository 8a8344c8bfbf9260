"""When a drop is complete, what a deployment does, and whether two sets of scores agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.naming import ResourceNames
from refit.domain.pipeline.deployment import (
    Action,
    action_for,
    fault_of_endpoint,
    first_mismatch,
    scores,
)
from refit.domain.pipeline.drop import ConsumedFiles, WaitReason, files_of_drop, wait_for_more
from refit.domain.pipeline.manifest import ObjectVersion

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def dropped(
    name: str, at: datetime, version: str | None = None, *, in_parts: bool = False
) -> ObjectVersion:
    return ObjectVersion(
        key=f"m/raw/{name}",
        version=version or f"v-{name}",
        size=10,
        last_modified=at,
        is_multipart=in_parts,
    )


def waited(*names: str) -> set[tuple[str, str]]:
    return {(f"m/raw/{name}", f"v-{name}") for name in names}


def test_only_the_event_of_the_newest_file_completes_a_drop_at_once() -> None:
    files = [dropped("a", NOON), dropped("b", NOON + timedelta(seconds=5))]
    now = NOON + timedelta(seconds=6)
    wait = wait_for_more(files, waited("a"), now, MINUTE)
    assert wait is not None
    assert (wait.reason, wait.awaited) == (WaitReason.LATER_FILES, waited("b"))
    assert wait_for_more(files, waited("b"), now, MINUTE) is None


def test_any_event_completes_a_drop_after_the_quiet_period() -> None:
    files = [dropped("a", NOON), dropped("b", NOON)]
    assert wait_for_more(files, waited("a"), NOON + MINUTE, MINUTE) is None
    assert wait_for_more(files, (), NOON + MINUTE, MINUTE) is None
    assert wait_for_more(files, (), NOON + MINUTE / 2, MINUTE) is not None


def test_the_event_of_an_older_version_of_a_file_does_not_complete_a_drop() -> None:
    files = [dropped("a", NOON)]
    assert wait_for_more(files, {("m/raw/a", "v-before")}, NOON, MINUTE) is not None


def test_a_file_uploaded_in_parts_is_not_quiet_because_its_upload_began_long_ago() -> None:
    files = [dropped("small", NOON), dropped("large", NOON - 10 * MINUTE, in_parts=True)]
    wait = wait_for_more(files, waited("small"), NOON + MINUTE, MINUTE)
    assert wait is not None
    assert (wait.reason, wait.awaited) == (WaitReason.UPLOADS_IN_PARTS, waited("large"))
    assert wait_for_more(files, waited("small", "large"), NOON + MINUTE, MINUTE) is None


def test_the_event_of_a_large_file_completes_a_drop_whose_other_files_are_old() -> None:
    files = [dropped("small", NOON), dropped("large", NOON - 10 * MINUTE, in_parts=True)]
    assert wait_for_more(files, waited("large"), NOON + 5 * MINUTE, MINUTE) is None


def test_of_several_later_files_the_event_of_the_newest_is_awaited() -> None:
    files = [dropped(name, NOON + timedelta(seconds=at)) for at, name in enumerate("abc")]
    wait = wait_for_more(files, waited("a"), NOON + MINUTE / 2, MINUTE)
    assert wait is not None
    assert wait.awaited == waited("c")
    assert not wait.is_over(waited("a", "b"), waited("b"))
    assert wait.is_over(waited("a", "c"), waited("c"))
    assert wait.is_over(waited("a", "d"), waited("d"))


def test_uploads_in_parts_are_awaited_until_all_of_their_events_have_come() -> None:
    files = [dropped(name, NOON, in_parts=True) for name in "abc"]
    wait = wait_for_more(files, waited("a"), NOON + MINUTE, MINUTE)
    assert wait is not None
    assert wait.awaited == waited("b", "c")
    assert not wait.is_over(waited("a", "b"), waited("b"))
    assert wait.is_over(waited("a", "b", "c"), waited("c"))


def test_a_drop_consists_of_the_files_that_no_run_has_consumed_whatever_their_times() -> None:
    old, new = dropped("a", NOON), dropped("b", NOON - MINUTE)
    consumed = ConsumedFiles()
    assert files_of_drop([old, new], consumed, "drop") == [old, new]
    consumed = consumed.and_also([old])
    assert files_of_drop([old, new], consumed, "drop") == [new]
    assert files_of_drop([old, new], consumed.and_also([new]), "drop") == []


def test_a_new_version_of_a_file_is_new_and_an_old_one_that_comes_back_is_not() -> None:
    first, second = dropped("a", NOON, "1"), dropped("a", NOON, "2")
    consumed = ConsumedFiles().and_also([first])
    assert files_of_drop([second], consumed, "drop") == [second]
    assert files_of_drop([first], consumed.and_also([second]), "drop") == []


def test_an_overwritten_file_without_a_version_is_new() -> None:
    first, second = dropped("a", NOON, "null"), dropped("a", NOON + MINUTE, "null")
    consumed = ConsumedFiles().and_also([first])
    assert files_of_drop([first], consumed, "drop") == []
    assert files_of_drop([second], consumed, "drop") == [second]


def test_with_scope_all_a_drop_consists_of_every_file_if_one_of_them_is_new() -> None:
    old, new = dropped("a", NOON), dropped("b", NOON + MINUTE)
    consumed = ConsumedFiles().and_also([old])
    assert files_of_drop([old, new], consumed, "all") == [old, new]
    assert files_of_drop([old], consumed, "all") == []


def test_the_list_of_consumed_files_is_read_as_it_was_written() -> None:
    consumed = ConsumedFiles().and_also([dropped("a", NOON), dropped("b b\n", NOON)])
    assert ConsumedFiles.parse(consumed.text()) == consumed
    assert len(consumed.text()) == 2 * 33


@pytest.mark.parametrize(
    ("approved", "live", "exists", "action"),
    [
        (None, None, False, Action.NONE),
        (None, 3, True, Action.NONE),
        (1, None, False, Action.CREATE),
        (2, 1, True, Action.UPDATE),
        (2, 2, True, Action.NONE),
        (1, 2, True, Action.UPDATE),
        (2, 2, False, Action.CREATE),
    ],
)
def test_a_deployment_creates_or_updates_the_endpoint_only_if_another_version_is_approved(
    approved: int | None, live: int | None, exists: bool, action: Action
) -> None:
    assert action_for(approved, live, exists) is action


ROWS = st.lists(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), min_size=1, max_size=20
)


@given(ROWS)
def test_live_and_batch_formats_of_the_same_scores_are_parsed_to_equal_values(
    rows: list[list[float]],
) -> None:
    live = "".join(",".join(map(repr, row)) + "\n" for row in rows)
    batch = "".join(f"{row}\n" for row in rows)
    assert scores(live) == scores(batch) == rows
    assert first_mismatch(scores(live), scores(batch)) is None


@given(ROWS, st.data())
def test_a_changed_score_is_reported_with_its_row(
    rows: list[list[float]], data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, len(rows) - 1))
    changed = [list(scored) for scored in rows]
    changed[row][1] += 1 + abs(changed[row][1])
    mismatch = first_mismatch(rows, changed)
    assert mismatch is not None
    assert mismatch.row == row


def test_a_missing_row_is_a_mismatch() -> None:
    mismatch = first_mismatch([[1.0], [2.0]], [[1.0]])
    assert mismatch is not None
    assert mismatch.row == 1


NAMES = ResourceNames("refit", "digits")
LIVE = NAMES.deployed(1, "0123abcd")


@pytest.mark.parametrize(
    ("status", "config", "text"),
    [
        (None, None, "does not exist"),
        ("Failed", LIVE, "is Failed"),
        ("InService", NAMES.deployed(2, "89abcdef"), "a deployment that ended before its version"),
        ("InService", LIVE, None),
        ("Updating", LIVE, None),
        ("InService", "two-instances", None),
    ],
)
def test_an_endpoint_has_a_fault_if_it_does_not_serve_the_live_version(
    status: str | None, config: str | None, text: str | None
) -> None:
    fault = fault_of_endpoint(NAMES, LIVE, status, config)
    assert (text in fault) if text and fault else (text is None and fault is None)


def test_the_live_version_is_deployed_again_to_an_endpoint_with_a_fault() -> None:
    assert action_for(1, 1, True, has_fault=True) is Action.UPDATE
    assert action_for(1, 1, False, has_fault=True) is Action.CREATE
