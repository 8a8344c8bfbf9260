"""When a drop is complete, what a deployment does, and whether two sets of scores agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refit.domain.pipeline.deployment import Action, action_for, first_mismatch, scores
from refit.domain.pipeline.drop import files_of_drop, is_quiet
from refit.domain.pipeline.manifest import ObjectVersion

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def dropped(name: str, at: datetime) -> ObjectVersion:
    return ObjectVersion(key=f"m/raw/{name}", version=f"v-{name}", size=10, last_modified=at)


def test_only_the_event_of_the_newest_file_completes_a_drop_at_once() -> None:
    files = [dropped("a", NOON), dropped("b", NOON + timedelta(seconds=5))]
    now = NOON + timedelta(seconds=6)
    assert not is_quiet(files, ("m/raw/a", "v-a"), now, MINUTE)
    assert is_quiet(files, ("m/raw/b", "v-b"), now, MINUTE)


def test_any_event_completes_a_drop_after_the_quiet_period() -> None:
    files = [dropped("a", NOON), dropped("b", NOON)]
    assert is_quiet(files, ("m/raw/a", "v-a"), NOON + MINUTE, MINUTE)
    assert is_quiet(files, None, NOON + MINUTE, MINUTE)
    assert not is_quiet(files, None, NOON + MINUTE / 2, MINUTE)


def test_the_event_of_an_older_version_of_a_file_does_not_complete_a_drop() -> None:
    files = [dropped("a", NOON)]
    assert not is_quiet(files, ("m/raw/a", "v-before"), NOON, MINUTE)


def test_a_drop_consists_of_the_files_that_no_run_has_consumed() -> None:
    old, new = dropped("a", NOON), dropped("b", NOON + MINUTE)
    assert files_of_drop([old, new], None, "drop") == [old, new]
    assert files_of_drop([old, new], NOON.isoformat(), "drop") == [new]


def test_with_scope_all_a_drop_consists_of_every_file_if_one_of_them_is_new() -> None:
    old, new = dropped("a", NOON), dropped("b", NOON + MINUTE)
    assert files_of_drop([old, new], NOON.isoformat(), "all") == [old, new]
    assert files_of_drop([old], NOON.isoformat(), "all") == []


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
