"""The largest drop that a run prepares."""

from __future__ import annotations

import pytest
from refit.domain.errors import DropTooLarge
from refit.domain.pipeline.drop_limits import MAX_DROP_BYTES, MAX_DROP_FILES, check_drop_size


def test_a_drop_of_the_largest_size_is_not_refused() -> None:
    check_drop_size({"a.csv": MAX_DROP_BYTES - 10, "b.csv": 10})
    check_drop_size({f"{number}.csv": 1 for number in range(MAX_DROP_FILES)})


def test_a_drop_that_is_too_large_is_refused_with_its_largest_files_and_what_to_do() -> None:
    sizes = {f"{name}.csv": 2**20 for name in "abc"} | {"z.csv": MAX_DROP_BYTES}
    with pytest.raises(DropTooLarge) as refused:
        check_drop_size(sizes)
    assert refused.value.reason == (
        "the drop has 4.00 GiB, and a run can prepare 4.00 GiB: z.csv (4.00 GiB), "
        "a.csv (1.0 MiB), b.csv (1.0 MiB) and 1 more"
    )
    assert "sample of the rows" in str(refused.value.advice)


def test_too_many_files_are_refused_with_their_number() -> None:
    with pytest.raises(DropTooLarge, match=r"10,001 files, and a run can prepare 10,000\. Join"):
        check_drop_size({f"{number}.csv": 1 for number in range(MAX_DROP_FILES + 1)})
