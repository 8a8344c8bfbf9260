"""When a drop is complete, and which version should be live."""

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


def test_of_several_files_only_the_last_ones_event_starts_the_run() -> None:
    files = [dropped("a", NOON), dropped("b", NOON + timedelta(seconds=5))]
    now = NOON + timedelta(seconds=6)
    assert not is_quiet(files, ("m/raw/a", "v-a"), now, MINUTE)
    assert is_quiet(files, ("m/raw/b", "v-b"), now, MINUTE)


def test_a_quiet_folder_starts_whatever_event_comes() -> None:
    files = [dropped("a", NOON), dropped("b", NOON)]
    assert is_quiet(files, ("m/raw/a", "v-a"), NOON + MINUTE, MINUTE)
    assert is_quiet(files, None, NOON + MINUTE, MINUTE)
    assert not is_quiet(files, None, NOON + MINUTE / 2, MINUTE)


def test_an_event_of_an_older_version_of_a_file_does_not_count_as_the_newest() -> None:
    files = [dropped("a", NOON)]
    assert not is_quiet(files, ("m/raw/a", "v-before"), NOON, MINUTE)


def test_a_run_takes_what_no_run_has_seen() -> None:
    old, new = dropped("a", NOON), dropped("b", NOON + MINUTE)
    assert files_of_drop([old, new], None, "drop") == [old, new]
    assert files_of_drop([old, new], NOON.isoformat(), "drop") == [new]
    assert files_of_drop([old, new], NOON.isoformat(), "all") == [old, new]
    assert files_of_drop([old], NOON.isoformat(), "all") == []


@pytest.mark.parametrize(
    ("wanted", "live", "exists", "action"),
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
def test_what_to_do_follows_from_what_is_and_what_should_be(
    wanted: int | None, live: int | None, exists: bool, action: Action
) -> None:
    assert action_for(wanted, live, exists) is action


ROWS = st.lists(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=3), min_size=1, max_size=20
)


@given(ROWS)
def test_live_and_batch_forms_of_the_same_scores_agree(rows: list[list[float]]) -> None:
    live = "".join(",".join(map(repr, row)) + "\n" for row in rows)
    batch = "".join(f"{row}\n" for row in rows)
    assert scores(live) == scores(batch) == rows
    assert first_mismatch(scores(live), scores(batch)) is None


@given(ROWS, st.data())
def test_one_changed_score_is_found_at_its_row(
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
